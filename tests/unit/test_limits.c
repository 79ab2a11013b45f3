// SPDX-License-Identifier: Apache-2.0
/*
 * test_limits.c - rate limits of block, entropy and console: what costs what,
 * nothing is lost, nothing changes its place
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/mman.h>

#include <linux/virtio_blk.h>
#include <linux/virtio_console.h>

#include "base/util.h"
#include "tests/unit/fake_clock.h"
#include "tests/unit/fake_driver.h"
#include "tests/unit/unit.h"
#include "virtio/blk.h"
#include "virtio/console.h"
#include "virtio/rng.h"

#define START	  (1000 * SECOND)
#define CON_TX	  1
#define OFF_EMERG (VIRTIO_MMIO_CONFIG + 8)

static struct fake_driver fd;

static void begin(void)
{
	fake_now = START;
	fd_init(&fd);
}

static void set_up_rng(void)
{
	struct virtio_device *vdev;

	begin();
	ck_assert_int_eq(virtio_rng_create(&fd.env, &vdev), 0);
	fd_attach(&fd, vdev);
	ck_assert(fd_start(&fd, FD_FEATURES));
	fd_run_loop(&fd);
}

static void tear_down(void)
{
	fd_fini(&fd);
	fake_now = 0;
}

/* A bucket of SIZE tokens that fills in a second. */
static const struct rate_bucket_config *bucket(uint64_t size)
{
	static struct rate_bucket_config config[8];
	static unsigned int n;
	struct rate_bucket_config *c = &config[n++ % 8];

	*c = (struct rate_bucket_config){ size, SECOND, 0 };
	return c;
}

static void at(uint64_t ns)
{
	fake_now = START + ns;
	for (int i = 0; i < 8; i++)
		loop_step(&fd.loop, 0);
}

/* The next used chain of queue Q is the one at HEAD, with LEN bytes. */
static void is_used(unsigned int q, uint16_t head, uint32_t len)
{
	uint16_t got;
	uint32_t got_len;

	ck_assert(fd_used(&fd, q, &got, &got_len));
	ck_assert_uint_eq(got, head);
	ck_assert_uint_eq(got_len, len);
}

static void nothing_used(unsigned int q)
{
	ck_assert(!fd_used(&fd, q, NULL, NULL));
}

/* Entropy: the bytes of a buffer, at most what is filled of it. */
START_TEST(entropy)
{
	struct fd_seg seg[3] = {
		{ fd_alloc(&fd, 100), 100 },
		{ fd_alloc(&fd, MIB(1)), (uint32_t)MIB(1) },
		{ fd_alloc(&fd, 1), 1 },
	};
	const struct virtio_rng_stats *st = virtio_rng_stats(fd.vdev);
	uint16_t head[8];

	virtio_rng_set_rate(fd.vdev,
			    &(struct rate_change){ bucket(100), NULL });
	for (int i = 0; i < 8; i++)
		head[i] = fd_post(&fd, 0,
				  &seg[i == 3	? 1
				       : i == 4 ? 2
						: 0],
				  0, 1, FD_DIRECT);
	fd_want_irq(&fd, 0, true);
	fd_kick(&fd, 0);
	is_used(0, head[0], 100);
	ck_assert_uint_eq(fd.vdev->vq[0].nr_in_flight, 0);
	for (unsigned int i = 1; i < 3; i++) {
		fd_want_irq(&fd, 0, true);
		fd.irq.pulses = 0;
		at(i * SECOND - 1);
		nothing_used(0);
		ck_assert_uint_eq(fd.irq.pulses, 0);
		at(i * SECOND);
		is_used(0, head[i], 100);
		ck_assert_uint_eq(fd.irq.pulses, 1);
		/* The large one is more than there ever is: at once. */
		if (i == 2)
			is_used(0, head[3], 65536);
		nothing_used(0);
	}
	/* It is paid for before the next byte. */
	at(2 * SECOND + 65536 * (SECOND / 100) + SECOND / 100 - 1);
	nothing_used(0);
	at(2 * SECOND + 65537 * (SECOND / 100));
	is_used(0, head[4], 1);
	virtio_rng_set_rate(fd.vdev, &(struct rate_change){ NULL, bucket(1) });
	at(800 * SECOND);
	is_used(0, head[5], 100);
	nothing_used(0);
	virtio_rng_set_rate(fd.vdev,
			    &(struct rate_change){ bucket(0), bucket(0) });
	is_used(0, head[6], 100);
	is_used(0, head[7], 100);
	ck_assert_uint_eq(counter_get(&st->requests), 8);
	ck_assert_uint_eq(counter_get(&st->bytes), 6 * 100 + 65536 + 1);
	ck_assert_uint_eq(counter_get(&st->errors), 0);
}
END_TEST

