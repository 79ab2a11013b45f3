// SPDX-License-Identifier: Apache-2.0
/*
 * test_rng.c - virtio entropy: E1, at least one byte and no more than said
 *
 * This program's own getrandom passes on to the kernel, in pieces and with
 * interruptions when a test says so in `host`.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <sys/random.h>
#include <sys/syscall.h>

#include <linux/virtio_ids.h>

#include "base/util.h"
#include "tests/unit/fake_driver.h"
#include "tests/unit/unit.h"
#include "virtio/rng.h"

#define MOST	  KIB(64)
#define UNTOUCHED 0xee

static struct {
	size_t most; /* bytes a call gives at most; 0: all */
	int eintr;   /* calls still to be interrupted */
	int fail;    /* errno of every call that is not */
} host;

static struct fake_driver fd;

ssize_t getrandom(void *buf, size_t len, unsigned int flags)
{
	if (host.eintr > 0) {
		host.eintr--;
		errno = EINTR;
		return -1;
	}
	errno = host.fail;
	if (host.fail)
		return -1;
	if (host.most)
		len = MIN(len, host.most);
	return syscall(SYS_getrandom, buf, len, flags);
}

static void set_up(void)
{
	struct virtio_device *vdev;

	memset(&host, 0, sizeof(host));
	fd_init(&fd);
	ck_assert_int_eq(virtio_rng_create(&fd.env, &vdev), 0);
	fd_attach(&fd, vdev);
	ck_assert(fd_start(&fd, FD_FEATURES));
}

static void tear_down(void)
{
	fd_fini(&fd);
}

static bool needs_reset(void)
{
	return fd_reg(&fd, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET;
}

/* How many of LEN bytes at P are not what they were. */
static size_t changed(const uint8_t *p, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += p[i] != UNTOUCHED;
	return n;
}

/* LEN bytes at P are random, as far as one can tell: about 1 in 256 is what it
 * was, and no long run was left alone.
 */
static void check_random(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i + 16 <= len; i += 16)
		ck_assert_uint_gt(changed(p + i, 16), 0);
	if (len >= 4096)
		ck_assert_uint_gt(changed(p, len), len - len / 32);
}

/* Asks for LEN bytes in segments of PIECE; the used length must be WANT, and so
 * must what was written.
 */
static void ask(size_t len, size_t piece, size_t want)
{
	struct fd_seg seg[64];
	uint64_t start = fd.alloc;
	uint64_t gpa = fd_alloc(&fd, len + 64);
	uint8_t *mem = fd_ptr(&fd, gpa, len + 64);
	unsigned int n = 0;
	uint32_t got;

	memset(mem, UNTOUCHED, len + 64);
	for (size_t done = 0; done < len; done += piece) {
		ck_assert_uint_lt(n, 64);
		seg[n++] = (struct fd_seg){ gpa + done,
					    (uint32_t)MIN(piece, len - done) };
	}
	fd_post(&fd, 0, seg, 0, n, FD_INDIRECT);
	fd_kick(&fd, 0);
	ck_assert(fd_used(&fd, 0, NULL, &got));
	ck_assert_uint_eq(got, want);
	check_random(mem, want);
	ck_assert_uint_eq(changed(mem + want, len + 64 - want), 0);
	fd.alloc = start;
}

START_TEST(identity)
{
	uint8_t config[8], none[8] = { 0 };

	ck_assert_uint_eq(fd_reg(&fd, VIRTIO_MMIO_DEVICE_ID), VIRTIO_ID_RNG);
	ck_assert_uint_eq(fd_device_features(&fd), FD_FEATURES);
	fd_config_read(&fd, 0, config, sizeof(config));
	ck_assert_mem_eq(config, none, sizeof(none));
}
END_TEST

/* E1, virtio 1.2 §5.4.6.2: each buffer gets something, at most the cap */
START_TEST(fills_buffers)
{
	static const size_t len[] = { 1, 2, 64, 255, 4096, 65535 };

	for (size_t i = 0; i < ARRAY_SIZE(len); i++) {
		ask(len[i], len[i], len[i]);
		ask(len[i], len[i] / 13 + 1, len[i]);
	}
	ask(MOST, MOST, MOST);
	ask(MOST + 1, MOST + 1, MOST);
	ask(MIB(4), MIB(4), MOST);
	ask(MIB(1), 40000, MOST);
}
END_TEST

/* E1, virtio 1.2 §5.4.6.2: the largest chain there is, the same memory again
 * and again
 */
