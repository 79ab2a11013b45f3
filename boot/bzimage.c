// SPDX-License-Identifier: Apache-2.0
/*
 * bzimage.c - Linux bzImage, entered by the 64-bit boot protocol
 *
 * The file is setup_sects + 1 sectors of real-mode code, which we skip, and the
 * protected-mode kernel, whose 64-bit entry is 0x200 bytes in.  The setup
 * header at 0x1f1 says where the kernel may lie and how much memory it needs
 * before it can look at the memory map; the zero page gets a copy of it.
 */
#include <errno.h>

#include "boot/bzimage.h"
#include "boot/layout.h"

/* Linux boot protocol: fixed places in the file. */
#define SECTOR		   512u
#define HEADER_OFFSET	   0x1f1u
#define BOOT_FLAG_OFFSET   0x1feu
#define BOOT_FLAG	   0xaa55u
#define MAGIC_OFFSET	   0x202u
#define MAGIC		   0x53726448u /* "HdrS" */
#define SETUP_SECTS_IF_0   4u
#define ENTRY_64_OFFSET	   0x200u
#define HEADER_END_MIN	   0x264u /* through init_size, protocol 2.12 */
#define PROTOCOL_OLDEST	   0x206u
#define PROTOCOL_XLOADFLAG 0x20cu

static_assert(offsetof(struct boot_params, hdr) == HEADER_OFFSET,
	      "the zero page holds the header where the file does");
static_assert(HEADER_OFFSET + offsetof(struct setup_header, header) ==
		      MAGIC_OFFSET,
	      "struct setup_header is the file's");

bool bzimage_sniff(const uint8_t *head, size_t len)
{
	return len >= BZIMAGE_SNIFF &&
	       get_le16(head + BOOT_FLAG_OFFSET) == BOOT_FLAG &&
	       get_le32(head + MAGIC_OFFSET) == MAGIC;
}

/* What kind of kernel it is, before any size in it is believed. */
static int check_kind(const struct setup_header *h, struct boot_error *err)
{
	if (h->version < PROTOCOL_OLDEST)
		return boot_refuse(err, -ENOTSUP, "kernel",
				   "boot protocol %u.%02u is too old: use a "
				   "64-bit kernel, 3.8 or later",
				   h->version >> 8, h->version & 0xffu);
	if (h->version < PROTOCOL_XLOADFLAG)
		return boot_refuse(err, -ENOTSUP, "kernel",
				   "boot protocol %u.%02u has no 64-bit entry: "
				   "use a 64-bit kernel, 3.8 or later",
				   h->version >> 8, h->version & 0xffu);
	if (!(h->loadflags & LOADED_HIGH))
		return boot_refuse(err, -ENOTSUP, "kernel",
				   "a zImage, which loads below 1 MiB: build a "
				   "bzImage");
	if (!(h->xloadflags & XLF_KERNEL_64))
		return boot_refuse(err, -ENOTSUP, "kernel",
				   "a 32-bit bzImage: use one with "
				   "CONFIG_X86_64=y");
	return 0;
}

static int read_header(const struct image_file *file, struct setup_header *h,
		       struct boot_error *err)
{
	size_t len = sizeof(*h);
	uint32_t end;
	int ret;

	ret = image_read(file, HEADER_OFFSET, h, len, "the setup header", err);
	if (ret < 0)
		return ret;
	ret = check_kind(h, err);
	if (ret < 0)
		return ret;

	/* Linux boot protocol, 64-bit: the header ends where the short jump at
	 * 0x200 leads; what follows is code.
	 */
	end = MAGIC_OFFSET + (h->jump >> 8);
	if (end < HEADER_END_MIN)
		return boot_refuse(err, -EBADMSG, "kernel",
				   "the setup header ends at 0x%x, before "
				   "init_size",
				   end);
	if (end - HEADER_OFFSET < len) {
		len = end - HEADER_OFFSET;
		memset((uint8_t *)h + len, 0, sizeof(*h) - len);
	}
	return 0;
}

/* Linux boot protocol, setup_header.init_size: where the kernel will run, which
 * for a relocatable one is not where it was loaded.
 */
static uint64_t runtime_start(const struct setup_header *h, uint64_t load)
{
	if (!h->relocatable_kernel)
		return h->pref_address;
	return ALIGN_UP(MAX(load, h->pref_address),
			(uint64_t)h->kernel_alignment);
}

static int check_memory(const struct setup_header *h, struct boot_error *err)
{
	if (h->init_size == 0)
		return boot_refuse(err, -EBADMSG, "kernel",
				   "the setup header says that it needs no "
				   "memory (init_size 0)");
	if (h->pref_address >= LAYOUT_HOLE_START)
		return boot_refuse(err, -ENOTSUP, "kernel",
				   "wants to be at 0x%llx, above low memory",
				   (unsigned long long)h->pref_address);
	if (h->relocatable_kernel &&
	    (h->kernel_alignment == 0 ||
	     (h->kernel_alignment & (h->kernel_alignment - 1))))
		return boot_refuse(err, -EBADMSG, "kernel",
				   "kernel_alignment 0x%x is not a power of 2",
				   h->kernel_alignment);
	if (!h->relocatable_kernel && h->pref_address < LAYOUT_KERNEL)
		return boot_refuse(err, -ENOTSUP, "kernel",
				   "wants to be at 0x%llx, below 1 MiB",
				   (unsigned long long)h->pref_address);
	return 0;
}

int bzimage_load(const struct image_file *file, struct guest_memory *gm,
		 struct image *image, struct boot_error *err)
{
	struct setup_header h;
	uint64_t setup, len, load, run;
	int ret;

	ret = read_header(file, &h, err);
	if (ret < 0)
		return ret;
	ret = check_memory(&h, err);
	if (ret < 0)
		return ret;

	setup = (h.setup_sects ? h.setup_sects : SETUP_SECTS_IF_0) + 1;
	setup *= SECTOR;
	if (file->size <= setup + ENTRY_64_OFFSET)
		return boot_refuse(err, -EBADMSG, "kernel",
				   "cut short: the 64-bit entry is at byte "
				   "%llu, the file has %llu",
				   (unsigned long long)setup + ENTRY_64_OFFSET,
				   (unsigned long long)file->size);
	/* What follows the declared code (a signature) does no harm. */
	len = file->size - setup;
	if (len / 16 < h.syssize)
		return boot_refuse(
			err, -EBADMSG, "kernel",
			"cut short: the setup header declares %llu "
			"bytes after its own %llu, the file has %llu",
			(unsigned long long)h.syssize * 16,
			(unsigned long long)setup,
			(unsigned long long)file->size);

	load = h.relocatable_kernel ? LAYOUT_KERNEL : h.pref_address;
	run = runtime_start(&h, load);
	image->end = MAX(run + h.init_size, load + len);
	ret = image_fits(gm, image->end, err);
	if (ret < 0)
		return ret;

	h.code32_start = (uint32_t)load;
	image->protocol = BOOT_LINUX_64;
	image->entry = load + ENTRY_64_OFFSET;
	image->initrd_max = h.initrd_addr_max;
	image->initrd_high = h.xloadflags & XLF_CAN_BE_LOADED_ABOVE_4G;
	image->cmdline_max = h.cmdline_size;
	image->linux_kernel = true;
	image->header = h;
	return image_load(file, gm, load, setup, len, err);
}
