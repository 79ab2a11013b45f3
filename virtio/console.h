// SPDX-License-Identifier: Apache-2.0
/*
 * console.h - virtio console device (virtio 1.2 §5.3)
 */
#ifndef MOTE_VIRTIO_CONSOLE_H
#define MOTE_VIRTIO_CONSOLE_H

#include "base/port.h"
#include "base/rate.h"
#include "base/telemetry.h"
#include "virtio/virtio.h"

struct virtio_console_stats {
	struct counter out_bytes;     /* from the driver, taken by the port */
	struct counter in_bytes;      /* to the driver */
	struct counter emerg_bytes;   /* through emerg_wr, taken by the port */
	struct counter emerg_dropped; /* came faster than the port took them */
};

/* Attaches the console to PORT (borrowed; becomes its user until the device is
 * destroyed).  *OWNED is the new device.  -ENOMEM, or -errno when there are no
 * descriptors left.  On the loop's thread.
 */
int virtio_console_create(const struct virtio_env *env, struct port *port,
			  struct virtio_device **owned);

/* Limits the output of VDEV, which must be a console: bytes, emergency ones
 * too, and the driver's buffers (operations).  At once, and for the next
 * driver, too.  Loop; takes the lock.
 */
void virtio_console_set_rate(struct virtio_device *vdev,
			     const struct rate_change *change);

/* The counters of VDEV, which must be a console; they live as long. */
const struct virtio_console_stats *
virtio_console_stats(const struct virtio_device *vdev);

#endif
