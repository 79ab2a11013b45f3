// SPDX-License-Identifier: Apache-2.0
/*
 * test_mmio.c - the mmio transport and what all devices share
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#include "base/util.h"
#include "tests/unit/echo_device.h"
#include "tests/unit/fake_driver.h"
#include "tests/unit/unit.h"

#define SIZE 8

#define ACK	    VIRTIO_CONFIG_S_ACKNOWLEDGE
#define DRIVER	    VIRTIO_CONFIG_S_DRIVER
#define FEATURES_OK VIRTIO_CONFIG_S_FEATURES_OK
#define DRIVER_OK   VIRTIO_CONFIG_S_DRIVER_OK
#define FAILED	    VIRTIO_CONFIG_S_FAILED
#define NEEDS_RESET VIRTIO_CONFIG_S_NEEDS_RESET

#define REG_QUEUE_RESET 0x0c0 /* virtio 1.2 §4.2.2, not in the UAPI header */

/* For hot loops: Check writes to a pipe at every ck_assert(). */
#define MUST(cond)                                                             \
	do {                                                                   \
		if (!(cond))                                                   \
			ck_abort_msg("!(%s)", #cond);                          \
	} while (0)

static const uint32_t edges[] = { 0,	    1,		 2,	     3,
				  7,	    8,		 9,	     31,
				  32,	    255,	 256,	     0xffff,
				  0x10000,  0x10001,	 0x10008,    1 << 30,
				  1u << 31, 0xfffffffeu, 0xffffffffu };

static const uint32_t queue_registers[] = {
	VIRTIO_MMIO_QUEUE_NUM,	      VIRTIO_MMIO_QUEUE_DESC_LOW,
	VIRTIO_MMIO_QUEUE_DESC_HIGH,  VIRTIO_MMIO_QUEUE_AVAIL_LOW,
	VIRTIO_MMIO_QUEUE_AVAIL_HIGH, VIRTIO_MMIO_QUEUE_USED_LOW,
	VIRTIO_MMIO_QUEUE_USED_HIGH,
};

static struct fake_driver fd;
static struct echo_device echo;

static void setup(void)
{
	struct virtio_device *vdev;

	fd_init(&fd);
	echo_create(&echo, &fd.env, SIZE, &vdev);
	fd_attach(&fd, vdev);
}

static void teardown(void)
{
	fd_fini(&fd);
}

static uint32_t status(void)
{
	return fd_reg(&fd, VIRTIO_MMIO_STATUS);
}

static void set_status(uint32_t value)
{
	fd_set_reg(&fd, VIRTIO_MMIO_STATUS, value);
}

/* One chain of two bytes to be echoed on queue 0; returns where they go. */
static uint64_t post_echo(enum fd_layout layout)
{
	struct fd_seg seg[2] = { { fd_put(&fd, "hi", 2), 2 },
				 { fd_alloc(&fd, 2), 2 } };

	fd_post(&fd, 0, seg, 1, 1, layout);
	return seg[1].gpa;
}

static void expect_echo(uint64_t gpa)
{
	uint32_t len = 0;

	ck_assert(fd_used(&fd, 0, NULL, &len));
	ck_assert_uint_eq(len, 2);
	ck_assert_mem_eq(fd_ptr(&fd, gpa, 2), "hi", 2);
}

/* C1, C2, virtio 1.2 §4.2.2.1 */
START_TEST(test_identity)
{
	ck_assert_uint_eq(fd_reg(&fd, VIRTIO_MMIO_MAGIC_VALUE), 0x74726976);
	ck_assert_uint_eq(fd_reg(&fd, VIRTIO_MMIO_VERSION), 2);
	ck_assert_uint_eq(fd_reg(&fd, VIRTIO_MMIO_DEVICE_ID), 77);
	ck_assert_uint_ne(fd_reg(&fd, VIRTIO_MMIO_VENDOR_ID), 0);
}
END_TEST

/* C4, virtio 1.2 §4.2.2; C9, C37, C38: what is offered is what is built */
START_TEST(test_offered_features)
{
	uint64_t want = 1ull << 32 | 1ull << 28 | 1ull << 29 | ECHO_FEATURES;

	for (unsigned int i = 0; i < ARRAY_SIZE(edges); i++) {
		uint32_t word = edges[i] == 0	? (uint32_t)want
				: edges[i] == 1 ? (uint32_t)(want >> 32)
						: 0;

		fd_set_reg(&fd, VIRTIO_MMIO_DEVICE_FEATURES_SEL, edges[i]);
		ck_assert_uint_eq(fd_reg(&fd, VIRTIO_MMIO_DEVICE_FEATURES),
				  word);
	}
	ck_assert_uint_eq(fd_device_features(&fd), want);
}
END_TEST

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

/* C7: a bit above 63 is as little offered as any other; zeros are fine */
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

/* C40, C41, virtio 1.2 §2.1.1, §3.1.1; C43: every status that can be reached,
 * every write to it
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

/* C12, C14, virtio 1.2 §2.4.1, §4.2.2.1: what a reset brings back */
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
				  VIRTIO_MMIO_INT_CONFIG);
		ck_assert_uint_eq(fd.irq.pulses, 1);
		ck_assert_uint_eq(counter_get(&fd.vdev->resets_needed), round);

		echo.notified[0] = 0;
		for (int i = 0; i < 1000; i++)
			fd_kick(&fd, 0);
		ck_assert_uint_eq(echo.notified[0], 0);
		ck_assert_uint_eq(fd.irq.pulses, 1);
		/* The driver cannot talk it away. */
		set_status(ACK | DRIVER | FEATURES_OK | DRIVER_OK);
		ck_assert(status() & NEEDS_RESET);
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

