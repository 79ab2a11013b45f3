// SPDX-License-Identifier: Apache-2.0
/*
 * test_mmio.c - the registers of the mmio transport
 */
#include <string.h>

#include "base/util.h"
#include "tests/unit/echo_fixture.h"

#define REG_QUEUE_RESET 0x0c0 /* virtio 1.2 §4.2.2, not in the UAPI header */

static const uint32_t queue_registers[] = {
	VIRTIO_MMIO_QUEUE_NUM,	      VIRTIO_MMIO_QUEUE_DESC_LOW,
	VIRTIO_MMIO_QUEUE_DESC_HIGH,  VIRTIO_MMIO_QUEUE_AVAIL_LOW,
	VIRTIO_MMIO_QUEUE_AVAIL_HIGH, VIRTIO_MMIO_QUEUE_USED_LOW,
	VIRTIO_MMIO_QUEUE_USED_HIGH,
};

/* C1, C2, virtio 1.2 §4.2.2.1 */
START_TEST(test_identity)
{
	ck_assert_uint_eq(fd_reg(&fd, VIRTIO_MMIO_MAGIC_VALUE), 0x74726976);
	ck_assert_uint_eq(fd_reg(&fd, VIRTIO_MMIO_VERSION), 2);
	ck_assert_uint_eq(fd_reg(&fd, VIRTIO_MMIO_DEVICE_ID), 77);
	ck_assert_uint_ne(fd_reg(&fd, VIRTIO_MMIO_VENDOR_ID), 0);
}
END_TEST

/* C4, virtio 1.2 §4.2.2; C9, §2.2.2; C37, §2.9; C38, §6.2: what is offered is
 * what is built
 */
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
	echo.notified[0] = 0;
	fd_kick(&fd, 0);
	ck_assert_uint_eq(echo.notified[0], 0);
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

/* C20, V2, virtio 1.2 §2.7, §4.2.2: QueueReady stays 0 for a wrong set-up */
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

/* virtio 1.2 §4.2.2: the halves of an address, in either order */
START_TEST(test_queue_addresses)
{
	const struct virtq_config *c = &fd.mmio.queue[0];

	for (unsigned int r = 1; r < ARRAY_SIZE(queue_registers); r += 2) {
		const uint64_t *word = r == 1	? &c->desc
				       : r == 3 ? &c->driver
						: &c->device;

		ck_assert(fd_negotiate(&fd, FD_FEATURES));
		fd_set_reg(&fd, queue_registers[r + 1], 0x89abcdef);
		fd_set_reg(&fd, queue_registers[r], 0x01234567);
		ck_assert_uint_eq(*word, 0x89abcdef01234567);
		fd_set_reg(&fd, queue_registers[r + 1], 0x76543210);
		ck_assert_uint_eq(*word, 0x7654321001234567);
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
	ck_assert_uint_eq(fd.mmio.queue[0].num, 8);
	fd_set_reg(&fd, VIRTIO_MMIO_QUEUE_READY, 0);
	ck_assert(fd_setup_queue(&fd, 0, 4));
	ck_assert_uint_eq(fd.vdev->vq[0].size, 4);
	fd_add_status(&fd, DRIVER_OK);
	gpa = post_echo(FD_DIRECT);
	fd_kick(&fd, 0);
	expect_echo(gpa);
}
END_TEST

/* C25, virtio 1.2 §4.2.2: no shared memory region; C22, §4.2.2.1: no RING_RESET
 */
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

/* V14, C26, C27, virtio 1.2 §2.5, §2.5.2, §4.2.2.2: reads of every place and
 * length, before any negotiation.  Each goes to a block of its own, for ASan.
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

static Suite *suite(void)
{
	Suite *s = suite_create("mmio");
	TCase *tc = tcase_create("mmio");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_identity);
	tcase_add_test(tc, test_offered_features);
	tcase_add_test(tc, test_interrupt_status);
	tcase_add_test(tc, test_interrupt_status_without_lock);
	tcase_add_test(tc, test_queue_unready);
	tcase_add_test(tc, test_queue_sel);
	tcase_add_test(tc, test_queue_refused);
	tcase_add_test(tc, test_queue_addresses);
	tcase_add_test(tc, test_queue_ready_values);
	tcase_add_test(tc, test_queue_registers_frozen);
	tcase_add_test(tc, test_queue_again);
	tcase_add_test(tc, test_absent);
	tcase_add_test(tc, test_every_read);
	tcase_add_test(tc, test_every_write);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
