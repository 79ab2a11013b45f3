// SPDX-License-Identifier: Apache-2.0
/*
 * rng.h - virtio entropy device (virtio 1.2 §5.4)
 */
#ifndef MOTE_VIRTIO_RNG_H
#define MOTE_VIRTIO_RNG_H

#include "base/rate.h"
#include "base/telemetry.h"
#include "virtio/virtio.h"

/* Written by the loop, read by anyone. */
struct virtio_rng_stats {
	struct counter requests; /* buffers that were filled */
	struct counter bytes;
	struct counter errors; /* the host had nothing to give */
};

/* *OWNED is the new device.  -ENOMEM. */
int virtio_rng_create(const struct virtio_env *env,
		      struct virtio_device **owned);

/* Limits the bytes and the buffers (operations) that VDEV, which must be an
 * entropy device, fills: at once, and for the next driver, too.  Loop; takes
 * the lock.
 */
void virtio_rng_set_rate(struct virtio_device *vdev,
			 const struct rate_change *change);

/* The counters of VDEV, which must be an entropy device; they live as long. */
const struct virtio_rng_stats *
virtio_rng_stats(const struct virtio_device *vdev);

#endif
