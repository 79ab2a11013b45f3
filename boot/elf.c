// SPDX-License-Identifier: Apache-2.0
/*
 * elf.c - ELF kernels: Linux's vmlinux, and anything with a PVH note
 *
 * The headers of a 32-bit file are widened, so that there is one set of checks.
 * A kernel with a PVH note is entered by it; else a 64-bit one is taken to be
 * Linux, whose e_entry is the 64-bit boot protocol's.  Segments go to p_paddr;
 * what a segment has in memory beyond the file is zero because guest memory is.
 */
#include <elf.h>
#include <errno.h>

#include "boot/elf.h"
#include "boot/layout.h"
#include "boot/pvh.h"

/* Linux, arch/x86/include/asm/setup.h: COMMAND_LINE_SIZE, less the NUL. */
#define LINUX_CMDLINE_MAX 2047

struct elf {
	const struct image_file *file;
	bool is_64;
	uint64_t entry;
	uint64_t phoff;
	unsigned int phentsize;
	unsigned int nr_phdrs;
	Elf64_Phdr phdr[ELF_MAX_PHDRS];
	struct pvh_notes notes;
};

bool elf_sniff(const uint8_t *head, size_t len)
{
	return len >= ELF_SNIFF && !memcmp(head, ELFMAG, SELFMAG);
}

static int check_machine(bool is_64, unsigned int machine,
			 struct boot_error *err)
{
	static const struct {
		unsigned int machine;
		const char *name;
	} other[] = {
		{ EM_ARM, "arm" },     { EM_AARCH64, "aarch64" },
		{ EM_RISCV, "riscv" }, { EM_PPC64, "ppc64" },
		{ EM_S390, "s390" },   { EM_MIPS, "mips" },
		{ 258, "loongarch" },
	};

	if (machine == (is_64 ? EM_X86_64 : EM_386))
		return 0;
	for (unsigned int i = 0; i < ARRAY_SIZE(other); i++) {
		if (machine == other[i].machine)
			return boot_refuse(err, -ENOTSUP, "kernel",
					   "built for %s: use one built for "
					   "x86-64",
					   other[i].name);
	}
	return boot_refuse(err, -ENOTSUP, "kernel",
			   "%d-bit ELF for machine %u: use one built for "
			   "x86-64",
			   is_64 ? 64 : 32, machine);
}

static int check_type(unsigned int type, struct boot_error *err)
{
	switch (type) {
	case ET_EXEC:
	case ET_DYN:
		return 0;
	case ET_REL:
		return boot_refuse(err, -ENOTSUP, "kernel",
				   "an object file or kernel module, not a "
				   "kernel");
	case ET_CORE:
		return boot_refuse(err, -ENOTSUP, "kernel",
				   "a core dump, not a kernel");
	default:
		return boot_refuse(err, -EBADMSG, "kernel",
				   "ELF type %u is not an executable", type);
	}
}

static int read_ident(struct elf *elf, struct boot_error *err)
{
	uint8_t ident[EI_NIDENT];
	int ret;

	ret = image_read(elf->file, 0, ident, sizeof(ident),
			 "the ELF identification", err);
	if (ret < 0)
		return ret;
	if (ident[EI_CLASS] != ELFCLASS32 && ident[EI_CLASS] != ELFCLASS64)
		return boot_refuse(err, -EBADMSG, "kernel",
				   "ELF class %u is neither 32 nor 64 bit",
				   ident[EI_CLASS]);
	if (ident[EI_DATA] == ELFDATA2MSB)
		return boot_refuse(err, -ENOTSUP, "kernel",
				   "a big-endian ELF file: use one built for "
				   "x86-64");
	if (ident[EI_DATA] != ELFDATA2LSB)
		return boot_refuse(err, -EBADMSG, "kernel",
				   "ELF byte order %u is unknown",
				   ident[EI_DATA]);
	if (ident[EI_VERSION] != EV_CURRENT)
		return boot_refuse(err, -EBADMSG, "kernel",
				   "ELF version %u is unknown",
				   ident[EI_VERSION]);
	elf->is_64 = ident[EI_CLASS] == ELFCLASS64;
	return 0;
}