START_TEST(four_gib_chain)
{
	struct fd_seg seg[63];
	uint64_t gpa = fd_alloc(&fd, MIB(8));
	uint32_t got;

	for (unsigned int i = 0; i < 63; i++)
		seg[i] = (struct fd_seg){ gpa, MIB(8) };
	fd_post(&fd, 0, seg, 0, 63, FD_DIRECT);
	fd_kick(&fd, 0);
	ck_assert(fd_used(&fd, 0, NULL, &got));
	ck_assert_uint_eq(got, MOST);
}
END_TEST

/* V8: an empty descriptor on either side of one byte */
START_TEST(empty_descriptors)
{
	uint64_t gpa = fd_alloc(&fd, 16);
	struct fd_seg seg[3] = { { gpa, 0 }, { gpa, 1 }, { gpa, 0 } };
	uint32_t got;

	fd_post(&fd, 0, seg, 0, 3, FD_DIRECT);
	fd_kick(&fd, 0);
	ck_assert(fd_used(&fd, 0, NULL, &got));
	ck_assert_uint_eq(got, 1);
}
END_TEST

/* E1, virtio 1.2 §5.4.6.2; C11, §2.1.2: not even one byte fits */
START_TEST(no_room)
{
	uint64_t gpa = fd_alloc(&fd, 16);
	struct fd_seg row[2] = { { gpa, 16 }, { gpa, 0 } };

	for (unsigned int i = 0; i < 2; i++) {
		ck_assert(fd_start(&fd, FD_FEATURES));
		fd_post(&fd, 0, &row[i], i == 0, i == 1, FD_DIRECT);
		fd_kick(&fd, 0);
		ck_assert(needs_reset());
		ck_assert(!fd_used(&fd, 0, NULL, NULL));
	}
	ck_assert(fd_start(&fd, FD_FEATURES));
	ask(16, 16, 16);
}
END_TEST

/* V16; C28, virtio 1.2 §2.7.5.1: the readable part is left alone */
START_TEST(readable_part)
{
	uint64_t gpa = fd_alloc(&fd, 64);
	struct fd_seg seg[2] = { { gpa, 32 }, { gpa + 32, 32 } };
	uint8_t *mem = fd_ptr(&fd, gpa, 64);
	uint32_t got;

	memset(mem, UNTOUCHED, 64);
	fd_post(&fd, 0, seg, 1, 1, FD_DIRECT);
	fd_kick(&fd, 0);
	ck_assert(fd_used(&fd, 0, NULL, &got));
	ck_assert_uint_eq(got, 32);
	ck_assert_uint_eq(changed(mem, 32), 0);
	ck_assert_uint_gt(changed(mem + 32, 32), 0);
}
END_TEST

START_TEST(interrupted_and_short)
{
	host.most = 100;
	host.eintr = 5;
	ask(5000, 1700, 5000);
	ck_assert_int_eq(host.eintr, 0);
}
END_TEST

/* V17: the used length never counts what was not written */
START_TEST(no_entropy)
{
	struct fd_seg seg = { fd_alloc(&fd, 16), 16 };

	host.fail = EFAULT;
	fd_post(&fd, 0, &seg, 0, 1, FD_DIRECT);
	fd_kick(&fd, 0);
	ck_assert(!fd_used(&fd, 0, NULL, NULL));
	ck_assert(needs_reset());
}
END_TEST

/* V31: 64 large buffers do not hold the loop. */
START_TEST(large_batch_takes_turns)
{
	struct fd_seg seg = { fd_alloc(&fd, MOST), (uint32_t)MOST };
	unsigned int done = 0;

	for (unsigned int i = 0; i < 64; i++)
		fd_post(&fd, 0, &seg, 0, 1, FD_DIRECT);
	fd_kick(&fd, 0);
	for (unsigned int turn = 1; turn <= 16; turn++) {
		while (fd_used(&fd, 0, NULL, NULL))
			done++;
		ck_assert_uint_eq(done, 4 * turn);
		loop_step(&fd.loop, 0);
	}
	fd_run_loop(&fd);
	ck_assert(!fd_used(&fd, 0, NULL, NULL));
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("rng");
	TCase *tc = tcase_create("rng");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, identity);
	tcase_add_test(tc, fills_buffers);
	tcase_add_test(tc, four_gib_chain);
	tcase_add_test(tc, empty_descriptors);
	tcase_add_test(tc, no_room);
	tcase_add_test(tc, readable_part);
	tcase_add_test(tc, interrupted_and_short);
	tcase_add_test(tc, no_entropy);
	tcase_add_test(tc, large_batch_takes_turns);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
