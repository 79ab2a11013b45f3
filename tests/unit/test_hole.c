// SPDX-License-Identifier: Apache-2.0
/*
 * test_hole.c - holes in files and block devices: what is asked of the host
 *
 * No call reaches the kernel, but for the last test, which is done with a real
 * loop device where there is one to be had.  `host` says what each call gives
 * and keeps what it was.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/loop.h>

#include "base/util.h"
#include "tests/unit/unit.h"
#include "virtio/disk.h"
#include "virtio/hole.h"

#define PUNCH (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)
#define ZERO  (FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE)
#define FD    99

static struct {
	bool real;		/* pass on to the kernel */
	int eintr;		/* calls still to be interrupted */
	int punch, zero, ioctl; /* errno of each, or 0 */
	int calls;
	int mode; /* of the last fallocate; -1 after BLKDISCARD */
	uint64_t offset, len;
} host;

static int host_answer(int mode, uint64_t offset, uint64_t len, int error)
{
	host.calls++;
	host.mode = mode;
	host.offset = offset;
	host.len = len;
	if (host.eintr > 0) {
		host.eintr--;
		error = EINTR;
	}
	errno = error;
	return error ? -1 : 0;
}

int fallocate(int f, int mode, off_t off, off_t len)
{
	if (host.real)
		return (int)syscall(SYS_fallocate, f, mode, off, len);
	ck_assert_int_eq(f, FD);
	ck_assert(mode == PUNCH || mode == ZERO);
	return host_answer(mode, (uint64_t)off, (uint64_t)len,
			   mode == PUNCH ? host.punch : host.zero);
}

int ioctl(int f, unsigned long request, ...)
{
	const uint64_t *range;
	va_list args;

	va_start(args, request);
	range = va_arg(args, const uint64_t *);
	va_end(args);
	if (host.real)
		return (int)syscall(SYS_ioctl, f, request, range);
	ck_assert_int_eq(f, FD);
	ck_assert_uint_eq(request, BLKDISCARD);
	return host_answer(-1, range[0], range[1], host.ioctl);
}

static struct hole_puncher hp;

/* A file of 10000 bytes, or a device. */
static void probe(mode_t mode, blksize_t block, bool writable)
{
	const struct stat st = { .st_mode = mode, .st_blksize = block };

	hole_probe(&hp, FD, &st, 10000, writable);
}

static void set_up(void)
{
	memset(&host, 0, sizeof(host));
}

START_TEST(granularity)
{
	static const struct {
		blksize_t block;
		uint32_t granularity;
	} row[] = { { 0, 4096 },	  { 256, 4096 },     { 512, 512 },
		    { 1024, 1024 },	  { 4096, 4096 },    { 65536, 65536 },
		    { 1 << 20, 1 << 20 }, { 1 << 21, 4096 }, { 3000, 4096 },
		    { -4096, 4096 } };

	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		probe(S_IFREG, row[i].block, true);
		ck_assert_uint_eq(hp.granularity, row[i].granularity);
	}
}
END_TEST

/* What is tried when a disk is opened is a hole behind the end of a file, and
 * of a device a discard that cannot be: not aligned.
 */
START_TEST(probe_changes_nothing)
{
	probe(S_IFREG, 4096, true);
	ck_assert(hp.can_discard && hp.can_punch);
	ck_assert_int_eq(host.mode, PUNCH);
	ck_assert_uint_ge(host.offset, 10000);
	ck_assert_uint_gt(host.len, 0);
	host.punch = EOPNOTSUPP;
	probe(S_IFREG, 4096, true);
	ck_assert(!hp.can_discard && !hp.can_punch);

	host.ioctl = EINVAL;
	probe(S_IFBLK, 4096, true);
	ck_assert(hp.can_discard);
	ck_assert_int_eq(host.mode, -1);
	ck_assert(host.offset % 512 && host.len % 512);
	host.ioctl = EOPNOTSUPP;
	probe(S_IFBLK, 4096, true);
	ck_assert(!hp.can_discard);

	host.calls = 0;
	probe(S_IFREG, 4096, false);
	ck_assert(!hp.can_discard && !hp.can_punch && !hp.can_zero_range);
	probe(S_IFBLK, 4096, false);
	ck_assert(!hp.can_discard && !hp.can_punch && !hp.can_zero_range);
	ck_assert_int_eq(host.calls, 0);
}
END_TEST