/* The timer of one driver does nothing to the next. */
START_TEST(entropy_reset)
{
	struct fd_seg seg = { fd_alloc(&fd, 100), 100 };

	virtio_rng_set_rate(fd.vdev,
			    &(struct rate_change){ bucket(100), NULL });
	for (int i = 0; i < 2; i++)
		fd_post(&fd, 0, &seg, 0, 1, FD_DIRECT);
	fd_kick(&fd, 0);
	fd_reset(&fd);
	at(SECOND);
	ck_assert(fd_start(&fd, FD_FEATURES));
	at(SECOND);
	nothing_used(0);
	fd_post(&fd, 0, &seg, 0, 1, FD_DIRECT);
	fd_kick(&fd, 0);
	is_used(0, 0, 100);
}
END_TEST

/* Console. */

static struct {
	struct port port;
	uint8_t out[MIB(1)];
	size_t used, limit;
	size_t largest; /* write */
} fp;

static size_t fake_write(struct port *port, const void *data, size_t len)
{
	size_t n = MIN(len, fp.limit - fp.used);

	(void)port;
	memcpy(fp.out + fp.used, data, n);
	fp.used += n;
	fp.largest = MAX(fp.largest, len);
	return n;
}

static void fake_readable(struct port *port)
{
	(void)port;
}

static void set_up_console(void)
{
	struct virtio_device *vdev;

	begin();
	memset(&fp, 0, sizeof(fp));
	fp.port.write = fake_write;
	fp.port.readable = fake_readable;
	fp.limit = sizeof(fp.out);
	ck_assert_int_eq(virtio_console_create(&fd.env, &fp.port, &vdev), 0);
	fd_attach(&fd, vdev);
	ck_assert(fd_start(&fd, FD_FEATURES));
	fd_run_loop(&fd);
}

static void set_console(uint64_t bytes, uint64_t ops)
{
	virtio_console_set_rate(fd.vdev, &(struct rate_change){ bucket(bytes),
								bucket(ops) });
}

static uint16_t post_out(char first, uint32_t len)
{
	struct fd_seg seg = { fd_alloc(&fd, len), len };
	uint8_t *p = fd_ptr(&fd, seg.gpa, len);

	for (uint32_t i = 0; i < len; i++)
		p[i] = (uint8_t)(first + i);
	return fd_post(&fd, CON_TX, &seg, 1, 0, FD_DIRECT);
}

/* Output flows in pieces of a bucket, in order, every byte once; the buffer is
 * used when its last byte has gone.
 */
START_TEST(output)
{
	uint16_t a, b;

	set_console(100, 0);
	a = post_out(0, 250);
	b = post_out(40, 10);
	fd_kick(&fd, CON_TX);
	ck_assert_uint_eq(fp.used, 100);
	at(SECOND - 1);
	ck_assert_uint_eq(fp.used, 100);
	at(SECOND);
	ck_assert_uint_eq(fp.used, 200);
	at(3 * SECOND / 2 - 1);
	nothing_used(CON_TX);
	at(3 * SECOND / 2);
	ck_assert_uint_eq(fp.used, 250);
	is_used(CON_TX, a, 0);
	at(SECOND * 16 / 10);
	is_used(CON_TX, b, 0);
	for (unsigned int i = 0; i < 250; i++)
		ck_assert_uint_eq(fp.out[i], i);
	ck_assert_uint_eq(fp.out[250], 40);
	ck_assert_uint_eq(fp.used, 260);
	ck_assert_uint_le(fp.largest, 100);
	ck_assert_ptr_null(fd.loop.timers);
	ck_assert_uint_eq(
		counter_get(&virtio_console_stats(fd.vdev)->out_bytes), 260);
}
END_TEST

