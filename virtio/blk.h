// SPDX-License-Identifier: Apache-2.0
/*
 * blk.h - virtio block device (virtio 1.2 §5.2)
 */
#ifndef MOTE_VIRTIO_BLK_H
#define MOTE_VIRTIO_BLK_H

#include "base/rate.h"
#include "base/telemetry.h"
#include "virtio/disk.h"
#include "virtio/virtio.h"

#define BLK_MAX_QUEUES VIRTIO_MAX_QUEUES

/* Written by the loop, read by anyone. */
struct virtio_blk_stats {
	struct counter reads, writes, flushes; /* that succeeded */
	struct counter discards, zeroes;
	struct counter read_bytes, write_bytes;
	struct counter discard_bytes, zero_bytes; /* covered */
	struct counter errors;	/* answered with another status than OK */
	struct counter in_hand; /* taken from the queues and not answered */
	struct counter in_hand_peak;
	/* Nanoseconds from the queue to the answer, failed requests too.
	 * Making a write stable for a driver without FLUSH is part of the
	 * write.
	 */
	struct histogram read_ns, write_ns, flush_ns, discard_ns, zero_ns;
};

/* A device over DISK, which it closes when it is destroyed.  *OWNED is the new
 * device.  -ENOMEM (the disk is then still the caller's).
 */
int virtio_blk_create(const struct virtio_env *env, struct disk *disk,
		      struct virtio_device **owned);

/* The device has NR queues, 1 to BLK_MAX_QUEUES; one unless this is called,
 * before virtio_device_start().
 */
void virtio_blk_set_queues(struct virtio_device *vdev, unsigned int nr);

/* The file behind VDEV, which must be a block device, may have another size:
 * the capacity follows it and the driver is told.  A request in hand goes on as
 * it was checked; what it writes beyond a new end fails.  True when there was a
 * change.  Loop; takes the lock.
 */
bool virtio_blk_resized(struct virtio_device *vdev);

/* Waits, up to TIMEOUT_NS, for all requests in hand to be answered; no other is
 * taken from a queue until virtio_blk_resume(), also when it is -ETIMEDOUT.
 * Then nothing of the device is in other hands.  VDEV must be a block device.
 * Loop; takes the lock.
 */
int virtio_blk_drain(struct virtio_device *vdev, uint64_t timeout_ns);
void virtio_blk_resume(struct virtio_device *vdev);

/* Puts DISK in the place of the disk that VDEV, a block device, has; that is
 * drained and closed, the driver is told of the capacity.  Features and block
 * size stay what they were: the driver has seen them.  Whether DISK keeps its
 * own id and cache mode is the caller's to set before.  -EINVAL when only one
 * of the two is read-only, -ETIMEDOUT; DISK is then still the caller's and
 * nothing has changed.  Loop; takes the lock.
 */
int virtio_blk_replace(struct virtio_device *vdev, struct disk *disk,
		       uint64_t timeout_ns);

/* Limits the requests (operations) of VDEV, which must be a block device, and
 * the bytes that they read, write and zero: at once, and for the next driver,
 * too.  Loop; takes the lock.
 */
void virtio_blk_set_rate(struct virtio_device *vdev,
			 const struct rate_change *change);

/* The counters of VDEV, which must be a block device; they live as long. */
const struct virtio_blk_stats *
virtio_blk_stats(const struct virtio_device *vdev);

#endif
