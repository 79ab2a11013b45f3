// SPDX-License-Identifier: Apache-2.0
/*
 * net.h - virtio network device (virtio 1.2 §5.1) and what it asks of its
 * back end
 */
#ifndef MOTE_VIRTIO_NET_H
#define MOTE_VIRTIO_NET_H

#include <stdint.h>

#include <sys/types.h>
#include <sys/uio.h>

#include <linux/virtio_net.h>

#include "base/rate.h"
#include "base/telemetry.h"
#include "virtio/virtio.h"

/* virtio 1.3 §5.1.3, §5.1.6: newer than some hosts' headers */
#ifndef VIRTIO_NET_F_HOST_USO
#define VIRTIO_NET_F_GUEST_USO4 54
#define VIRTIO_NET_F_GUEST_USO6 55
#define VIRTIO_NET_F_HOST_USO	56
#endif
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

#define NET_MAC_BYTES 6
#define NET_HDR_BYTES 12u /* struct virtio_net_hdr_v1 */

/* The longest frame, without its header, either way: a tagged packet of 64 KiB
 * fits, and so does whatever fits the buffer that §5.1.6.3.1 asks for.
 */
#define NET_MAX_FRAME 65562u
#define NET_MIN_FRAME 14u /* an Ethernet header */

/* virtio 1.2 §5.1.4.1 */
#define NET_MIN_MTU 68u
#define NET_MAX_MTU 65535u

/* Where frames come from and go to.  Each frame has a struct virtio_net_hdr_v1
 * before it, both ways; its num_buffers means nothing here.  For the loop's
 * thread.
 */
struct net_backend {
	const char *name; /* as in "passt is gone" */
	int fd;		  /* becomes readable and writable as frames may move */
	/* Offloads, as VIRTIO_NET_F_* bits, that it can do. */
	uint64_t features;
	/* Of a back end that gathers frames: receive() has one, whether or not
	 * FD is readable; flush() has some left for when FD is writable.
	 */
	bool unread, unsent;
	/* Moves one frame.  Bytes moved, with the header, or -errno: -EAGAIN
	 * when FD has to be waited for, -ENODEV when the back end is gone for
	 * good, anything else when just this frame is lost.
	 */
	ssize_t (*receive)(struct net_backend *backend, const struct iovec *iov,
			   int nr);
	ssize_t (*send)(struct net_backend *backend, const struct iovec *iov,
			int nr);
	/* Passes on what send() has gathered, as far as FD takes it.  0, or
	 * -ENODEV.  NULL: nothing is ever unsent.
	 */
	int (*flush)(struct net_backend *backend);
	/* From now on frames come with the GUEST_* offloads in FEATURES, a part
	 * of what it can do, and no other.  NULL: it can do none.
	 */
	void (*set_offloads)(struct net_backend *backend, uint64_t features);
	void (*close)(struct net_backend *backend);
};

/* Written by the loop, read by anyone.  Every frame is in one of them. */
struct virtio_net_stats {
	struct counter rx_packets, rx_bytes; /* given to the driver */
	struct counter rx_bad_size;    /* too short, or beyond MTU or buffer */
	struct counter rx_not_offered; /* an offload not negotiated */
	struct counter rx_no_buffers;  /* the driver has none that suffice */
	struct counter rx_errors;      /* lost by the back end */
	struct counter tx_packets, tx_bytes; /* taken by the back end */
	struct counter tx_bad_size;	     /* too short or too long */
	struct counter tx_bad_header;	     /* nonsense or not negotiated */
	struct counter tx_spoofed;	     /* not our MAC address */
	struct counter tx_errors;	     /* refused by the back end */
	struct counter tx_no_link;
	struct counter tx_waits; /* times the back end was full */
};

struct virtio_net_params {
	uint8_t mac[NET_MAC_BYTES];
	uint16_t mtu; /* 0: the feature is not offered */
};

/* A device over BACKEND, which it closes when it is destroyed.  *OWNED is the
 * new device.  -errno (BACKEND is then still the caller's).
 */
int virtio_net_create(const struct virtio_env *env,
		      const struct virtio_net_params *params,
		      struct net_backend *backend,
		      struct virtio_device **owned);

/* Limits the bytes of frames and the frames (operations) that VDEV, which must
 * be a network device, gives to its driver (RX) and takes from it (TX); NULL
 * leaves a direction as it is.  At once, and for the next driver, too.  What
 * cannot pass waits, in the driver's queue or in the back end.  Loop; takes the
 * lock.
 */
void virtio_net_set_rates(struct virtio_device *vdev,
			  const struct rate_change *rx,
			  const struct rate_change *tx);

/* The counters of VDEV, which must be a network device; they live as long. */
const struct virtio_net_stats *
virtio_net_stats(const struct virtio_device *vdev);

#endif