static int read_header(struct elf *elf, struct boot_error *err)
{
	Elf64_Ehdr h = { 0 };
	Elf32_Ehdr h32;
	int ret;

	if (elf->is_64) {
		ret = image_read(elf->file, 0, &h, sizeof(h), "the ELF header",
				 err);
	} else {
		ret = image_read(elf->file, 0, &h32, sizeof(h32),
				 "the ELF header", err);
		if (ret == 0) {
			h.e_type = h32.e_type;
			h.e_machine = h32.e_machine;
			h.e_entry = h32.e_entry;
			h.e_phoff = h32.e_phoff;
			h.e_phentsize = h32.e_phentsize;
			h.e_phnum = h32.e_phnum;
		}
	}
	if (ret < 0)
		return ret;
	ret = check_machine(elf->is_64, h.e_machine, err);
	if (ret < 0)
		return ret;
	ret = check_type(h.e_type, err);
	if (ret < 0)
		return ret;
	elf->entry = h.e_entry;
	elf->phoff = h.e_phoff;
	elf->phentsize = h.e_phentsize;
	elf->nr_phdrs = h.e_phnum;
	return 0;
}

static void widen(const Elf32_Phdr *p32, Elf64_Phdr *p)
{
	*p = (Elf64_Phdr){
		.p_type = p32->p_type,
		.p_offset = p32->p_offset,
		.p_vaddr = p32->p_vaddr,
		.p_paddr = p32->p_paddr,
		.p_filesz = p32->p_filesz,
		.p_memsz = p32->p_memsz,
		.p_align = p32->p_align,
	};
}

static int read_phdrs(struct elf *elf, struct boot_error *err)
{
	Elf32_Phdr p32[ELF_MAX_PHDRS];
	size_t size = elf->is_64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
	void *to = elf->is_64 ? (void *)elf->phdr : (void *)p32;
	int ret;

	if (elf->nr_phdrs == 0)
		return boot_refuse(err, -EBADMSG, "kernel",
				   "an ELF file without program headers");
	if (elf->nr_phdrs > ELF_MAX_PHDRS)
		return boot_refuse(err, -EBADMSG, "kernel",
				   "%u program headers, at most %u are taken",
				   elf->nr_phdrs, ELF_MAX_PHDRS);
	if (elf->phentsize != size)
		return boot_refuse(err, -EBADMSG, "kernel",
				   "program headers of %u bytes, not %zu",
				   elf->phentsize, size);
	ret = image_read(elf->file, elf->phoff, to, elf->nr_phdrs * size,
			 "the program header table", err);
	if (ret < 0)
		return ret;
	for (unsigned int i = 0; !elf->is_64 && i < elf->nr_phdrs; i++)
		widen(&p32[i], &elf->phdr[i]);
	return 0;
}

static int check_segment(const struct elf *elf, unsigned int n,
			 const struct guest_memory *gm, struct boot_error *err)
{
	const Elf64_Phdr *p = &elf->phdr[n];
	const struct image_file *file = elf->file;
	unsigned long long at = p->p_paddr, offset = p->p_offset;
	unsigned long long filesz = p->p_filesz, memsz = p->p_memsz;

	if (filesz > memsz)
		return boot_refuse(err, -EBADMSG, "kernel",
				   "segment %u has %llu bytes in the file but "
				   "%llu in memory",
				   n, filesz, memsz);
	if (offset > file->size || filesz > file->size - offset)
		return boot_refuse(err, -EBADMSG, "kernel",
				   "cut short: segment %u is %llu bytes at "
				   "byte %llu, the file has %llu",
				   n, filesz, offset,
				   (unsigned long long)file->size);
	if (at < LAYOUT_KERNEL)
		return boot_refuse(
			err, -ENOTSUP, "kernel",
			"segment %u is for 0x%llx, below 1 MiB: link "
			"the kernel at 1 MiB or above",
			n, at);
	if (at >= LAYOUT_HOLE_START || memsz > LAYOUT_HOLE_START - at)
		return boot_refuse(
			err, -ENOSPC, "kernel",
			"segment %u is for 0x%llx, 0x%llx bytes: not "
			"in the first 3 GiB",
			n, at, memsz);
	return image_fits(gm, at + memsz, err);
}

static bool is_load(const Elf64_Phdr *p)
{
	return p->p_type == PT_LOAD && p->p_memsz > 0;
}

/* Only after both were checked: their ends do not wrap. */
static bool overlap(const Elf64_Phdr *a, const Elf64_Phdr *b)
{
	return a->p_paddr < b->p_paddr + b->p_memsz &&
	       b->p_paddr < a->p_paddr + a->p_memsz;
}