/* What the port did not take is paid for once. */
START_TEST(output_waits_for_both)
{
	uint16_t head;

	set_console(100, 0);
	fp.limit = 30;
	head = post_out(0, 150);
	fd_kick(&fd, CON_TX);
	ck_assert_uint_eq(fp.used, 30);
	at(10 * SECOND);
	fp.limit = 60;
	fp.port.user->writable(fp.port.user);
	ck_assert_uint_eq(fp.used, 60);
	fp.limit = 1000;
	fp.port.user->writable(fp.port.user);
	ck_assert_uint_eq(fp.used, 150);
	is_used(CON_TX, head, 0);
	post_out(0, 100);
	fd_kick(&fd, CON_TX);
	ck_assert_uint_eq(fp.used, 150);
	at(10 * SECOND + SECOND / 2);
	ck_assert_uint_eq(fp.used, 250);
}
END_TEST

/* A buffer is one operation, however many pieces it takes. */
START_TEST(output_operations)
{
	set_console(100, 2);
	for (int i = 0; i < 3; i++)
		post_out(0, 150);
	fd_kick(&fd, CON_TX);
	ck_assert_uint_eq(fp.used, 100);
	at(SECOND / 2);
	ck_assert_uint_eq(fp.used, 150);
	set_console(0, 2);
	ck_assert_uint_eq(fp.used, 450);
	post_out(0, 1);
	fd_kick(&fd, CON_TX);
	at(SECOND - 1);
	ck_assert_uint_eq(fp.used, 450);
	at(SECOND);
	ck_assert_uint_eq(fp.used, 451);
}
END_TEST

static void emergency(uint32_t value)
{
	fd_mmio_write(&fd, OFF_EMERG, &value, sizeof(value));
	for (int i = 0; i < 4; i++)
		loop_step(&fd.loop, 0);
}

/* The emergency register is no way around the limit; what does not fit in the
 * meantime is dropped, to the byte; nobody waits for the other.
 */
START_TEST(emergency_output)
{
	const struct virtio_console_stats *st = virtio_console_stats(fd.vdev);

	set_console(100, 0);
	for (unsigned int i = 0; i < 1000; i++)
		emergency('a' + i % 26);
	ck_assert_uint_eq(fp.used, 100);
	ck_assert_uint_eq(counter_get(&st->emerg_dropped), 1000 - 100 - 256);
	post_out('0', 5);
	fd_kick(&fd, CON_TX);
	ck_assert_uint_eq(fp.used, 100);
	for (uint64_t ms = 1; ms <= 5000; ms++) {
		at(ms * 1000000);
		ck_assert_uint_le(fp.used, 100 + ms / 10);
	}
	ck_assert_uint_eq(fp.used, 100 + 256 + 5);
	ck_assert_uint_eq(counter_get(&st->emerg_bytes), 356);
	ck_assert_uint_eq(counter_get(&st->out_bytes), 5);
	/* In order, each of its own. */
	for (unsigned int i = 0, n = 0; i < fp.used; i++) {
		if (fp.out[i] >= 'a')
			ck_assert_uint_eq(fp.out[i], 'a' + n++ % 26);
	}
	ck_assert_ptr_null(fd.loop.timers);
}
END_TEST

/* Block. */

static int image_fd;

