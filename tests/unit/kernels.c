// SPDX-License-Identifier: Apache-2.0
/*
 * kernels.c - small kernels made in memory
 */
#include <assert.h>
#include <string.h>
#include <unistd.h>

#include <asm/bootparam.h>
#include <sys/mman.h>

#include "tests/unit/kernels.h"

static void fill(struct kernel_file *k, size_t len)
{
	memset(k, 0, sizeof(*k));
	for (size_t i = 0; i < len; i++)
		k->data[i] = (uint8_t)(i * 7 + (i >> 8));
	k->len = len;
}

void kernels_elf64(struct kernel_file *k)
{
	const Elf64_Ehdr eh = {
		.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB,
			     EV_CURRENT },
		.e_type = ET_EXEC,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_entry = 0x100010,
		.e_phoff = sizeof(eh),
		.e_ehsize = sizeof(eh),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 2,
	};
	const Elf64_Phdr ph[3] = {
		{ .p_type = PT_LOAD,
		  .p_offset = KERNELS_TEXT,
		  .p_vaddr = 0xffffffff81000000,
		  .p_paddr = 0x100000,
		  .p_filesz = 0x1000,
		  .p_memsz = 0x1000 },
		{ .p_type = PT_LOAD,
		  .p_offset = KERNELS_DATA,
		  .p_paddr = 0x200000,
		  .p_filesz = 0x800,
		  .p_memsz = 0x3000 },
	};

	fill(k, KERNELS_ELF_SIZE);
	memcpy(k->data, &eh, sizeof(eh));
	memcpy(k->data + sizeof(eh), ph, sizeof(ph));
}

void kernels_elf32(struct kernel_file *k)
{
	const Elf32_Ehdr eh = {
		.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB,
			     EV_CURRENT },
		.e_type = ET_EXEC,
		.e_machine = EM_386,
		.e_version = EV_CURRENT,
		.e_entry = 0x100010,
		.e_phoff = sizeof(eh),
		.e_ehsize = sizeof(eh),
		.e_phentsize = sizeof(Elf32_Phdr),
		.e_phnum = 2,
	};
	const Elf32_Phdr ph[3] = {
		{ .p_type = PT_LOAD,
		  .p_offset = KERNELS_TEXT,
		  .p_paddr = 0x100000,
		  .p_filesz = 0x1000,
		  .p_memsz = 0x1000 },
		{ .p_type = PT_LOAD,
		  .p_offset = KERNELS_DATA,
		  .p_paddr = 0x200000,
		  .p_filesz = 0x800,
		  .p_memsz = 0x3000 },
	};

	fill(k, KERNELS_ELF_SIZE);
	memcpy(k->data, &eh, sizeof(eh));
	memcpy(k->data + sizeof(eh), ph, sizeof(ph));
}

/* Both classes' third program header, grown by SIZE bytes of notes. */
static uint32_t grow_notes(struct kernel_file *k, uint32_t size)
{
	uint32_t at;

	if (k->data[EI_CLASS] == ELFCLASS64) {
		Elf64_Phdr *p = (void *)(k->data + sizeof(Elf64_Ehdr));
		Elf64_Ehdr *eh = (void *)k->data;

		eh->e_phnum = 3;
		p[2].p_type = PT_NOTE;
		p[2].p_align = 4;
		p[2].p_offset = KERNELS_NOTES;
		at = (uint32_t)p[2].p_filesz;
		p[2].p_filesz += size;
	} else {
		Elf32_Phdr *p = (void *)(k->data + sizeof(Elf32_Ehdr));
		Elf32_Ehdr *eh = (void *)k->data;

		eh->e_phnum = 3;
		p[2].p_type = PT_NOTE;
		p[2].p_align = 4;
		p[2].p_offset = KERNELS_NOTES;
		at = p[2].p_filesz;
		p[2].p_filesz += size;
	}
	return KERNELS_NOTES + at;
}

void kernels_note(struct kernel_file *k, const char *name, uint32_t type,
		  const void *desc, uint32_t len)
{
	uint32_t name_len = (uint32_t)strlen(name) + 1;
	uint32_t name_room = (name_len + 3) & ~3u;
	const Elf64_Nhdr note = {
		.n_namesz = name_len,
		.n_descsz = len,
		.n_type = type,
	};
	uint32_t size = (uint32_t)sizeof(note) + name_room + ((len + 3) & ~3u);
	uint32_t at = grow_notes(k, size);

	assert(at + size <= KERNELS_TEXT);
	memset(k->data + at, 0, size);
	memcpy(k->data + at, &note, sizeof(note));
	memcpy(k->data + at + sizeof(note), name, name_len);
	memcpy(k->data + at + sizeof(note) + name_room, desc, len);
}

void kernels_pvh_note(struct kernel_file *k)
{
	const uint64_t entry = KERNELS_PVH_ENTRY;

	kernels_note(k, "Xen", 18, &entry,
		     k->data[EI_CLASS] == ELFCLASS64 ? 8 : 4);
}

void kernels_bzimage(struct kernel_file *k)
{
	struct setup_header h = {
		.setup_sects = KERNELS_SETUP / 512 - 1,
		.syssize = (KERNELS_BZ_SIZE - KERNELS_SETUP) / 16,
		.boot_flag = 0xaa55,
		.jump = 0xeb | (0x26c - 0x202) << 8,
		.header = 0x53726448,
		.version = 0x20f,
		.loadflags = LOADED_HIGH | CAN_USE_HEAP,
		.code32_start = 0x100000,
		.initrd_addr_max = 0x7fffffff,
		.kernel_alignment = 0x200000,
		.relocatable_kernel = 1,
		.xloadflags = XLF_KERNEL_64 | XLF_CAN_BE_LOADED_ABOVE_4G,
		.cmdline_size = 2047,
		.pref_address = 0x200000,
		.init_size = 0x400000,
	};

	fill(k, KERNELS_BZ_SIZE);
	memcpy(k->data + 0x1f1, &h, sizeof(h));
}

int kernels_fd(const void *data, size_t len)
{
	int fd = memfd_create("kernel", MFD_CLOEXEC);

	assert(fd >= 0);
	assert(write(fd, data, len) == (ssize_t)len);
	return fd;
}
