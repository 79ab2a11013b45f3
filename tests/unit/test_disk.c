// SPDX-License-Identifier: Apache-2.0
/*
 * test_disk.c - raw disk images: locks, alignment, short transfers, host errors
 *
 * The kernel never interrupts or shortens a transfer on demand, so this program
 * stands between: its own preadv2, pwritev2 and fdatasync pass on to the kernel,
 * and a test says in `host` how they misbehave.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/util.h"
#include "tests/unit/host_io.h"
#include "tests/unit/unit.h"
#include "virtio/disk.h"

#define SECTORS 64u
#define BYTES	((size_t)SECTORS * SECTOR_SIZE)

static struct {
	size_t most;   /* bytes a transfer moves at most; 0: all */
	int eintr;     /* calls still to be interrupted */
	int fail;      /* errno of every call that is not interrupted */
	ssize_t claim; /* what a read says it moved, if not 0 */
	int calls;
} host;

static int host_trouble(void)
{
	host.calls++;
	if (host.eintr > 0) {
		host.eintr--;
		errno = EINTR;
		return -1;
	}
	errno = host.fail;
	return host.fail ? -1 : 0;
}

/* At most host.most bytes of IOV; all of it when there is no limit. */
static int host_cut(const struct iovec *iov, int nr, struct iovec cut[64])
{
	size_t left = host.most ? host.most : SIZE_MAX;
	int n = 0;

	ck_assert_int_le(nr, 64);
	for (; n < nr && left > 0; n++) {
		cut[n] = iov[n];
		cut[n].iov_len = MIN(left, iov[n].iov_len);
		left -= cut[n].iov_len;
	}
	return n;
}

static ssize_t host_preadv(int fd, const struct iovec *iov, int nr, off_t off)
{
	struct iovec cut[64];
	ssize_t got;

	if (host_trouble() < 0)
		return -1;
	nr = host_cut(iov, nr, cut);
	got = kernel(SYS_preadv, (long[6]){ fd, (long)cut, nr, off });
	return got > 0 && host.claim ? host.claim : got;
}

static ssize_t host_pwritev(int fd, const struct iovec *iov, int nr, off_t off)
{
	struct iovec cut[64];

	if (host_trouble() < 0)
		return -1;
	nr = host_cut(iov, nr, cut);
	return kernel(SYS_pwritev, (long[6]){ fd, (long)cut, nr, off });
}

int fdatasync(int fd)
{
	if (host_trouble() < 0)
		return -1;
	return (int)kernel(SYS_fdatasync, (long[6]){ fd });
}

static char dir[64], path[96];
static uint8_t image[BYTES]; /* what the file holds at the start */
static uint8_t mem[BYTES + 2 * PAGE_SIZE] __attribute__((aligned(4096)));

static void write_image(size_t len)
{
	int fd = open(path, O_CREAT | O_TRUNC | O_RDWR, 0600);

	ck_assert_int_ge(fd, 0);
	for (size_t i = 0; i < BYTES; i++)
		image[i] = (uint8_t)(i * 7 + i / SECTOR_SIZE);
	ck_assert_int_eq(write(fd, image, len), (ssize_t)len);
	close(fd);
}

static void check_file(const uint8_t *want)
{
	static uint8_t got[BYTES];
	int fd = open(path, O_RDONLY);

	ck_assert_int_eq(pread(fd, got, BYTES, 0), BYTES);
	close(fd);
	ck_assert_mem_eq(got, want, BYTES);
}

static void set_up_in(const char *parent)
{
	memset(&host, 0, sizeof(host));
	snprintf(dir, sizeof(dir), "%s/mote-disk-XXXXXX", parent);
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/image", dir);
	write_image(BYTES);
}

static void set_up(void)
{
	set_up_in("/var/tmp");
}

static void tear_down(void)
{
	unlink(path);
	rmdir(dir);
}

static struct disk *open_disk(bool read_only, bool direct)
{
	struct disk *disk = NULL;

	ck_assert_int_eq(disk_open(path, read_only, direct, &disk), 0);
	return disk;
}

