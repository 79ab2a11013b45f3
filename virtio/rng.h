// SPDX-License-Identifier: Apache-2.0
/*
 * rng.h - virtio entropy device (virtio 1.2 §5.4)
 */
#ifndef MOTE_VIRTIO_RNG_H
#define MOTE_VIRTIO_RNG_H

#include "base/rate.h"
#include "virtio/virtio.h"

/* *OWNED is the new device.  -ENOMEM. */
int virtio_rng_create(const struct virtio_env *env,
		      struct virtio_device **owned);

/* Limits the bytes that VDEV, which must be an entropy device, gives: at once,
 * and for the next driver, too.  Loop; takes the lock.
 */
void virtio_rng_set_rate(struct virtio_device *vdev,
			 const struct rate_bucket_config *bytes);

#endif
