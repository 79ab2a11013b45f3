// SPDX-License-Identifier: Apache-2.0
/*
 * io.h - the guest that drives devices for measurements: what its files share
 *
 * A driver for whatever has virtio-mmio windows, mote or QEMU's microvm, that
 * does as little as a driver can: rings of 256 entries, VERSION_1, EVENT_IDX,
 * INDIRECT_DESC, and no copying.  Completions are found by looking at the used
 * rings, in ring 3, where every KVM runs at native speed.
 */
#ifndef MOTE_TESTS_BENCH_IO_H
#define MOTE_TESTS_BENCH_IO_H

#include <stdbool.h>

#include "tests/guest/guest.h"

#define RING_SIZE 256

#define ID_NET	 1
#define ID_BLOCK 2
#define ID_VSOCK 19

#define F_INDIRECT_DESC 28
#define F_EVENT_IDX	29
#define F_VERSION_1	32

#define DESC_NEXT     1
#define DESC_WRITE    2
#define DESC_INDIRECT 4

struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

/* virtio 1.2 §2.7: the three parts of a split virtqueue. */
struct ring {
	struct desc desc[RING_SIZE];
	struct {
		uint16_t flags, idx, ring[RING_SIZE], used_event;
	} avail;
	struct {
		uint16_t flags, idx;
		struct {
			uint32_t id, len;
		} ring[RING_SIZE];
		uint16_t avail_event;
	} used __attribute__((aligned(4096)));
} __attribute__((aligned(4096)));

/* One queue.  Chain n begins at descriptor n: callers number what they have in
 * flight.
 */
struct queue {
	uintptr_t window;
	uint32_t q;
	bool interrupts; /* ask for them, and answer them as a handler would */
	volatile struct ring *ring;
	uint16_t avail, told, used; /* free running: ours, published, seen */
	uint64_t kicks;		    /* doorbells rung */
	uint64_t raised;	    /* interrupts that were due */
};

/* What was counted in one run. */
struct result {
	uint64_t cycles, done, bad;
};

/* The window of the N-th device with this ID, from 0; 0 when there is none. */
uintptr_t io_find(uint32_t id, unsigned int n);

/* Takes the device to FEATURES_OK with the three features above and WANTED as
 * far as they are offered; returns what was accepted.
 */
uint64_t io_begin(uintptr_t window, uint64_t wanted);
void io_queue(struct queue *queue, uintptr_t window, uint32_t q,
	      volatile struct ring *ring);
void io_ok(uintptr_t window);

/* Makes the chain at descriptor HEAD available, with the next io_publish(). */
void io_add(struct queue *queue, uint16_t head);
/* Publishes what was added; rings the doorbell if the device wants it. */
void io_publish(struct queue *queue);
/* The next used chain: false when there is none now. */
bool io_used(struct queue *queue, uint32_t *head, uint32_t *len);
/* Nothing is left to do: asks for an interrupt, if QUEUE is to. */
void io_wait(struct queue *queue);

uint64_t io_cycles(void);

/* Waits until the host sends an empty line. */
void io_next(void);

/* One line: the result and the queue's counts. */
void io_report(const struct result *result, const struct queue *queue);

/* WORD[0] is the command's letter, the others are its numbers. */
#define IO_WORDS 6
void blk_command(const uint64_t word[IO_WORDS]);
void net_command(const uint64_t word[IO_WORDS]);
void vsock_command(const uint64_t word[IO_WORDS]);

#endif
