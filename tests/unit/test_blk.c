// SPDX-License-Identifier: Apache-2.0
/*
 * test_blk.c - virtio block: every request a driver may make, cut as it likes
 *
 * The disk is a memfd.  This program's own preadv2, pwritev2 and fdatasync pass
 * on to the kernel, count, and fail when a test says so in `host`.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/mman.h>
#include <sys/syscall.h>

#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>

#include "base/util.h"
#include "tests/unit/fake_driver.h"
#include "tests/unit/host_io.h"
#include "tests/unit/unit.h"
#include "virtio/blk.h"

#define SECTORS	  64u
#define BYTES	  ((size_t)SECTORS * SECTOR_SIZE)
#define UNTOUCHED 0xee
#define PENDING	  0xff /* no status byte was returned */

#define F(bit) (1ull << VIRTIO_BLK_F_##bit)

static struct {
	int fail, fail_sync; /* errno */
	int reads, writes, syncs;
	uint16_t used_at_sync; /* used idx when fdatasync was called */
} host;

static struct fake_driver fd;
static struct disk *disk;
static int image_fd;
static uint8_t image[BYTES];

/* How ask() cuts a byte stream into segments: NR of SIZE, then the rest; and
 * an empty segment before number EMPTY (counting from 1).
 */
struct cut {
	unsigned int nr;
	size_t size;
	unsigned int empty;
};

static struct {
	struct cut r, w;
	enum fd_layout layout;
} shape;

/* What the last request got back. */
static struct {
	uint32_t used_len;
	uint8_t in[BYTES + 4096];
} answer;

static ssize_t host_preadv(int f, const struct iovec *iov, int nr, off_t off)
{
	host.reads++;
	errno = host.fail;
	return host.fail
		       ? -1
		       : kernel(SYS_preadv, (long[6]){ f, (long)iov, nr, off });
}

static ssize_t host_pwritev(int f, const struct iovec *iov, int nr, off_t off)
{
	host.writes++;
	errno = host.fail;
	return host.fail ? -1
			 : kernel(SYS_pwritev,
				  (long[6]){ f, (long)iov, nr, off });
}

int fdatasync(int f)
{
	host.syncs++;
	host.used_at_sync = fd_used_ring(&fd, 0)->idx;
	errno = host.fail_sync;
	return host.fail_sync ? -1 : (int)kernel(SYS_fdatasync, (long[6]){ f });
}

static void set_up_disk(bool read_only)
{
	char path[32];
	struct virtio_device *vdev;

	memset(&host, 0, sizeof(host));
	memset(&shape, 0, sizeof(shape));
	image_fd = memfd_create("disk", MFD_CLOEXEC);
	for (size_t i = 0; i < BYTES; i++)
		image[i] = (uint8_t)(i * 7 + i / SECTOR_SIZE);
	ck_assert_int_eq(write(image_fd, image, BYTES), BYTES);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", image_fd);
	ck_assert_int_eq(disk_open(path, read_only, false, &disk), 0);
	fd_init(&fd);
	ck_assert_int_eq(virtio_blk_create(&fd.env, disk, &vdev), 0);
	fd_attach(&fd, vdev);
}

static void tear_down(void)
{
	fd_fini(&fd);
	close(image_fd);
}

static void set_up(void)
{
	set_up_disk(false);
	ck_assert(fd_start(&fd, FD_FEATURES | F(FLUSH) | F(SEG_MAX)));
}

static void set_up_read_only(void)
{
	set_up_disk(true);
}

static void check_disk(const uint8_t *want)
{
	static uint8_t got[BYTES + 1];

	ck_assert_int_eq(pread(image_fd, got, BYTES + 1, 0), BYTES);
	ck_assert_mem_eq(got, want, BYTES);
}

