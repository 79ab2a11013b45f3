// SPDX-License-Identifier: Apache-2.0
/*
 * test_gmem.c - guest memory: every edge of every region, files over RAM
 */
#include <errno.h>
#include <unistd.h>

#include <sys/mman.h>
#include <sys/syscall.h>

#include "base/gmem.h"
#include "base/util.h"
#include "tests/unit/unit.h"

#define LOW_SIZE  MIB(1)
#define HIGH_BASE GIB(4)
#define HIGH_SIZE KIB(64)

static struct guest_memory gm;

/* A file system that cannot map its files.  Linux before 6.12 asks it only when
 * what was mapped there is gone already.
 */
static bool no_file_mmap;

void *mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	if (no_file_mmap && fd >= 0) {
		munmap(addr, len);
		errno = ENODEV;
		return MAP_FAILED;
	}
	return (void *)syscall(SYS_mmap, addr, len, prot, flags, fd, off);
}

static void setup(void)
{
	no_file_mmap = false;
	gm = (struct guest_memory){ 0 };
	ck_assert_int_eq(gmem_map(&gm, 0, LOW_SIZE), 0);
	ck_assert_int_eq(gmem_map(&gm, HIGH_BASE, HIGH_SIZE), 0);
}

static void teardown(void)
{
	gmem_fini(&gm);
}

/* V7, V18: [gpa, gpa + len) is RAM, all of it, in one region. */
static const struct {
	uint64_t gpa;
	uint64_t len;
	bool ok;
} ranges[] = {
	{ 0, 1, true },
	{ 0, LOW_SIZE, true },
	{ 0, LOW_SIZE + 1, false },
	{ LOW_SIZE - 1, 1, true },
	{ LOW_SIZE - 1, 2, false },
	{ LOW_SIZE, 0, true },
	{ LOW_SIZE, 1, false },
	{ LOW_SIZE + 1, 0, false },
	{ HIGH_BASE - 1, 1, false },
	{ HIGH_BASE - 1, 2, false },
	{ HIGH_BASE, HIGH_SIZE, true },
	{ HIGH_BASE, HIGH_SIZE + 1, false },
	{ HIGH_BASE + HIGH_SIZE - 1, 1, true },
	{ HIGH_BASE + HIGH_SIZE - 1, 2, false },
	{ 1, UINT64_MAX, false },
	{ UINT64_MAX, 1, false },
	{ UINT64_MAX, UINT64_MAX, false },
	{ UINT64_MAX - 0xfff, 0x1000, false },
	{ HIGH_BASE + 1, UINT64_MAX - HIGH_BASE, false },
	{ 0xc0001000, 4, false }, /* a device window */
};

START_TEST(range_edges)
{
	const void *p = gmem_ptr(&gm, ranges[_i].gpa, ranges[_i].len);

	ck_assert_int_eq(p != NULL, ranges[_i].ok);
	ck_assert_ptr_eq(p, gmem_ptr_mut(&gm, ranges[_i].gpa, ranges[_i].len));
}
END_TEST

START_TEST(copies)
{
	char buf[8] = "";

	ck_assert_int_eq(gmem_write(&gm, LOW_SIZE - 4, "abcd", 4), 0);
	ck_assert_int_eq(gmem_read(&gm, LOW_SIZE - 4, buf, 4), 0);
	ck_assert_str_eq(buf, "abcd");
	ck_assert_int_eq(gmem_write(&gm, LOW_SIZE - 3, "wxyz", 4), -EFAULT);
	ck_assert_int_eq(gmem_read(&gm, LOW_SIZE - 3, buf, 4), -EFAULT);
	/* Nothing of a refused write has happened. */
	ck_assert_int_eq(gmem_read(&gm, LOW_SIZE - 4, buf, 4), 0);
	ck_assert_str_eq(buf, "abcd");
	ck_assert_int_eq(gmem_zero(&gm, LOW_SIZE - 4, 3), 0);
	ck_assert_int_eq(gmem_zero(&gm, LOW_SIZE - 3, 4), -EFAULT);
	ck_assert_int_eq(gmem_read(&gm, LOW_SIZE - 4, buf, 4), 0);
	ck_assert_int_eq(memcmp(buf, "\0\0\0d", 4), 0);
}
END_TEST

