// SPDX-License-Identifier: Apache-2.0
/*
 * test_elf.c - ELF kernels: what is loaded where, and every refusal
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "boot/elf.h"
#include "tests/unit/kernels.h"
#include "tests/unit/unit.h"

static struct kernel_file k;
static struct guest_memory gm;
static struct image image;
static struct boot_error err;

#define EH ((Elf64_Ehdr *)(void *)k.data)
#define PH ((Elf64_Phdr *)(void *)(k.data + sizeof(Elf64_Ehdr)))

static void machine(uint64_t size)
{
	gmem_fini(&gm);
	ck_assert_int_eq(gmem_map(&gm, 0, size), 0);
}

static int load(bool copy)
{
	struct image_file file;
	int fd = kernels_fd(k.data, k.len);
	int ret;

	image = (struct image){ 0 };
	err = (struct boot_error){ 0 };
	ret = image_open(&file, fd, copy, "kernel", &err);
	if (ret == 0)
		ret = elf_load(&file, &gm, &image, &err);
	close(fd);
	return ret;
}

static void refused(int code, const char *text)
{
	int ret = load(true);

	ck_assert_msg(ret == code, "%d instead of %d: %s", ret, code, err.text);
	ck_assert_str_eq(err.what, "kernel");
	ck_assert_str_eq(err.text, text);
	/* Nothing is loaded before everything is checked. */
	for (uint64_t gpa = 0x100000; gpa < 0x101000; gpa++)
		ck_assert_uint_eq(*(const uint8_t *)gmem_ptr(&gm, gpa, 1), 0);
}

static void loaded(uint64_t gpa, size_t offset, size_t len)
{
	const void *p = gmem_ptr(&gm, gpa, len);

	ck_assert_ptr_nonnull(p);
	ck_assert_int_eq(memcmp(p, k.data + offset, len), 0);
}

START_TEST(test_segments_go_to_their_physical_address)
{
	for (int copy = 0; copy < 2; copy++) {
		machine(MIB(16));
		kernels_elf64(&k);
		ck_assert_int_eq(load(copy), 0);
		loaded(0x100000, KERNELS_TEXT, 0x1000);
		loaded(0x200000, KERNELS_DATA, 0x800);
		for (uint64_t gpa = 0x200800; gpa < 0x203000; gpa += 8)
			ck_assert_uint_eq(get_le64(gmem_ptr(&gm, gpa, 8)), 0);
		ck_assert_int_eq(image.protocol, BOOT_LINUX_64);
		ck_assert_uint_eq(image.entry, 0x100010);
		ck_assert_uint_eq(image.end, 0x203000);
		ck_assert_uint_eq(image.cmdline_max, 2047);
		ck_assert(image.linux_kernel);
	}
}
END_TEST

START_TEST(test_pvh_note_chooses_the_entry)
{
	static const uint32_t other = 7;

	machine(MIB(16));
	kernels_elf64(&k);
	kernels_note(&k, "GNU", 18, &other, 4);
	kernels_note(&k, "Xen", 5, "x", 1);
	kernels_pvh_note(&k);
	ck_assert_int_eq(load(true), 0);
	ck_assert_int_eq(image.protocol, BOOT_PVH);
	ck_assert_uint_eq(image.entry, KERNELS_PVH_ENTRY);
	ck_assert(!image.linux_kernel);
	ck_assert_uint_eq(image.cmdline_max, 4095);
	/* the same entry twice is no contradiction */
	kernels_pvh_note(&k);
	ck_assert_int_eq(load(true), 0);

	machine(MIB(16));
	kernels_elf32(&k);
	kernels_pvh_note(&k);
	ck_assert_int_eq(load(true), 0);
	ck_assert_int_eq(image.protocol, BOOT_PVH);
	ck_assert_uint_eq(image.entry, KERNELS_PVH_ENTRY);
	loaded(0x200000, KERNELS_DATA, 0x800);
}
END_TEST

START_TEST(test_notes_padded_to_eight)
{
	const uint64_t entry = KERNELS_PVH_ENTRY;
	Elf64_Nhdr first = { .n_namesz = 4, .n_descsz = 4, .n_type = 5 };
	Elf64_Nhdr second = { .n_namesz = 4, .n_descsz = 8, .n_type = 18 };
	uint8_t *at = k.data + KERNELS_NOTES;

	machine(MIB(16));
	kernels_elf64(&k);
	EH->e_phnum = 3;
	PH[2] = (Elf64_Phdr){ .p_type = PT_NOTE,
			      .p_offset = KERNELS_NOTES,
			      .p_filesz = 48,
			      .p_align = 8 };
	memset(at, 0, 48);
	memcpy(at, &first, 12);
	memcpy(at + 12, "GNU", 4);
	memcpy(at + 24, &second, 12);
	memcpy(at + 36, "Xen", 4);
	memcpy(at + 40, &entry, 8);
	ck_assert_int_eq(load(true), 0);
	ck_assert_int_eq(image.protocol, BOOT_PVH);
}
END_TEST

