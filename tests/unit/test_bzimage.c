// SPDX-License-Identifier: Apache-2.0
/*
 * test_bzimage.c - bzImage: where it is loaded, and every refusal
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "boot/bzimage.h"
#include "tests/unit/kernels.h"
#include "tests/unit/unit.h"

static struct kernel_file k;
static struct guest_memory gm;
static struct image image;
static struct boot_error err;

#define HDR ((struct setup_header *)(void *)(k.data + 0x1f1))

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
		ret = bzimage_load(&file, &gm, &image, &err);
	close(fd);
	return ret;
}

static void refused(int code, const char *text)
{
	int ret = load(true);

	ck_assert_msg(ret == code, "%d instead of %d: %s", ret, code, err.text);
	ck_assert_str_eq(err.what, "kernel");
	ck_assert_str_eq(err.text, text);
	ck_assert_uint_eq(get_le64(gmem_ptr(&gm, 0x100000, 8)), 0);
}

static void loaded(uint64_t gpa)
{
	const size_t len = KERNELS_BZ_SIZE - KERNELS_SETUP;
	const void *p = gmem_ptr(&gm, gpa, len);

	ck_assert_ptr_nonnull(p);
	ck_assert_int_eq(memcmp(p, k.data + KERNELS_SETUP, len), 0);
}

START_TEST(test_relocatable_goes_to_1_mib)
{
	for (int copy = 0; copy < 2; copy++) {
		machine(MIB(16));
		kernels_bzimage(&k);
		ck_assert_int_eq(load(copy), 0);
		loaded(0x100000);
		ck_assert_int_eq(image.protocol, BOOT_LINUX_64);
		ck_assert_uint_eq(image.entry, 0x100200);
		ck_assert_uint_eq(image.end, 0x600000);
		ck_assert_uint_eq(image.initrd_max, 0x7fffffff);
		ck_assert(image.initrd_high);
		ck_assert(image.linux_kernel);
		ck_assert_uint_eq(image.cmdline_max, 2047);
		ck_assert_uint_eq(image.header.code32_start, 0x100000);
	}
}
END_TEST

START_TEST(test_fixed_goes_to_its_address)
{
	machine(MIB(16));
	kernels_bzimage(&k);
	HDR->relocatable_kernel = 0;
	HDR->pref_address = 0x300000;
	HDR->kernel_alignment = 0;
	HDR->xloadflags = XLF_KERNEL_64;
	ck_assert_int_eq(load(true), 0);
	loaded(0x300000);
	ck_assert_uint_eq(image.entry, 0x300200);
	ck_assert_uint_eq(image.end, 0x700000);
	ck_assert_uint_eq(image.header.code32_start, 0x300000);
	ck_assert(!image.initrd_high);
}
END_TEST

/* Linux boot protocol: 0 means 4 sectors. */
START_TEST(test_setup_sects_0_is_4)
{
	machine(MIB(16));
	kernels_bzimage(&k);
	HDR->setup_sects = 0;
	ck_assert_int_eq(load(true), 0);
	ck_assert_int_eq(memcmp(gmem_ptr(&gm, 0x100000, 0x1000),
				k.data + 5 * 512, 0x1000),
			 0);
}
END_TEST

START_TEST(test_runtime_start)
{
	machine(MIB(16));
	kernels_bzimage(&k);
	/* 1 MiB, aligned up to 4 */
	HDR->pref_address = 0;
	HDR->kernel_alignment = MIB(4);
	ck_assert_int_eq(load(true), 0);
	ck_assert_uint_eq(image.end, MIB(8));
	/* a big file counts too */
	HDR->kernel_alignment = 1;
	HDR->init_size = 1;
	ck_assert_int_eq(load(true), 0);
	ck_assert_uint_eq(image.end, MIB(1) + KERNELS_BZ_SIZE - KERNELS_SETUP);
	/* to the last byte of RAM */
	HDR->init_size = MIB(15);
	ck_assert_int_eq(load(true), 0);
	ck_assert_uint_eq(image.end, MIB(16));
}
END_TEST

/* Fields after the end of the header are code and are not believed. */
START_TEST(test_short_header)
{
	machine(MIB(16));
	kernels_bzimage(&k);
	HDR->jump = 0xeb | (0x264 - 0x202) << 8;
	HDR->handover_offset = 0x1234;
	HDR->kernel_info_offset = 0x5678;
	ck_assert_int_eq(load(true), 0);
	ck_assert_uint_eq(image.header.init_size, 0x400000);
	ck_assert_uint_eq(image.header.handover_offset, 0);
	ck_assert_uint_eq(image.header.kernel_info_offset, 0);
}
END_TEST

#define FIELD(name)                                                            \
	0x1f1 + offsetof(struct setup_header, name),                           \
		sizeof(((struct setup_header *)0)->name)

