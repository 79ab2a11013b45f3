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

/* Written by the loop, read by anyone. */
struct virtio_blk_stats {
	struct counter reads, writes, flushes; /* that succeeded */
	struct counter discards, zeroes;
	struct counter read_bytes, write_bytes;
	struct counter discard_bytes, zero_bytes; /* covered */
	struct counter errors; /* answered with another status than OK */
	/* Nanoseconds in the back end, failed requests too.  Making a write
	 * stable for a driver without FLUSH is part of the write.
	 */
	struct histogram read_ns, write_ns, flush_ns, discard_ns, zero_ns;
};

/* A device over DISK, which it closes when it is destroyed.  *OWNED is the new
 * device.  -ENOMEM (the disk is then still the caller's).
 */
int virtio_blk_create(const struct virtio_env *env, struct disk *disk,
		      struct virtio_device **owned);

/* The file behind VDEV, which must be a block device, may have another size:
 * the capacity follows it and the driver is told.  A request in hand goes on as
 * it was checked; what it writes beyond a new end fails.  True when there was a
 * change.  Loop; takes the lock.
 */
bool virtio_blk_resized(struct virtio_device *vdev);

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
