// SPDX-License-Identifier: Apache-2.0
/*
 * test_blk_double.c - a disk's driver that submits what is under way again
 */
#include <stdio.h>
#include <stdlib.h>

#include <sys/mman.h>

#include <linux/virtio_blk.h>

#include "tests/unit/fake_driver.h"
#include "tests/unit/fake_ring.h"
#include "tests/unit/unit.h"
#include "virtio/blk.h"

#define SECTORS 64u
#define MANY	16u /* requests under way */
#define PENDING 0xff

static struct fake_driver fd;
static struct disk_ring *ring;
static uint64_t status_gpa;

static void set_up(void)
{
	int file = memfd_create("disk", MFD_CLOEXEC);
	struct virtio_device *vdev;
	struct disk *disk;
	char path[32];

	ck_assert_int_eq(ftruncate(file, SECTORS * SECTOR_SIZE), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	ck_assert_int_eq(disk_open(path, false, false, &disk), 0);
	close(file);
	ck_assert_int_eq(disk_ring_create(NULL, &ring), 0);
	fake_ring = ring;
	ck_assert_int_eq(disk_set_ring(disk, ring), 0);
	fd_init(&fd);
	ck_assert_int_eq(virtio_blk_create(&fd.env, disk, &vdev), 0);
	fd_attach(&fd, vdev);
	ck_assert(fd_start(&fd, FD_FEATURES));
	status_gpa = fd_alloc(&fd, 1);
	*(uint8_t *)fd_ptr(&fd, status_gpa, 1) = PENDING;
}

static void tear_down(void)
{
	fd_fini(&fd);
	disk_ring_destroy(ring);
}

/* A read whose bytes come when the test says so; its head. */
static uint16_t post(enum fd_layout layout)
{
	const struct virtio_blk_outhdr hdr = { .type = VIRTIO_BLK_T_IN };
	const struct fd_seg seg[] = { { fd_put(&fd, &hdr, sizeof(hdr)), 16 },
				      { fd_alloc(&fd, 512), 512 },
				      { status_gpa, 1 } };

	return fd_post(&fd, 0, seg, 1, 2, layout);
}

static bool needs_reset(void)
{
	return fd_reg(&fd, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET;
}

/* V4 (CVE-2026-45782): the head of a read that the kernel has is submitted once
 * more, first, in the middle or last of many.  The device stops; what ends then
 * ends unanswered, once; and after a reset the same head is as good as any.
 */
START_TEST(submitted_twice)
{
	uint16_t head[MANY];

	for (unsigned int i = 0; i < MANY; i++)
		head[i] = post((enum fd_layout)(i % 3));
	fd_kick(&fd, 0);
	disk_ring_submit(ring);
	ck_assert_uint_eq(disk_ring_busy(ring), MANY);
	fd_publish(&fd, 0, head[_i % (int)MANY]);
	fd_kick(&fd, 0);
	ck_assert(needs_reset());
	ck_assert_uint_eq(disk_ring_busy(ring), MANY);
	while (ring->nr > 0) {
		fake_end(ring, (unsigned int)_i % ring->nr, FAKE_REAL);
		fake_reap(ring);
	}
	ck_assert_uint_eq(fd_used_ring(&fd, 0)->idx, 0);
	ck_assert_uint_eq(*(uint8_t *)fd_ptr(&fd, status_gpa, 1), PENDING);

	ck_assert(fd_start(&fd, FD_FEATURES));
	post(FD_DIRECT);
	fd_kick(&fd, 0);
	fake_end_all(ring);
	ck_assert(fd_used(&fd, 0, NULL, NULL));
	ck_assert_uint_eq(*(uint8_t *)fd_ptr(&fd, status_gpa, 1), 0);
}
END_TEST

/* V4: what has ended may be submitted again, while others are under way: each
 * answer is of its own request.
 */
START_TEST(submitted_after_its_end)
{
	uint16_t first = post(FD_DIRECT), second = post(FD_INDIRECT), head;

	fd_kick(&fd, 0);
	disk_ring_submit(ring);
	for (unsigned int i = 0; i < 1000; i++) {
		fake_end(ring, 0, FAKE_REAL);
		fake_reap(ring);
		/* (Its descriptors are as they were.) */
		ck_assert_uint_eq(fd_used_ring(&fd, 0)->ring[i % 256].id,
				  i % 2 ? second : first);
		ck_assert_uint_eq(fd_used_ring(&fd, 0)->idx, i + 1);
		head = i % 2 ? second : first;
		fd_publish(&fd, 0, head);
		fd_kick(&fd, 0);
		disk_ring_submit(ring);
		ck_assert_uint_eq(disk_ring_busy(ring), 2);
		ck_assert(!needs_reset());
	}
	fake_end_all(ring);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("blk double");
	TCase *tc = tcase_create("blk double");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(tc, submitted_twice, 0, 2 * (int)MANY);
	tcase_add_test(tc, submitted_after_its_end);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