static const struct spoiled {
	size_t offset;
	size_t size;
	uint64_t value;
	int code;
	const char *text;
} spoiled[] = {
	{ FIELD(version), 0x205, -ENOTSUP,
	  "boot protocol 2.05 is too old: use a 64-bit kernel, 3.8 or later" },
	{ FIELD(version), 0x206, -ENOTSUP,
	  "boot protocol 2.06 has no 64-bit entry: use a 64-bit kernel, 3.8 "
	  "or later" },
	{ FIELD(version), 0x20b, -ENOTSUP,
	  "boot protocol 2.11 has no 64-bit entry: use a 64-bit kernel, 3.8 "
	  "or later" },
	{ FIELD(loadflags), 0, -ENOTSUP,
	  "a zImage, which loads below 1 MiB: build a bzImage" },
	{ FIELD(xloadflags), XLF_CAN_BE_LOADED_ABOVE_4G, -ENOTSUP,
	  "a 32-bit bzImage: use one with CONFIG_X86_64=y" },
	{ FIELD(jump), 0xeb | (0x263 - 0x202) << 8, -EBADMSG,
	  "the setup header ends at 0x263, before init_size" },
	{ FIELD(init_size), 0, -EBADMSG,
	  "the setup header says that it needs no memory (init_size 0)" },
	{ FIELD(init_size), MIB(14) + 1, -ENOSPC,
	  "needs 17 MiB, the guest has 16 MiB: use a larger -m" },
	{ FIELD(init_size), UINT32_MAX, -ENOSPC,
	  "needs 4098 MiB below 4 GiB, where a guest has at most 3072 MiB" },
	{ FIELD(pref_address), 0xc0000000, -ENOTSUP,
	  "wants to be at 0xc0000000, above low memory" },
	{ FIELD(pref_address), UINT64_MAX, -ENOTSUP,
	  "wants to be at 0xffffffffffffffff, above low memory" },
	{ FIELD(pref_address), MIB(12) + 1, -ENOSPC,
	  "needs 18 MiB, the guest has 16 MiB: use a larger -m" },
	{ FIELD(kernel_alignment), 0, -EBADMSG,
	  "kernel_alignment 0x0 is not a power of 2" },
	{ FIELD(kernel_alignment), 0x300000, -EBADMSG,
	  "kernel_alignment 0x300000 is not a power of 2" },
	{ FIELD(setup_sects), 255, -EBADMSG,
	  "cut short: the 64-bit entry is at byte 131584, the file has 20736" },
	{ FIELD(syssize), (KERNELS_BZ_SIZE - KERNELS_SETUP) / 16 + 1, -EBADMSG,
	  "cut short: the setup header declares 16656 bytes after its own "
	  "4096, the file has 20736" },
	{ FIELD(syssize), UINT32_MAX, -EBADMSG,
	  "cut short: the setup header declares 68719476720 bytes after its "
	  "own 4096, the file has 20736" },
};

/* V28: likewise of a bzImage's header */
START_TEST(test_spoiled_field)
{
	const struct spoiled *s = &spoiled[_i];

	machine(MIB(16));
	kernels_bzimage(&k);
	memcpy(k.data + s->offset, &s->value, s->size);
	refused(s->code, s->text);
}
END_TEST

START_TEST(test_fixed_below_1_mib)
{
	machine(MIB(16));
	kernels_bzimage(&k);
	HDR->relocatable_kernel = 0;
	HDR->pref_address = 0xff000;
	refused(-ENOTSUP, "wants to be at 0xff000, below 1 MiB");
}
END_TEST

START_TEST(test_cut_short_anywhere)
{
	machine(MIB(16));
	kernels_bzimage(&k);
	for (size_t len = BZIMAGE_SNIFF; len < KERNELS_BZ_SIZE;
	     len += len < 0x280 ? 1 : 61) {
		k.len = len;
		ck_assert_int_eq(load(true), -EBADMSG);
		ck_assert_ptr_nonnull(strstr(err.text, "cut short"));
	}
}
END_TEST

START_TEST(test_sniff)
{
	kernels_bzimage(&k);
	ck_assert(bzimage_sniff(k.data, BZIMAGE_SNIFF));
	ck_assert(!bzimage_sniff(k.data, BZIMAGE_SNIFF - 1));
	HDR->boot_flag = 0;
	ck_assert(!bzimage_sniff(k.data, BZIMAGE_SNIFF));
	HDR->boot_flag = 0xaa55;
	HDR->header = 0;
	ck_assert(!bzimage_sniff(k.data, BZIMAGE_SNIFF));
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("bzimage");
	TCase *tc = tcase_create("bzimage");

	tcase_add_test(tc, test_relocatable_goes_to_1_mib);
	tcase_add_test(tc, test_fixed_goes_to_its_address);
	tcase_add_test(tc, test_setup_sects_0_is_4);
	tcase_add_test(tc, test_runtime_start);
	tcase_add_test(tc, test_short_header);
	tcase_add_loop_test(tc, test_spoiled_field, 0,
			    (int)ARRAY_SIZE(spoiled));
	tcase_add_test(tc, test_fixed_below_1_mib);
	tcase_add_test(tc, test_cut_short_anywhere);
	tcase_add_test(tc, test_sniff);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
