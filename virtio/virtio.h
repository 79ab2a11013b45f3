// SPDX-License-Identifier: Apache-2.0
/*
 * virtio.h - the device contract: what a virtio device must provide, and what
 * it may rely on (virtio 1.2 §2, §3)
 *
 * A device is one file with one `const struct virtio_device_ops`.  It embeds
 * struct virtio_device and finds itself again with container_of().  It knows
 * guest memory, one interrupt line and the loop; it knows nothing of KVM,
 * threads or registers.
 *
 * Threads.  Queues are popped and pushed on the loop only.  Registers are
 * touched by vCPU threads.  Both hold vdev->lock, which is a leaf: under it
 * nobody takes another lock (but what irq_pulse() needs for a moment) or waits
 * for another thread.  Every op below runs with the lock held; queue_notify and
 * back-end events run on the loop, the others may run on a vCPU thread and must
 * not block.
 *
 * Errors.  An op that meets malformed guest data returns -EBADMSG or -EFAULT
 * and touches nothing else; the generic code alone sets DEVICE_NEEDS_RESET and
 * sends the configuration change notification (§2.1.2).  From then on the
 * device's queues are not looked at until the driver resets it.
 *
 * Fairness.  A driver that adds chains as fast as the device uses them does not
 * hold the loop: within one queue_notify, virtq_pop() gives out at most as many
 * chains of a queue as the queue has entries, then 0.  The generic code rings
 * that queue's doorbell again, so that the rest waits its turn behind the other
 * sources.  A device simply pops until it gets 0.
 *
 * Stopping.  A device whose chains are in other hands, the host kernel's say,
 * is busy with their queue until it has them back, also when the driver has
 * stopped the queue or reset the device: until then guest memory may be read
 * and written.  So QueueReady and Status read back 0 only when the device is
 * idle.  The thread that wrote 0 waits for that, but not longer than
 * patience_ns: not every driver looks.
 */
#ifndef MOTE_VIRTIO_VIRTIO_H
#define MOTE_VIRTIO_VIRTIO_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/virtio_config.h>

#include "base/gmem.h"
#include "base/irq.h"
#include "base/loop.h"
#include "base/telemetry.h"
#include "virtio/virtqueue.h"

#define VIRTIO_MAX_QUEUES 8

struct virtio_device;

/* What the machine gives to a device when it creates it; all borrowed, all
 * outlive the device.
 */
struct virtio_env {
	struct guest_memory *gm;
	struct irq_line *irq;
	struct loop *loop;
};

struct virtio_device_ops {
	const char *name;	/* "blk" */
	uint32_t device_id;	/* VIRTIO_ID_*, §5 */
	uint64_t features;	/* offered besides the transport's own */
	unsigned int nr_queues; /* at most VIRTIO_MAX_QUEUES */
	uint16_t queue_size;	/* QueueNumMax: 2^n, <= VIRTQ_MAX_SIZE */
	size_t config_size;	/* bytes of configuration space */

	/* What this kind of device counts besides what all do; offsets are from
	 * the struct virtio_device.
	 */
	const struct telemetry_field *fields;
	unsigned int nr_fields;

	/* DRIVER_OK was set; vdev->driver_features are final.  The doorbells of
	 * all live queues ring after this.  Optional.
	 */
	void (*activate)(struct virtio_device *vdev);
	/* The driver wrote 0 to Status: forget everything it said.  On return
	 * nothing of the device touches guest memory (§2.4.1), but for what
	 * makes it busy.  Optional.
	 */
	void (*reset)(struct virtio_device *vdev);
	/* Whether chains of queue Q are in other hands.  A device that has this
	 * calls virtio_idle_locked() when it has got some back.  Optional.
	 */
	bool (*busy)(struct virtio_device *vdev, unsigned int q);
	/* The driver rang queue Q, which is live; DRIVER_OK is set.  0, or
	 * -EBADMSG / -EFAULT: see Errors above.
	 */
	int (*queue_notify)(struct virtio_device *vdev, unsigned int q);
	/* OFF + LEN is inside config_size. */
	void (*config_read)(struct virtio_device *vdev, size_t off, void *buf,
			    size_t len);
	/* NULL: configuration writes are ignored. */
	void (*config_write)(struct virtio_device *vdev, size_t off,
			     const void *buf, size_t len);
	/* Frees the device; it has been taken off the loop's doorbells. */
	void (*destroy)(struct virtio_device *vdev);
};

/* One doorbell: an eventfd that KVM signals when the guest writes the queue's
 * number to QueueNotify.
 */
struct virtio_doorbell {
	struct loop_source source;
	struct loop_poll poll;
	struct virtio_device *vdev;
	unsigned int q;
	int fd;
};

