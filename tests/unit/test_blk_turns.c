// SPDX-License-Identifier: Apache-2.0
/*
 * test_blk_turns.c - virtio block: no driver holds the loop
 *
 * The clock is ours and stands still but for what the host's calls are said to
 * take, so that turns end where a test expects it.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sys/mman.h>
#include <sys/syscall.h>

#include <linux/virtio_blk.h>

#include "base/util.h"
#include "tests/unit/fake_driver.h"
#include "tests/unit/host_io.h"
#include "tests/unit/unit.h"
#include "virtio/blk.h"

#define DISK_MIB 64u
#define MS	 1000000u
#define PENDING	 0xff /* no status byte was returned */

static struct {
	uint64_t now_ns;
	uint64_t data_ns, sync_ns; /* what a call takes */
	int fail_after;		   /* that many more reads, unless negative */
	size_t most;		   /* bytes in one call */
} host;

static struct fake_driver fd;
static int image_fd;
static uint8_t *image;
static uint64_t status_gpa;

int clock_gettime(clockid_t id, struct timespec *ts)
{
	(void)id;
	ts->tv_sec = (time_t)(host.now_ns / 1000000000u);
	ts->tv_nsec = (long)(host.now_ns % 1000000000u);
	return 0;
}

static void host_call(const struct iovec *iov, int nr)
{
	size_t len = 0;

	for (int i = 0; i < nr; i++)
		len += iov[i].iov_len;
	host.most = MAX(host.most, len);
	host.now_ns += host.data_ns;
}

static ssize_t host_preadv(int f, const struct iovec *iov, int nr, off_t off)
{
	host_call(iov, nr);
	if (host.fail_after == 0)
		return -1;
	host.fail_after--;
	return kernel(SYS_preadv, (long[6]){ f, (long)iov, nr, off });
}

static ssize_t host_pwritev(int f, const struct iovec *iov, int nr, off_t off)
{
	host_call(iov, nr);
	return kernel(SYS_pwritev, (long[6]){ f, (long)iov, nr, off });
}

int fdatasync(int f)
{
	(void)f;
	host.now_ns += host.sync_ns;
	return 0;
}

static void set_up(void)
{
	struct virtio_device *vdev;
	struct disk *disk;
	char path[32];

	memset(&host, 0, sizeof(host));
	host.now_ns = 1;
	host.fail_after = -1;
	image_fd = memfd_create("disk", MFD_CLOEXEC);
	ck_assert_int_eq(ftruncate(image_fd, MIB(DISK_MIB)), 0);
	image = mmap(NULL, MIB(DISK_MIB), PROT_READ | PROT_WRITE, MAP_SHARED,
		     image_fd, 0);
	ck_assert_ptr_ne(image, MAP_FAILED);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", image_fd);
	ck_assert_int_eq(disk_open(path, false, false, &disk), 0);
	fd_init(&fd);
	ck_assert_int_eq(virtio_blk_create(&fd.env, disk, &vdev), 0);
	fd_attach(&fd, vdev);
	ck_assert(fd_start(&fd, FD_FEATURES | 1ull << VIRTIO_BLK_F_FLUSH));
	fd_run_loop(&fd);
	status_gpa = fd_alloc(&fd, 1);
}

static void tear_down(void)
{
	fd_fini(&fd);
	munmap(image, MIB(DISK_MIB));
	close(image_fd);
}

/* Posts a request whose data is NR times the LEN bytes at GPA.  No doorbell. */
static void post(uint32_t type, uint64_t sector, uint64_t gpa, uint32_t len,
		 unsigned int nr)
{
	struct virtio_blk_outhdr hdr = { .type = type, .sector = sector };
	bool out = type == VIRTIO_BLK_T_OUT;
	struct fd_seg seg[256];

	ck_assert_uint_le(nr, 254);
	seg[0] = (struct fd_seg){ fd_put(&fd, &hdr, sizeof(hdr)), sizeof(hdr) };
	for (unsigned int i = 1; i <= nr; i++)
		seg[i] = (struct fd_seg){ gpa, len };
	seg[nr + 1] = (struct fd_seg){ status_gpa, 1 };
	*(uint8_t *)fd_ptr(&fd, status_gpa, 1) = PENDING;
	fd_post(&fd, 0, seg, out ? nr + 1 : 1, out ? 1 : nr + 1, FD_INDIRECT);
}

static unsigned int count_used(void)
{
	unsigned int n = 0;

	while (fd_used(&fd, 0, NULL, NULL))
		n++;
	return n;
}