START_TEST(test_linux_is_recognised)
{
	static const uint32_t salt;

	machine(MIB(16));
	kernels_elf64(&k);
	kernels_pvh_note(&k);
	kernels_note(&k, "Linux", 0x100, &salt, 4);
	ck_assert_int_eq(load(true), 0);
	ck_assert(image.linux_kernel);

	kernels_elf64(&k);
	kernels_note(&k, "Xen", 6, "linux", 6);
	kernels_pvh_note(&k);
	ck_assert_int_eq(load(true), 0);
	ck_assert(image.linux_kernel);
	ck_assert_uint_eq(image.cmdline_max, 2047);

	kernels_elf64(&k);
	kernels_note(&k, "Xen", 6, "MINIX", 6);
	kernels_pvh_note(&k);
	ck_assert_int_eq(load(true), 0);
	ck_assert(!image.linux_kernel);
}
END_TEST

/* One 8-, 16-, 32- or 64-bit field of the good ELF64 file, spoiled. */
static const struct spoiled {
	size_t offset;
	unsigned int size;
	uint64_t value;
	int code;
	const char *text;
} spoiled[] = {
	{ EI_CLASS, 1, 3, -EBADMSG, "ELF class 3 is neither 32 nor 64 bit" },
	{ EI_DATA, 1, 2, -ENOTSUP,
	  "a big-endian ELF file: use one built for x86-64" },
	{ EI_DATA, 1, 9, -EBADMSG, "ELF byte order 9 is unknown" },
	{ EI_VERSION, 1, 0, -EBADMSG, "ELF version 0 is unknown" },
	{ 0x10, 2, ET_REL, -ENOTSUP,
	  "an object file or kernel module, not a kernel" },
	{ 0x10, 2, ET_CORE, -ENOTSUP, "a core dump, not a kernel" },
	{ 0x10, 2, 77, -EBADMSG, "ELF type 77 is not an executable" },
	{ 0x12, 2, EM_AARCH64, -ENOTSUP,
	  "built for aarch64: use one built for x86-64" },
	{ 0x12, 2, EM_386, -ENOTSUP,
	  "64-bit ELF for machine 3: use one built for x86-64" },
	{ 0x18, 8, 0xfffff, -EBADMSG,
	  "the entry point 0xfffff is not in a segment of the file" },
	{ 0x18, 8, 0x101000, -EBADMSG,
	  "the entry point 0x101000 is not in a segment of the file" },
	{ 0x18, 8, 0x200800, -EBADMSG,
	  "the entry point 0x200800 is not in a segment of the file" },
	{ 0x20, 8, UINT64_MAX, -EBADMSG,
	  "cut short: the program header table is 112 bytes at byte "
	  "18446744073709551615, the file has 10240" },
	{ 0x20, 8, KERNELS_ELF_SIZE - 111, -EBADMSG,
	  "cut short: the program header table is 112 bytes at byte 10129, "
	  "the file has 10240" },
	{ 0x36, 2, 32, -EBADMSG, "program headers of 32 bytes, not 56" },
	{ 0x38, 2, 0, -EBADMSG, "an ELF file without program headers" },
	{ 0x38, 2, 65, -EBADMSG, "65 program headers, at most 64 are taken" },
	{ 0x38, 2, 65535, -EBADMSG,
	  "65535 program headers, at most 64 are taken" },
	{ 0x40 + 0x00, 4, PT_INTERP, -ENOTSUP,
	  "a program (it names an interpreter), not a kernel" },
	{ 0x40 + 0x08, 8, 0x1801, -EBADMSG,
	  "cut short: segment 0 is 4096 bytes at byte 6145, the file has "
	  "10240" },
	{ 0x40 + 0x08, 8, UINT64_MAX, -EBADMSG,
	  "cut short: segment 0 is 4096 bytes at byte 18446744073709551615, "
	  "the file has 10240" },
	{ 0x40 + 0x18, 8, 0xff000, -ENOTSUP,
	  "segment 0 is for 0xff000, below 1 MiB: link the kernel at 1 MiB "
	  "or above" },
	{ 0x40 + 0x18, 8, UINT64_MAX - 0xfff, -ENOSPC,
	  "segment 0 is for 0xfffffffffffff000, 0x1000 bytes: not in the "
	  "first 3 GiB" },
	{ 0x40 + 0x18, 8, 0x202fff, -EBADMSG,
	  "segments 0 and 1 overlap at 0x202fff" },
	{ 0x40 + 0x18, 8, MIB(16), -ENOSPC,
	  "needs 17 MiB, the guest has 16 MiB: use a larger -m" },
	{ 0x40 + 0x20, 8, 0x1001, -EBADMSG,
	  "segment 0 has 4097 bytes in the file but 4096 in memory" },
	{ 0x40 + 0x20, 8, UINT64_MAX, -EBADMSG,
	  "segment 0 has 18446744073709551615 bytes in the file but 4096 in "
	  "memory" },
	{ 0x78 + 0x28, 8, 0x7fffffffffffffff, -ENOSPC,
	  "segment 1 is for 0x200000, 0x7fffffffffffffff bytes: not in the "
	  "first 3 GiB" },
	{ 0x78 + 0x28, 8, 0, -EBADMSG,
	  "segment 1 has 2048 bytes in the file but 0 in memory" },
	{ 0x78 + 0x28, 8, MIB(32) - 0x1fffff, -ENOSPC,
	  "needs 33 MiB, the guest has 16 MiB: use a larger -m" },
};

