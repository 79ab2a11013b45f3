// SPDX-License-Identifier: Apache-2.0
/*
 * virtqueue.h - one split virtqueue, the device's side (virtio 1.2 §2.7)
 *
 * A queue is set up by its driver in registers, and frozen when the driver sets
 * QueueReady: size and addresses are checked once, against guest memory, and
 * never read again from anything the guest can change.  Positions in the rings
 * (the next available entry to take, the next used entry to write) are ours
 * alone; the guest's copies of them are written, never read back.
 */
#ifndef MOTE_VIRTIO_VIRTQUEUE_H
#define MOTE_VIRTIO_VIRTQUEUE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/gmem.h"
#include "virtio/chain.h"

#define VIRTQ_MAX_SIZE	256
#define VIRTQ_NO_BUDGET UINT_MAX

/* What the driver wrote to the queue's registers (§4.2.2). */
struct virtq_config {
	uint32_t num;
	uint64_t desc;	 /* descriptor table, 16-byte aligned */
	uint64_t driver; /* available ring, 2-byte aligned */
	uint64_t device; /* used ring, 4-byte aligned */
};

struct virtqueue {
	bool live; /* between QueueReady and reset; all else valid only then */
	bool event_idx;
	bool indirect;
	uint16_t size; /* a power of two */
	struct guest_memory *gm;
	uint64_t desc, avail, used; /* guest addresses */

	uint16_t next_avail; /* free running (§2.7.6) */
	uint16_t nr_seen; /* chains from there on that idx is known to have */
	uint16_t next_used;
	uint16_t notified_used; /* next_used when we last decided to notify */
	uint64_t in_flight[VIRTQ_MAX_SIZE / 64]; /* heads popped, not pushed */
	unsigned int nr_in_flight;
	/* Chains that virtq_pop() still gives out before it says that the ring
	 * is empty; VIRTQ_NO_BUDGET outside virtio_run_queue_locked().
	 */
	unsigned int budget;
	/* Somebody looks at the ring: no notifications are asked for when it is
	 * found empty, which is then noted, until virtq_settle().
	 */
	bool watched;
	bool unarmed;
};

/* Freezes CONFIG and makes the queue live.  MAX is QueueNumMax; FEATURES is
 * what was negotiated.  -EINVAL for a size or an alignment that §2.7 forbids,
 * -EFAULT when a part is not in guest memory, -EBUSY when it is live already;
 * the queue then stays as it was.
 */
int virtq_enable(struct virtqueue *vq, struct guest_memory *gm,
		 const struct virtq_config *config, uint16_t max,
		 uint64_t features);

/* The queue is not looked at any more; in-flight chains are forgotten.  While a
 * queue is not live, every function below finds it empty and does nothing.
 */
void virtq_disable(struct virtqueue *vq);

/* Takes the next available chain, copied and checked, into CHAIN.  1 when there
 * was one, 0 when the ring is empty (the driver will then notify us of the next
 * one, unless the queue is watched) or the budget is used up (the caller of the
 * device goes on later), -EBADMSG or -EFAULT when the ring or the chain is
 * malformed.
 */
int virtq_pop(struct virtqueue *vq, struct chain *chain);

/* Gives the last popped chain back untouched, to be popped again. */
void virtq_unpop(struct virtqueue *vq, const struct chain *chain);

/* Returns CHAIN to the driver; LEN bytes from the start of its device-writable
 * part have been written (§2.7.8.2).  0, or -EFAULT.  A chain that is not in
 * flight (its queue was disabled in between) is dropped.
 */
int virtq_push(struct virtqueue *vq, const struct chain *chain, uint32_t len);

/* virtq_push() for several chains that become visible together: each is staged
 * by its head, then all are published, before anything else but virtq_pop() is
 * done with the queue.
 */
int virtq_stage(struct virtqueue *vq, uint16_t head, uint32_t len);
int virtq_publish(struct virtqueue *vq);

/* Whether the driver wants to hear of what was pushed since the last call
 * (§2.7.7.2).  Call once after a batch.
 */
bool virtq_should_notify(struct virtqueue *vq);

/* Whether the ring of a watched queue, which virtq_pop() has found empty, is
 * not empty any more; or is malformed, which the next virtq_pop() says.  Says
 * so once: who does not pop then, goes on by itself later.
 */
bool virtq_look(struct virtqueue *vq);

/* The queue is not watched any more: asks for the notification that was not
 * asked for.  True when it would not come, because there is more already.
 */
bool virtq_settle(struct virtqueue *vq);

/* Chains available but not yet popped; 0 when the ring cannot be read. */
unsigned int virtq_depth(const struct virtqueue *vq);

#endif
