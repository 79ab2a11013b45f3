// SPDX-License-Identifier: Apache-2.0
/*
 * pvh.c - the Xen PVH boot protocol: ELF notes and start info
 *
 * A kernel that can be entered in 32-bit protected mode says so by an ELF note,
 * named "Xen", that holds the physical address of that entry.  It finds all
 * else from the structure that ebx points to.  (Xen, docs/misc/pvh.pandoc and
 * public headers elfnote.h, arch-x86/hvm/start_info.h.)
 */
#include <elf.h>
#include <errno.h>

#include "boot/layout.h"
#include "boot/pvh.h"

#define XEN_ELFNOTE_GUEST_OS	 6
#define XEN_ELFNOTE_PHYS32_ENTRY 18
#define XEN_HVM_START_MAGIC	 0x336ec578u

struct hvm_start_info {
	uint32_t magic;
	uint32_t version;
	uint32_t flags;
	uint32_t nr_modules;
	uint64_t modlist_paddr;
	uint64_t cmdline_paddr;
	uint64_t rsdp_paddr;
	uint64_t memmap_paddr; /* version 1 */
	uint32_t memmap_entries;
	uint32_t reserved;
};
static_assert(sizeof(struct hvm_start_info) == 56, "Xen start_info.h");

struct hvm_modlist_entry {
	uint64_t paddr;
	uint64_t size;
	uint64_t cmdline_paddr;
	uint64_t reserved;
};
static_assert(sizeof(struct hvm_modlist_entry) == 32, "Xen start_info.h");

struct hvm_memmap_entry {
	uint64_t addr;
	uint64_t size;
	uint32_t type; /* as E820 */
	uint32_t reserved;
};
static_assert(sizeof(struct hvm_memmap_entry) == 24, "Xen start_info.h");

static int read_entry(const struct image_file *file, uint64_t offset,
		      uint32_t len, struct pvh_notes *notes,
		      struct boot_error *err)
{
	uint64_t entry = 0;
	int ret;

	/* 32-bit kernels and some 64-bit ones write four bytes, Linux eight. */
	if (len != sizeof(uint32_t) && len != sizeof(uint64_t))
		return boot_refuse(err, -EBADMSG, "kernel",
				   "the PVH entry note holds %u bytes, not 4 "
				   "or 8",
				   len);
	ret = image_read(file, offset, &entry, len, "the PVH entry note", err);
	if (ret < 0)
		return ret;
	if (entry > UINT32_MAX)
		return boot_refuse(err, -EBADMSG, "kernel",
				   "the PVH entry 0x%llx is above 4 GiB",
				   (unsigned long long)entry);
	if (notes->has_entry && notes->entry != entry)
		return boot_refuse(err, -EBADMSG, "kernel",
				   "has two PVH entries, 0x%x and 0x%llx",
				   notes->entry, (unsigned long long)entry);
	notes->has_entry = true;
	notes->entry = (uint32_t)entry;
	return 0;
}

/* One note whose name and descriptor lie in the file. */
static int read_note(const struct image_file *file, const Elf64_Nhdr *note,
		     uint64_t name_at, uint64_t desc_at,
		     struct pvh_notes *notes, struct boot_error *err)
{
	char name[6] = "";
	char os[6] = "";
	int ret;

	if (note->n_namesz > sizeof(name))
		return 0;
	ret = image_read(file, name_at, name, note->n_namesz, "a note's name",
			 err);
	if (ret < 0)
		return ret;
	if (note->n_namesz == sizeof("Linux") && !memcmp(name, "Linux", 6))
		notes->linux_kernel = true;
	if (note->n_namesz != sizeof("Xen") || memcmp(name, "Xen", 4) != 0)
		return 0;
	if (note->n_type == XEN_ELFNOTE_PHYS32_ENTRY)
		return read_entry(file, desc_at, note->n_descsz, notes, err);
	if (note->n_type == XEN_ELFNOTE_GUEST_OS &&
	    note->n_descsz == sizeof("linux")) {
		ret = image_read(file, desc_at, os, sizeof(os), "a note's text",
				 err);
		if (ret < 0)
			return ret;
		if (!memcmp(os, "linux", sizeof(os)))
			notes->linux_kernel = true;
	}
	return 0;
}

int pvh_read_notes(const struct image_file *file, uint64_t offset, uint64_t len,
		   uint64_t align, struct pvh_notes *notes,
		   struct boot_error *err)
{
	uint64_t pos = 0;
	int ret;

	if (offset > file->size || len > file->size - offset)
		return boot_refuse(err, -EBADMSG, "kernel",
				   "cut short: the notes are %llu bytes at "
				   "byte %llu, the file has %llu",
				   (unsigned long long)len,
				   (unsigned long long)offset,
				   (unsigned long long)file->size);
	/* gABI: notes are padded to 4 bytes, in 8-byte aligned segments to 8 */
	align = align == 8 ? 8 : 4;
	/* What is too short for a note is padding. */
	while (len - pos >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr note;
		uint64_t desc, next;

		if (++notes->nr_notes > PVH_MAX_NOTES)
			return boot_refuse(err, -EBADMSG, "kernel",
					   "has more than %u ELF notes",
					   PVH_MAX_NOTES);
		ret = image_read(file, offset + pos, &note, sizeof(note),
				 "a note", err);
		if (ret < 0)
			return ret;
		/* Sums of two 32-bit sizes: no wrap in 64 bits. */
		desc = ALIGN_UP(sizeof(note) + (uint64_t)note.n_namesz, align);
		next = desc + note.n_descsz;
		if (next > len - pos)
			return boot_refuse(err, -EBADMSG, "kernel",
					   "the ELF note at byte %llu runs "
					   "past its segment",
					   (unsigned long long)offset + pos);
		ret = read_note(file, &note, offset + pos + sizeof(note),
				offset + pos + desc, notes, err);
		if (ret < 0)
			return ret;
		pos += MIN(ALIGN_UP(next, align), len - pos);
	}
	return 0;
}

int pvh_write_info(struct guest_memory *gm, const struct memmap *map,
		   const struct initrd *initrd)
{
	struct hvm_start_info info = {
		.magic = XEN_HVM_START_MAGIC,
		.version = 1,
		.cmdline_paddr = LAYOUT_CMDLINE,
		.rsdp_paddr = LAYOUT_ACPI,
		.memmap_paddr = LAYOUT_PVH_MEMMAP,
		.memmap_entries = map->nr_entries,
	};
	struct hvm_modlist_entry module = {
		.paddr = initrd->gpa,
		.size = initrd->size,
	};
	struct hvm_memmap_entry entry[MEMMAP_MAX] = { 0 };
	int ret;

	for (unsigned int i = 0; i < map->nr_entries; i++) {
		entry[i].addr = map->entry[i].addr;
		entry[i].size = map->entry[i].size;
		entry[i].type = map->entry[i].type;
	}
	if (initrd->size > 0) {
		info.nr_modules = 1;
		info.modlist_paddr = LAYOUT_PVH_MODULES;
	}
	ret = gmem_write(gm, LAYOUT_PVH_MODULES, &module, sizeof(module));
	if (ret == 0)
		ret = gmem_write(gm, LAYOUT_PVH_MEMMAP, entry, sizeof(entry));
	if (ret == 0)
		ret = gmem_write(gm, LAYOUT_PVH_INFO, &info, sizeof(info));
	return ret;
}