START_TEST(open_refuses_what_is_no_disk)
{
	struct disk *disk;

	ck_assert_int_eq(disk_open(dir, false, false, &disk), -EISDIR);
	ck_assert_int_eq(disk_open(dir, true, false, &disk), -EISDIR);
	ck_assert_int_eq(disk_open("/nowhere/x", true, false, &disk), -ENOENT);
	ck_assert_int_eq(disk_open("/dev/null", true, false, &disk), -ENOTSUP);
	unlink(path);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(disk_open(path, true, false, &disk), -ENOTSUP);
	ck_assert_int_eq(disk_open(path, false, false, &disk), -ENOTSUP);
}
END_TEST

START_TEST(size_is_whole_sectors)
{
	static const struct {
		size_t bytes;
		uint64_t sectors;
	} row[] = { { 0, 0 },	 { 511, 0 },  { 512, 1 },
		    { 1023, 1 }, { 1024, 2 }, { BYTES - 1, SECTORS - 1 } };

	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		struct disk *disk;

		write_image(row[i].bytes);
		disk = open_disk(false, false);
		ck_assert_uint_eq(disk_sectors(disk), row[i].sectors);
		ck_assert_uint_eq(disk_block_size(disk), SECTOR_SIZE);
		disk_close(disk);
	}
}
END_TEST

START_TEST(writers_exclude_all_and_readers_share)
{
	struct disk *a, *b;

	a = open_disk(false, false);
	ck_assert_int_eq(disk_open(path, false, false, &b), -EAGAIN);
	ck_assert_int_eq(disk_open(path, true, false, &b), -EAGAIN);
	disk_close(a);

	a = open_disk(true, false);
	b = open_disk(true, false);
	ck_assert(disk_read_only(a));
	disk_close(b);
	ck_assert_int_eq(disk_open(path, false, false, &b), -EAGAIN);
	disk_close(a);

	a = open_disk(false, false);
	ck_assert(!disk_read_only(a));
	disk_close(a);
}
END_TEST

/* Segments of every awkward size, empty ones among them, over MEM. */
static unsigned int awkward(struct iovec iov[128], size_t len)
{
	static const size_t size[] = { 1, 0, 511, 512, 3, 0, 0, 1021, 700 };
	uint8_t *p = mem + 1;
	unsigned int n = 0;

	while (len > 0) {
		size_t here = MIN(len, size[n % ARRAY_SIZE(size)]);

		iov[n].iov_base = p;
		iov[n].iov_len = here;
		p += here + 1; /* a gap that nobody may touch */
		len -= here;
		n++;
		ck_assert_uint_lt(n, 128);
	}
	return n;
}

static void fill(const struct iovec *iov, unsigned int n, const uint8_t *from)
{
	memset(mem, 0xee, sizeof(mem));
	for (unsigned int i = 0; i < n; i++) {
		memcpy(iov[i].iov_base, from, iov[i].iov_len);
		from += iov[i].iov_len;
	}
}

/* MEM holds WANT in the segments, and 0xee everywhere else. */
static void check(const struct iovec *iov, unsigned int n, const uint8_t *want)
{
	static uint8_t all[sizeof(mem)];

	memset(all, 0xee, sizeof(all));
	for (unsigned int i = 0; i < n; i++) {
		size_t at = (size_t)((uint8_t *)iov[i].iov_base - mem);

		memcpy(all + at, want, iov[i].iov_len);
		want += iov[i].iov_len;
	}
	ck_assert_mem_eq(mem, all, sizeof(mem));
}

/* Reads and writes LEN bytes at OFFSET in awkward pieces. */
static void round_trip(struct disk *disk, uint64_t offset, size_t len)
{
	static uint8_t want[BYTES], fresh[BYTES];
	static struct iovec iov[128];
	unsigned int n = awkward(iov, len);
	struct iovec far = { fresh + 1, 512 };

	memset(mem, 0xee, sizeof(mem));
	ck_assert_int_eq(disk_read(disk, iov, n, offset), 0);
	check(iov, n, image + offset);

	/* Leave something else in the bounce buffer, if there is one. */
	ck_assert_int_eq(disk_read(disk, &far, 1,
				   offset < BYTES / 2 ? BYTES - 512 : 0),
			 0);
	for (size_t i = 0; i < len; i++)
		fresh[i] = (uint8_t)(i * 13 + 5);
	fill(iov, n, fresh);
	ck_assert_int_eq(disk_write(disk, iov, n, offset), 0);
	memcpy(want, image, BYTES);
	memcpy(want + offset, fresh, len);
	check_file(want);

	fill(iov, n, image + offset);
	ck_assert_int_eq(disk_write(disk, iov, n, offset), 0);
	check_file(image);
}