static void run_loop(void)
{
	for (int i = 0; i < 10; i++)
		fd_run_loop(&fd);
}

/* Goes round the loop until the request is answered; returns the turns. */
static unsigned int turns(uint8_t status, uint32_t used_len)
{
	unsigned int n = 1;
	uint32_t len;

	fd.irq.pulses = 0;
	fd_want_irq(&fd, 0, true);
	fd_kick(&fd, 0);
	while (!fd_used(&fd, 0, NULL, &len)) {
		ck_assert_uint_eq(fd.irq.pulses, 0);
		ck_assert_uint_lt(n++, 10000);
		loop_step(&fd.loop, 0);
	}
	ck_assert_uint_eq(len, used_len);
	ck_assert_uint_eq(*(uint8_t *)fd_ptr(&fd, status_gpa, 1), status);
	ck_assert_uint_eq(fd.irq.pulses, 1);
	ck_assert(!fd_used(&fd, 0, NULL, NULL));
	return n;
}

/* V31: requests that are large together */
START_TEST(batch)
{
	uint64_t gpa = fd_alloc(&fd, MIB(1));

	for (unsigned int i = 0; i < 40; i++)
		post(VIRTIO_BLK_T_IN, 0, gpa, MIB(1), 1);
	fd_kick(&fd, 0);
	ck_assert_uint_eq(count_used(), 16);
	loop_step(&fd.loop, 0);
	ck_assert_uint_eq(count_used(), 16);
	fd_run_loop(&fd);
	ck_assert_uint_eq(count_used(), 8);
}
END_TEST

/* V31: requests that are small, of a disk that is slow */
START_TEST(slow_disk)
{
	uint64_t gpa = fd_alloc(&fd, 512);

	host.data_ns = 4 * MS;
	for (unsigned int i = 0; i < 100; i++)
		post(VIRTIO_BLK_T_IN, i, gpa, 512, 1);
	fd_kick(&fd, 0);
	ck_assert_uint_eq(count_used(), 3);
	loop_step(&fd.loop, 0);
	ck_assert_uint_eq(count_used(), 3);
	run_loop();
	ck_assert_uint_eq(count_used(), 94);
}
END_TEST

/* V31: flushes; and writes that are flushes, too */
START_TEST(slow_flush)
{
	uint64_t gpa = fd_alloc(&fd, 512);

	host.sync_ns = 9 * MS;
	for (unsigned int i = 0; i < 100; i++)
		post(VIRTIO_BLK_T_FLUSH, 0, 0, 0, 0);
	fd_kick(&fd, 0);
	ck_assert_uint_eq(count_used(), 2);
	run_loop();
	ck_assert_uint_eq(count_used(), 98);

	ck_assert(fd_start(&fd, FD_FEATURES));
	fd_run_loop(&fd);
	for (unsigned int i = 0; i < 100; i++)
		post(VIRTIO_BLK_T_OUT, i, gpa, 512, 1);
	fd_kick(&fd, 0);
	ck_assert_uint_eq(count_used(), 2);
	run_loop();
	ck_assert_uint_eq(count_used(), 98);
}
END_TEST

/* One request of more than a turn, each way, is done to the last byte. */
START_TEST(one_large_request)
{
	const struct virtio_blk_stats *st = virtio_blk_stats(fd.vdev);
	const uint32_t piece = 130 * KIB(1) + 512;
	const unsigned int nr = 250; /* 32 MiB and some */
	uint64_t gpa = fd_alloc(&fd, piece);
	uint8_t *mem = fd_ptr(&fd, gpa, piece);

	for (uint32_t i = 0; i < piece; i++)
		mem[i] = (uint8_t)(i * 7 + i / 512);
	post(VIRTIO_BLK_T_OUT, 3, gpa, piece, nr);
	ck_assert_uint_eq(turns(VIRTIO_BLK_S_OK, 1), 2);
	ck_assert_uint_le(host.most, MIB(1));
	for (unsigned int i = 0; i < nr; i++)
		ck_assert_mem_eq(image + 3 * 512 + (size_t)i * piece, mem,
				 piece);
	ck_assert_uint_eq(image[3 * 512 - 1], 0);
	ck_assert_uint_eq(image[3 * 512 + (size_t)nr * piece], 0);

	/* Only the last of it is left in memory, which is used again. */
	memset(image + 3 * 512 + (size_t)(nr - 1) * piece, 0x5a, piece);
	post(VIRTIO_BLK_T_IN, 3, gpa, piece, nr);
	ck_assert_uint_eq(turns(VIRTIO_BLK_S_OK, nr * piece + 1), 2);
	for (uint32_t i = 0; i < piece; i++)
		ck_assert_uint_eq(mem[i], 0x5a);

	ck_assert_uint_eq(counter_get(&st->reads), 1);
	ck_assert_uint_eq(counter_get(&st->writes), 1);
	ck_assert_uint_eq(counter_get(&st->read_bytes), (uint64_t)nr * piece);
	ck_assert_uint_eq(counter_get(&st->write_bytes), (uint64_t)nr * piece);
	ck_assert_uint_eq(st->read_ns.count, 1);
}
END_TEST