static void set_up_queues(unsigned int nr)
{
	struct virtio_device *vdev;
	struct disk *disk;
	char path[32];

	begin();
	image_fd = memfd_create("disk", MFD_CLOEXEC);
	ck_assert_int_eq(ftruncate(image_fd, MIB(8)), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", image_fd);
	ck_assert_int_eq(disk_open(path, false, false, &disk), 0);
	ck_assert_int_eq(virtio_blk_create(&fd.env, disk, &vdev), 0);
	virtio_blk_set_queues(vdev, nr);
	fd_attach(&fd, vdev);
	ck_assert(fd_start(&fd, FD_FEATURES | 1 << VIRTIO_BLK_F_FLUSH |
					1 << VIRTIO_BLK_F_DISCARD |
					1 << VIRTIO_BLK_F_WRITE_ZEROES));
	fd_run_loop(&fd);
}

static void set_up_blk(void)
{
	set_up_queues(1);
}

static void set_up_two_queues(void)
{
	set_up_queues(2);
}

static void tear_down_blk(void)
{
	tear_down();
	close(image_fd);
}

static void set_blk(uint64_t bytes, uint64_t ops)
{
	virtio_blk_set_rate(fd.vdev, &(struct rate_change){ bucket(bytes),
							    bucket(ops) });
}

/* A request of TYPE with LEN bytes of data on queue Q; no doorbell. */
static uint16_t post_on(unsigned int q, uint32_t type, uint32_t len)
{
	struct virtio_blk_outhdr hdr = { .type = type };
	struct virtio_blk_discard_write_zeroes range = { .num_sectors =
								 len / 512 };
	struct fd_seg seg[3] = { { fd_put(&fd, &hdr, sizeof(hdr)), 16 } };
	unsigned int in = 0, n = 1;

	switch (type) {
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
		seg[n++] = (struct fd_seg){ fd_put(&fd, &range, 16), 16 };
		break;
	case VIRTIO_BLK_T_IN:
	case VIRTIO_BLK_T_GET_ID:
		in = 1;
		/* fall through */
	default:
		if (len > 0)
			seg[n++] = (struct fd_seg){ fd_alloc(&fd, len), len };
	}
	seg[n++] = (struct fd_seg){ fd_alloc(&fd, 1), 1 };
	memset(fd_ptr(&fd, seg[n - 1].gpa, 1), 0xff, 1);
	return fd_post(&fd, q, seg, n - in - 1, in + 1, FD_DIRECT);
}

static uint16_t post_blk(uint32_t type, uint32_t len)
{
	return post_on(0, type, len);
}

/* Which request costs which bytes: one after the other, and each waits until
 * the one before is paid.
 */
START_TEST(block_costs)
{
	static const struct {
		uint32_t type, len, cost;
	} row[] = {
		{ VIRTIO_BLK_T_IN, 4096, 4096 },
		{ VIRTIO_BLK_T_OUT, 8192, 8192 },
		{ VIRTIO_BLK_T_FLUSH, 0, 0 },
		{ VIRTIO_BLK_T_GET_ID, 20, 0 },
		{ VIRTIO_BLK_T_DISCARD, 4096, 0 },
		{ VIRTIO_BLK_T_WRITE_ZEROES, 4096, 4096 },
		{ VIRTIO_BLK_T_OUT, 511, 0 }, /* refused */
		{ VIRTIO_BLK_T_OUT, MIB(1), MIB(1) },
		{ VIRTIO_BLK_T_IN, 512, 512 },
	};
	uint64_t due = 0, before = 0;
	uint16_t head[ARRAY_SIZE(row)];

	set_blk(1, 0); /* a byte a second: all that costs is too large */
	for (unsigned int i = 0; i < ARRAY_SIZE(row); i++)
		head[i] = post_blk(row[i].type, row[i].len);
	fd_kick(&fd, 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(row); i++) {
		bool in = row[i].type == VIRTIO_BLK_T_IN ||
			  row[i].type == VIRTIO_BLK_T_GET_ID;

		if (due > before) {
			at(due - 1);
			nothing_used(0);
			at(due);
			before = due;
		}
		is_used(0, head[i], in ? row[i].len + 1 : 1);
		due += row[i].cost * SECOND;
		if (i == 0)
			due -= SECOND; /* the bucket was full */
	}
	nothing_used(0);
}
END_TEST

START_TEST(block_operations)
{
	uint16_t head[6];

	set_blk(0, 2);
	head[0] = post_blk(VIRTIO_BLK_T_IN, 512);
	head[1] = post_blk(VIRTIO_BLK_T_FLUSH, 0);
	head[2] = post_blk(VIRTIO_BLK_T_GET_ID, 20);
	head[3] = post_blk(VIRTIO_BLK_T_DISCARD, 4096);
	head[4] = post_blk(99, 0);
	head[5] = post_blk(VIRTIO_BLK_T_OUT, 65536);
	fd_kick(&fd, 0);
	is_used(0, head[0], 513);
	is_used(0, head[1], 1);
	for (unsigned int i = 2; i < 6; i++) {
		at((i - 1) * SECOND / 2 - 1);
		nothing_used(0);
		at((i - 1) * SECOND / 2);
		is_used(0, head[i], i == 2 ? 21 : 1);
	}
}
END_TEST

/* A large request goes on by itself once it is paid, doorbells or not, and a
 * reset in between does no harm.
 */
START_TEST(block_reset)
{
	uint16_t head;

	set_blk(4096, 0);
	post_blk(VIRTIO_BLK_T_OUT, 4096);
	post_blk(VIRTIO_BLK_T_OUT, 4096);
	fd_kick(&fd, 0);
	fd_reset(&fd);
	at(SECOND / 2);
	ck_assert(fd_start(&fd, FD_FEATURES));
	at(SECOND / 2);
	head = post_blk(VIRTIO_BLK_T_IN, 4096);
	fd_kick(&fd, 0);
	nothing_used(0);
	at(SECOND);
	is_used(0, head, 4097);
	nothing_used(0);
	ck_assert_uint_eq(counter_get(&virtio_blk_stats(fd.vdev)->writes), 1);
	ck_assert_uint_eq(counter_get(&virtio_blk_stats(fd.vdev)->reads), 1);
}
END_TEST

/* What waits for tokens is not in hand: a drain leaves it in the ring, and what
 * became due meanwhile goes on afterwards.
 */
START_TEST(block_drain)
{
	const struct virtio_blk_stats *st = virtio_blk_stats(fd.vdev);
	uint16_t head;

	set_blk(4096, 0);
	post_blk(VIRTIO_BLK_T_OUT, 4096);
	head = post_blk(VIRTIO_BLK_T_IN, 4096);
	fd_kick(&fd, 0);
	is_used(0, head - 3, 1);
	ck_assert_int_eq(virtio_blk_drain(fd.vdev, SECOND), 0);
	ck_assert_uint_eq(counter_get(&st->in_hand), 0);
	ck_assert_uint_eq(fd.vdev->vq[0].nr_in_flight, 0);
	at(5 * SECOND);
	fd_kick(&fd, 0);
	nothing_used(0);
	virtio_blk_resume(fd.vdev);
	is_used(0, head, 4097);
}
END_TEST

/* One limit for all queues of a disk, which take turns. */
START_TEST(block_queues)
{
	unsigned int got[2] = { 0 };

	set_blk(8192, 0);
	for (int i = 0; i < 16; i++)
		post_on(0, VIRTIO_BLK_T_OUT, 4096);
	fd_kick(&fd, 0);
	for (int i = 0; i < 16; i++)
		post_on(1, VIRTIO_BLK_T_OUT, 4096);
	fd_kick(&fd, 1);
	for (uint64_t half = 0; half < 20; half++) {
		at(half * SECOND / 2);
		for (unsigned int q = 0; q < 2; q++) {
			while (fd_used(&fd, q, NULL, NULL))
				got[q]++;
		}
		ck_assert_uint_eq(got[0] + got[1], half + 2);
		ck_assert_uint_le(got[0], got[1] + 3);
		ck_assert_uint_le(got[1], got[0] + 1);
	}
}
END_TEST

static void add(Suite *s, const char *name, void (*up)(void),
		void (*down)(void), const TTest *const test[])
{
	TCase *tc = tcase_create(name);

	tcase_add_checked_fixture(tc, up, down);
	for (; *test; test++)
		tcase_add_test(tc, *test);
	suite_add_tcase(s, tc);
}

static Suite *suite(void)
{
	Suite *s = suite_create("limits");

	add(s, "rng", set_up_rng, tear_down,
	    (const TTest *const[]){ entropy, entropy_reset, NULL });
	add(s, "console", set_up_console, tear_down,
	    (const TTest *const[]){ output, output_waits_for_both,
				    output_operations, emergency_output,
				    NULL });
	add(s, "blk", set_up_blk, tear_down_blk,
	    (const TTest *const[]){ block_costs, block_operations, block_reset,
				    block_drain, NULL });
	add(s, "blk queues", set_up_two_queues, tear_down_blk,
	    (const TTest *const[]){ block_queues, NULL });
	return s;
}

UNIT_MAIN(suite)