/* V28: no number of the file is believed */
START_TEST(test_spoiled_field)
{
	const struct spoiled *s = &spoiled[_i];

	machine(MIB(16));
	kernels_elf64(&k);
	memcpy(k.data + s->offset, &s->value, s->size);
	refused(s->code, s->text);
}
END_TEST

START_TEST(test_edges_are_taken)
{
	machine(MIB(16));
	kernels_elf64(&k);
	/* ends with RAM; begins where the other ends; entry at the last byte */
	PH[1].p_memsz = MIB(14);
	PH[0].p_paddr = 0x1ff000;
	EH->e_entry = 0x1fffff;
	ck_assert_int_eq(load(true), 0);
	ck_assert_uint_eq(image.end, MIB(16));
}
END_TEST

START_TEST(test_nothing_to_load)
{
	machine(MIB(16));
	kernels_elf64(&k);
	PH[0].p_type = PH[1].p_type = PT_NULL;
	refused(-EBADMSG, "an ELF file with nothing to load");
	kernels_elf32(&k);
	refused(-ENOTSUP, "a 32-bit ELF file without a PVH note");
}
END_TEST

START_TEST(test_bad_notes)
{
	const uint64_t high = 1ull << 32;
	const uint64_t away = 0x300000;

	machine(MIB(16));
	kernels_elf64(&k);
	kernels_note(&k, "Xen", 18, &away, 2);
	refused(-EBADMSG, "the PVH entry note holds 2 bytes, not 4 or 8");
	kernels_elf64(&k);
	kernels_note(&k, "Xen", 18, &high, 8);
	refused(-EBADMSG, "the PVH entry 0x100000000 is above 4 GiB");
	kernels_elf64(&k);
	kernels_note(&k, "Xen", 18, &away, 8);
	refused(-EBADMSG,
		"the PVH entry 0x300000 is not in a segment of the file");
	kernels_pvh_note(&k);
	refused(-EBADMSG, "has two PVH entries, 0x300000 and 0x100040");

	kernels_elf64(&k);
	kernels_pvh_note(&k);
	put_le32(k.data + KERNELS_NOTES, UINT32_MAX);
	refused(-EBADMSG, "the ELF note at byte 2048 runs past its segment");
	kernels_elf64(&k);
	kernels_pvh_note(&k);
	put_le32(k.data + KERNELS_NOTES + 4, 9);
	refused(-EBADMSG, "the ELF note at byte 2048 runs past its segment");
	kernels_elf64(&k);
	kernels_pvh_note(&k);
	PH[2].p_offset = KERNELS_ELF_SIZE - 23;
	refused(-EBADMSG,
		"cut short: the notes are 24 bytes at byte 10217, the file "
		"has 10240");
}
END_TEST

/* V28: notes that never end are not read for ever */
START_TEST(test_endless_notes)
{
	machine(MIB(16));
	kernels_elf64(&k);
	kernels_note(&k, "", 0, "", 0);
	/* 257 notes of twelve bytes without name or text */
	memset(k.data + KERNELS_TEXT, 0, 0x1000);
	PH[2].p_offset = KERNELS_TEXT;
	PH[2].p_filesz = 257 * sizeof(Elf64_Nhdr);
	refused(-EBADMSG, "has more than 256 ELF notes");
	PH[2].p_filesz -= sizeof(Elf64_Nhdr);
	ck_assert_int_eq(load(true), 0);
}
END_TEST

/* Cut at every byte of the headers and at odd places after: never taken, never
 * read out of bounds.
 */
START_TEST(test_cut_short_anywhere)
{
	machine(MIB(16));
	for (int class = 0; class < 2; class ++) {
		for (size_t len = 1; len < KERNELS_ELF_SIZE;
		     len += len < 0x900 ? 1 : 61) {
			if (class)
				kernels_elf32(&k);
			else
				kernels_elf64(&k);
			kernels_pvh_note(&k);
			k.len = len;
			ck_assert_int_eq(load(true), -EBADMSG);
			ck_assert_ptr_nonnull(strstr(err.text, "cut short"));
		}
	}
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("elf");
	TCase *tc = tcase_create("elf");

	tcase_add_test(tc, test_segments_go_to_their_physical_address);
	tcase_add_test(tc, test_pvh_note_chooses_the_entry);
	tcase_add_test(tc, test_notes_padded_to_eight);
	tcase_add_test(tc, test_linux_is_recognised);
	tcase_add_loop_test(tc, test_spoiled_field, 0,
			    (int)ARRAY_SIZE(spoiled));
	tcase_add_test(tc, test_edges_are_taken);
	tcase_add_test(tc, test_nothing_to_load);
	tcase_add_test(tc, test_bad_notes);
	tcase_add_test(tc, test_endless_notes);
	tcase_add_test(tc, test_cut_short_anywhere);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