START_TEST(indices)
{
	uint16_t v = 7;

	ck_assert_int_eq(gmem_store_release_le16(&gm, LOW_SIZE - 2, 0xbeef), 0);
	ck_assert_int_eq(gmem_load_acquire_le16(&gm, LOW_SIZE - 2, &v), 0);
	ck_assert_uint_eq(v, 0xbeef);
	ck_assert_int_eq(gmem_load_acquire_le16(&gm, LOW_SIZE - 1, &v),
			 -EFAULT);
	ck_assert_int_eq(gmem_load_acquire_le16(&gm, 1, &v), -EFAULT);
	ck_assert_int_eq(gmem_store_release_le16(&gm, 1, 0), -EFAULT);
	ck_assert_int_eq(gmem_store_release_le16(&gm, LOW_SIZE, 0), -EFAULT);
}
END_TEST

START_TEST(bad_regions)
{
	struct guest_memory bad = { 0 };

	ck_assert_int_eq(gmem_map(&bad, 0, 0), -EINVAL);
	ck_assert_int_eq(gmem_map(&bad, 1, PAGE_SIZE), -EINVAL);
	ck_assert_int_eq(gmem_map(&bad, 0, PAGE_SIZE + 1), -EINVAL);
	ck_assert_int_eq(gmem_map(&bad, 0, -(uint64_t)PAGE_SIZE), -EINVAL);
	ck_assert_int_eq(gmem_map(&bad, 0, 1ull << 60), -ENOMEM);
	ck_assert_uint_eq(bad.nr_regions, 0);
	/* Not below or inside one that is there; a third does not fit. */
	ck_assert_int_eq(gmem_map(&bad, PAGE_SIZE, PAGE_SIZE), 0);
	ck_assert_int_eq(gmem_map(&bad, 0, PAGE_SIZE), -EINVAL);
	ck_assert_int_eq(gmem_map(&bad, PAGE_SIZE, PAGE_SIZE), -EINVAL);
	ck_assert_int_eq(gmem_map(&bad, 2 * PAGE_SIZE, PAGE_SIZE), 0);
	ck_assert_int_eq(gmem_map(&bad, 3 * PAGE_SIZE, PAGE_SIZE), -ENOSPC);
	gmem_fini(&bad);
}
END_TEST

START_TEST(guard_pages)
{
	const uint8_t *hva = gmem_ptr(&gm, 0, 1);
	unsigned char vec;

	/* Either side is mapped, but with no access: a core or a copy that
	 * runs over the end stops there.
	 */
	ck_assert_int_eq(msync((void *)(uintptr_t)(hva - PAGE_SIZE), PAGE_SIZE,
			       MS_ASYNC),
			 0);
	ck_assert_int_eq(mincore((void *)(uintptr_t)(hva + LOW_SIZE), PAGE_SIZE,
				 &vec),
			 0);
	ck_assert_int_eq(write(STDOUT_FILENO, hva - 1, 1), -1);
	ck_assert_int_eq(errno, EFAULT);
	ck_assert_int_eq(write(STDOUT_FILENO, hva + LOW_SIZE, 1), -1);
	ck_assert_int_eq(errno, EFAULT);
}
END_TEST

/* A file of SIZE bytes whose byte n is a function of n. */
static int pattern_file(uint64_t size)
{
	int fd = memfd_create("pattern", 0);

	for (uint64_t n = 0; n < size; n++) {
		uint8_t b = (uint8_t)(n * 31 + (n >> 12));

		ck_assert_int_eq(write(fd, &b, 1), 1);
	}
	return fd;
}

static const struct {
	uint64_t gpa, offset, len;
} loads[] = {
	{ 0x1000, 0, 0x3000 },	   /* whole pages */
	{ 0x1234, 0x234, 0x2100 }, /* agree: head, body, tail */
	{ 0x1234, 0, 0x2100 },	   /* disagree: read */
	{ 0x1ff0, 0xff0, 0x10 },   /* a head only */
	{ 0x1000, 0x1000, 0x10 },  /* a tail only */
	{ 0x1000, 0x3fff, 1 },	   { 0x1000, 0, 0 },
};