static bool needs_reset(void)
{
	return fd_reg(&fd, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET;
}

static unsigned int cut_up(struct fd_seg *seg, uint64_t gpa, size_t len,
			   const struct cut *cut)
{
	unsigned int n = 0;

	for (unsigned int piece = 1; len > 0; piece++) {
		size_t here = piece <= cut->nr ? MIN(len, cut->size) : len;

		if (piece == cut->empty)
			seg[n++] = (struct fd_seg){ 0xdead0000, 0 };
		seg[n++] = (struct fd_seg){ gpa, (uint32_t)here };
		gpa += here;
		len -= here;
		ck_assert_uint_lt(n, 250);
	}
	return n;
}

/* Posts and rings: NR_R readable bytes at R and ROOM writable ones.  Returns
 * the last writable byte; PENDING when the chain was not used.
 */
static uint8_t ask_raw(const void *r, size_t nr_r, size_t room)
{
	struct fd_seg seg[520];
	uint64_t start = fd.alloc;
	uint64_t r_gpa = fd_put(&fd, r, nr_r);
	uint64_t w_gpa = fd_alloc(&fd, room + 64);
	unsigned int nr_read = cut_up(seg, r_gpa, nr_r, &shape.r);
	unsigned int nr_write = cut_up(seg + nr_read, w_gpa, room, &shape.w);
	struct vring_desc before[256];
	uint16_t head, used_head;
	uint8_t *w = fd_ptr(&fd, w_gpa, room + 64);

	memset(w, UNTOUCHED, room + 64);
	memset(answer.in, 0, sizeof(answer.in));
	head = fd_post(&fd, 0, seg, nr_read, nr_write, shape.layout);
	memcpy(before, fd_desc(&fd, 0), sizeof(before));
	fd_kick(&fd, 0);
	fd_run_loop(&fd);
	fd.alloc = start;

	/* C28: no descriptor and no device-readable byte is written */
	ck_assert_mem_eq(fd_desc(&fd, 0), before, sizeof(before));
	ck_assert_mem_eq(fd_ptr(&fd, r_gpa, nr_r), r, nr_r);
	for (unsigned int i = 0; i < 64; i++)
		ck_assert_uint_eq(w[room + i], UNTOUCHED);
	if (!fd_used(&fd, 0, &used_head, &answer.used_len))
		return PENDING;
	ck_assert_uint_eq(used_head, head);
	ck_assert(!fd_used(&fd, 0, NULL, NULL));
	/* B10, virtio 1.2 §5.2.6; C34, §2.7.8.2: the status byte and all
	 * before it were written
	 */
	ck_assert_uint_eq(answer.used_len, room);
	memcpy(answer.in, w, MIN(room, sizeof(answer.in)));
	return w[room - 1];
}

/* A request of TYPE at SECTOR with OUT_LEN bytes of data from OUT, and room for
 * IN_LEN bytes and a status.
 */
static uint8_t ask(uint32_t type, uint64_t sector, const void *out,
		   size_t out_len, size_t in_len)
{
	static uint8_t r[16 + BYTES + 4096];
	struct virtio_blk_outhdr hdr = { .type = type, .sector = sector };

	memcpy(r, &hdr, sizeof(hdr));
	if (out_len)
		memcpy(r + sizeof(hdr), out, out_len);
	return ask_raw(r, sizeof(hdr) + out_len, in_len + 1);
}

static void check_in(const uint8_t *want, size_t len)
{
	ck_assert_mem_eq(answer.in, want, len);
}

static const uint8_t zeros[BYTES + 4096];

/* A read and a write of two sectors, and all that they leave behind. */
static void read_and_write(void)
{
	static uint8_t want[BYTES];
	uint8_t fresh[1024];

	for (size_t i = 0; i < sizeof(fresh); i++)
		fresh[i] = (uint8_t)(i * 11 + 3);
	memcpy(want, image, BYTES);
	memcpy(want + 7 * 512, fresh, sizeof(fresh));

	ck_assert_uint_eq(ask(VIRTIO_BLK_T_IN, 7, NULL, 0, 1024), 0);
	check_in(image + 7 * 512, 1024);
	ck_assert_uint_eq(ask(VIRTIO_BLK_T_OUT, 7, fresh, 1024, 0), 0);
	check_disk(want);
	ck_assert_uint_eq(ask(VIRTIO_BLK_T_OUT, 7, image + 7 * 512, 1024, 0),
			  0);
	check_disk(image);
}

/* C9, virtio 1.2 §2.2.2; B1, §5.2.5.2; B12, §5.2.6.2: just what is built */
START_TEST(features_offered)
{
	const uint64_t always = FD_FEATURES | F(SEG_MAX) | F(BLK_SIZE) |
				F(FLUSH) | F(CONFIG_WCE);

	ck_assert_uint_eq(fd_reg(&fd, VIRTIO_MMIO_DEVICE_ID), VIRTIO_ID_BLOCK);
	ck_assert_uint_eq(fd_device_features(&fd),
			  always | F(DISCARD) | F(WRITE_ZEROES));
	tear_down();
	set_up_disk(true);
	ck_assert_uint_eq(fd_device_features(&fd), always | F(RO));
}
END_TEST

/* B2, virtio 1.2 §5.2.5.2: what is not offered, and padding, is 0 */
START_TEST(config_space)
{
	struct virtio_blk_config want = { .capacity = SECTORS,
					  .seg_max = 254,
					  .blk_size = SECTOR_SIZE,
					  .wce = 1,
					  .max_discard_sectors = 1 << 21,
					  .max_discard_seg = 64,
					  .discard_sector_alignment = 8,
					  .max_write_zeroes_sectors = 1 << 21,
					  .max_write_zeroes_seg = 64,
					  .write_zeroes_may_unmap = 1 };
	uint8_t got[256], all[256] = { 0 };

	memcpy(all, &want, sizeof(want));
	fd_config_read(&fd, 0, got, sizeof(got));
	ck_assert_mem_eq(got, all, sizeof(all));
}
END_TEST

/* C29, virtio 1.2 §2.7.4.1: each cut of the header and of the data with the
 * status byte
 */
START_TEST(cut_anywhere)
{
	for (enum fd_layout l = FD_DIRECT; l <= FD_MIXED; l++) {
		shape.layout = l;
		for (size_t at = 1; at <= 17; at++) {
			shape.r = (struct cut){ 1, at, 0 };
			shape.w = (struct cut){ 1, 1024 - at, 0 };
			read_and_write();
		}
		shape.r = (struct cut){ 0 }; /* header and data in one */
		shape.w = (struct cut){ 0 }; /* data and status in one */
		read_and_write();
		shape.w = (struct cut){ 1, 1024, 0 }; /* status alone */
		read_and_write();
		shape.r = (struct cut){ 100, 1, 0 };
		shape.w = (struct cut){ 100, 1, 0 };
		read_and_write();
		shape.r = (struct cut){ 200, 5, 0 };
		shape.w = (struct cut){ 200, 7, 0 };
		read_and_write();
	}
}
END_TEST

/* V8: an empty descriptor in each position */
START_TEST(empty_descriptors)
{
	for (enum fd_layout l = FD_DIRECT; l <= FD_MIXED; l++) {
		shape.layout = l;
		for (unsigned int at = 1; at <= 5; at++) {
			shape.r = (struct cut){ 3, 16, at };
			shape.w = (struct cut){ 3, 300, at };
			read_and_write();
		}
	}
}
END_TEST

/* B3, V16, virtio 1.2 §5.2.6.2: with RO accepted and without */
START_TEST(read_only_is_enforced)
{
	for (int accepted = 0; accepted < 2; accepted++) {
		ck_assert(fd_start(&fd, FD_FEATURES | (accepted ? F(RO) : 0)));
		ck_assert_uint_eq(ask(VIRTIO_BLK_T_OUT, 0, zeros, 512, 0),
				  VIRTIO_BLK_S_IOERR);
		ck_assert_int_eq(host.writes, 0);
		check_disk(image);
		ck_assert_uint_eq(ask(VIRTIO_BLK_T_IN, 1, NULL, 0, 512), 0);
		check_in(image + 512, 512);
		ck_assert_uint_eq(ask(VIRTIO_BLK_T_FLUSH, 0, NULL, 0, 0), 0);
	}
	ck_assert_int_eq(host.reads, 2);
}
END_TEST

/* V16: data that runs the wrong way is no data */
START_TEST(wrong_direction)
{
	/* A write whose data is device-writable writes nothing, a read whose
	 * data is device-readable leaves it alone (checked in ask_raw).
	 */
	ck_assert_uint_eq(ask(VIRTIO_BLK_T_OUT, 3, NULL, 0, 512), 0);
	check_in(zeros, 512);
	check_disk(image);
	ck_assert_uint_eq(ask(VIRTIO_BLK_T_IN, 3, zeros, 512, 0), 0);
	check_disk(image);
}
END_TEST

/* B4, B5, B7, virtio 1.2 §5.2.6.2; B8, §5.2.6: completed with UNSUPP, and
 * nothing done
 */
START_TEST(unknown_types)
{
	for (unsigned int i = 0; i < 32 + 64; i++) {
		uint32_t type = i < 64 ? i : 1u << (i - 64);

		if (type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_OUT ||
		    type == VIRTIO_BLK_T_FLUSH || type == VIRTIO_BLK_T_GET_ID)
			continue;
		ck_assert_uint_eq(ask(type, 0, zeros, 512, 512),
				  VIRTIO_BLK_S_UNSUPP);
		check_in(zeros, 512);
	}
	ck_assert_uint_eq(ask(UINT32_MAX, 0, NULL, 0, 0), VIRTIO_BLK_S_UNSUPP);
	ck_assert_int_eq(host.reads + host.writes + host.syncs, 0);
	ck_assert(!needs_reset());
}
END_TEST

/* B6, virtio 1.2 §5.2.6.2: stable after FLUSH when that was accepted */
START_TEST(flush_makes_stable)
{
	ck_assert_uint_eq(ask(VIRTIO_BLK_T_OUT, 0, image, 512, 0), 0);
	ck_assert_int_eq(host.syncs, 0);
	ck_assert_uint_eq(ask(VIRTIO_BLK_T_FLUSH, 0, NULL, 0, 0), 0);
	ck_assert_int_eq(host.syncs, 1);
	host.fail_sync = EIO;
	ck_assert_uint_eq(ask(VIRTIO_BLK_T_FLUSH, 0, NULL, 0, 0),
			  VIRTIO_BLK_S_IOERR);
	ck_assert_int_eq(host.syncs, 2);
}
END_TEST

/* B6, virtio 1.2 §5.2.6.2: else before the write is completed */
START_TEST(without_flush_each_write_is_stable)
{
	ck_assert(fd_start(&fd, FD_FEATURES));
	for (uint16_t i = 0; i < 3; i++) {
		ck_assert_uint_eq(ask(VIRTIO_BLK_T_OUT, i, image, 512, 0), 0);
		ck_assert_int_eq(host.syncs, i + 1);
		ck_assert_uint_eq(host.used_at_sync, i);
	}
	host.fail_sync = EIO;
	ck_assert_uint_eq(ask(VIRTIO_BLK_T_OUT, 0, image, 512, 0),
			  VIRTIO_BLK_S_IOERR);
	ck_assert_uint_eq(ask(VIRTIO_BLK_T_IN, 0, NULL, 0, 512), 0);
	ck_assert_int_eq(host.syncs, 4);
}
END_TEST

/* B9, virtio 1.2 §5.2.6: the edges of the capacity, and of arithmetic */
START_TEST(beyond_the_end)
{
	static const struct {
		uint64_t sector;
		size_t len;
		bool ok;
	} row[] = {
		{ 0, BYTES, true },
		{ 0, BYTES + 512, false },
		{ SECTORS - 1, 512, true },
		{ SECTORS - 1, 1024, false },
		{ SECTORS, 0, true },
		{ SECTORS, 512, false },
		{ SECTORS + 1, 0, false },
		{ 1ull << 55, 512, false }, /* * 512 == 0 */
		{ UINT64_MAX, 512, false }, /* + 1 == 0 */
		{ UINT64_MAX / 512 + 1, 512, false },
		{ INT64_MAX / 512, 512, false },
		{ 0, 511, false },
		{ 0, 513, false },
		{ 0, 1, false },
		{ SECTORS - 1, 1, false },
		{ 0, 0, true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		uint8_t want = row[i].ok ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR;
		size_t off = (size_t)row[i].sector * 512;

		memset(&host, 0, sizeof(host));
		ck_assert_uint_eq(ask(VIRTIO_BLK_T_IN, row[i].sector, NULL, 0,
				      row[i].len),
				  want);
		/* V17: nothing but zeros comes with an error */
		check_in(row[i].ok ? image + off : zeros, row[i].len);
		ck_assert_uint_eq(ask(VIRTIO_BLK_T_OUT, row[i].sector,
				      row[i].ok ? image + off : zeros,
				      row[i].len, 0),
				  want);
		if (!row[i].ok)
			ck_assert_int_eq(host.reads + host.writes, 0);
		check_disk(image);
	}
	ck_assert(!needs_reset());
}
END_TEST

/* B10, virtio 1.2 §5.2.6: the last writable byte, whatever the size
 * of its descriptor
 */
START_TEST(status_is_the_last_byte)
{
	static const size_t room[] = { 1, 2, 512 };

	for (size_t i = 0; i < ARRAY_SIZE(room); i++) {
		ck_assert_uint_eq(ask(VIRTIO_BLK_T_FLUSH, 0, NULL, 0,
				      room[i] - 1),
				  VIRTIO_BLK_S_OK);
		check_in(zeros, room[i] - 1);
		ck_assert_uint_eq(ask(VIRTIO_BLK_T_OUT, 0, image, 512,
				      room[i] - 1),
				  VIRTIO_BLK_S_OK);
		check_in(zeros, room[i] - 1);
	}
	check_disk(image);
}
END_TEST

/* B10, virtio 1.2 §5.2.6: a request that cannot be answered is not done either
 */
START_TEST(no_room_for_a_status)
{
	struct virtio_blk_outhdr hdr = { .type = VIRTIO_BLK_T_OUT };
	uint8_t r[16 + 512] = { 0 };

	memcpy(r, &hdr, sizeof(hdr));
	ck_assert_uint_eq(ask_raw(r, sizeof(r), 0), PENDING);
	ck_assert(needs_reset());
	ck_assert_int_eq(host.writes, 0);
	check_disk(image);

	ck_assert(fd_start(&fd, FD_FEATURES));
	read_and_write();
}
END_TEST

START_TEST(short_header)
{
	uint8_t r[16] = { 0 };

	for (size_t len = 1; len < 16; len++) {
		ck_assert_uint_eq(ask_raw(r, len, 513), VIRTIO_BLK_S_IOERR);
		check_in(zeros, 512);
	}
	/* No readable byte at all. */
	ck_assert_uint_eq(ask_raw(r, 0, 513), VIRTIO_BLK_S_IOERR);
	ck_assert_int_eq(host.reads, 0);
	ck_assert(!needs_reset());
	read_and_write();
}
END_TEST

/* B9, B11, virtio 1.2 §5.2.6: 20 bytes, no more and no fewer */
START_TEST(get_id)
{
	char id[DISK_ID_BYTES];

	disk_id(disk, id);
	ck_assert_uint_eq(ask(VIRTIO_BLK_T_GET_ID, 0, NULL, 0, 20), 0);
	ck_assert_mem_eq(answer.in, id, 20);
	for (size_t len = 0; len < 64; len++) {
		if (len == 20)
			continue;
		ck_assert_uint_eq(ask(VIRTIO_BLK_T_GET_ID, 0, NULL, 0, len),
				  VIRTIO_BLK_S_IOERR);
		check_in(zeros, len);
	}
}
END_TEST

/* V17, V32: IOERR and zeros, never more, and the device goes on */
START_TEST(host_errors)
{
	static const int row[] = { EIO, ENOSPC, EFBIG, EDQUOT, EFAULT };

	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		host.fail = row[i];
		ck_assert_uint_eq(ask(VIRTIO_BLK_T_IN, 1, NULL, 0, 1024),
				  VIRTIO_BLK_S_IOERR);
		check_in(zeros, 1024);
		ck_assert_uint_eq(ask(VIRTIO_BLK_T_OUT, 1, zeros, 1024, 0),
				  VIRTIO_BLK_S_IOERR);
		host.fail = 0;
		check_disk(image);
		read_and_write();
	}
	ck_assert(!needs_reset());
}
END_TEST

/* V17: what the image has lost is zeros, not what was in the buffer */
START_TEST(shrunk_image)
{
	ck_assert_int_eq(ftruncate(image_fd, 700), 0);
	ck_assert_uint_eq(ask(VIRTIO_BLK_T_IN, 0, NULL, 0, 2048), 0);
	check_in(image, 700);
	ck_assert_mem_eq(answer.in + 700, zeros, 2048 - 700);
	ck_assert_int_eq(ftruncate(image_fd, BYTES), 0);
}
END_TEST

START_TEST(counters)
{
	const struct virtio_blk_stats *st = virtio_blk_stats(fd.vdev);

	ask(VIRTIO_BLK_T_IN, 0, NULL, 0, 1024);
	ask(VIRTIO_BLK_T_IN, 0, NULL, 0, 512);
	ask(VIRTIO_BLK_T_OUT, 0, image, 2048, 0);
	ask(VIRTIO_BLK_T_FLUSH, 0, NULL, 0, 0);
	ck_assert_uint_eq(counter_get(&st->errors), 0);
	ask(VIRTIO_BLK_T_IN, SECTORS, NULL, 0, 512);
	ask(99, 0, NULL, 0, 0);
	host.fail = EIO;
	ask(VIRTIO_BLK_T_IN, 0, NULL, 0, 512);

	ck_assert_uint_eq(counter_get(&st->reads), 2);
	ck_assert_uint_eq(counter_get(&st->read_bytes), 1536);
	ck_assert_uint_eq(counter_get(&st->writes), 1);
	ck_assert_uint_eq(counter_get(&st->write_bytes), 2048);
	ck_assert_uint_eq(counter_get(&st->flushes), 1);
	ck_assert_uint_eq(counter_get(&st->errors), 3);
	ck_assert_uint_eq(st->read_ns.count, 3);
	ck_assert_uint_eq(st->write_ns.count, 1);
	ck_assert_uint_eq(st->flush_ns.count, 1);
}
END_TEST

/* The whole queue at once, many times round. */
START_TEST(full_queue)
{
	struct virtio_blk_outhdr hdr = { .type = VIRTIO_BLK_T_IN, .sector = 5 };
	uint64_t gpa = fd_put(&fd, &hdr, 16);

	for (int round = 0; round < 300; round++) {
		uint64_t start = fd.alloc;
		uint64_t w[256];

		for (unsigned int i = 0; i < 256; i++) {
			struct fd_seg seg[2] = { { gpa, 16 }, { 0, 513 } };

			w[i] = seg[1].gpa = fd_alloc(&fd, 513);
			fd_post(&fd, 0, seg, 1, 1, FD_INDIRECT);
		}
		fd_kick(&fd, 0);
		fd_run_loop(&fd);
		for (unsigned int i = 0; i < 256; i++) {
			uint32_t len;

			ck_assert(fd_used(&fd, 0, NULL, &len));
			ck_assert_uint_eq(len, 513);
			ck_assert_mem_eq(fd_ptr(&fd, w[i], 513),
					 image + 5 * 512, 512);
		}
		ck_assert(!fd_used(&fd, 0, NULL, NULL));
		fd.alloc = start;
	}
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("blk");
	TCase *tc = tcase_create("blk");
	TCase *ro = tcase_create("read-only");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, features_offered);
	tcase_add_test(tc, config_space);
	tcase_add_test(tc, cut_anywhere);
	tcase_add_test(tc, empty_descriptors);
	tcase_add_test(tc, wrong_direction);
	tcase_add_test(tc, unknown_types);
	tcase_add_test(tc, flush_makes_stable);
	tcase_add_test(tc, without_flush_each_write_is_stable);
	tcase_add_test(tc, beyond_the_end);
	tcase_add_test(tc, status_is_the_last_byte);
	tcase_add_test(tc, no_room_for_a_status);
	tcase_add_test(tc, short_header);
	tcase_add_test(tc, get_id);
	tcase_add_test(tc, host_errors);
	tcase_add_test(tc, shrunk_image);
	tcase_add_test(tc, counters);
	tcase_add_test(tc, full_queue);
	suite_add_tcase(s, tc);

	tcase_add_checked_fixture(ro, set_up_read_only, tear_down);
	tcase_add_test(ro, read_only_is_enforced);
	suite_add_tcase(s, ro);
	return s;
}

UNIT_MAIN(suite)
