// SPDX-License-Identifier: Apache-2.0
/*
 * test_disk_io.c - O_DIRECT with several operations at a time: writes that do
 * not fill whole blocks, and zeroes, beside writes that are under way
 *
 * The file is on tmpfs, which does not say what O_DIRECT wants there: so blocks
 * are pages.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "tests/unit/fake_ring.h"
#include "tests/unit/unit.h"
#include "virtio/disk.h"

#define BYTES (16u * PAGE_SIZE)

static struct disk_ring *ring;
static struct disk *disk;
static int image_fd;
static unsigned int nr_ready;
static uint8_t image[BYTES], got[BYTES];
static uint8_t mem[8][PAGE_SIZE] __attribute__((aligned(4096)));

/* An operation and its memory. */
struct act {
	struct disk_io io;
	struct iovec iov;
	bool ended;
};

static void ready(void *user)
{
	ck_assert_ptr_eq(user, &nr_ready);
	nr_ready++;
}

/* False where tmpfs has no O_DIRECT (before Linux 6.6): nothing to see then. */
static bool set_up(void)
{
	char path[] = "/dev/shm/mote-io-XXXXXX", name[32];
	int ret;

	image_fd = mkstemp(path);
	ck_assert_int_ge(image_fd, 0);
	unlink(path);
	for (size_t i = 0; i < BYTES; i++)
		image[i] = (uint8_t)(1 + i * 7 + i / SECTOR_SIZE);
	ck_assert_int_eq(write(image_fd, image, BYTES), BYTES);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", image_fd);
	ret = disk_open(name, false, true, &disk);
	if (ret == -EINVAL) {
		printf("# O_DIRECT on tmpfs: not here, test skipped\n");
		close(image_fd);
		return false;
	}
	ck_assert_int_eq(ret, 0);
	ck_assert_uint_eq(disk_block_size(disk), PAGE_SIZE);
	ck_assert_int_eq(disk_ring_create(NULL, &ring), 0);
	fake_ring = ring;
	ck_assert_int_eq(disk_set_ring(disk, ring), 0);
	disk_set_user(disk, ready, &nr_ready);
	nr_ready = 0;
	return true;
}

static void tear_down(void)
{
	disk_close(disk);
	disk_ring_destroy(ring);
	close(image_fd);
}

/* Starts OP on LEN bytes of SECTOR, in the memory of page PAGE. */
static void start(struct act *a, enum disk_op op, uint64_t sector, size_t len,
		  unsigned int page)
{
	memset(mem[page], 0xa0 + (int)page, PAGE_SIZE);
	a->iov = (struct iovec){ mem[page], len };
	a->io = (struct disk_io){ .op = op,
				  .iov = &a->iov,
				  .nr = 1,
				  .offset = sector * SECTOR_SIZE,
				  .len = len };
	a->ended = disk_start(disk, &a->io);
}

static void collect(void)
{
	struct disk_io *io;

	fake_reap(ring);
	while ((io = disk_collect(disk))) {
		struct act *a = container_of(io, struct act, io);

		ck_assert(!a->ended);
		a->ended = true;
	}
}

static void expect_sectors(uint64_t sector, unsigned int nr, uint8_t byte)
{
	memset(image + sector * SECTOR_SIZE, byte, nr * SECTOR_SIZE);
}

static void check_image(void)
{
	ck_assert_int_eq(pread(image_fd, got, BYTES, 0), BYTES);
	ck_assert_mem_eq(got, image, BYTES);
}

/* A write of a sector waits for the write of its block, whose bytes around it
 * would be lost otherwise; what comes after it waits behind it, reads do not.
 */