/* C15, virtio 1.2 §4.2.2.1; C16 §4.2.3.4: bits stay until acknowledged, and an
 * acknowledgement that leaves one is followed by one more edge
 */
START_TEST(test_interrupt_status)
{
	ck_assert(fd_start(&fd, FD_FEATURES));
	fd_run_loop(&fd);
	fd.irq.pulses = 0;
	pthread_mutex_lock(&fd.vdev->lock);
	virtio_config_changed_locked(fd.vdev);
	pthread_mutex_unlock(&fd.vdev->lock);
	ck_assert_uint_eq(fd_reg(&fd, VIRTIO_MMIO_INTERRUPT_STATUS), 2);
	post_echo(FD_DIRECT);
	fd_kick(&fd, 0);
	ck_assert_uint_eq(fd_reg(&fd, VIRTIO_MMIO_INTERRUPT_STATUS), 3);
	ck_assert_uint_eq(fd.irq.pulses, 2);

	fd_set_reg(&fd, VIRTIO_MMIO_INTERRUPT_ACK, 0xfffffffc);
	ck_assert_uint_eq(fd_reg(&fd, VIRTIO_MMIO_INTERRUPT_STATUS), 3);
	ck_assert_uint_eq(fd.irq.pulses, 3);
	fd_set_reg(&fd, VIRTIO_MMIO_INTERRUPT_ACK, 1);
	ck_assert_uint_eq(fd_reg(&fd, VIRTIO_MMIO_INTERRUPT_STATUS), 2);
	ck_assert_uint_eq(fd.irq.pulses, 4);
	fd_set_reg(&fd, VIRTIO_MMIO_INTERRUPT_ACK, 2);
	ck_assert_uint_eq(fd_reg(&fd, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
	ck_assert_uint_eq(fd.irq.pulses, 4);
	fd_set_reg(&fd, VIRTIO_MMIO_INTERRUPT_ACK, ~0u);
	ck_assert_uint_eq(fd.irq.pulses, 4);
}
END_TEST

/* An interrupt handler of the guest waits for nobody. */
START_TEST(test_interrupt_status_without_lock)
{
	ck_assert(fd_start(&fd, FD_FEATURES));
	post_echo(FD_DIRECT);
	fd_kick(&fd, 0);
	pthread_mutex_lock(&fd.vdev->lock);
	ck_assert_uint_eq(fd_reg(&fd, VIRTIO_MMIO_INTERRUPT_STATUS), 1);
	fd_set_reg(&fd, VIRTIO_MMIO_INTERRUPT_ACK, 1);
	ck_assert_uint_eq(fd_reg(&fd, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
	pthread_mutex_unlock(&fd.vdev->lock);
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

/* C17, C42, virtio 1.2 §2.5, §4.2.2.1: a new generation, and an interrupt when
 * the driver is up
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

/* C18, virtio 1.2 §4.2.2.1: QueueReady 0 on a running device */
START_TEST(test_queue_unready)
{
	uint8_t *used;

	ck_assert(fd_start(&fd, FD_FEATURES));
	fd_run_loop(&fd);
	post_echo(FD_DIRECT);
	used = (uint8_t *)fd_used_ring(&fd, 0);
	fd_set_reg(&fd, VIRTIO_MMIO_QUEUE_SEL, 0);
	fd_set_reg(&fd, VIRTIO_MMIO_QUEUE_READY, 0);
	ck_assert_uint_eq(fd_reg(&fd, VIRTIO_MMIO_QUEUE_READY), 0);
	memset(used, 0xee, 6 + 8 * SIZE);
	memset(fd_avail_ring(&fd, 0), 0xee, 6 + 2 * SIZE);
	fd_kick(&fd, 0);
	for (int i = 0; i < 6 + 8 * SIZE; i++)
		ck_assert_uint_eq(used[i], 0xee);
	ck_assert(!(status() & NEEDS_RESET));
	/* Without RING_RESET it does not come back before a reset. */
	fd_set_reg(&fd, VIRTIO_MMIO_QUEUE_READY, 1);
	ck_assert_uint_eq(fd_reg(&fd, VIRTIO_MMIO_QUEUE_READY), 0);
	fd_set_reg(&fd, VIRTIO_MMIO_QUEUE_SEL, 1);
	ck_assert_uint_eq(fd_reg(&fd, VIRTIO_MMIO_QUEUE_READY), 1);
}
END_TEST

/* C19, V15, virtio 1.2 §4.2.2: queues that do not exist */
START_TEST(test_queue_sel)
{
	ck_assert(fd_negotiate(&fd, FD_FEATURES));
	for (unsigned int i = 0; i < ARRAY_SIZE(edges); i++) {
		bool exists = edges[i] < ECHO_QUEUES;

		fd_set_reg(&fd, VIRTIO_MMIO_QUEUE_SEL, edges[i]);
		ck_assert_uint_eq(fd_reg(&fd, VIRTIO_MMIO_QUEUE_NUM_MAX),
				  exists ? SIZE : 0);
		if (exists)
			continue;
		for (unsigned int r = 0; r < ARRAY_SIZE(queue_registers); r++)
			fd_set_reg(&fd, queue_registers[r], 8);
		fd_set_reg(&fd, VIRTIO_MMIO_QUEUE_READY, 1);
		ck_assert_uint_eq(fd_reg(&fd, VIRTIO_MMIO_QUEUE_READY), 0);
		fd_set_reg(&fd, VIRTIO_MMIO_QUEUE_READY, 0);
	}
	for (unsigned int q = 0; q < ECHO_QUEUES; q++) {
		ck_assert_uint_eq(fd.mmio.queue[q].num, 0);
		ck_assert(!fd.vdev->vq[q].live);
	}
	/* Doorbells of no queue, by register and by call */
	ck_assert(fd_start(&fd, FD_FEATURES));
	for (unsigned int i = 0; i < ARRAY_SIZE(edges); i++) {
		fd_set_reg(&fd, VIRTIO_MMIO_QUEUE_NOTIFY, edges[i]);
		if (edges[i] >= ECHO_QUEUES)
			virtio_doorbell(fd.vdev, edges[i]);
	}
	ck_assert_uint_eq(echo.notified[0] + echo.notified[1], 0);
}
END_TEST

/* C20, V2, virtio 1.2 §2.7: QueueReady stays 0 for a wrong configuration */
START_TEST(test_queue_refused)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(edges); i++) {
		uint32_t num = edges[i];
		bool good = num == 1 || num == 2 || num == 8;

		ck_assert(fd_negotiate(&fd, FD_FEATURES));
		fd_set_reg(&fd, VIRTIO_MMIO_QUEUE_NUM, num);
		fd_set_reg(&fd, VIRTIO_MMIO_QUEUE_READY, 1);
		ck_assert_uint_eq(fd_reg(&fd, VIRTIO_MMIO_QUEUE_READY), good);
	}
	/* Both halves of an address count. */
	for (unsigned int r = 1; r < ARRAY_SIZE(queue_registers); r++) {
		bool high = r % 2 == 0;

		ck_assert(fd_negotiate(&fd, FD_FEATURES));
		fd_set_reg(&fd, VIRTIO_MMIO_QUEUE_NUM, 8);
		fd_set_reg(&fd, queue_registers[r], high ? 2 : 0xfffffff0);
		fd_set_reg(&fd, VIRTIO_MMIO_QUEUE_READY, 1);
		ck_assert_uint_eq(fd_reg(&fd, VIRTIO_MMIO_QUEUE_READY), 0);
		fd_set_reg(&fd, queue_registers[r], high ? 1 : 0x1000);
		fd_set_reg(&fd, VIRTIO_MMIO_QUEUE_READY, 1);
		ck_assert_uint_eq(fd_reg(&fd, VIRTIO_MMIO_QUEUE_READY), 1);
	}
}
END_TEST

/* Only 1 makes a queue ready. */
START_TEST(test_queue_ready_values)
{
	ck_assert(fd_negotiate(&fd, FD_FEATURES));
	fd_set_reg(&fd, VIRTIO_MMIO_QUEUE_NUM, 8);
	for (unsigned int i = 0; i < ARRAY_SIZE(edges); i++) {
		fd_set_reg(&fd, VIRTIO_MMIO_QUEUE_READY, edges[i]);
		ck_assert_uint_eq(fd_reg(&fd, VIRTIO_MMIO_QUEUE_READY),
				  edges[i] == 1);
		fd_set_reg(&fd, VIRTIO_MMIO_QUEUE_READY, 0);
	}
}
END_TEST

/* V1, C21, virtio 1.2 §4.2.2.2: queue registers count between FEATURES_OK and
 * DRIVER_OK while the queue is not ready, and I/O goes on whatever is written
 */
START_TEST(test_queue_registers_frozen)
{
	for (unsigned int r = 0; r < ARRAY_SIZE(queue_registers); r++) {
		struct virtq_config before;
		uint64_t refused;
		uint64_t gpa;

		/* before FEATURES_OK */
		set_status(0);
		for (int s = 0; s < 3; s++) {
			set_status(s == 0 ? 0 : s == 1 ? ACK : ACK | DRIVER);
			refused = counter_get(&fd.mmio.refused);
			fd_set_reg(&fd, queue_registers[r], 0x10000);
			ck_assert_uint_eq(counter_get(&fd.mmio.refused),
					  refused + 1);
			before = (struct virtq_config){ 0 };
			ck_assert_mem_eq(&fd.mmio.queue[0], &before,
					 sizeof(before));
		}
		/* ready, and then running */
		ck_assert(fd_start(&fd, FD_FEATURES));
		before = fd.mmio.queue[0];
		fd_set_reg(&fd, VIRTIO_MMIO_QUEUE_SEL, 0);
		for (unsigned int i = 0; i < ARRAY_SIZE(edges); i++)
			fd_set_reg(&fd, queue_registers[r], edges[i]);
		fd_set_reg(&fd, VIRTIO_MMIO_QUEUE_READY, 1);
		ck_assert_mem_eq(&fd.mmio.queue[0], &before, sizeof(before));
		gpa = post_echo(FD_MIXED);
		fd_kick(&fd, 0);
		expect_echo(gpa);
		/* not ready, but running */
		fd_set_reg(&fd, VIRTIO_MMIO_QUEUE_READY, 0);
		fd_set_reg(&fd, queue_registers[r], 4);
		ck_assert_mem_eq(&fd.mmio.queue[0], &before, sizeof(before));
	}
}
END_TEST

/* A queue that was made ready can be set up anew before DRIVER_OK. */
START_TEST(test_queue_again)
{
	uint64_t gpa;

	ck_assert(fd_negotiate(&fd, FD_FEATURES));
	ck_assert(fd_setup_queue(&fd, 0, 8));
	fd_set_reg(&fd, VIRTIO_MMIO_QUEUE_NUM, 2);
	ck_assert_uint_eq(fd.vdev->vq[0].size, 8);
	fd_set_reg(&fd, VIRTIO_MMIO_QUEUE_READY, 0);
	ck_assert(fd_setup_queue(&fd, 0, 4));
	ck_assert_uint_eq(fd.vdev->vq[0].size, 4);
	fd_add_status(&fd, DRIVER_OK);
	gpa = post_echo(FD_DIRECT);
	fd_kick(&fd, 0);
	expect_echo(gpa);
}
END_TEST

/* C25, virtio 1.2 §4.2.2: no shared memory region; C22: no RING_RESET */
START_TEST(test_absent)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(edges); i++) {
		fd_set_reg(&fd, VIRTIO_MMIO_SHM_SEL, edges[i]);
		for (uint32_t r = VIRTIO_MMIO_SHM_LEN_LOW;
		     r <= VIRTIO_MMIO_SHM_BASE_HIGH; r += 4)
			ck_assert_uint_eq(fd_reg(&fd, r), 0xffffffff);
		fd_set_reg(&fd, REG_QUEUE_RESET, edges[i]);
		ck_assert_uint_eq(fd_reg(&fd, REG_QUEUE_RESET), 0);
	}
}
END_TEST

/* V14, C26, C27, virtio 1.2 §4.2.2.2: reads of every place and length, before
 * any negotiation.  Each goes to a block of its own, for ASan.
 */
START_TEST(test_every_read)
{
	for (unsigned int len = 1; len <= 8; len++) {
		uint8_t *buf = malloc(len);

		for (uint32_t off = 0; off + len <= VIRTIO_MMIO_WINDOW; off++) {
			bool config = off >= VIRTIO_MMIO_CONFIG;
			uint32_t at = off - VIRTIO_MMIO_CONFIG;

			memset(buf, 0xcc, len);
			fd_mmio_read(&fd, off, buf, len);
			if (!config && len == 4 && off % 4 == 0)
				continue;
			for (unsigned int i = 0; i < len; i++) {
				bool in = config && at + i < ECHO_CONFIG_SIZE;

				MUST(buf[i] == (in ? 0xa0 + at + i : 0));
			}
		}
		free(buf);
	}
}
END_TEST

/* Writes of every place and length; what is odd, or leaves the configuration
 * space, changes nothing.
 */
START_TEST(test_every_write)
{
	static const uint8_t ones[8] = { 1, 1, 1, 1, 1, 1, 1, 1 };

	for (unsigned int len = 1; len <= 8; len++) {
		for (uint32_t off = 0; off + len <= VIRTIO_MMIO_WINDOW; off++) {
			uint8_t want[ECHO_CONFIG_SIZE] = { 0 };
			uint32_t at = off - VIRTIO_MMIO_CONFIG;

			memset(echo.config, 0, sizeof(echo.config));
			if (off < VIRTIO_MMIO_CONFIG && len == 4 &&
			    off % 4 == 0)
				continue;
			fd_mmio_write(&fd, off, ones, len);
			if (off >= VIRTIO_MMIO_CONFIG &&
			    at + len <= ECHO_CONFIG_SIZE)
				memset(want + at, 1, len);
			MUST(memcmp(want, echo.config, sizeof(want)) == 0);
		}
	}
	ck_assert_uint_eq(status(), 0);
	ck_assert_uint_eq(fd.mmio.queue_sel, 0);
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
	Suite *s = suite_create("mmio");
	TCase *tc = tcase_create("mmio");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_identity);
	tcase_add_test(tc, test_offered_features);
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
	tcase_add_test(tc, test_interrupt_status);
	tcase_add_test(tc, test_interrupt_status_without_lock);
	tcase_add_test(tc, test_used_notifications);
	tcase_add_test(tc, test_spurious_kicks);
	tcase_add_test(tc, test_config_changed);
	tcase_add_test(tc, test_queue_unready);
	tcase_add_test(tc, test_queue_sel);
	tcase_add_test(tc, test_queue_refused);
	tcase_add_test(tc, test_queue_ready_values);
	tcase_add_test(tc, test_queue_registers_frozen);
	tcase_add_test(tc, test_queue_again);
	tcase_add_test(tc, test_absent);
	tcase_add_test(tc, test_every_read);
	tcase_add_test(tc, test_every_write);
	tcase_add_test(tc, test_doorbell_by_eventfd);
	tcase_add_test(tc, test_telemetry);
	tcase_add_test(tc, test_fairness);
	tcase_add_test(tc, test_start_fails);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