START_TEST(discard_is_aligned_inwards)
{
	static const struct {
		uint64_t offset, len, at, bytes; /* 0 bytes: no call */
	} row[] = {
		{ 0, 4096, 0, 4096 },	    { 4096, 8192, 4096, 8192 },
		{ 512, 8192, 4096, 4096 },  { 1, 4095, 0, 0 },
		{ 4095, 4097, 4096, 4096 }, { 512, 4096, 0, 0 },
		{ 0, 4095, 0, 0 },	    { 8192, 4097, 8192, 4096 },
	};

	for (int block = 0; block < 2; block++) {
		host.ioctl = EINVAL;
		probe(block ? S_IFBLK : S_IFREG, 4096, true);
		host.ioctl = 0;
		for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
			host.calls = 0;
			ck_assert_int_eq(hole_discard(&hp, row[i].offset,
						      row[i].len),
					 0);
			ck_assert_int_eq(host.calls, row[i].bytes > 0);
			if (row[i].bytes == 0)
				continue;
			ck_assert_int_eq(host.mode, block ? -1 : PUNCH);
			ck_assert_uint_eq(host.offset, row[i].at);
			ck_assert_uint_eq(host.len, row[i].bytes);
		}
	}
}
END_TEST

/* A discard of a device that turns out unable is done, and not tried again; any
 * other error is one.
 */
START_TEST(discard_errors)
{
	static const int unable[] = { EOPNOTSUPP, ENOSYS, ENODEV, ENOTTY };

	for (size_t i = 0; i < ARRAY_SIZE(unable); i++) {
		host.ioctl = EINVAL;
		probe(S_IFBLK, 4096, true);
		host.ioctl = EIO;
		ck_assert_int_eq(hole_discard(&hp, 0, 4096), -EIO);
		host.ioctl = unable[i];
		ck_assert_int_eq(hole_discard(&hp, 0, 4096), 0);
		host.calls = 0;
		ck_assert_int_eq(hole_discard(&hp, 0, 4096), 0);
		ck_assert_int_eq(host.calls, 0);
	}
}
END_TEST

/* Zeros: unmapping if that is allowed, else what keeps the space, else written
 * by the caller; what the host cannot do is not asked of it again.
 */
START_TEST(zero_by_the_best_way)
{
	probe(S_IFREG, 4096, true);
	ck_assert_int_eq(hole_zero(&hp, 4096, 8192, true), 0);
	ck_assert_int_eq(host.mode, PUNCH);
	ck_assert_int_eq(hole_zero(&hp, 4096, 8192, false), 0);
	ck_assert_int_eq(host.mode, ZERO);
	ck_assert_uint_eq(host.offset, 4096);
	ck_assert_uint_eq(host.len, 8192);

	host.punch = EOPNOTSUPP;
	host.calls = 0;
	ck_assert_int_eq(hole_zero(&hp, 0, 4096, true), 0);
	ck_assert_int_eq(host.mode, ZERO);
	ck_assert_int_eq(host.calls, 2);
	ck_assert_int_eq(hole_zero(&hp, 0, 4096, true), 0);
	ck_assert_int_eq(host.calls, 3);
	host.zero = EIO;
	ck_assert_int_eq(hole_zero(&hp, 0, 4096, true), -EIO);
	host.zero = EINVAL;
	ck_assert_int_eq(hole_zero(&hp, 0, 4096, true), -EOPNOTSUPP);
	host.zero = EOPNOTSUPP;
	ck_assert_int_eq(hole_zero(&hp, 0, 4096, false), -EOPNOTSUPP);
	host.calls = 0;
	ck_assert_int_eq(hole_zero(&hp, 0, 4096, true), -EOPNOTSUPP);
	ck_assert_int_eq(hole_zero(&hp, 0, 4096, false), -EOPNOTSUPP);
	ck_assert_int_eq(host.calls, 0);
}
END_TEST

START_TEST(interrupted)
{
	host.ioctl = EINVAL;
	host.eintr = 2;
	probe(S_IFBLK, 4096, true);
	ck_assert(hp.can_discard);
	host.ioctl = 0;
	host.eintr = 3;
	ck_assert_int_eq(hole_discard(&hp, 0, 4096), 0);
	ck_assert_int_eq(host.eintr, 0);
	host.eintr = 3;
	ck_assert_int_eq(hole_zero(&hp, 0, 4096, true), 0);
	ck_assert_int_eq(host.eintr, 0);
}
END_TEST

static char path[] = "/var/tmp/mote-hole-XXXXXX";

