// SPDX-License-Identifier: Apache-2.0
/*
 * test_gate.c - queues in front of a rate limiter: who goes on, and when
 *
 * The device has three queues.  Each chain is one operation and as many bytes
 * as it has readable ones.
 */
#include "base/util.h"
#include "tests/unit/fake_clock.h"
#include "tests/unit/fake_driver.h"
#include "tests/unit/unit.h"
#include "virtio/gate.h"

#define QUEUES 3

static struct gated {
	struct virtio_device vdev;
	struct gate gate;
	struct chain chain;
	unsigned int runs;  /* of any queue */
	unsigned int order; /* the last queues that passed, a digit each */
} dev;

static struct fake_driver fd;

static int gated_notify(struct virtio_device *vdev, unsigned int q)
{
	struct virtqueue *vq = &vdev->vq[q];
	int ret;

	dev.runs++;
	while ((ret = virtq_pop(vq, &dev.chain)) > 0) {
		uint64_t len = chain_readable(&dev.chain);

		if (!gate_pass(&dev.gate, q, (struct rate_amount){ len, 1 })) {
			virtq_unpop(vq, &dev.chain);
			return 0;
		}
		dev.order = dev.order * 10 + q;
		ret = virtq_push(vq, &dev.chain, 0);
		if (ret < 0)
			break;
	}
	return ret;
}

static void gated_destroy(struct virtio_device *vdev)
{
	(void)vdev;
	gate_fini(&dev.gate);
}

static const struct virtio_device_ops gated_ops = {
	.name = "gated",
	.device_id = 77,
	.nr_queues = QUEUES,
	.queue_size = 64,
	.queue_notify = gated_notify,
	.destroy = gated_destroy,
};

static void set_up(void)
{
	memset(&dev, 0, sizeof(dev));
	fake_now = 1000 * SECOND;
	fd_init(&fd);
	virtio_device_init(&dev.vdev, &gated_ops, &fd.env, 0);
	gate_init(&dev.gate, &dev.vdev, QUEUES);
	fd_attach(&fd, &dev.vdev);
	ck_assert(fd_start(&fd, FD_FEATURES));
	fd_run_loop(&fd);
	dev.runs = 0;
}

static void tear_down(void)
{
	fd_fini(&fd);
	fake_now = 0;
}

static void limit(uint64_t size, uint64_t refill_ns, uint64_t ops)
{
	const struct rate_bucket_config b = { size, refill_ns, 0 };
	const struct rate_bucket_config o = { ops, SECOND, 0 };

	gate_set(&dev.gate, &(struct rate_change){ &b, &o });
}

static void post(unsigned int q, uint32_t len)
{
	struct fd_seg seg = { fd_alloc(&fd, 16), len };

	fd_post(&fd, q, &seg, 1, 0, FD_DIRECT);
	fd_kick(&fd, q);
}

/* What the loop does at NS after the start: runs of queues. */
static unsigned int at(uint64_t ns)
{
	unsigned int before = dev.runs;

	fake_now = 1000 * SECOND + ns;
	for (int i = 0; i < 8; i++)
		loop_step(&fd.loop, 0);
	return dev.runs - before;
}

static unsigned int used(unsigned int q)
{
	unsigned int n = 0;

	while (fd_used(&fd, q, NULL, NULL))
		n++;
	return n;
}

START_TEST(open_to_all)
{
	for (int i = 0; i < 40; i++)
		post(0, 1 << 20);
	ck_assert_uint_eq(used(0), 40);
	ck_assert_uint_eq(dev.gate.stall_ns.count, 0);
	ck_assert_ptr_null(fd.loop.timers);
}
END_TEST

/* A request that waits is looked at when it may pass, and not once before. */
START_TEST(one_look_when_it_is_time)
{
	limit(1000, SECOND, 0);
	for (int i = 0; i < 5; i++)
		post(0, 500);
	ck_assert_uint_eq(used(0), 2);
	ck_assert_uint_eq(dev.vdev.vq[0].nr_in_flight, 0);
	ck_assert_uint_eq(at(SECOND / 2 - 1), 0);
	ck_assert_uint_eq(at(SECOND / 2), 1);
	ck_assert_uint_eq(used(0), 1);
	ck_assert_uint_eq(at(SECOND - 1), 0);
	/* Late: two at once, and the rest is on time. */
	ck_assert_uint_eq(at(3 * SECOND / 2), 1);
	ck_assert_uint_eq(used(0), 2);
	ck_assert_uint_eq(at(9 * SECOND), 0);
	ck_assert_uint_eq(dev.gate.stall_ns.count, 2);
	ck_assert_uint_eq(dev.gate.stall_ns.sum, 3 * SECOND / 2);
	ck_assert_ptr_null(fd.loop.timers);
	/* The ring is empty: the driver is asked for a doorbell. */
	post(0, 1);
	ck_assert_uint_eq(used(0), 1);
}
END_TEST

/* Doorbells neither help nor harm. */
START_TEST(doorbells_while_it_waits)
{
	limit(1000, SECOND, 0);
	post(0, 1000);
	post(0, 1000);
	for (int i = 0; i < 100; i++)
		fd_kick(&fd, 0);
	ck_assert_uint_eq(used(0), 1);
	ck_assert_uint_eq(dev.gate.stall_ns.count, 0);
	/* One that comes when it is time, before the timer. */
	fake_now += SECOND;
	fd_kick(&fd, 0);
	ck_assert_uint_eq(used(0), 1);
	ck_assert_uint_eq(dev.gate.stall_ns.count, 1);
	ck_assert_ptr_null(fd.loop.timers);
	ck_assert_uint_eq(at(9 * SECOND), 0);
}
END_TEST

