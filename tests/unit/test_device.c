// SPDX-License-Identifier: Apache-2.0
/*
 * test_device.c - what all virtio devices share: status, features, doorbells
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#include "base/util.h"
#include "tests/unit/echo_fixture.h"

/* C5, virtio 1.2 §6.2; C7 §2.2.2: each bit that was not offered */
START_TEST(test_feature_subsets)
{
	const uint64_t version_1 = 1ull << VIRTIO_F_VERSION_1;

	ck_assert(!fd_negotiate(&fd, 0));
	ck_assert(!fd_negotiate(&fd, FD_FEATURES & ~version_1));
	for (unsigned int bit = 0; bit < 64; bit++) {
		uint64_t one = 1ull << bit;
		bool offered = (FD_FEATURES | ECHO_FEATURES) & one;

		ck_assert_int_eq(fd_negotiate(&fd, version_1 | one), offered);
		ck_assert_uint_eq(status(),
				  ACK | DRIVER | (offered ? FEATURES_OK : 0));
		if (offered)
			ck_assert(virtio_has_feature(fd.vdev, bit));
	}
	ck_assert(fd_negotiate(&fd, FD_FEATURES | ECHO_FEATURES));
}
END_TEST

/* C7, virtio 1.2 §2.2.2: a bit above 63 is as little offered as any other;
 * zeros are fine
 */
START_TEST(test_features_beyond)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(edges); i++) {
		for (uint32_t bits = 0; bits < 2; bits++) {
			bool ok = edges[i] < 2 || bits == 0;

			set_status(0);
			set_status(ACK | DRIVER);
			fd_set_reg(&fd, VIRTIO_MMIO_DRIVER_FEATURES_SEL,
				   edges[i]);
			fd_set_reg(&fd, VIRTIO_MMIO_DRIVER_FEATURES, bits);
			fd_set_reg(&fd, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
			fd_set_reg(&fd, VIRTIO_MMIO_DRIVER_FEATURES, 1);
			set_status(ACK | DRIVER | FEATURES_OK);
			ck_assert_int_eq(!!(status() & FEATURES_OK), ok);
		}
	}
}
END_TEST

/* virtio 1.2 §3.1.1: features are final once FEATURES_OK is set */
START_TEST(test_features_frozen)
{
	ck_assert(fd_negotiate(&fd, FD_FEATURES));
	for (uint32_t word = 0; word < 3; word++) {
		fd_set_reg(&fd, VIRTIO_MMIO_DRIVER_FEATURES_SEL, word);
		fd_set_reg(&fd, VIRTIO_MMIO_DRIVER_FEATURES, ~0u);
	}
	ck_assert_uint_eq(fd.vdev->driver_features, FD_FEATURES);
	ck_assert(!fd.vdev->features_beyond);
}
END_TEST

/* C8, virtio 1.2 §2.2.2: the same set again after a reset */
START_TEST(test_renegotiation)
{
	for (unsigned int i = 1; i <= 100; i++) {
		ck_assert(fd_start(&fd, FD_FEATURES));
		ck_assert_uint_eq(echo.resets, i);
		ck_assert_uint_eq(echo.activations, i);
	}
}
END_TEST

/* What a write of VALUE makes of OLD; written down apart from the code. */
static uint8_t model_status(uint8_t old, uint8_t value, bool features_ok)
{
	uint8_t s = old;

	if (value == 0)
		return 0;
	for (unsigned int bit = 0; bit < 8; bit++) {
		uint8_t b = (uint8_t)(1u << bit);

		if (b & ~(0x30 | NEEDS_RESET) & old & ~value)
			return old;
	}
	if (value & FAILED)
		return s | FAILED;
	if (old & FAILED)
		return old;
	if (value & ACK)
		s |= ACK;
	if (value & DRIVER && s & ACK)
		s |= DRIVER;
	if (value & FEATURES_OK && s & DRIVER && features_ok)
		s |= FEATURES_OK;
	if (value & DRIVER_OK && s & FEATURES_OK)
		s |= DRIVER_OK;
	return s;
}