static int check_segments(const struct elf *elf, const struct guest_memory *gm,
			  uint64_t *end, struct boot_error *err)
{
	unsigned int nr_loads = 0;

	for (unsigned int i = 0; i < elf->nr_phdrs; i++) {
		const Elf64_Phdr *p = &elf->phdr[i];
		int ret;

		if (p->p_type == PT_INTERP)
			return boot_refuse(err, -ENOTSUP, "kernel",
					   "a program (it names an "
					   "interpreter), not a kernel");
		if (p->p_type != PT_LOAD || (p->p_memsz | p->p_filesz) == 0)
			continue;
		ret = check_segment(elf, i, gm, err);
		if (ret < 0)
			return ret;
		for (unsigned int j = 0; j < i; j++) {
			if (!is_load(&elf->phdr[j]) ||
			    !overlap(&elf->phdr[j], p))
				continue;
			return boot_refuse(
				err, -EBADMSG, "kernel",
				"segments %u and %u overlap at "
				"0x%llx",
				j, i,
				(unsigned long long)MAX(elf->phdr[j].p_paddr,
							p->p_paddr));
		}
		*end = MAX(*end, p->p_paddr + p->p_memsz);
		nr_loads++;
	}
	if (nr_loads == 0)
		return boot_refuse(err, -EBADMSG, "kernel",
				   "an ELF file with nothing to load");
	return 0;
}

static int read_notes(struct elf *elf, struct boot_error *err)
{
	for (unsigned int i = 0; i < elf->nr_phdrs; i++) {
		const Elf64_Phdr *p = &elf->phdr[i];
		int ret;

		if (p->p_type != PT_NOTE)
			continue;
		ret = pvh_read_notes(elf->file, p->p_offset, p->p_filesz,
				     p->p_align, &elf->notes, err);
		if (ret < 0)
			return ret;
	}
	return 0;
}

static int check_entry(const struct elf *elf, uint64_t entry,
		       struct boot_error *err)
{
	for (unsigned int i = 0; i < elf->nr_phdrs; i++) {
		const Elf64_Phdr *p = &elf->phdr[i];

		if (is_load(p) && entry >= p->p_paddr &&
		    entry - p->p_paddr < p->p_filesz)
			return 0;
	}
	return boot_refuse(err, -EBADMSG, "kernel",
			   "the %s 0x%llx is not in a segment of the file",
			   elf->notes.has_entry ? "PVH entry" : "entry point",
			   (unsigned long long)entry);
}

static int load_segments(const struct elf *elf, struct guest_memory *gm,
			 struct boot_error *err)
{
	for (unsigned int i = 0; i < elf->nr_phdrs; i++) {
		const Elf64_Phdr *p = &elf->phdr[i];
		int ret;

		if (!is_load(p))
			continue;
		ret = image_load(elf->file, gm, p->p_paddr, p->p_offset,
				 p->p_filesz, err);
		if (ret < 0)
			return ret;
	}
	return 0;
}

static int elf_read(struct elf *elf, struct boot_error *err)
{
	int ret;

	ret = read_ident(elf, err);
	if (ret < 0)
		return ret;
	ret = read_header(elf, err);
	if (ret < 0)
		return ret;
	ret = read_phdrs(elf, err);
	if (ret < 0)
		return ret;
	return read_notes(elf, err);
}

int elf_load(const struct image_file *file, struct guest_memory *gm,
	     struct image *image, struct boot_error *err)
{
	struct elf elf = { .file = file };
	uint64_t end = 0;
	int ret;

	ret = elf_read(&elf, err);
	if (ret < 0)
		return ret;
	ret = check_segments(&elf, gm, &end, err);
	if (ret < 0)
		return ret;
	if (!elf.notes.has_entry && !elf.is_64)
		return boot_refuse(err, -ENOTSUP, "kernel",
				   "a 32-bit ELF file without a PVH note");
	image->protocol = elf.notes.has_entry ? BOOT_PVH : BOOT_LINUX_64;
	image->entry = elf.notes.has_entry ? elf.notes.entry : elf.entry;
	ret = check_entry(&elf, image->entry, err);
	if (ret < 0)
		return ret;
	image->end = end;
	image->initrd_max = UINT32_MAX;
	image->initrd_high = false;
	image->linux_kernel = elf.notes.linux_kernel || !elf.notes.has_entry;
	image->cmdline_max = image->linux_kernel ? LINUX_CMDLINE_MAX
						 : LAYOUT_CMDLINE_MAX - 1;
	return load_segments(&elf, gm, err);
}
