// SPDX-License-Identifier: Apache-2.0
/*
 * driver.h - the smallest virtio driver (virtio 1.2 §3.1, §4.2.3)
 *
 * One queue at a time, eight descriptors, polled.  32-bit guests only.
 */
#ifndef MOTE_TESTS_GUEST_DRIVER_H
#define MOTE_TESTS_GUEST_DRIVER_H

#include "guest.h"

#define RING_SIZE 8

#define DESC_NEXT     1
#define DESC_WRITE    2
#define DESC_INDIRECT 4

struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

/* §2.7: the three parts of a split virtqueue. */
struct ring {
	struct desc desc[RING_SIZE] __attribute__((aligned(16)));
	struct {
		uint16_t flags, idx, ring[RING_SIZE], event;
	} avail __attribute__((aligned(2)));
	struct {
		uint16_t flags, idx;
		struct {
			uint32_t id, len;
		} ring[RING_SIZE];
		uint16_t event;
	} used __attribute__((aligned(4)));
};

/* Resets the device and takes it to FEATURES_OK with VERSION_1 alone. */
void driver_reset(uintptr_t window);

/* Describes queue Q, with RING zeroed, to the device; it is not live yet. */
void driver_describe(uintptr_t window, uint32_t q, volatile struct ring *ring);

/* The same, and makes it live. */
void driver_queue(uintptr_t window, uint32_t q, volatile struct ring *ring);

/* Sets DRIVER_OK. */
void driver_ok(uintptr_t window);

/* Makes descriptor 0, as it stands, available and rings the doorbell. */
void driver_post(uintptr_t window, uint32_t q, volatile struct ring *ring);

/* Waits until RING's used index is IDX; false when that takes too long. */
int driver_used(volatile struct ring *ring, uint16_t idx);

#endif