START_TEST(partial_write)
{
	struct act whole, part, after, read;

	if (!set_up())
		return;
	start(&whole, DISK_WRITE, 0, PAGE_SIZE, 0);
	disk_submit(disk);
	start(&part, DISK_WRITE, 1, SECTOR_SIZE, 1);
	start(&after, DISK_WRITE, 8, PAGE_SIZE, 2);
	start(&read, DISK_READ, 16, PAGE_SIZE, 3);
	disk_submit(disk);
	ck_assert(!whole.ended && !part.ended && !after.ended && !read.ended);
	ck_assert_uint_eq(ring->nr, 2);
	check_image();
	fake_end(ring, 1, FAKE_REAL);
	collect();
	ck_assert(read.ended && !part.ended);
	fake_end(ring, 0, FAKE_REAL);
	collect();
	ck_assert(whole.ended && part.ended && !after.ended);
	ck_assert_int_eq(whole.io.result | part.io.result, 0);
	ck_assert_uint_eq(ring->nr, 1);
	fake_end(ring, 0, FAKE_REAL);
	collect();
	ck_assert(after.ended);
	ck_assert_uint_eq(nr_ready, 3);
	expect_sectors(0, 8, 0xa0);
	expect_sectors(1, 1, 0xa1);
	expect_sectors(8, 8, 0xa2);
	check_image();
	tear_down();
}
END_TEST

/* Several in a row, each in its order; with nothing under way, at once. */
START_TEST(partial_writes)
{
	struct act whole, a, b;

	if (!set_up())
		return;
	start(&a, DISK_WRITE, 3, SECTOR_SIZE, 1);
	ck_assert(a.ended);
	expect_sectors(3, 1, 0xa1);
	start(&whole, DISK_WRITE, 0, PAGE_SIZE, 0);
	start(&a, DISK_WRITE, 1, SECTOR_SIZE, 1);
	start(&b, DISK_WRITE, 1, 2 * SECTOR_SIZE, 2);
	disk_submit(disk);
	ck_assert_uint_eq(ring->nr, 1);
	fake_end(ring, 0, -EIO);
	collect();
	ck_assert(whole.ended && a.ended && b.ended);
	ck_assert_int_eq(whole.io.result, -EIO);
	expect_sectors(1, 2, 0xa2);
	check_image();
	tear_down();
}
END_TEST

/* Zeroes may cover a block in part, too.  Discards never touch a part. */
START_TEST(zeroes)
{
	struct act whole, zero, discard;

	if (!set_up())
		return;
	start(&whole, DISK_WRITE, 0, PAGE_SIZE, 0);
	disk_submit(disk);
	start(&zero, DISK_ZERO, 6, 2 * SECTOR_SIZE, 1);
	start(&discard, DISK_DISCARD, 1, SECTOR_SIZE, 1);
	ck_assert(!zero.ended && discard.ended);
	ck_assert_int_eq(discard.io.result, SECTOR_SIZE);
	fake_end(ring, 0, FAKE_REAL);
	collect();
	ck_assert(zero.ended);
	ck_assert_int_eq(zero.io.result, 2 * SECTOR_SIZE);
	expect_sectors(0, 8, 0xa0);
	expect_sectors(6, 2, 0);
	check_image();
	tear_down();
}
END_TEST

/* The page cache is not asked, and a read that stops within a block before the
 * end of the file is an error.
 */
START_TEST(short_read)
{
	struct act read;

	if (!set_up())
		return;
	start(&read, DISK_READ, 0, PAGE_SIZE, 0);
	disk_submit(disk);
	ck_assert_uint_eq(ring->tries, 0);
	fake_end(ring, 0, 100);
	collect();
	ck_assert_int_eq(read.io.result, -EIO);
	ck_assert_uint_eq(mem[0][99], 0xa0);
	ck_assert_uint_eq(mem[0][100] | mem[0][PAGE_SIZE - 1], 0);

	ck_assert_int_eq(ftruncate(image_fd, 100), 0);
	start(&read, DISK_READ, 0, PAGE_SIZE, 0);
	disk_submit(disk);
	fake_end(ring, 0, 100);
	collect();
	ck_assert_int_eq(read.io.result, 0);
	ck_assert_uint_eq(mem[0][100] | mem[0][PAGE_SIZE - 1], 0);
	tear_down();
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("disk_io");
	TCase *tc = tcase_create("direct");

	tcase_add_test(tc, partial_write);
	tcase_add_test(tc, partial_writes);
	tcase_add_test(tc, zeroes);
	tcase_add_test(tc, short_read);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
