// SPDX-License-Identifier: Apache-2.0
/*
 * net_rx.h - the receive half of a network device (virtio 1.2 §5.1.6.3, .4)
 */
#ifndef MOTE_VIRTIO_NET_RX_H
#define MOTE_VIRTIO_NET_RX_H

#include "virtio/gate.h"
#include "virtio/net.h"

#define NET_RX_SEGMENTS (2 * CHAIN_MAX_SEGMENTS)

/* How a run of either half ends, if not with -EBADMSG or -EFAULT. */
enum net_result {
	NET_IDLE,    /* wait for the driver or for the back end */
	NET_BLOCKED, /* rx: wait for the driver; tx: for the back end */
	NET_GONE,    /* the back end is gone */
};

/* A chain that was popped and holds no frame yet. */
struct net_rx_buffer {
	uint16_t head;
	uint16_t nr_segments;
	uint32_t len;
};

struct net_rx {
	struct net_backend *backend; /* borrowed */
	struct gate gate;
	struct virtio_net_stats *stats;
	uint64_t features; /* negotiated */
	uint16_t mtu;	   /* 0: none negotiated */

	struct chain chain; /* the one being popped */
	struct net_rx_buffer buffer[VIRTQ_MAX_SIZE];
	struct iovec segment[NET_RX_SEGMENTS]; /* of the buffers, in order */
	unsigned int nr_buffers, nr_segments;
	uint64_t room; /* bytes of the buffers */
	uint32_t want; /* room that the next frame may take */
	bool full;     /* more buffers cannot be held */

	bool waiting;	  /* a frame is here, and there is too little room */
	uint32_t len;	  /* of the frame, without header */
	uint32_t in_room; /* what of it is in the buffers already */
	struct {	  /* adjacent: read in one piece */
		struct virtio_net_hdr_v1 hdr;
		uint8_t spill[NET_MAX_FRAME + 1]; /* the rest */
	};
	struct iovec vec[NET_RX_SEGMENTS + 2];
};

/* Starts over, for a driver that negotiated FEATURES. */
void net_rx_begin(struct net_rx *rx, uint64_t features, uint16_t mtu);

/* Forgets buffers and frames; nothing of guest memory is touched afterwards. */
void net_rx_reset(struct net_rx *rx);

/* Moves frames from the back end to VQ's buffers, for one turn. */
int net_rx_run(struct net_rx *rx, struct virtqueue *vq);

/* Drops the frame that waits for room. */
void net_rx_give_up(struct net_rx *rx);

#endif
