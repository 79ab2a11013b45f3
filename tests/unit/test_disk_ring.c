// SPDX-License-Identifier: Apache-2.0
/*
 * test_disk_ring.c - the real io_uring: what it refuses, and a block device on
 * it, with random requests and a model of the disk
 *
 * The file under test is part of this one, so that its ring can be asked for
 * what mote never asks.  Where the host has no io_uring, each test says so.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/virtio_blk.h>

#include "tests/unit/fake_driver.h"
#include "tests/unit/unit.h"
#include "virtio/blk.h"

#include "virtio/disk_ring.c"

#define SECTORS 2048u
#define BYTES	((size_t)SECTORS * SECTOR_SIZE)
#define DEPTH	64u
#define PAGES	8u /* most of a request */

static struct loop loop;
static struct disk_ring *ring;
static int image_fd;
static uint8_t model[BYTES], got[BYTES];
static uint32_t rnd;

static uint32_t next_random(void)
{
	rnd = rnd * 1664525u + 1013904223u;
	return rnd >> 8;
}

static bool make_ring(struct loop *in)
{
	int ret = disk_ring_create(in, &ring);

	if (ret < 0)
		printf("# io_uring: %s: test skipped\n", strerror(-ret));
	return ret == 0;
}

/* A file of a file system that has O_DIRECT, as a rule. */
static void make_image(void)
{
	char path[] = "/var/tmp/mote-ring-XXXXXX";

	rnd = 1;
	image_fd = mkstemp(path);
	ck_assert_int_ge(image_fd, 0);
	unlink(path);
	for (size_t i = 0; i < BYTES; i++)
		model[i] = (uint8_t)(i * 7 + i / SECTOR_SIZE);
	ck_assert_int_eq(write(image_fd, model, BYTES), BYTES);
}

/* The result of whatever was prepared in SQE. */
static int run_sqe(void)
{
	struct io_uring_cqe *cqe;
	int res;

	ck_assert_int_eq(io_uring_submit(&ring->uring), 1);
	ck_assert_int_eq(io_uring_wait_cqe(&ring->uring, &cqe), 0);
	res = cqe->res;
	io_uring_cqe_seen(&ring->uring, cqe);
	return res;
}

static void nothing_done(struct disk_ring_file *file, struct disk_ring_op *op,
			 int result)
{
	(void)file;
	(void)op;
	(void)result;
	abort();
}

/* Security §3.3, item 6: what is not disk I/O does not go through, and the ring
 * cannot be told to let it.
 */
START_TEST(restrictions)
{
	struct disk_ring_file file = { .done = nothing_done };
	struct io_uring_restriction all = { .opcode =
						    IORING_RESTRICTION_SQE_OP };
	unsigned int threads[2] = { 1, 1 };
	uint8_t byte[8];
	struct iovec iov = { byte, sizeof(byte) };
	struct io_uring_sqe *sqe;

	ck_assert_int_eq(loop_init(&loop), 0);
	if (!make_ring(&loop)) {
		loop_fini(&loop);
		return;
	}
	make_image();
	file.fd = image_fd;
	ck_assert_int_eq(disk_ring_attach(ring, &file), 0);

	/* Every opcode but three: refused, or unknown to this kernel. */
	for (unsigned int op = 0; op < 256; op++) {
		int res;

		sqe = io_uring_get_sqe(&ring->uring);
		io_uring_prep_readv(sqe, 0, &iov, 1, 0);
		sqe->opcode = (uint8_t)op;
		sqe->flags = IOSQE_FIXED_FILE;
		if (op == IORING_OP_FSYNC) {
			sqe->addr = 0;
			sqe->len = 0;
		}
		res = run_sqe();
		if (op == IORING_OP_READV || op == IORING_OP_WRITEV)
			ck_assert_int_eq(res, sizeof(byte));
		else if (op == IORING_OP_FSYNC)
			ck_assert_int_eq(res, 0);
		else
			ck_assert(res == -EACCES || res == -EINVAL);
	}
	sqe = io_uring_get_sqe(&ring->uring);
	io_uring_prep_readv(sqe, image_fd, &iov, 1, 0);
	ck_assert_int_eq(run_sqe(), -EACCES);

	ck_assert_int_eq(io_uring_register_restrictions(&ring->uring, &all, 1),
			 -EACCES);
	ck_assert_int_eq(io_uring_register_eventfd(&ring->uring, image_fd),
			 -EACCES);
	ck_assert_int_eq(io_uring_register_buffers(&ring->uring, &iov, 1),
			 -EACCES);
	ck_assert_int_eq(io_uring_register_iowq_max_workers(&ring->uring,
							    threads),
			 -EACCES);
	disk_ring_detach(ring, &file);
	sqe = io_uring_get_sqe(&ring->uring);
	io_uring_prep_readv(sqe, 0, &iov, 1, 0);
	sqe->flags = IOSQE_FIXED_FILE;
	ck_assert_int_eq(run_sqe(), -EBADF);
	disk_ring_destroy(ring);
	loop_fini(&loop);
	close(image_fd);
}
END_TEST