START_TEST(moves_all_bytes_in_any_pieces)
{
	struct disk *disk = open_disk(false, false);

	round_trip(disk, 0, BYTES);
	round_trip(disk, 512, 512);
	round_trip(disk, BYTES - 1536, 1536);
	round_trip(disk, 5 * 512, 7 * 512);
	disk_close(disk);
}
END_TEST

/* The iovec is longer than one batch; a whole batch of it is empty. */
START_TEST(more_segments_than_a_batch)
{
	struct disk *disk = open_disk(false, false);
	struct iovec iov[256];

	memset(mem, 0xee, sizeof(mem));
	for (unsigned int i = 0; i < 256; i++) {
		iov[i].iov_base = mem + 4 * (i % 128);
		iov[i].iov_len = i < 128 ? 0 : 4;
	}
	ck_assert_int_eq(disk_read(disk, iov, 256, 512), 0);
	ck_assert_mem_eq(mem, image + 512, 512);
	ck_assert_uint_eq(mem[512], 0xee);
	ck_assert_int_eq(disk_read(disk, iov, 128, 0), 0);
	ck_assert_int_eq(disk_read(disk, iov, 0, 0), 0);
	disk_close(disk);
}
END_TEST

START_TEST(interrupted_and_short_transfers_are_completed)
{
	static const size_t most[] = { 1, 3, 511, 513, 2000 };
	struct disk *disk = open_disk(false, false);

	for (size_t i = 0; i < ARRAY_SIZE(most); i++) {
		host.most = most[i];
		host.eintr = 3;
		round_trip(disk, 512, 4096);
		ck_assert_int_eq(host.eintr, 0);
	}
	host.eintr = 2;
	ck_assert_int_eq(disk_flush(disk), 0);
	ck_assert_int_eq(host.eintr, 0);
	disk_close(disk);
}
END_TEST

/* Security V32: a host error is returned, never more. */
START_TEST(host_errors_are_returned)
{
	static const int row[] = { EIO, ENOSPC, EFBIG, EDQUOT, ENOMEM };
	struct iovec iov = { mem, 1024 };

	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		struct disk *disk = open_disk(false, false);

		host.fail = row[i];
		ck_assert_int_eq(disk_read(disk, &iov, 1, 0), -row[i]);
		ck_assert_int_eq(disk_write(disk, &iov, 1, 0), -row[i]);
		ck_assert_int_eq(disk_flush(disk), -row[i]);
		host.fail = 0;
		disk_close(disk);
	}
	check_file(image);
}
END_TEST

/* After a failed fdatasync(2) Linux takes the lost pages for clean, and the next
 * one succeeds.  What the driver wrote before is not stable for all that.
 */
START_TEST(failed_flush_is_not_forgotten)
{
	struct disk *disk = open_disk(false, false);
	struct iovec iov = { image, 1024 };

	ck_assert_int_eq(disk_flush(disk), 0);
	ck_assert_int_eq(disk_write(disk, &iov, 1, 0), 0);
	host.fail = ENOSPC;
	ck_assert_int_eq(disk_flush(disk), -ENOSPC);
	host.fail = 0;
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(disk_flush(disk), -ENOSPC);
		ck_assert_int_eq(disk_read(disk, &iov, 1, 0), 0);
		ck_assert_int_eq(disk_write(disk, &iov, 1, 0), 0);
	}
	disk_close(disk);

	/* An interrupted one is none. */
	disk = open_disk(false, false);
	host.eintr = 3;
	ck_assert_int_eq(disk_flush(disk), 0);
	disk_close(disk);
}
END_TEST