/* Nor do zeros hold the loop: of a request that is refused, or behind a write */
START_TEST(large_refusal)
{
	uint64_t gpa = fd_alloc(&fd, MIB(1));

	post(VIRTIO_BLK_T_IN, UINT64_MAX, gpa, MIB(1), 100);
	ck_assert_uint_eq(turns(VIRTIO_BLK_S_IOERR, MIB(100) + 1), 7);
	post(VIRTIO_BLK_T_FLUSH, 0, gpa, MIB(1), 33);
	ck_assert_uint_eq(turns(VIRTIO_BLK_S_OK, MIB(33) + 1), 3);
	ck_assert_uint_eq(host.most, 0);
}
END_TEST

/* A read that fails on the way leaves zeros from there on. */
START_TEST(large_read_fails)
{
	const unsigned int nr = 40;
	uint64_t gpa = fd_alloc(&fd, MIB(1) / 2);
	const uint8_t *mem = fd_ptr(&fd, gpa, MIB(1) / 2);

	memset(image, 0x5a, MIB(DISK_MIB));
	host.fail_after = 18;
	post(VIRTIO_BLK_T_IN, 0, gpa, MIB(1) / 2, nr);
	ck_assert_uint_eq(turns(VIRTIO_BLK_S_IOERR, nr * MIB(1) / 2 + 1), 2);
	for (size_t i = 0; i < MIB(1) / 2; i++)
		ck_assert_uint_eq(mem[i], 0);
	ck_assert_uint_eq(counter_get(&virtio_blk_stats(fd.vdev)->errors), 1);
}
END_TEST

/* C13, V19, virtio 1.2 §2.4.1; C18, §4.2.2.1: a reset, or QueueReady 0, with a
 * request in hand: nothing more is done
 */
START_TEST(reset_in_between)
{
	uint64_t gpa = fd_alloc(&fd, MIB(1));
	unsigned int calls;

	memset(fd_ptr(&fd, gpa, MIB(1)), 0x5a, MIB(1));
	for (unsigned int round = 0; round < 2; round++) {
		memset(image, 0, MIB(DISK_MIB));
		post(VIRTIO_BLK_T_OUT, 0, gpa, MIB(1), 40);
		fd_kick(&fd, 0);
		ck_assert_uint_eq(count_used(), 0);
		ck_assert_uint_eq(image[MIB(16) - 1], 0x5a);
		ck_assert_uint_eq(image[MIB(16)], 0);
		if (round == 0) {
			fd_set_reg(&fd, VIRTIO_MMIO_QUEUE_SEL, 0);
			fd_set_reg(&fd, VIRTIO_MMIO_QUEUE_READY, 0);
		} else {
			fd_set_reg(&fd, VIRTIO_MMIO_STATUS, 0);
		}
		for (calls = 0; calls < 10; calls++) {
			fd_kick(&fd, 0);
			loop_step(&fd.loop, 0);
		}
		ck_assert_uint_eq(image[MIB(16)], 0);
		ck_assert_uint_eq(*(uint8_t *)fd_ptr(&fd, status_gpa, 1),
				  PENDING);
		ck_assert(fd_start(&fd, FD_FEATURES));
		fd_run_loop(&fd);
		ck_assert_uint_eq(count_used(), 0);
		post(VIRTIO_BLK_T_IN, 0, gpa, MIB(1), 1);
		ck_assert_uint_eq(turns(VIRTIO_BLK_S_OK, MIB(1) + 1), 1);
		ck_assert_uint_eq(image[MIB(16)], 0);
	}
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("blk_turns");
	TCase *tc = tcase_create("turns");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, batch);
	tcase_add_test(tc, slow_disk);
	tcase_add_test(tc, slow_flush);
	tcase_add_test(tc, one_large_request);
	tcase_add_test(tc, large_refusal);
	tcase_add_test(tc, large_read_fails);
	tcase_add_test(tc, reset_in_between);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
