// SPDX-License-Identifier: Apache-2.0
/*
 * gate.h - a rate limiter in front of a device's queues
 *
 * A queue whose next request may not pass yet is left as it is, that request
 * first, and is run again when there are tokens.  All functions are for the
 * loop's thread with the device's lock held, but for gate_init() and
 * gate_fini().
 */
#ifndef MOTE_VIRTIO_GATE_H
#define MOTE_VIRTIO_GATE_H

#include "base/rate.h"
#include "virtio/virtio.h"

struct gate {
	/* Goes on with line Q: virtio_run_queue_locked(), unless the device has
	 * a line that is no queue.
	 */
	void (*resume)(struct virtio_device *vdev, unsigned int q);
	/* Each time that a queue was held up, and for how long. */
	struct histogram stall_ns;

	/* Private to gate.c from here on. */
	struct virtio_device *vdev; /* borrowed */
	struct rate_limiter rate;
	struct loop_timer timer; /* armed while a queue waits */
	uint64_t since_ns;	 /* when it was armed */
	uint32_t waiting;	 /* a bit for each queue */
	unsigned int nr_lines;
	unsigned int next; /* the queue whose turn it is */
	bool serving;	   /* inside `resume` */
	bool passed;	   /* something did, in there */
};

/* A gate in front of VDEV's queues (NR_LINES of them, at most 32, or more when
 * something else of the device has to pass, too), open to all until gate_set().
 */
void gate_init(struct gate *gate, struct virtio_device *vdev,
	       unsigned int nr_lines);

/* Lets go of the loop. */
void gate_fini(struct gate *gate);

/* Whether WANT of queue Q may pass now, and is paid for.  If not, the caller
 * leaves the queue alone until it is run again.
 */
bool gate_pass(struct gate *gate, unsigned int q, struct rate_amount want);

/* The same where the amount is not known before the deed: nothing is taken, and
 * gate_charge() is to follow if anything is done.
 */
bool gate_is_open(struct gate *gate, unsigned int q);
void gate_charge(struct gate *gate, struct rate_amount gone);

/* Whether queue Q waits for tokens. */
static inline bool gate_holds(const struct gate *gate, unsigned int q)
{
	return gate->waiting >> q & 1;
}

/* New limits, as rate_set(); queues that wait go on at once if they now may. */
void gate_set(struct gate *gate, const struct rate_change *change);

#endif