START_TEST(read_only_is_enforced)
{
	struct disk *disk = open_disk(true, false);
	struct iovec iov = { mem, 512 };

	ck_assert_int_eq(disk_write(disk, &iov, 1, 0), -EROFS);
	ck_assert_int_eq(host.calls, 0);
	check_file(image);
	ck_assert_int_eq(disk_read(disk, &iov, 1, 512), 0);
	ck_assert_mem_eq(mem, image + 512, 512);
	ck_assert_int_eq(disk_flush(disk), 0);
	disk_close(disk);
}
END_TEST

/* Security V17: what is not in the file any more reads as zeros. */
START_TEST(shrunk_file_reads_zeros)
{
	static const size_t left[] = { 0, 100, 512, 1000, 5000 };

	for (int direct = 0; direct < 2; direct++) {
		for (size_t i = 0; i < ARRAY_SIZE(left); i++) {
			static uint8_t want[BYTES];
			struct iovec iov[2] = { { mem, 4096 },
						{ mem + 4096, BYTES - 4096 } };
			struct disk *disk;

			write_image(BYTES);
			disk = open_disk(false, direct);
			ck_assert_int_eq(truncate(path, (off_t)left[i]), 0);
			memset(mem, 0xee, sizeof(mem));
			memset(want, 0, sizeof(want));
			memcpy(want, image, left[i]);
			ck_assert_int_eq(disk_read(disk, iov, 2, 0), 0);
			ck_assert_mem_eq(mem, want, BYTES);
			ck_assert_uint_eq(mem[BYTES], 0xee);
			disk_close(disk);
		}
	}
}
END_TEST

START_TEST(direct_moves_all_bytes_of_any_alignment)
{
	struct disk *disk = open_disk(false, true);
	struct iovec iov = { mem, BYTES };

	ck_assert_int_eq(disk_read(disk, &iov, 1, 0), 0);
	ck_assert_mem_eq(mem, image, BYTES);
	ck_assert_int_eq(host.calls, 1); /* aligned: no bounce */

	round_trip(disk, 0, BYTES);
	for (size_t sector = 0; sector < 9; sector++)
		for (size_t n = 1; n < 18; n += 5)
			round_trip(disk, sector * 512, n * 512);
	round_trip(disk, BYTES - 512, 512);
	disk_close(disk);
}
END_TEST

/* Requests larger than the bounce buffer (128 KiB), from odd memory. */
START_TEST(direct_goes_round_the_bounce_buffer)
{
	static uint8_t big[MIB(1) + 1], back[MIB(1) + 3];
	struct iovec out = { big + 1, MIB(1) - 512 };
	struct iovec in = { back + 3, MIB(1) - 512 };
	struct disk *disk;

	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (uint8_t)(i ^ (i >> 9) ^ (i >> 17) * 31);
	ck_assert_int_eq(truncate(path, MIB(1)), 0);
	disk = open_disk(false, true);
	ck_assert_int_eq(disk_write(disk, &out, 1, 512), 0);
	ck_assert_int_eq(disk_read(disk, &in, 1, 512), 0);
	ck_assert_mem_eq(back + 3, big + 1, MIB(1) - 512);
	disk_close(disk);
}
END_TEST

/* A short transfer that ends inside a block, with more of the file behind it,
 * is an error and not the end of the file.
 */
START_TEST(direct_does_not_take_a_short_read_for_the_end)
{
	struct disk *disk = open_disk(false, true);
	struct iovec iov = { mem, BYTES };

	host.claim = 100;
	ck_assert_int_eq(disk_read(disk, &iov, 1, 0), -EIO);
	disk_close(disk);
}
END_TEST

/* V27: raw is raw: a file that looks like another format is served as it is, and
 * the backing file that it names is not looked for.
 */