/* Larger than the bucket: it passes, the next ones pay. */
START_TEST(larger_than_the_bucket)
{
	limit(1000, SECOND, 0);
	post(0, 5000);
	post(0, 10);
	ck_assert_uint_eq(used(0), 1);
	ck_assert_uint_eq(at(4 * SECOND + SECOND / 100 - 1), 0);
	ck_assert_uint_eq(at(4 * SECOND + SECOND / 100), 1);
	ck_assert_uint_eq(used(0), 1);
}
END_TEST

START_TEST(operations)
{
	limit(0, 0, 4);
	for (int i = 0; i < 10; i++)
		post(0, 1 << 20);
	ck_assert_uint_eq(used(0), 4);
	for (unsigned int i = 1; i <= 6; i++) {
		ck_assert_uint_eq(at(i * SECOND / 4 - 1), 0);
		ck_assert_uint_eq(at(i * SECOND / 4), 1);
		ck_assert_uint_eq(used(0), 1);
	}
}
END_TEST

/* Nobody is passed by, and nobody waits for ever: a stream of small requests
 * against large ones, and a third queue in between.
 */
START_TEST(queues_take_turns)
{
	limit(1000, SECOND, 0);
	post(0, 1000);
	post(1, 1000); /* waits, so all do */
	for (int i = 0; i < 30; i++)
		post(0, 1);
	post(2, 1000);
	ck_assert_uint_eq(dev.order, 0);
	at(SECOND);
	ck_assert_uint_eq(dev.order, 1);
	/* Queue 2 was refused next. */
	at(2 * SECOND);
	ck_assert_uint_eq(dev.order, 12);
	post(1, 1000);
	dev.order = 0;
	at(2 * SECOND + 30 * SECOND / 1000);
	ck_assert_uint_eq(used(0), 31);
	dev.order = 0;
	at(4 * SECOND);
	ck_assert_uint_eq(dev.order, 1);
	ck_assert_uint_eq(used(1) + used(2), 3);
	ck_assert_uint_eq(dev.gate.waiting, 0);
}
END_TEST

/* Three queues that never run dry get the same. */
START_TEST(fair_shares)
{
	unsigned int got[QUEUES] = { 0 };

	limit(1000, SECOND, 0);
	for (unsigned int i = 1; i <= 300; i++) {
		for (unsigned int q = 0; q < QUEUES; q++) {
			uint64_t memory = fd.alloc;

			if (fd.queue[q].nr_free > 0)
				post(q, 20 + 40 * q);
			fd.alloc = memory;
		}
		at(i * SECOND / 10);
		for (unsigned int q = 0; q < QUEUES; q++)
			got[q] += used(q) * (20 + 40 * q);
	}
	/* 30 s at 1000 bytes a second, and a bucket. */
	ck_assert_uint_le(got[0] + got[1] + got[2], 31000);
	ck_assert_uint_ge(got[0] + got[1] + got[2], 30900);
	for (unsigned int q = 0; q < QUEUES; q++)
		ck_assert_uint_ge(got[q], 5000);
}
END_TEST

/* A new rate is heard at once; no rate lets everybody go. */
START_TEST(changed_while_it_waits)
{
	limit(1000, 1000 * SECOND, 0);
	for (unsigned int q = 0; q < QUEUES; q++) {
		for (int i = 0; i < 3; i++)
			post(q, 1000);
	}
	ck_assert_uint_eq(used(0), 1);
	ck_assert_uint_eq(at(SECOND), 0);
	limit(1000, SECOND, 0);
	ck_assert_uint_eq(used(0) + used(1) + used(2), 1);
	ck_assert_uint_eq(at(2 * SECOND - 1), 0);
	/* One passes; then it, or the next in line, is refused. */
	ck_assert_uint_ge(at(2 * SECOND), 1);
	ck_assert_uint_eq(used(0) + used(1) + used(2), 1);
	limit(0, 0, 0);
	ck_assert_uint_eq(used(0) + used(1) + used(2), 6);
	ck_assert_ptr_null(fd.loop.timers);
	ck_assert_uint_eq(dev.gate.waiting, 0);
}
END_TEST

/* C13, virtio 1.2 §2.4.1: what waited is forgotten; the tokens stay spent */
START_TEST(reset_while_it_waits)
{
	limit(1000, SECOND, 0);
	post(0, 1000);
	post(0, 500);
	fd_reset(&fd);
	at(SECOND / 4);
	ck_assert(fd_start(&fd, FD_FEATURES));
	at(SECOND / 4); /* DRIVER_OK's doorbells */
	post(0, 400);
	ck_assert_uint_eq(used(0), 0);
	ck_assert_uint_eq(at(4 * SECOND / 10 - 1), 0);
	ck_assert_uint_eq(used(0), 0);
	at(4 * SECOND / 10);
	ck_assert_uint_eq(used(0), 1);
	/* Nobody there when it is time. */
	post(0, 1000);
	fd_reset(&fd);
	ck_assert_uint_eq(at(9 * SECOND), 0);
	ck_assert_uint_eq(dev.gate.waiting, 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("gate");
	TCase *tc = tcase_create("gate");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, open_to_all);
	tcase_add_test(tc, one_look_when_it_is_time);
	tcase_add_test(tc, doorbells_while_it_waits);
	tcase_add_test(tc, larger_than_the_bucket);
	tcase_add_test(tc, operations);
	tcase_add_test(tc, queues_take_turns);
	tcase_add_test(tc, fair_shares);
	tcase_add_test(tc, changed_while_it_waits);
	tcase_add_test(tc, reset_while_it_waits);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