/* Written by the loop, read by anyone. */
struct virtio_queue_stats {
	struct counter kicks; /* doorbells that reached us */
	struct counter used;  /* chains given back */
	/* Runs that gave chains back of which the driver did not want to hear
	 * (§2.7.7); the others are interrupts.
	 */
	struct counter suppressed;
	struct counter peak; /* the most chains with us at a kick */
};

struct virtio_device {
	const struct virtio_device_ops *ops;
	struct virtio_env env;
	uint64_t features; /* offered: the device's and the transport's */

	/* May be set before virtio_device_start(). */
	unsigned int nr_queues; /* ops->nr_queues */
	uint64_t patience_ns;	/* 0: nobody waits, see Stopping */

	pthread_cond_t idle;		   /* a busy device has got less busy */
	pthread_mutex_t lock;		   /* everything below, except: */
	_Atomic uint32_t interrupt_status; /* set by the loop, acked by vCPUs */
	uint64_t driver_features;
	bool features_beyond; /* the driver wants a feature above bit 63 */
	uint8_t status;	      /* §2.1 */
	bool resetting;	      /* the driver wrote 0; Status is still the old */
	uint32_t config_generation;
	struct virtqueue vq[VIRTIO_MAX_QUEUES];

	struct virtio_doorbell doorbell[VIRTIO_MAX_QUEUES]; /* loop */
	struct counter doorbells; /* kicks that reached us */
	struct counter looks;	  /* runs without a kick: the loop polled */
	struct counter interrupts;
	struct counter resets_needed;
	struct histogram queue_depth; /* available chains at each kick */
	struct histogram run_ns;      /* each run of a queue held the loop */
	struct virtio_queue_stats queue_stats[VIRTIO_MAX_QUEUES];
};

/* Fills the generic part of a fresh, zeroed device; called by each device's
 * create function.  FEATURES is what this instance offers of ops->features.
 */
void virtio_device_init(struct virtio_device *vdev,
			const struct virtio_device_ops *ops,
			const struct virtio_env *env, uint64_t features);

/* Makes an eventfd for each queue and puts them into the loop.  -errno, and
 * then nothing is left behind.
 */
int virtio_device_start(struct virtio_device *vdev);

/* Takes the device off the loop and destroys it. */
void virtio_device_destroy(struct virtio_device *vdev);

/* The driver's side of the status register, with the lock held: every rule of
 * §2.1, §2.2.2 and §3.1.1 about what a write may do.  Gives the lock up while a
 * reset waits for a busy device.
 */
void virtio_set_status_locked(struct virtio_device *vdev, uint8_t status);

/* One word of DriverFeatures (§2.2); WORD may be any value.  Ignored once
 * FEATURES_OK is set.  Lock held.
 */
void virtio_set_features_locked(struct virtio_device *vdev, uint32_t word,
				uint32_t bits);

/* A doorbell of queue Q rang (Q may be any value).  Loop; takes the lock. */
void virtio_doorbell(struct virtio_device *vdev, unsigned int q);

/* Runs queue_notify for queue Q if DRIVER_OK is set and the queue is live, and
 * sends the used buffer notification that is due.  For back ends that have
 * become ready; not from within an op.  Loop, lock held.
 */
void virtio_run_queue_locked(struct virtio_device *vdev, unsigned int q);

/* Chains of queue Q that the driver has made available and not got back: those
 * waiting in the ring and those in flight.  Lock held.
 */
unsigned int virtio_queue_depth_locked(const struct virtio_device *vdev,
				       unsigned int q);

/* The device has got back a chain that it was busy with.  Lock held. */
void virtio_idle_locked(struct virtio_device *vdev);

/* The driver wrote 0 to QueueReady of queue Q, which is below nr_queues.  Lock
 * held; gives it up while it waits.
 */
void virtio_stop_queue_locked(struct virtio_device *vdev, unsigned int q);

/* Whether the device may still use memory of queue Q: QueueReady. */
bool virtio_queue_ready(struct virtio_device *vdev, unsigned int q);

/* The device configuration changed (§2.5, §4.2.2): bumps ConfigGeneration and
 * notifies when DRIVER_OK.  Lock held.
 */
void virtio_config_changed_locked(struct virtio_device *vdev);

/* Whether the queues are looked at. */
static inline bool virtio_running(const struct virtio_device *vdev)
{
	return (vdev->status &
		(VIRTIO_CONFIG_S_DRIVER_OK | VIRTIO_CONFIG_S_NEEDS_RESET |
		 VIRTIO_CONFIG_S_FAILED)) == VIRTIO_CONFIG_S_DRIVER_OK &&
	       !vdev->resetting;
}

static inline bool virtio_driver_ok(const struct virtio_device *vdev)
{
	return vdev->status & VIRTIO_CONFIG_S_DRIVER_OK;
}

static inline bool virtio_has_feature(const struct virtio_device *vdev,
				      unsigned int bit)
{
	return vdev->driver_features & (1ull << bit);
}

#endif