START_TEST(no_format_but_raw)
{
	static const char name[] = "/etc/passwd";
	struct {
		uint8_t magic[4], version[4], name_at[8], name_len[4];
		uint8_t cluster_bits[4], size[8];
		char name[32];
	} qcow2 = {
		{ 'Q', 'F', 'I', 0xfb },
		{ 0, 0, 0, 2 },
		{ [7] = 32 },
		{ [3] = sizeof(name) - 1 },
		{ [3] = 16 },
		{ [3] = 1 },
		"",
	};
	struct iovec iov = { mem, BYTES };
	struct disk *disk;
	int fd = open(path, O_WRONLY);

	memcpy(qcow2.name, name, sizeof(name));
	memcpy(image, &qcow2, sizeof(qcow2));
	ck_assert_int_eq(pwrite(fd, &qcow2, sizeof(qcow2), 0), sizeof(qcow2));
	close(fd);
	disk = open_disk(false, false);
	ck_assert_uint_eq(disk_sectors(disk), SECTORS);
	ck_assert_int_eq(disk_read(disk, &iov, 1, 0), 0);
	ck_assert_mem_eq(mem, image, BYTES);
	iov = (struct iovec){ mem, BYTES };
	ck_assert_int_eq(disk_write(disk, &iov, 1, 0), 0);
	check_file(image);
	disk_close(disk);
}
END_TEST

START_TEST(id_is_stable_and_tells_files_apart)
{
	char a[DISK_ID_BYTES], b[DISK_ID_BYTES], other[96];
	struct disk *disk = open_disk(true, false);

	disk_id(disk, a);
	disk_close(disk);
	disk = open_disk(false, false);
	disk_id(disk, b);
	disk_close(disk);
	ck_assert_mem_eq(a, b, DISK_ID_BYTES);

	snprintf(other, sizeof(other), "%s/other", dir);
	ck_assert_int_eq(close(open(other, O_CREAT | O_RDWR, 0600)), 0);
	ck_assert_int_eq(disk_open(other, true, false, &disk), 0);
	disk_id(disk, b);
	disk_close(disk);
	unlink(other);
	ck_assert_mem_ne(a, b, DISK_ID_BYTES);

	for (size_t i = 0; i < DISK_ID_BYTES; i++)
		ck_assert(strchr("0123456789abcdef", a[i]) && a[i]);
}
END_TEST

/* B11, virtio 1.2 §5.2.6: up to 20 bytes, padded with NUL */
START_TEST(id_of_the_operator)
{
	static const struct {
		const char *text;
		char id[DISK_ID_BYTES + 1];
	} row[] = {
		{ "S", "S" },
		{ "01234567890123456789", "01234567890123456789" },
		{ "012345678901234567890123", "01234567890123456789" },
		{ "ab-cd", "ab-cd" },
	};
	struct disk *disk = open_disk(false, false);

	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		char id[DISK_ID_BYTES + 1];

		memset(id, 'x', sizeof(id));
		disk_set_id(disk, row[i].text);
		disk_id(disk, id);
		ck_assert_mem_eq(id, row[i].id, DISK_ID_BYTES);
		ck_assert_int_eq(id[DISK_ID_BYTES], 'x');
	}
	disk_close(disk);
}
END_TEST

/* A write that reaches beyond what the file has left writes nothing, and does
 * not make it longer; with O_DIRECT in any alignment too.
 */
START_TEST(shrunk_file_is_not_extended)
{
	static const off_t left[] = { 0, 511, 512, 4096, BYTES - 1 };

	for (unsigned int i = 0; i < 2 * ARRAY_SIZE(left); i++) {
		off_t end = left[i / 2];
		struct iovec all = { mem, BYTES }, one = { mem + 1, 512 };
		struct disk *disk;
		struct stat st;

		write_image(BYTES);
		disk = open_disk(false, i % 2);
		ck_assert_int_eq(truncate(path, end), 0);
		ck_assert_int_eq(disk_write(disk, &all, 1, 0), -ENXIO);
		ck_assert_int_eq(disk_write(disk, &one, 1, BYTES - 512),
				 -ENXIO);
		ck_assert_int_eq(disk_zero(disk, 0, BYTES, i % 3 > 0), -ENXIO);
		ck_assert_int_gt(disk_discard(disk, 0, BYTES), 0);
		ck_assert_int_eq(host.calls, 0);
		ck_assert_int_eq(stat(path, &st), 0);
		ck_assert_int_eq(st.st_size, end);
		disk_close(disk);
	}
}
END_TEST

