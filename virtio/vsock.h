// SPDX-License-Identifier: Apache-2.0
/*
 * vsock.h - virtio socket device (virtio 1.2 §5.10)
 */
#ifndef MOTE_VIRTIO_VSOCK_H
#define MOTE_VIRTIO_VSOCK_H

#include "base/telemetry.h"
#include "virtio/virtio.h"

/* virtio 1.2 §5.10.4: 0 to 2 and the all-ones values are reserved. */
#define VSOCK_HOST_CID 2u
#define VSOCK_MIN_CID  3u
#define VSOCK_MAX_CID  0xfffffffeu

struct virtio_vsock_stats {
	struct counter opened;	 /* connections that came to be */
	struct counter refused;	 /* attempts, by either side, that did not */
	struct counter resets;	 /* RST packets to the driver */
	struct counter dropped;	 /* packets that were not from this guest */
	struct counter tx_bytes; /* payload from the driver */
	struct counter rx_bytes; /* payload to the driver */
};

/* The guest with the context identifier CID (VSOCK_MIN_CID to VSOCK_MAX_CID),
 * reached through the Unix socket PATH, which is made here and removed when the
 * device is destroyed.  *OWNED is the new device.  -ENAMETOOLONG, -EADDRINUSE
 * and other -errno of bind(2) speak of PATH; -ENOMEM.  On the loop's thread,
 * before there are others.  SIGPIPE is ignored from then on.
 */
int virtio_vsock_create(const struct virtio_env *env, uint32_t cid,
			const char *path, struct virtio_device **owned);

/* Removes the socket PATH if it is still ours, for a process that is about to
 * end without destroying VDEV, which must be a vsock device.
 */
void virtio_vsock_leave(struct virtio_device *vdev);

/* The counters of VDEV, which must be a vsock device; they live as long. */
const struct virtio_vsock_stats *
virtio_vsock_stats(const struct virtio_device *vdev);

#endif