START_TEST(table_of_files)
{
	struct disk_ring_file file[DISK_RING_FILES + 1];

	ck_assert_int_eq(loop_init(&loop), 0);
	if (!make_ring(&loop)) {
		loop_fini(&loop);
		return;
	}
	make_image();
	for (unsigned int i = 0; i <= DISK_RING_FILES; i++) {
		file[i] = (struct disk_ring_file){ .fd = image_fd };
		ck_assert_int_eq(disk_ring_attach(ring, &file[i]),
				 i < DISK_RING_FILES ? 0 : -ENOSPC);
	}
	disk_ring_detach(ring, &file[5]);
	ck_assert_int_eq(disk_ring_attach(ring, &file[DISK_RING_FILES]), 0);
	ck_assert_uint_eq(file[DISK_RING_FILES].slot, 5);
	disk_ring_destroy(ring);
	loop_fini(&loop);
	close(image_fd);
}
END_TEST

/* A request that is under way. */
struct asked {
	bool used;
	uint16_t head;
	uint32_t type;
	uint64_t sector, data, status;
	uint32_t sectors;
};

static struct fake_driver fd;
static struct asked asked[DEPTH];

/* The sectors of one request belong to one slot, so that no two overlap. */
static void post(struct asked *a, unsigned int slot)
{
	static const uint32_t type[] = { VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT,
					 VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT,
					 VIRTIO_BLK_T_FLUSH };
	const unsigned int share = SECTORS / DEPTH;
	struct virtio_blk_outhdr hdr;
	struct fd_seg seg[4];
	unsigned int n = 0;
	uint32_t first = next_random() % share, cut;

	a->type = type[next_random() % ARRAY_SIZE(type)];
	a->sector = slot * share + first;
	a->sectors = 1 + next_random() % (share - first);
	hdr = (struct virtio_blk_outhdr){ .type = a->type,
					  .sector = a->sector };
	memcpy(fd_ptr(&fd, a->data - 16, 16), &hdr, sizeof(hdr));
	seg[n++] = (struct fd_seg){ a->data - 16, 16 };
	cut = next_random() % (a->sectors * SECTOR_SIZE) + 1;
	if (a->type != VIRTIO_BLK_T_FLUSH) {
		seg[n++] = (struct fd_seg){ a->data, cut };
		seg[n++] = (struct fd_seg){ a->data + cut,
					    a->sectors * SECTOR_SIZE - cut };
	}
	if (a->type == VIRTIO_BLK_T_OUT) {
		uint8_t *data = fd_ptr(&fd, a->data, a->sectors * SECTOR_SIZE);

		for (size_t i = 0; i < a->sectors * SECTOR_SIZE; i++)
			data[i] = (uint8_t)(rnd + i * 13);
		memcpy(model + a->sector * SECTOR_SIZE, data,
		       a->sectors * SECTOR_SIZE);
	}
	seg[n++] = (struct fd_seg){ a->status, 1 };
	*(uint8_t *)fd_ptr(&fd, a->status, 1) = 0xff;
	a->head = fd_post(&fd, 0, seg, a->type == VIRTIO_BLK_T_OUT ? n - 1 : 1,
			  a->type == VIRTIO_BLK_T_OUT ? 1 : n - 1, FD_INDIRECT);
	a->used = true;
}

static void check(struct asked *a)
{
	ck_assert_uint_eq(*(uint8_t *)fd_ptr(&fd, a->status, 1),
			  VIRTIO_BLK_S_OK);
	if (a->type == VIRTIO_BLK_T_IN)
		ck_assert_mem_eq(fd_ptr(&fd, a->data, a->sectors * SECTOR_SIZE),
				 model + a->sector * SECTOR_SIZE,
				 a->sectors * SECTOR_SIZE);
	a->used = false;
}