/* The size is looked at when that is asked for, and not else. */
START_TEST(resize)
{
	struct disk *disk = open_disk(false, false);

	ck_assert(!disk_resize(disk));
	ck_assert_int_eq(truncate(path, BYTES + 511), 0);
	ck_assert(!disk_resize(disk));
	ck_assert_int_eq(truncate(path, BYTES + 1536), 0);
	ck_assert_uint_eq(disk_sectors(disk), SECTORS);
	ck_assert(disk_resize(disk));
	ck_assert_uint_eq(disk_sectors(disk), SECTORS + 3);
	ck_assert(!disk_resize(disk));
	ck_assert_int_eq(truncate(path, 0), 0);
	ck_assert(disk_resize(disk));
	ck_assert_uint_eq(disk_sectors(disk), 0);
	disk_close(disk);
}
END_TEST

/* RLIMIT_FSIZE: EFBIG, and with SIGXFSZ ignored nothing else. */
START_TEST(file_size_limit_is_an_error)
{
	struct rlimit old, small;
	struct iovec iov = { mem, 4096 };
	struct disk *disk = open_disk(false, false);

	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
	ck_assert_int_eq(truncate(path, 0), 0); /* sparse */
	ck_assert_int_eq(truncate(path, BYTES), 0);
	small = old;
	small.rlim_cur = 1024;
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
	ck_assert_int_eq(disk_write(disk, &iov, 1, 0), -EFBIG);
	ck_assert_int_eq(disk_write(disk, &iov, 1, 1024), -EFBIG);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
	ck_assert_int_eq(disk_write(disk, &iov, 1, 0), 0);
	disk_close(disk);
}
END_TEST

/* tmpfs does not say what O_DIRECT wants there, so blocks are pages and the
 * partial blocks at either end of a write are read first.
 */
START_TEST(direct_with_blocks_larger_than_sectors)
{
	struct disk *disk;

	tear_down();
	set_up_in("/dev/shm");
	if (disk_open(path, false, true, &disk) == -EINVAL)
		return; /* no O_DIRECT on tmpfs before Linux 6.6 */
	disk_close(disk);
	ck_assert_int_eq(truncate(path, BYTES + 512), 0);
	disk = open_disk(false, true);
	ck_assert_uint_eq(disk_block_size(disk), PAGE_SIZE);
	ck_assert_uint_eq(disk_sectors(disk), SECTORS);
	for (size_t sector = 0; sector < 9; sector++)
		for (size_t n = 1; n < 18; n += 4)
			round_trip(disk, sector * 512, n * 512);
	round_trip(disk, BYTES - 512, 512);
	disk_close(disk);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("disk");
	TCase *tc = tcase_create("disk");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, open_refuses_what_is_no_disk);
	tcase_add_test(tc, size_is_whole_sectors);
	tcase_add_test(tc, writers_exclude_all_and_readers_share);
	tcase_add_test(tc, moves_all_bytes_in_any_pieces);
	tcase_add_test(tc, more_segments_than_a_batch);
	tcase_add_test(tc, interrupted_and_short_transfers_are_completed);
	tcase_add_test(tc, host_errors_are_returned);
	tcase_add_test(tc, failed_flush_is_not_forgotten);
	tcase_add_test(tc, read_only_is_enforced);
	tcase_add_test(tc, shrunk_file_reads_zeros);
	tcase_add_test(tc, direct_moves_all_bytes_of_any_alignment);
	tcase_add_test(tc, direct_goes_round_the_bounce_buffer);
	tcase_add_test(tc, direct_does_not_take_a_short_read_for_the_end);
	tcase_add_test(tc, direct_with_blocks_larger_than_sectors);
	tcase_add_test(tc, no_format_but_raw);
	tcase_add_test(tc, id_is_stable_and_tells_files_apart);
	tcase_add_test(tc, id_of_the_operator);
	tcase_add_test(tc, shrunk_file_is_not_extended);
	tcase_add_test(tc, resize);
	tcase_add_test(tc, file_size_limit_is_an_error);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