START_TEST(load_file)
{
	uint64_t gpa = loads[_i].gpa, off = loads[_i].offset,
		 len = loads[_i].len;
	int fd = pattern_file(0x4000);

	for (int copy = 0; copy < 2; copy++) {
		const uint8_t *p = gmem_ptr(&gm, gpa, len);
		uint8_t b;

		gmem_zero(&gm, 0, 0x8000);
		ck_assert_int_eq(gmem_load_file(&gm, gpa, fd, off, len, copy),
				 0);
		for (uint64_t n = 0; n < len; n++) {
			ck_assert_int_eq(pread(fd, &b, 1, (off_t)(off + n)), 1);
			ck_assert_uint_eq(p[n], b);
		}
		/* Not a byte before or behind. */
		gmem_read(&gm, gpa - 1, &b, 1);
		ck_assert_uint_eq(b, 0);
		gmem_read(&gm, gpa + len, &b, 1);
		ck_assert_uint_eq(b, 0);
		/* The guest's writes do not reach the file. */
		gmem_zero(&gm, gpa, len);
		if (len > 0) {
			ck_assert_int_eq(pread(fd, &b, 1, 0x3fff), 1);
			ck_assert_uint_eq(b, (uint8_t)(0x3fff * 31 + 3));
		}
	}
	close(fd);
}
END_TEST

/* What cannot be mapped is read, and the rest of memory is as it was. */
START_TEST(load_file_without_mmap)
{
	const uint8_t *p = gmem_ptr(&gm, 0x1234, 0x2100);
	int fd = pattern_file(0x4000);
	uint8_t b;

	for (uint64_t gpa = 0; gpa < 0x5000; gpa++)
		ck_assert_int_eq(gmem_write(&gm, gpa, "x", 1), 0);
	no_file_mmap = true;
	ck_assert_int_eq(gmem_load_file(&gm, 0x1234, fd, 0x234, 0x2100, false),
			 0);
	for (uint64_t n = 0; n < 0x2100; n++) {
		ck_assert_int_eq(pread(fd, &b, 1, (off_t)(0x234 + n)), 1);
		ck_assert_uint_eq(p[n], b);
	}
	for (uint64_t gpa = 0; gpa < 0x5000; gpa++) {
		ck_assert_int_eq(gmem_read(&gm, gpa, &b, 1), 0);
		if (gpa < 0x1234 || gpa >= 0x1234 + 0x2100)
			ck_assert_uint_eq(b, 'x');
	}
	close(fd);
}
END_TEST

START_TEST(load_file_refused)
{
	int fd = pattern_file(0x2000);

	ck_assert_int_eq(gmem_load_file(&gm, LOW_SIZE - 0x1000, fd, 0, 0x2000,
					false),
			 -EFAULT);
	for (int copy = 0; copy < 2; copy++) {
		ck_assert_int_eq(gmem_load_file(&gm, 0, fd, 0, 0x2001, copy),
				 -EIO);
		ck_assert_int_eq(gmem_load_file(&gm, 0, fd, 0x2001, 0, copy),
				 -EIO);
		ck_assert_int_eq(
			gmem_load_file(&gm, 0, fd, UINT64_MAX, 2, copy), -EIO);
	}
	close(fd);
}
END_TEST

START_TEST(owns)
{
	const uint8_t *hva = gmem_ptr(&gm, 0, 1);
	int here;

	ck_assert(gmem_owns_hva(&gm, hva));
	ck_assert(gmem_owns_hva(&gm, hva + LOW_SIZE - 1));
	ck_assert(!gmem_owns_hva(&gm, hva + LOW_SIZE));
	ck_assert(!gmem_owns_hva(&gm, hva - 1));
	ck_assert(!gmem_owns_hva(&gm, &here));
	ck_assert_uint_eq(gmem_size(&gm), LOW_SIZE + HIGH_SIZE);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("gmem");
	TCase *tc = tcase_create("gmem");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, range_edges, 0, ARRAY_SIZE(ranges));
	tcase_add_test(tc, copies);
	tcase_add_test(tc, indices);
	tcase_add_test(tc, bad_regions);
	tcase_add_test(tc, guard_pages);
	tcase_add_loop_test(tc, load_file, 0, ARRAY_SIZE(loads));
	tcase_add_test(tc, load_file_without_mmap);
	tcase_add_test(tc, load_file_refused);
	tcase_add_test(tc, owns);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
