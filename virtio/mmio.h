// SPDX-License-Identifier: Apache-2.0
/*
 * mmio.h - virtio over memory-mapped registers (virtio 1.2 §4.2)
 *
 * The transport keeps what the driver selects (queue, feature word) and what it
 * has written about a queue that is not yet live; the rest is the device's.
 */
#ifndef MOTE_VIRTIO_MMIO_H
#define MOTE_VIRTIO_MMIO_H

#include "base/bus.h"
#include "virtio/virtio.h"

#define VIRTIO_MMIO_WINDOW 0x1000u /* bytes of address space a device */

struct virtio_mmio {
	struct bus_target target;
	struct virtio_device *vdev; /* borrowed; its lock covers the rest */
	uint32_t queue_sel;
	uint32_t device_features_sel;
	uint32_t driver_features_sel;
	struct virtq_config queue[VIRTIO_MAX_QUEUES]; /* as written */
	struct counter refused; /* writes that came in the wrong state */
};

/* Puts VDEV behind a window; the caller adds mmio->target to its bus. */
void virtio_mmio_init(struct virtio_mmio *mmio, struct virtio_device *vdev);

#endif
