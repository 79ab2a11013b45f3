// SPDX-License-Identifier: Apache-2.0
/*
 * test_blk_range.c - virtio block: discard, write zeroes, cache mode, capacity
 *
 * The disk is an unlinked file of a file system with holes.  This program's own
 * fallocate and fdatasync pass on to the kernel, count, and fail when a test
 * says so in `host`.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>
#include <sys/syscall.h>

#include <linux/falloc.h>
#include <linux/virtio_blk.h>

#include "base/util.h"
#include "tests/unit/fake_driver.h"
#include "tests/unit/unit.h"
#include "virtio/blk.h"

#define SECTORS 2051u /* 1 MiB and a little */
#define BYTES	((size_t)SECTORS * SECTOR_SIZE)
#define PENDING 0xff /* no status byte was returned */

#define F(bit) (1ull << VIRTIO_BLK_F_##bit)
#define ALL                                                                    \
	(FD_FEATURES | F(FLUSH) | F(CONFIG_WCE) | F(DISCARD) | F(WRITE_ZEROES))
#define CONFIG(f) ((uint32_t)offsetof(struct virtio_blk_config, f))
#define UNMAP	  VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP
#define DISCARD	  VIRTIO_BLK_T_DISCARD
#define ZEROES	  VIRTIO_BLK_T_WRITE_ZEROES
#define UNSUPP	  VIRTIO_BLK_S_UNSUPP
#define IOERR	  VIRTIO_BLK_S_IOERR

typedef struct virtio_blk_discard_write_zeroes range_t;

static struct {
	int no_mode;   /* this bit of fallocate's mode is not supported */
	int fail;      /* errno of every fallocate */
	int clears;    /* calls of fallocate */
	uint64_t most; /* bytes in one of them */
	int syncs;
} host;

static struct fake_driver fd;
static struct disk *disk;
static int image_fd;
static uint8_t image[BYTES];

int fallocate(int f, int mode, off_t off, off_t len)
{
	host.clears++;
	host.most = MAX(host.most, (uint64_t)len);
	ck_assert_int_eq((off | len) % 4096, 0);
	errno = host.fail ? host.fail : EOPNOTSUPP;
	if (host.fail || mode & host.no_mode)
		return -1;
	return (int)syscall(SYS_fallocate, f, mode, off, len);
}

int fdatasync(int f)
{
	host.syncs++;
	return (int)syscall(SYS_fdatasync, f);
}

/* A disk of a fresh file whose last byte is at SIZE - 1. */
static void set_up_disk(size_t size, bool read_only, bool writethrough)
{
	char path[] = "/var/tmp/mote-range-XXXXXX", name[32];
	struct virtio_device *vdev;

	image_fd = mkstemp(path);
	ck_assert_int_ge(image_fd, 0);
	for (size_t i = 0; i < BYTES; i++)
		image[i] = (uint8_t)(1 + (i * 7 + i / SECTOR_SIZE) % 255);
	ck_assert_int_eq(write(image_fd, image, BYTES), BYTES);
	ck_assert_int_eq(ftruncate(image_fd, (off_t)size), 0);
	ck_assert_int_eq(fsync(image_fd), 0);
	unlink(path);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", image_fd);
	ck_assert_int_eq(disk_open(name, read_only, false, &disk), 0);
	if (writethrough)
		disk_set_writethrough(disk);
	fd_init(&fd);
	ck_assert_int_eq(virtio_blk_create(&fd.env, disk, &vdev), 0);
	fd_attach(&fd, vdev);
	memset(&host, 0, sizeof(host));
}

static void set_up(void)
{
	memset(&host, 0, sizeof(host));
	set_up_disk(BYTES, false, false);
	ck_assert(fd_start(&fd, ALL));
}

static void tear_down(void)
{
	fd_fini(&fd);
	close(image_fd);
}

static void start_over(size_t size, bool read_only, bool writethrough)
{
	tear_down();
	set_up_disk(size, read_only, writethrough);
}

