// SPDX-License-Identifier: Apache-2.0
/*
 * rng.h - virtio entropy device (virtio 1.2 §5.4)
 */
#ifndef MOTE_VIRTIO_RNG_H
#define MOTE_VIRTIO_RNG_H

#include "virtio/virtio.h"

/* *OWNED is the new device.  -ENOMEM. */
int virtio_rng_create(const struct virtio_env *env,
		      struct virtio_device **owned);

#endif