/* C40, C41, virtio 1.2 §2.1.1, §3.1.1; C43, 1.4 §3.4.2: every status
 * that can be reached, every write to it
 */
START_TEST(test_status_transitions)
{
	for (unsigned int run = 0; run < 2 * 256 * 256; run++) {
		uint8_t first = run & 0xff, second = run >> 8 & 0xff;
		bool good = run >> 16;
		uint8_t want;

		set_status(0);
		fd_set_reg(&fd, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
		fd_set_reg(&fd, VIRTIO_MMIO_DRIVER_FEATURES, good);
		set_status(first);
		good &= first != 0; /* a reset forgets them */
		want = model_status(0, first, good);
		MUST(status() == want);
		set_status(second);
		good &= second != 0;
		want = model_status(want, second, good);
		MUST(status() == want);
		set_status(want | DRIVER_OK | 0x30);
		want = model_status(want, want | DRIVER_OK, good);
		MUST(status() == want);
	}
}
END_TEST

/* The register has 32 bits: 0x100 is not the 0 that resets. */
START_TEST(test_status_width)
{
	ck_assert(fd_start(&fd, FD_FEATURES));
	for (uint32_t value = 0x100; value != 0; value <<= 1) {
		set_status(value);
		ck_assert_uint_eq(status(),
				  ACK | DRIVER | FEATURES_OK | DRIVER_OK);
	}
	ck_assert_uint_gt(counter_get(&fd.mmio.refused), 0);
}
END_TEST

/* C12, C14, virtio 1.2 §2.1, §2.4.1, §4.2.2.1: what a reset brings back */
START_TEST(test_reset)
{
	ck_assert(fd_start(&fd, FD_FEATURES));
	post_echo(FD_DIRECT);
	fd_kick(&fd, 0);
	ck_assert_uint_ne(fd_reg(&fd, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
	fd_set_reg(&fd, VIRTIO_MMIO_QUEUE_SEL, 1);
	set_status(0);
	ck_assert_uint_eq(status(), 0);
	ck_assert_uint_eq(fd_reg(&fd, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
	ck_assert_uint_eq(fd.vdev->driver_features, 0);
	ck_assert_uint_eq(fd.mmio.queue_sel, 0);
	for (uint32_t q = 0; q < ECHO_QUEUES; q++) {
		fd_set_reg(&fd, VIRTIO_MMIO_QUEUE_SEL, q);
		ck_assert_uint_eq(fd_reg(&fd, VIRTIO_MMIO_QUEUE_READY), 0);
		ck_assert_uint_eq(fd.mmio.queue[q].num, 0);
		ck_assert_uint_eq(fd.mmio.queue[q].desc, 0);
	}
}
END_TEST

/* C13, virtio 1.2 §2.4.1: nothing happens to memory or the line after it */
START_TEST(test_quiet_after_reset)
{
	uint64_t gpa;
	char two[2];

	ck_assert(fd_start(&fd, FD_FEATURES));
	gpa = post_echo(FD_INDIRECT);
	set_status(0);
	fd.irq.pulses = 0;
	fd_kick(&fd, 0);
	fd_run_loop(&fd);
	pthread_mutex_lock(&fd.vdev->lock);
	virtio_run_queue_locked(fd.vdev, 0);
	virtio_config_changed_locked(fd.vdev);
	pthread_mutex_unlock(&fd.vdev->lock);
	ck_assert(!fd_used(&fd, 0, NULL, NULL));
	memcpy(two, fd_ptr(&fd, gpa, 2), 2);
	ck_assert_mem_eq(two, "\0\0", 2);
	ck_assert_uint_eq(fd.irq.pulses, 0);
	ck_assert_uint_eq(fd_reg(&fd, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
	ck_assert_uint_eq(echo.notified[0], 0);
}
END_TEST

/* C10, virtio 1.2 §2.1.2: nothing before DRIVER_OK, all of it after */
START_TEST(test_before_driver_ok)
{
	uint64_t gpa;

	ck_assert(fd_negotiate(&fd, FD_FEATURES));
	ck_assert(fd_setup_queue(&fd, 0, SIZE));
	gpa = post_echo(FD_DIRECT);
	fd_kick(&fd, 0);
	fd_run_loop(&fd);
	ck_assert(!fd_used(&fd, 0, NULL, NULL));
	ck_assert_uint_eq(fd.irq.pulses, 0);
	ck_assert_uint_eq(echo.notified[0], 0);

	fd_add_status(&fd, DRIVER_OK);
	ck_assert(!fd_used(&fd, 0, NULL, NULL)); /* queues are the loop's */
	fd_run_loop(&fd);
	expect_echo(gpa);
	ck_assert_uint_eq(fd.irq.pulses, 1);
}
END_TEST

/* C11, virtio 1.2 §2.1.2: an error ends the queues, not the device's registers,
 * until the driver resets it
 */
START_TEST(test_needs_reset)
{
	uint64_t gpa;

	for (int round = 1; round <= 3; round++) {
		ck_assert(fd_start(&fd, FD_FEATURES));
		fd_run_loop(&fd);
		fd.irq.pulses = 0;
		gpa = post_echo(FD_DIRECT);
		fd_publish(&fd, 0, SIZE); /* no such descriptor */
		fd_kick(&fd, 0);
		ck_assert_uint_eq(status(), ACK | DRIVER | FEATURES_OK |
						    DRIVER_OK | NEEDS_RESET);
		ck_assert_uint_eq(fd_reg(&fd, VIRTIO_MMIO_INTERRUPT_STATUS),
				  VIRTIO_MMIO_INT_CONFIG |
					  VIRTIO_MMIO_INT_VRING);
		ck_assert_uint_eq(fd.irq.pulses, 2);
		ck_assert_uint_eq(counter_get(&fd.vdev->resets_needed), round);

		echo.notified[0] = 0;
		for (int i = 0; i < 1000; i++)
			fd_kick(&fd, 0);
		ck_assert_uint_eq(echo.notified[0], 0);
		ck_assert_uint_eq(fd.irq.pulses, 2);
		/* The driver cannot talk it away. */
		set_status(ACK | DRIVER | FEATURES_OK | DRIVER_OK);
		ck_assert(status() & NEEDS_RESET);
		/* It can give up, whether it repeats the bit or not. */
		set_status(ACK | DRIVER | FEATURES_OK | DRIVER_OK | FAILED);
		ck_assert_uint_eq(status(), 0xcf);
	}
	ck_assert(fd_start(&fd, FD_FEATURES));
	gpa = post_echo(FD_DIRECT);
	fd_kick(&fd, 0);
	expect_echo(gpa);
}
END_TEST

/* Errors that a device returns have the same end as the ring's own. */
START_TEST(test_device_error)
{
	ck_assert(fd_start(&fd, FD_FEATURES));
	echo.error = -EFAULT;
	fd_kick(&fd, 1);
	ck_assert(status() & NEEDS_RESET);
}
END_TEST

/* virtio 1.2 §2.1: a driver that gave up is not served. */
START_TEST(test_failed)
{
	ck_assert(fd_start(&fd, FD_FEATURES));
	fd_add_status(&fd, FAILED);
	post_echo(FD_DIRECT);
	fd_kick(&fd, 0);
	ck_assert(!fd_used(&fd, 0, NULL, NULL));
	ck_assert(fd_start(&fd, FD_FEATURES));
}
END_TEST

/* C32, C33, virtio 1.2 §2.7.7.2: as many edges as the driver asked for */
START_TEST(test_used_notifications)
{
	static const uint64_t version_1 = 1ull << VIRTIO_F_VERSION_1;
	const uint64_t features[] = { version_1, FD_FEATURES };

	for (unsigned int f = 0; f < ARRAY_SIZE(features); f++) {
		for (unsigned int i = 0; i < 40; i++) {
			bool want = i & 1;

			if (i % 20 == 0)
				ck_assert(fd_start(&fd, features[f]));
			fd_run_loop(&fd);
			fd_want_irq(&fd, 0, want);
			post_echo(FD_DIRECT);
			post_echo(FD_DIRECT);
			fd.irq.pulses = 0;
			fd_kick(&fd, 0);
			ck_assert_uint_eq(fd.irq.pulses, want);
			ck_assert(fd_used(&fd, 0, NULL, NULL));
			ck_assert(fd_used(&fd, 0, NULL, NULL));
			ck_assert(!fd_used(&fd, 0, NULL, NULL));
		}
	}
}
END_TEST

/* C35, virtio 1.2 §2.7.10.2: doorbells without chains */
START_TEST(test_spurious_kicks)
{
	uint64_t gpa;

	ck_assert(fd_start(&fd, FD_FEATURES));
	fd_run_loop(&fd);
	for (int i = 0; i < 100000; i++)
		fd_kick(&fd, 0);
	ck_assert_uint_eq(fd.irq.pulses, 0);
	gpa = post_echo(FD_MIXED);
	ck_assert(fd_kick_wanted(&fd, 0, 1));
	fd_kick(&fd, 0);
	expect_echo(gpa);
}
END_TEST

/* C17, C42, virtio 1.2 §2.5, §3.2.1, §4.2.2.1: a new generation, and an
 * interrupt when the driver is up
 */
START_TEST(test_config_changed)
{
	uint32_t before = fd_reg(&fd, VIRTIO_MMIO_CONFIG_GENERATION);

	pthread_mutex_lock(&fd.vdev->lock);
	virtio_config_changed_locked(fd.vdev);
	pthread_mutex_unlock(&fd.vdev->lock);
	ck_assert_uint_ne(fd_reg(&fd, VIRTIO_MMIO_CONFIG_GENERATION), before);
	ck_assert_uint_eq(fd.irq.pulses, 0);
	ck_assert_uint_eq(fd_reg(&fd, VIRTIO_MMIO_INTERRUPT_STATUS), 0);

	ck_assert(fd_start(&fd, FD_FEATURES));
	before = fd_reg(&fd, VIRTIO_MMIO_CONFIG_GENERATION);
	pthread_mutex_lock(&fd.vdev->lock);
	virtio_config_changed_locked(fd.vdev);
	pthread_mutex_unlock(&fd.vdev->lock);
	ck_assert_uint_ne(fd_reg(&fd, VIRTIO_MMIO_CONFIG_GENERATION), before);
	ck_assert_uint_eq(fd.irq.pulses, 1);
	ck_assert_uint_eq(fd_reg(&fd, VIRTIO_MMIO_INTERRUPT_STATUS),
			  VIRTIO_MMIO_INT_CONFIG);
}
END_TEST

/* The way that KVM takes: an eventfd, the loop, the device. */
START_TEST(test_doorbell_by_eventfd)
{
	const uint64_t one = 1;
	uint64_t gpa;

	ck_assert(fd_start(&fd, FD_FEATURES));
	fd_run_loop(&fd);
	gpa = post_echo(FD_DIRECT);
	ck_assert_int_eq(write(fd.vdev->doorbell[0].fd, &one, 8), 8);
	fd_run_loop(&fd);
	expect_echo(gpa);
	/* Drained: the loop is quiet again. */
	echo.notified[0] = 0;
	fd_run_loop(&fd);
	ck_assert_uint_eq(echo.notified[0], 0);
	ck_assert_uint_eq(echo.notified[1], 1); /* by DRIVER_OK, once */
}
END_TEST

/* A queue that the driver left out asks for no turn. */
START_TEST(test_queue_left_out)
{
	uint64_t gpa;

	ck_assert(fd_negotiate(&fd, FD_FEATURES));
	ck_assert(fd_setup_queue(&fd, 0, SIZE));
	fd_add_status(&fd, DRIVER_OK);
	fd_run_loop(&fd);
	gpa = post_echo(FD_DIRECT);
	fd_kick(&fd, 0);
	expect_echo(gpa);
	fd_run_loop(&fd);
	/* DRIVER_OK and the kick */
	ck_assert_uint_eq(counter_get(&fd.vdev->doorbells), 2);
}
END_TEST

/* D15: how deep the queue was at each kick. */
START_TEST(test_telemetry)
{
	ck_assert(fd_start(&fd, FD_FEATURES));
	fd_kick(&fd, 0);
	for (int i = 0; i < 4; i++)
		post_echo(FD_INDIRECT);
	fd_kick(&fd, 0);
	ck_assert_uint_eq(counter_get(&fd.vdev->doorbells), 2);
	ck_assert_uint_eq(counter_get(&fd.vdev->interrupts), 1);
	ck_assert_uint_eq(fd.vdev->queue_depth.count, 2);
	ck_assert_uint_eq(fd.vdev->queue_depth.max, 4);
}
END_TEST

/* D15: per queue the kicks, what came back, what is with us and the most of it,
 * and the interrupts that the driver was spared.
 */
START_TEST(test_queue_telemetry)
{
	const struct virtio_queue_stats *st;
	struct chain c;

	ck_assert(fd_start(&fd, FD_FEATURES));
	fd_run_loop(&fd);
	st = fd.vdev->queue_stats;
	fd_want_irq(&fd, 0, true);
	for (int i = 0; i < 5; i++)
		post_echo(FD_INDIRECT);
	fd_kick(&fd, 0);
	fd_want_irq(&fd, 0, false);
	for (int i = 0; i < 3; i++) {
		post_echo(FD_INDIRECT);
		fd_kick(&fd, 0);
	}
	ck_assert_uint_eq(counter_get(&st[0].kicks), 1 + 4);
	ck_assert_uint_eq(counter_get(&st[0].used), 8);
	ck_assert_uint_eq(counter_get(&st[0].suppressed), 3);
	ck_assert_uint_eq(counter_get(&st[0].peak), 5);
	ck_assert_uint_eq(counter_get(&fd.vdev->interrupts), 1);
	/* Each kick was a run, and DRIVER_OK's of the other queue. */
	ck_assert_uint_eq(fd.vdev->run_ns.count, 4 + 2);

	/* Queue 1 keeps what it takes. */
	for (int i = 0; i < 4; i++)
		fd_post(&fd, 1, &(struct fd_seg){ fd_alloc(&fd, 8), 8 }, 1, 0,
			FD_DIRECT);
	ck_assert_int_eq(virtq_pop(&fd.vdev->vq[1], &c), 1);
	fd_kick(&fd, 1);
	ck_assert_uint_eq(counter_get(&st[1].peak), 4);
	ck_assert_uint_eq(virtio_queue_depth_locked(fd.vdev, 1), 4);
	ck_assert_int_eq(virtq_pop(&fd.vdev->vq[1], &c), 1);
	ck_assert_uint_eq(virtio_queue_depth_locked(fd.vdev, 1), 4);
	ck_assert_int_eq(virtq_push(&fd.vdev->vq[1], &c, 0), 0);
	ck_assert_uint_eq(virtio_queue_depth_locked(fd.vdev, 1), 3);
	fd_kick(&fd, 1);
	ck_assert_uint_eq(counter_get(&st[1].used), 1);
	fd_reset(&fd);
	ck_assert_uint_eq(virtio_queue_depth_locked(fd.vdev, 1), 0);
	ck_assert_uint_eq(counter_get(&st[1].peak), 4);
	ck_assert_uint_eq(counter_get(&st[0].used), 8);
}
END_TEST

/* A driver that always has one more. */
static void post_again(struct echo_device *e)
{
	(void)e;
	fd_used(&fd, 0, NULL, NULL);
	fd_publish(&fd, 0, 0);
}

struct bystander {
	struct loop_source source;
	unsigned int turns;
};

static void bystander_ready(struct loop_source *source, uint32_t events)
{
	(void)events;
	container_of(source, struct bystander, source)->turns++;
}

/* V31: a driver that never stops adding does not hold the loop, and is served
 * to the end when it does stop, without another kick
 */
START_TEST(test_fairness)
{
	struct bystander by = { .source = { .ready = bystander_ready } };
	int event = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);

	ck_assert(fd_start(&fd, FD_FEATURES));
	fd_run_loop(&fd);
	ck_assert_int_eq(loop_add(&fd.loop, &by.source, event, EPOLLIN), 0);
	fd_desc(&fd, 0)[0] = (struct vring_desc){ .addr = 16, .len = 4 };
	echo.after_pop = post_again;
	echo.echoed = 0;
	fd_publish(&fd, 0, 0);
	fd_kick(&fd, 0);
	ck_assert_uint_eq(echo.echoed, SIZE);
	for (unsigned int i = 1; i <= 20; i++) {
		loop_step(&fd.loop, 0);
		ck_assert_uint_eq(by.turns, i);
		ck_assert_uint_eq(echo.echoed, SIZE * (i + 1));
	}
	ck_assert_uint_eq(echo.most, SIZE);
	echo.after_pop = NULL;
	fd_run_loop(&fd);
	ck_assert_uint_eq(virtq_depth(&fd.vdev->vq[0]), 0);
	ck_assert_uint_eq(echo.echoed, SIZE * 21 + 1);
	ck_assert_uint_eq(fd.vdev->vq[0].budget, VIRTQ_NO_BUDGET);
	loop_remove(&fd.loop, &by.source);
	close(event);
}
END_TEST

/* A start that fails half way leaves nothing, and can be tried again. */
START_TEST(test_start_fails)
{
	struct virtio_device *vdev;
	struct echo_device other;
	struct rlimit old, low;
	int next;

	echo_create(&other, &fd.env, SIZE, &vdev);
	getrlimit(RLIMIT_NOFILE, &old);
	next = dup(0);
	close(next);
	low = (struct rlimit){ (rlim_t)next + 1, old.rlim_max };
	setrlimit(RLIMIT_NOFILE, &low);
	ck_assert_int_eq(virtio_device_start(vdev), -EMFILE);
	setrlimit(RLIMIT_NOFILE, &old);
	ck_assert_int_eq(fcntl(next, F_GETFD), -1);
	for (unsigned int q = 0; q < ECHO_QUEUES; q++)
		ck_assert_int_eq(vdev->doorbell[q].fd, -1);
	ck_assert_int_eq(vdev->doorbell[0].source.fd, -1);
	ck_assert_int_eq(virtio_device_start(vdev), 0);
	next = vdev->doorbell[0].fd;
	ck_assert_int_eq(fcntl(next, F_GETFD), FD_CLOEXEC);
	ck_assert(fcntl(next, F_GETFL) & O_NONBLOCK);
	virtio_device_destroy(vdev);
	ck_assert_int_eq(fcntl(next, F_GETFD), -1);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("device");
	TCase *tc = tcase_create("device");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_feature_subsets);
	tcase_add_test(tc, test_features_beyond);
	tcase_add_test(tc, test_features_frozen);
	tcase_add_test(tc, test_renegotiation);
	tcase_add_test(tc, test_status_transitions);
	tcase_add_test(tc, test_status_width);
	tcase_add_test(tc, test_reset);
	tcase_add_test(tc, test_quiet_after_reset);
	tcase_add_test(tc, test_before_driver_ok);
	tcase_add_test(tc, test_needs_reset);
	tcase_add_test(tc, test_device_error);
	tcase_add_test(tc, test_failed);
	tcase_add_test(tc, test_used_notifications);
	tcase_add_test(tc, test_spurious_kicks);
	tcase_add_test(tc, test_config_changed);
	tcase_add_test(tc, test_doorbell_by_eventfd);
	tcase_add_test(tc, test_queue_left_out);
	tcase_add_test(tc, test_telemetry);
	tcase_add_test(tc, test_queue_telemetry);
	tcase_add_test(tc, test_fairness);
	tcase_add_test(tc, test_start_fails);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