/* A loop device over FILE, which goes when it is closed; or -1. */
static int attach(int file, char *name, size_t len)
{
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	struct loop_config config = { .fd = (uint32_t)file };
	int nr = control < 0 ? -1 : ioctl(control, LOOP_CTL_GET_FREE, NULL);
	int loop;

	if (control >= 0)
		close(control);
	if (nr < 0)
		return -1;
	config.info.lo_flags = LO_FLAGS_AUTOCLEAR;
	snprintf(name, len, "/dev/loop%d", nr);
	loop = open(name, O_RDWR | O_CLOEXEC);
	if (loop >= 0 && ioctl(loop, LOOP_CONFIGURE, &config) < 0) {
		close(loop);
		return -1;
	}
	return loop;
}

static uint64_t taken(int file)
{
	struct stat st;

	ck_assert_int_eq(fsync(file), 0);
	ck_assert_int_eq(fstat(file, &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

/* One hole is all but the blocks at both ends. */
static void check_hole(int file, uint64_t size)
{
	struct stat st;

	ck_assert_int_eq(fsync(file), 0);
	ck_assert_int_eq(fstat(file, &st), 0);
	ck_assert_int_eq(lseek(file, 0, SEEK_HOLE), st.st_blksize);
	ck_assert_int_eq(lseek(file, st.st_blksize, SEEK_DATA),
			 (off_t)size - st.st_blksize);
}

static uint64_t clear_all(struct disk *disk, uint64_t at, uint64_t len,
			  int zero)
{
	uint64_t parts = 0;

	for (; len > 0; parts++) {
		int64_t ret = zero ? disk_zero(disk, at, len, zero > 1)
				   : disk_discard(disk, at, len);

		ck_assert_int_gt(ret, 0);
		at += (uint64_t)ret;
		len -= (uint64_t)ret;
	}
	return parts;
}

/* Through a disk: a file, and a loop device on it.  Ranges that are not aligned
 * are cut so that nothing but their ends stays.
 */
static void check_disk(const char *name, int file, uint64_t size)
{
	static uint8_t got[MIB(1)], want[MIB(1)];
	struct disk *disk;

	ck_assert_int_eq(disk_open(name, false, false, &disk), 0);
	ck_assert(disk_can_discard(disk));
	for (int zero = 0; zero < 3; zero++) {
		uint64_t at = 512 * 5, len = size - 2 * at;

		memset(got, 0x5a, sizeof(got));
		for (uint64_t off = 0; off < size; off += sizeof(got)) {
			struct iovec iov = { got, sizeof(got) };

			ck_assert_int_eq(disk_write(disk, &iov, 1, off), 0);
		}
		ck_assert_int_eq(disk_flush(disk), 0);
		ck_assert_uint_ge(taken(file), size);
		ck_assert_uint_le(clear_all(disk, at, len, zero), 6);
		ck_assert_int_eq(disk_flush(disk), 0);
		if (zero != 1 && name == path)
			check_hole(file, size);
		else if (zero != 1)
			ck_assert_uint_lt(taken(file), MIB(1));
		for (uint64_t off = 0; off < size; off += sizeof(got)) {
			struct iovec iov = { got, sizeof(got) };

			ck_assert_int_eq(disk_read(disk, &iov, 1, off), 0);
			/* What was discarded is not promised. */
			memcpy(want, got, sizeof(want));
			if (zero)
				memset(want, 0, sizeof(want));
			if (off == 0)
				memset(want, 0x5a, at);
			if (off + sizeof(got) == size)
				memset(want + sizeof(got) - at, 0x5a, at);
			ck_assert_mem_eq(got, want, sizeof(got));
		}
	}
	disk_close(disk);
}

START_TEST(real_file_and_device)
{
	const uint64_t size = MIB(33);
	char name[32];
	int file, loop;

	host.real = true;
	file = mkstemp(path);
	ck_assert_int_ge(file, 0);
	ck_assert_int_eq(ftruncate(file, (off_t)size), 0);
	check_disk(path, file, size);
	loop = attach(file, name, sizeof(name));
	unlink(path);
	if (loop >= 0) {
		check_disk(name, file, size);
		close(loop);
	}
	close(file);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("hole");
	TCase *tc = tcase_create("hole");

	tcase_add_checked_fixture(tc, set_up, NULL);
	tcase_add_test(tc, granularity);
	tcase_add_test(tc, probe_changes_nothing);
	tcase_add_test(tc, discard_is_aligned_inwards);
	tcase_add_test(tc, discard_errors);
	tcase_add_test(tc, zero_by_the_best_way);
	tcase_add_test(tc, interrupted);
	tcase_add_test(tc, real_file_and_device);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