/* Keeps the queue full until NR requests are done; each is answered once. */
static void run_requests(unsigned int nr)
{
	unsigned int done = 0, under_way = 0, posted = 0;
	uint64_t patience = now_ns() + 20000000000u;
	uint16_t head;

	while (done < nr) {
		for (unsigned int i = 0; i < DEPTH && posted < nr; i++) {
			if (asked[i].used)
				continue;
			post(&asked[i], i);
			posted++;
			under_way++;
		}
		fd_kick(&fd, 0);
		loop_step(&fd.loop, 1);
		while (fd_used(&fd, 0, &head, NULL)) {
			unsigned int i = 0;

			while (i < DEPTH &&
			       !(asked[i].used && asked[i].head == head))
				i++;
			ck_assert_uint_lt(i, DEPTH);
			check(&asked[i]);
			done++;
			under_way--;
		}
		ck_assert_uint_lt(now_ns(), patience);
	}
	ck_assert_uint_eq(under_way, 0);
}

/* A block device on the real ring; false when there is none here. */
static bool set_up_device(bool direct, bool writethrough)
{
	struct virtio_device *vdev;
	struct disk *disk;
	char name[32];
	int ret;

	fd_init(&fd);
	if (!make_ring(&fd.loop)) {
		fd_fini(&fd);
		return false;
	}
	make_image();
	snprintf(name, sizeof(name), "/proc/self/fd/%d", image_fd);
	ret = disk_open(name, false, direct, &disk);
	if (ret == -EINVAL) {
		printf("# O_DIRECT: not here, test skipped\n");
		disk_ring_destroy(ring);
		fd_fini(&fd);
		close(image_fd);
		return false;
	}
	ck_assert_int_eq(ret, 0);
	if (writethrough)
		disk_set_writethrough(disk);
	ck_assert_int_eq(disk_set_ring(disk, ring), 0);
	ck_assert_int_eq(virtio_blk_create(&fd.env, disk, &vdev), 0);
	fd_attach(&fd, vdev);
	ck_assert(fd_start(&fd, FD_FEATURES | 1ull << VIRTIO_BLK_F_FLUSH));
	for (unsigned int i = 0; i < DEPTH; i++) {
		asked[i] = (struct asked){ 0 };
		asked[i].data = fd_alloc(&fd, 16 + BYTES / DEPTH) + 16;
		asked[i].status = fd_alloc(&fd, 1);
	}
	return true;
}

static void tear_down_device(void)
{
	virtio_device_destroy(fd.vdev);
	fd.vdev = NULL;
	disk_ring_destroy(ring);
	fd_fini(&fd);
	close(image_fd);
}

/* With the page cache; with O_DIRECT; each with and without writeback. */
START_TEST(random_requests)
{
	if (!set_up_device(_i & 1, _i & 2))
		return;
	run_requests(_i & 2 ? 300 : 2000);
	ck_assert_int_eq(virtio_blk_drain(fd.vdev, 10000000000), 0);
	ck_assert_int_eq(pread(image_fd, got, BYTES, 0), BYTES);
	ck_assert_mem_eq(got, model, BYTES);

	/* The machine ends while the kernel has work. */
	for (unsigned int i = 0; i < DEPTH; i++)
		post(&asked[i], i);
	virtio_blk_resume(fd.vdev);
	tear_down_device();
}
END_TEST

/* C13, V19, virtio 1.2 §2.4.1: resets while the kernel reads and writes.  When
 * Status is 0 it does not touch guest memory any more.
 */
START_TEST(resets)
{
	const size_t share = BYTES / DEPTH;
	unsigned int waited = 0;

	if (!set_up_device(_i & 1, false))
		return;
	for (unsigned int round = 0; round < 200; round++) {
		uint64_t patience = now_ns() + 20000000000u;

		for (unsigned int i = 0; i < DEPTH; i++)
			post(&asked[i], i);
		fd_kick(&fd, 0);
		if (round % 3 == 0)
			loop_step(&fd.loop, 0);
		fd_reset(&fd);
		while (fd_reg(&fd, VIRTIO_MMIO_STATUS) != 0) {
			waited++;
			loop_step(&fd.loop, 1);
			ck_assert_uint_lt(now_ns(), patience);
		}
		for (unsigned int i = 0; i < DEPTH; i++)
			memset(fd_ptr(&fd, asked[i].data, share), 0x5a, share);
		loop_step(&fd.loop, 0);
		ck_assert(fd_start(&fd, FD_FEATURES));
		fd_run_loop(&fd);
		memset(got, 0x5a, share);
		for (unsigned int i = 0; i < DEPTH; i++)
			ck_assert_mem_eq(fd_ptr(&fd, asked[i].data, share), got,
					 share);
		ck_assert_uint_eq(fd_used_ring(&fd, 0)->idx, 0);
	}
	ck_assert_uint_gt(waited, 0);
	tear_down_device();
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("disk_ring");
	TCase *tc = tcase_create("ring");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, restrictions);
	tcase_add_test(tc, table_of_files);
	tcase_add_loop_test(tc, random_requests, 0, 4);
	tcase_add_loop_test(tc, resets, 0, 2);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