static void check_disk(const uint8_t *want)
{
	static uint8_t got[BYTES + 1];

	ck_assert_int_eq(pread(image_fd, got, BYTES + 1, 0), BYTES);
	ck_assert_mem_eq(got, want, BYTES);
}

static uint64_t taken(void)
{
	struct stat st;

	ck_assert_int_eq(fsync(image_fd), 0);
	ck_assert_int_eq(fstat(image_fd, &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

/* Where the last request's data and status are. */
static uint64_t data_gpa, status_gpa;

/* Posts a request with LEN bytes of data in pieces of CUT, and rings once. */
static void post(uint32_t type, uint64_t sector, const void *data, size_t len,
		 size_t cut)
{
	struct virtio_blk_outhdr hdr = { .type = type, .sector = sector };
	struct fd_seg seg[200];
	unsigned int n = 0;

	fd.alloc = ALIGN_UP(fd.alloc, 4096);
	seg[n++] =
		(struct fd_seg){ fd_put(&fd, &hdr, sizeof(hdr)), sizeof(hdr) };
	data_gpa = len > 0 ? fd_put(&fd, data, len) : 0;
	for (size_t at = 0; at < len; at += cut, n++)
		seg[n] = (struct fd_seg){ data_gpa + at, MIN(cut, len - at) };
	status_gpa = fd_alloc(&fd, 1);
	*(uint8_t *)fd_ptr(&fd, status_gpa, 1) = PENDING;
	seg[n] = (struct fd_seg){ status_gpa, 1 };
	fd_post(&fd, 0, seg, n, 1, FD_INDIRECT);
	fd_kick(&fd, 0);
}

static uint8_t status(void)
{
	return *(uint8_t *)fd_ptr(&fd, status_gpa, 1);
}

static uint8_t ask_cut(uint32_t type, uint64_t sector, const void *data,
		       size_t len, size_t cut)
{
	uint64_t start = fd.alloc;
	uint32_t used_len;

	post(type, sector, data, len, cut);
	for (int i = 0; status() == PENDING && i < 100000; i++)
		loop_step(&fd.loop, 0);
	ck_assert(fd_used(&fd, 0, NULL, &used_len));
	ck_assert_uint_eq(used_len, 1);
	ck_assert(!fd_used(&fd, 0, NULL, NULL));
	fd.alloc = start;
	return status();
}

static uint8_t ask(uint32_t type, const range_t *range, size_t nr)
{
	return ask_cut(type, 0, range, nr * sizeof(*range), 4096);
}

static uint8_t ask_one(uint32_t type, uint64_t sector, uint32_t nr,
		       uint32_t flags)
{
	range_t range = { sector, nr, flags };

	return ask(type, &range, 1);
}

static uint8_t ask_write(uint64_t sector)
{
	return ask_cut(VIRTIO_BLK_T_OUT, sector, image, 512, 512);
}

/* B4, virtio 1.2 §5.2.6.2: unknown flags, and unmap of a discard: unsupported,
 * and nothing is done, not even of the segments before
 */
START_TEST(unknown_flags)
{
	for (unsigned int bit = 0; bit < 32; bit++) {
		range_t range[3] = { { 0, 64, 0 }, { 64, 64, 0 }, { 0, 8, 0 } };
		uint32_t flag = 1u << bit;

		for (unsigned int at = 0; at < 3; at++) {
			range[at].flags = flag;
			ck_assert_uint_eq(ask(DISCARD, range, 3), UNSUPP);
			if (flag != UNMAP)
				ck_assert_uint_eq(ask(ZEROES, range, 3),
						  UNSUPP);
			range[at].flags = 0;
		}
	}
	ck_assert_uint_eq(ask_one(ZEROES, 0, 8, UNMAP | 2), UNSUPP);
	ck_assert_int_eq(host.clears, 0);
	check_disk(image);
}
END_TEST

/* B4, virtio 1.2 §5.2.6.2: nor what was not accepted, or is not offered: secure
 * erase, and any of it on a disk that is read-only
 */
START_TEST(not_negotiated)
{
	ck_assert_uint_eq(ask_one(VIRTIO_BLK_T_SECURE_ERASE, 0, 8, 0), UNSUPP);
	ck_assert(fd_start(&fd, ALL & ~F(DISCARD)));
	ck_assert_uint_eq(ask_one(DISCARD, 0, 8, 0), UNSUPP);
	ck_assert(fd_start(&fd, ALL & ~F(WRITE_ZEROES)));
	ck_assert_uint_eq(ask_one(ZEROES, 0, 8, 0), UNSUPP);
	ck_assert_int_eq(host.clears, 0);
	check_disk(image);

	start_over(BYTES, true, false);
	ck_assert_uint_eq(
		fd_device_features(&fd) & (F(DISCARD) | F(WRITE_ZEROES)), 0);
	ck_assert(fd_start(&fd, FD_FEATURES));
	ck_assert_uint_eq(ask_one(DISCARD, 0, 8, 0), UNSUPP);
	ck_assert_uint_eq(ask_one(ZEROES, 0, 8, 0), UNSUPP);
	ck_assert_int_eq(host.clears, 0);
	check_disk(image);
}
END_TEST

/* B9, virtio 1.2 §5.2.6, §5.2.6.1: segments that are not, too many, or not inside */
START_TEST(bad_segments)
{
	static const struct {
		uint64_t sector;
		uint32_t nr;
	} row[] = {
		{ SECTORS, 1 },		 { SECTORS - 1, 2 },
		{ 0, SECTORS + 1 },	 { SECTORS + 1, 0 },
		{ 0, UINT32_MAX },	 { SECTORS - 1, UINT32_MAX },
		{ UINT64_MAX, 1 },	 { UINT64_MAX, 0 },
		{ UINT64_MAX - 7, 8 },	 { 1ull << 55, 8 }, /* * 512 == 0 */
		{ UINT64_MAX / 512, 8 }, { UINT64_MAX / 512 + 1, 8 },
		{ INT64_MAX / 512, 8 },
	};
	static const size_t len[] = { 0, 1, 8, 15, 17, 31, 33, 64 * 16 + 1 };
	static range_t many[65];

	for (size_t i = 0; i < 65; i++)
		many[i] = (range_t){ 8, 8, 0 };
	for (uint32_t type = DISCARD; type <= ZEROES; type += 2) {
		for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
			range_t range[2] = { { 0, 64, 0 } };

			range[1].sector = row[i].sector;
			range[1].num_sectors = row[i].nr;
			ck_assert_uint_eq(ask(type, range, 2), IOERR);
		}
		for (size_t i = 0; i < ARRAY_SIZE(len); i++)
			ck_assert_uint_eq(ask_cut(type, 0, many, len[i], 4096),
					  IOERR);
		ck_assert_uint_eq(ask(type, many, 65), IOERR);
	}
	ck_assert_int_eq(host.clears, 0);
	check_disk(image);
}
END_TEST

/* B9, virtio 1.2 §5.2.6, §5.2.6.1: what the configuration says is what is taken */
START_TEST(limits)
{
	const uint32_t most = 1 << 21;
	range_t range[64];

	start_over(most * 512ull + 512, false, false);
	ck_assert(fd_start(&fd, ALL));
	for (uint32_t type = DISCARD; type <= ZEROES; type += 2) {
		ck_assert_uint_eq(ask_one(type, 0, most, 0), 0);
		ck_assert_uint_eq(ask_one(type, 0, most + 1, 0), IOERR);
		ck_assert_uint_eq(ask_one(type, 1, most, 0), 0);
		for (unsigned int i = 0; i < 64; i++)
			range[i] = (range_t){ i * 8, i % 9, 0 };
		ck_assert_uint_eq(ask(type, range, 64), 0);
	}
}
END_TEST

/* Space goes back to the host; nothing but the ranges changes. */
START_TEST(discard_gives_space_back)
{
	static uint8_t got[BYTES];
	const range_t range[] = { { 0, 512, 0 }, { 1024, 512, 0 } };
	const struct virtio_blk_stats *st = virtio_blk_stats(fd.vdev);
	uint64_t before = taken();

	ck_assert_uint_eq(ask(DISCARD, range, 2), 0);
	ck_assert_uint_le(taken(), before - 512 * 1024);
	ck_assert_int_eq(pread(image_fd, got, BYTES, 0), BYTES);
	ck_assert_mem_eq(got + 512 * 512, image + 512 * 512, 512 * 512);
	ck_assert_mem_eq(got + 1536 * 512, image + 1536 * 512,
			 BYTES - 1536 * 512);
	ck_assert_uint_eq(counter_get(&st->discards), 1);
	ck_assert_uint_eq(counter_get(&st->discard_bytes), 1024 * 512);
	ck_assert_uint_eq(st->discard_ns.count, 1);
	ck_assert_int_eq(host.syncs, 0);
}
END_TEST

/* A unit that is covered in part keeps its bytes, and costs no call. */
START_TEST(discard_of_parts_does_nothing)
{
	ck_assert_uint_eq(ask_one(DISCARD, 1, 7, 0), 0);
	ck_assert_uint_eq(ask_one(DISCARD, 4, 8, 0), 0);
	ck_assert_uint_eq(ask_one(DISCARD, 8, 7, 0), 0);
	ck_assert_uint_eq(ask_one(DISCARD, 5, 0, 0), 0);
	ck_assert_int_eq(host.clears, 0);
	check_disk(image);
}
END_TEST

/* B5, virtio 1.2 §5.2.6.2: zeros are read, unmap or not, whatever the host is
 * able to do; and not one byte beside them
 */
START_TEST(zeroes_read_as_zeros)
{
	static const range_t range[] = {
		{ 0, 8, 0 },	       { 3, 1, 0 },	      { 17, 40, 0 },
		{ 100, 9, 0 },	       { 120, 513, 0 },	      { 700, 0, 0 },
		{ SECTORS - 3, 3, 0 }, { SECTORS - 9, 8, 0 }, { 119, 2, 0 },
		{ 800, 1100, 0 },
	};
	static const int no_mode[] = { 0, FALLOC_FL_PUNCH_HOLE,
				       FALLOC_FL_ZERO_RANGE,
				       FALLOC_FL_KEEP_SIZE };
	static uint8_t want[BYTES];

	tear_down();
	for (unsigned int i = 0; i < 4 * 2 * 2; i++) {
		range_t copy[ARRAY_SIZE(range)];

		host.no_mode = no_mode[i % 4]; /* when it is opened, too */
		set_up_disk(BYTES, false, false);
		host.no_mode = no_mode[i % 4];
		ck_assert(fd_start(&fd, fd_device_features(&fd)));
		memcpy(want, image, BYTES);
		memcpy(copy, range, sizeof(range));
		for (unsigned int n = 0; n < ARRAY_SIZE(range); n++) {
			copy[n].flags = i / 4 % 2 ? UNMAP : 0;
			memset(want + range[n].sector * 512, 0,
			       (size_t)range[n].num_sectors * 512);
		}
		if (i < 8) {
			ck_assert_uint_eq(ask(ZEROES, copy, 10), 0);
		} else {
			for (unsigned int n = 0; n < 10; n++)
				ck_assert_uint_eq(
					ask_cut(ZEROES, n, copy + n, 16, 5), 0);
		}
		check_disk(want);
		tear_down();
	}
	set_up_disk(BYTES, false, false);
}
END_TEST

START_TEST(zeroes_with_unmap_give_space_back)
{
	uint64_t before = taken();

	ck_assert_uint_eq(ask_one(ZEROES, 0, 1024, 0), 0);
	ck_assert_uint_eq(taken(), before);
	ck_assert_uint_eq(ask_one(ZEROES, 0, 1024, UNMAP), 0);
	ck_assert_uint_le(taken(), before - 1024 * 512);
}
END_TEST

/* A host that cannot discard: not offered; one that turns out so: done. */
START_TEST(host_without_discard)
{
	struct virtio_blk_config config;

	ck_assert_uint_eq(ask_one(ZEROES, 0, 8, UNMAP), 0);
	host.no_mode = FALLOC_FL_PUNCH_HOLE;
	host.clears = 0;
	ck_assert_uint_eq(ask_one(DISCARD, 8, 8, 0), 0);
	ck_assert_uint_eq(ask_one(DISCARD, 8, 8, 0), 0);
	ck_assert_int_eq(host.clears, 1);
	memset(image, 0, 4096);
	check_disk(image);

	tear_down();
	host.no_mode = FALLOC_FL_PUNCH_HOLE;
	set_up_disk(BYTES, false, false);
	ck_assert_uint_eq(fd_device_features(&fd) & F(DISCARD), 0);
	fd_config_read(&fd, 0, &config, sizeof(config));
	ck_assert_uint_eq(config.max_discard_seg, 0);
	ck_assert_uint_eq(config.write_zeroes_may_unmap, 0);
	ck_assert_uint_eq(config.max_write_zeroes_seg, 64);
}
END_TEST

/* V32: an error of the host is the request's, and the device goes on */
START_TEST(host_errors)
{
	static const int row[] = { EIO, ENOSPC, EPERM, EFBIG };
	const struct virtio_blk_stats *st = virtio_blk_stats(fd.vdev);

	for (unsigned int i = 0; i < ARRAY_SIZE(row); i++) {
		host.fail = row[i];
		ck_assert_uint_eq(ask_one(ZEROES, 0, 8, 0), IOERR);
		ck_assert_uint_eq(ask_one(ZEROES, 0, 8, UNMAP), IOERR);
		ck_assert_uint_eq(ask_one(DISCARD, 0, 8, 0), IOERR);
		host.fail = 0;
		check_disk(image);
	}
	ck_assert_uint_eq(counter_get(&st->errors), 12);
	ck_assert_uint_eq(counter_get(&st->zeroes), 0);
	ck_assert_uint_eq(ask_one(ZEROES, 0, 8, 0), 0);
	ck_assert_uint_eq(counter_get(&st->zeroes), 1);
	ck_assert_uint_eq(counter_get(&st->zero_bytes), 4096);
	ck_assert_uint_eq(st->zero_ns.count, 9);
}
END_TEST

/* V31: a large range takes turns; V9: what was checked is what is done */
START_TEST(large_range_takes_turns)
{
	range_t range[2] = { { 0, 1 << 21, 0 }, { 0, 16, 0 } };
	range_t other[2] = { { UINT64_MAX, 8, 0 }, { 1 << 21, 8, 0 } };
	uint64_t gpa;

	start_over(GIB(1) + 4096, false, false);
	ck_assert_int_eq(pwrite(image_fd, "x", 1, (off_t)GIB(1)), 1);
	ck_assert(fd_start(&fd, ALL));
	for (uint32_t type = DISCARD; type <= ZEROES; type += 2) {
		char byte;

		memset(&host, 0, sizeof(host));
		post(type, 0, range, sizeof(range), 4096);
		gpa = data_gpa;
		ck_assert_uint_eq(status(), PENDING);
		ck_assert_int_eq(host.clears, 1);
		ck_assert_uint_le(host.most, MIB(16));
		memcpy(fd_ptr(&fd, gpa, sizeof(other)), other, sizeof(other));
		for (int i = 0; i < 63; i++)
			loop_step(&fd.loop, 0);
		ck_assert_uint_eq(status(), PENDING);
		for (int i = 0; i < 3; i++)
			loop_step(&fd.loop, 0);
		ck_assert_uint_eq(status(), 0);
		ck_assert_int_eq(host.clears, 65);
		ck_assert(fd_used(&fd, 0, NULL, NULL));
		ck_assert_int_eq(pread(image_fd, &byte, 1, (off_t)GIB(1)), 1);
		ck_assert_int_eq(byte, 'x');
	}
}
END_TEST

static uint8_t writeback(void)
{
	uint8_t value;

	fd_config_read(&fd, CONFIG(wce), &value, 1);
	return value;
}

static void set_writeback(uint8_t value)
{
	fd_mmio_write(&fd, VIRTIO_MMIO_CONFIG + CONFIG(wce), &value, 1);
}

/* The syncs that a write, zeroes and a discard cost. */
static int cost(void)
{
	host.syncs = 0;
	ck_assert_uint_eq(ask_write(0), 0);
	ck_assert_uint_eq(ask_one(ZEROES, 8, 8, 0), 0);
	ck_assert_uint_eq(ask_one(ZEROES, 8, 8, UNMAP), 0);
	ck_assert_uint_eq(ask_one(DISCARD, 16, 8, 0), 0);
	return host.syncs;
}

/* B6, virtio 1.2 §5.2.6.2: writes, zeroes among them, are stable before they
 * are completed: with writeback 0, and without FLUSH; B1, §5.2.5.2: without
 * FLUSH writeback is 0 and stays so
 */
START_TEST(cache_mode)
{
	const uint64_t no_wce = ALL & ~F(CONFIG_WCE);

	for (int through = 0; through < 2; through++) {
		start_over(BYTES, false, through);
		ck_assert(fd_start(&fd, ALL));
		ck_assert_uint_eq(writeback(), !through);
		ck_assert_int_eq(cost(), through ? 3 : 0);
		set_writeback(through);
		ck_assert_uint_eq(writeback(), through);
		ck_assert_int_eq(cost(), through ? 0 : 3);
		set_writeback(!through);
		ck_assert_int_eq(cost(), through ? 3 : 0);
		set_writeback(through);

		/* A reset is the operator's choice again. */
		ck_assert(fd_start(&fd, no_wce));
		ck_assert_uint_eq(writeback(), !through);
		ck_assert_int_eq(cost(), through ? 3 : 0);
		set_writeback(through);
		ck_assert_uint_eq(writeback(), !through);
		ck_assert_int_eq(cost(), through ? 3 : 0);

		for (int wce = 0; wce < 2; wce++) {
			ck_assert(fd_start(&fd,
					   (wce ? ALL : no_wce) & ~F(FLUSH)));
			ck_assert_uint_eq(writeback(), 0);
			ck_assert_int_eq(cost(), 3);
			set_writeback(1);
			ck_assert_uint_eq(writeback(), 0);
			ck_assert_int_eq(cost(), 3);
		}
	}
}
END_TEST

/* Nothing else in the configuration is the driver's, nor at any other time. */
START_TEST(config_writes)
{
	uint8_t before[sizeof(struct virtio_blk_config)], after[sizeof(before)];
	const uint8_t junk[8] = { 0 };

	fd_config_read(&fd, 0, before, sizeof(before));
	for (uint32_t off = 0; off < sizeof(before) + 8; off++) {
		for (unsigned int len = 1; len <= 8; len++) {
			if (off != CONFIG(wce) || len != 1)
				fd_mmio_write(&fd, VIRTIO_MMIO_CONFIG + off,
					      junk, len);
		}
	}
	fd_config_read(&fd, 0, after, sizeof(after));
	ck_assert_mem_eq(before, after, sizeof(before));
	set_writeback(0);
	for (unsigned int value = 2; value < 256; value++)
		set_writeback((uint8_t)value);
	ck_assert_uint_eq(writeback(), 0);
	fd_reset(&fd);
	set_writeback(0);
	ck_assert_uint_eq(writeback(), 1);
}
END_TEST

static uint64_t capacity(void)
{
	uint64_t sectors;

	fd_config_read(&fd, CONFIG(capacity), &sectors, 8);
	return sectors;
}

/* B7, virtio 1.2 §5.2.6.2: a new capacity is announced; C17, §4.2.2.1: and
 * ConfigGeneration tells of it between the halves of a read
 */
START_TEST(resized)
{
	uint32_t generation = fd_reg(&fd, VIRTIO_MMIO_CONFIG_GENERATION);
	uint32_t half[2];

	fd.irq.pulses = 0;
	ck_assert(!virtio_blk_resized(fd.vdev));
	ck_assert_int_eq(ftruncate(image_fd, BYTES + 511), 0);
	ck_assert(!virtio_blk_resized(fd.vdev));
	ck_assert_uint_eq(fd.irq.pulses, 0);
	ck_assert_uint_eq(fd_reg(&fd, VIRTIO_MMIO_CONFIG_GENERATION),
			  generation);

	fd_mmio_read(&fd, VIRTIO_MMIO_CONFIG, &half[0], 4);
	ck_assert_uint_eq(ask_write(SECTORS), IOERR);
	ck_assert_int_eq(ftruncate(image_fd, 3ll << 40), 0);
	fd.irq.pulses = 0;
	ck_assert(virtio_blk_resized(fd.vdev));
	fd_mmio_read(&fd, VIRTIO_MMIO_CONFIG + 4, &half[1], 4);
	ck_assert_uint_ne(half[0] | (uint64_t)half[1] << 32, 3ull << 31);
	ck_assert_uint_ne(fd_reg(&fd, VIRTIO_MMIO_CONFIG_GENERATION),
			  generation);
	ck_assert_uint_eq(capacity(), 3ull << 31);
	ck_assert_uint_eq(fd.irq.pulses, 1);
	ck_assert_uint_eq(fd_reg(&fd, VIRTIO_MMIO_INTERRUPT_STATUS) &
				  VIRTIO_MMIO_INT_CONFIG,
			  VIRTIO_MMIO_INT_CONFIG);
	ck_assert_uint_eq(ask_write(SECTORS), 0);
	ck_assert_uint_eq(ask_write((3ull << 31) - 1), 0);
	ck_assert_uint_eq(ask_write(3ull << 31), IOERR);

	ck_assert_int_eq(ftruncate(image_fd, 4096), 0);
	ck_assert(virtio_blk_resized(fd.vdev));
	ck_assert_uint_eq(capacity(), 8);
	ck_assert_uint_eq(ask_write(7), 0);
	ck_assert_uint_eq(ask_write(8), IOERR);
	ck_assert_uint_eq(ask_one(DISCARD, 7, 2, 0), IOERR);
}
END_TEST

/* An image that lost its end: writes there fail, and it stays as short. */
START_TEST(shrunk_image_is_not_extended)
{
	const off_t left = 1000 * 512 + 100;
	struct stat st;

	ck_assert_int_eq(ftruncate(image_fd, left), 0);
	ck_assert_uint_eq(ask_write(1000), IOERR);
	ck_assert_uint_eq(ask_write(1500), IOERR);
	ck_assert_uint_eq(ask_cut(VIRTIO_BLK_T_OUT, 992, image, 16 * 512, 4096),
			  IOERR);
	ck_assert_uint_eq(ask_one(ZEROES, 992, 16, 0), IOERR);
	ck_assert_uint_eq(ask_one(ZEROES, 1600, 16, UNMAP), IOERR);
	ck_assert_uint_eq(ask_one(DISCARD, 992, 16, 0), 0);
	ck_assert_uint_eq(ask_write(999), 0);
	ck_assert_int_eq(fstat(image_fd, &st), 0);
	ck_assert_int_eq(st.st_size, left);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("blk_range");
	TCase *tc = tcase_create("range");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, unknown_flags);
	tcase_add_test(tc, not_negotiated);
	tcase_add_test(tc, bad_segments);
	tcase_add_test(tc, limits);
	tcase_add_test(tc, discard_gives_space_back);
	tcase_add_test(tc, discard_of_parts_does_nothing);
	tcase_add_test(tc, zeroes_read_as_zeros);
	tcase_add_test(tc, zeroes_with_unmap_give_space_back);
	tcase_add_test(tc, host_without_discard);
	tcase_add_test(tc, host_errors);
	tcase_add_test(tc, large_range_takes_turns);
	tcase_add_test(tc, cache_mode);
	tcase_add_test(tc, config_writes);
	tcase_add_test(tc, resized);
	tcase_add_test(tc, shrunk_image_is_not_extended);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
