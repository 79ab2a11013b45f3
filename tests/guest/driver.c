// SPDX-License-Identifier: Apache-2.0
/*
 * driver.c - the smallest virtio driver
 */
#include "driver.h"

/* Reads of a register, each an exit: some seconds on the slowest KVM. */
#define PATIENCE 200000u

void driver_reset(uintptr_t window)
{
	write32(window + REG_STATUS, 0);
	CHECK(read32(window + REG_STATUS) == 0, "status after a reset");
	write32(window + REG_STATUS, STATUS_ACKNOWLEDGE);
	write32(window + REG_STATUS, STATUS_ACKNOWLEDGE | STATUS_DRIVER);
	write32(window + REG_FEATURES_SEL, 1);
	CHECK(read32(window + REG_FEATURES) & 1, "VERSION_1 is not offered");
	write32(window + REG_DRV_SEL, 0);
	write32(window + REG_DRV_FEATURES, 0);
	write32(window + REG_DRV_SEL, 1);
	write32(window + REG_DRV_FEATURES, 1);
	write32(window + REG_STATUS,
		STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK);
	CHECK(read32(window + REG_STATUS) & STATUS_FEATURES_OK,
	      "FEATURES_OK did not stay");
}

void driver_describe(uintptr_t window, uint32_t q, volatile struct ring *ring)
{
	volatile uint8_t *byte = (volatile uint8_t *)ring;

	for (size_t i = 0; i < sizeof(*ring); i++)
		byte[i] = 0;
	write32(window + REG_QUEUE_SEL, q);
	CHECK(read32(window + REG_QUEUE_MAX) >= RING_SIZE, "QueueNumMax");
	write32(window + REG_QUEUE_NUM, RING_SIZE);
	write32(window + REG_QUEUE_DESC, (uint32_t)(uintptr_t)ring->desc);
	write32(window + REG_QUEUE_DESC_HI, 0);
	write32(window + REG_QUEUE_DRIVER, (uint32_t)(uintptr_t)&ring->avail);
	write32(window + REG_QUEUE_DRIVER_HI, 0);
	write32(window + REG_QUEUE_DEVICE, (uint32_t)(uintptr_t)&ring->used);
	write32(window + REG_QUEUE_DEVICE_HI, 0);
}

void driver_queue(uintptr_t window, uint32_t q, volatile struct ring *ring)
{
	driver_describe(window, q, ring);
	write32(window + REG_QUEUE_READY, 1);
	CHECK(read32(window + REG_QUEUE_READY) == 1, "QueueReady");
}

void driver_ok(uintptr_t window)
{
	write32(window + REG_STATUS,
		read32(window + REG_STATUS) | STATUS_DRIVER_OK);
}

void driver_post(uintptr_t window, uint32_t q, volatile struct ring *ring)
{
	ring->avail.ring[ring->avail.idx % RING_SIZE] = 0;
	__asm__ volatile("" ::: "memory");
	ring->avail.idx++;
	write32(window + REG_QUEUE_NOTIFY, q);
}

int driver_used(volatile struct ring *ring, uint16_t idx)
{
	for (uint32_t i = 0; i < PATIENCE; i++) {
		if (ring->used.idx == idx)
			return 1;
		/* An exit: the host may need this CPU for the device. */
		(void)read32(WINDOW(0) + REG_MAGIC);
	}
	return 0;
}
