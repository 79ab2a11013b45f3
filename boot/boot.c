// SPDX-License-Identifier: Apache-2.0
/*
 * boot.c - fills guest memory for a kernel, and says where it starts
 *
 * Order: the kernel first, since it alone says where it must lie and how much
 * room it needs; then the initrd in what is left; then what tells the kernel
 * of both; then tables, which do not depend on the kernel.
 */
#include <errno.h>
#include <stdio.h>

#include "boot/acpi.h"
#include "boot/boot.h"
#include "boot/bzimage.h"
#include "boot/elf.h"
#include "boot/initrd.h"
#include "boot/layout.h"
#include "boot/mptable.h"
#include "boot/pagetable.h"
#include "boot/params.h"
#include "boot/pvh.h"
#include "boot/reset.h"

/* Longest beginning of a file by which a format is known. */
#define SNIFF_MAX BZIMAGE_SNIFF

static_assert(LAYOUT_CMDLINE + LAYOUT_CMDLINE_MAX <= LAYOUT_LOW_RAM_END,
	      "the command line is in conventional memory");
static_assert(LAYOUT_PAGE_TABLES + 6 * PAGE_SIZE <= LAYOUT_CMDLINE,
	      "the page tables end before the command line");

/* Files that people hand us in place of a kernel, and what would help. */
static const struct mistake {
	unsigned int offset;
	unsigned int len;
	const char *magic;
	const char *text;
} mistakes[] = {
	{ 0, 2, "\x1f\x8b", "compressed with gzip: unpack it first (gunzip)" },
	{ 0, 6,
	  "\xfd"
	  "7zXZ",
	  "compressed with xz: unpack it first (unxz)" },
	{ 0, 4, "\x28\xb5\x2f\xfd",
	  "compressed with zstd: unpack it first (unzstd)" },
	{ 0, 3, "BZh", "compressed with bzip2: unpack it first (bunzip2)" },
	{ 0, 4, "\x04\x22\x4d\x18",
	  "compressed with lz4: unpack it first (unlz4)" },
	{ 0, 4, "\x02\x21\x4c\x18",
	  "compressed with lz4: unpack it first (unlz4 -l)" },
	{ 0, 6, "070701", "a cpio archive: is it the initrd? (-i)" },
	{ 0, 4, "QFI\xfb", "a qcow2 disk image, not a kernel" },
	{ 0, 4, "\x27\x05\x19\x56", "a U-Boot image, not a kernel" },
	{ 0, 8, "!<arch>\n", "an archive (a Debian package?), not a kernel" },
	{ 0, 4, "\xed\xab\xee\xdb", "an RPM package, not a kernel" },
	{ 0, 2, "#!", "a script, not a kernel" },
	{ 0x38, 4, "ARM\x64", "built for aarch64: use one built for x86-64" },
	{ 0x38, 4, "RSC\x05", "built for riscv: use one built for x86-64" },
	{ 0x1fe, 2, "\x55\xaa", "a boot sector or disk image, not a kernel" },
	{ 0, 2, "MZ", "an EFI program without a Linux setup header" },
};

static int refuse_unknown(const uint8_t *head, size_t len,
			  struct boot_error *err)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(mistakes); i++) {
		const struct mistake *m = &mistakes[i];

		if (len >= m->offset + m->len &&
		    !memcmp(head + m->offset, m->magic, m->len))
			return boot_refuse(err, -ENOTSUP, "kernel", "%s",
					   m->text);
	}
	return boot_refuse(err, -EBADMSG, "kernel",
			   "neither a bzImage nor an ELF file");
}

static int load_kernel(const struct boot_config *config, struct image *image,
		       struct boot_error *err)
{
	uint8_t head[SNIFF_MAX] = { 0 };
	struct image_file file;
	size_t len;
	int ret;

	ret = image_open(&file, config->kernel_fd, config->copy, "kernel", err);
	if (ret < 0)
		return ret;
	len = MIN(file.size, sizeof(head));
	ret = image_read(&file, 0, head, len, "its beginning", err);
	if (ret < 0)
		return ret;
	if (elf_sniff(head, len))
		return elf_load(&file, config->gm, image, err);
	if (bzimage_sniff(head, len))
		return bzimage_load(&file, config->gm, image, err);
	return refuse_unknown(head, len, err);
}

static int check_memory(const struct guest_memory *gm, struct boot_error *err)
{
	if (gm->nr_regions == 0 || gm->region[0].gpa != 0 ||
	    gm->region[0].size < LAYOUT_KERNEL)
		return boot_refuse(err, -EINVAL, "memory",
				   "the guest has no RAM up to 1 MiB: use a "
				   "larger -m");
	/* The machine's memory map is ours, not the operator's. */
	assert(image_low_end(gm) <= LAYOUT_HOLE_START);
	return 0;
}

static int write_tables(const struct boot_config *config)
{
	const size_t acpi_size = LAYOUT_ACPI_END - LAYOUT_ACPI;
	const size_t mp_size = LAYOUT_MPTABLE_END - LAYOUT_MPTABLE;
	/* Nobody runs yet, so that a table may be built where it will be. */
	uint8_t *acpi = gmem_ptr_mut(config->gm, LAYOUT_ACPI, acpi_size);
	uint8_t *mp = gmem_ptr_mut(config->gm, LAYOUT_MPTABLE, mp_size);
	int ret;

	if (!acpi || !mp)
		return -EFAULT;
	ret = acpi_build(config, acpi, acpi_size);
	if (ret < 0)
		return ret;
	ret = mptable_build(config->nr_cpus, mp, mp_size);
	if (ret < 0)
		return ret;
	return reset_write_vector(config->gm);
}

/* What the kernel is told: all of it lies below 1 MiB. */
static int write_low(const struct boot_config *config,
		     const struct image *image, const struct initrd *initrd,
		     struct boot_entry *entry)
{
	struct guest_memory *gm = config->gm;
	struct memmap map;
	int ret;

	memmap_build(gm, &map);
	if (image->protocol == BOOT_PVH) {
		entry->rbx = LAYOUT_PVH_INFO;
		ret = pvh_write_info(gm, &map, initrd);
	} else {
		entry->rsi = LAYOUT_ZERO_PAGE;
		ret = params_write(gm, image, &map, initrd);
	}
	if (ret < 0)
		return ret;
	ret = pagetable_write(gm, entry);
	if (ret < 0)
		return ret;
	return write_tables(config);
}

int boot_load(const struct boot_config *config, struct boot_entry *entry,
	      struct boot_error *err)
{
	struct image image = { 0 };
	struct initrd initrd = { 0 };
	int ret;

	ret = check_memory(config->gm, err);
	if (ret < 0)
		return ret;
	ret = load_kernel(config, &image, err);
	if (ret < 0)
		return ret;
	if (config->initrd_fd >= 0) {
		ret = initrd_load(config->gm, config->initrd_fd, config->copy,
				  &image, &initrd, err);
		if (ret < 0)
			return ret;
	}
	ret = cmdline_write(config, image.cmdline_max, err);
	if (ret < 0)
		return ret;

	*entry = (struct boot_entry){
		.protocol = image.protocol,
		.rip = image.entry,
		.rsp = LAYOUT_STACK_TOP,
		.linux_kernel = image.linux_kernel,
	};
	ret = write_low(config, &image, &initrd, entry);
	if (ret < 0)
		return boot_refuse(err, ret, "memory",
				   "the tables for %u CPUs and %u devices do "
				   "not fit below 1 MiB",
				   config->nr_cpus, config->nr_devices);
	return 0;
}
