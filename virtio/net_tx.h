// SPDX-License-Identifier: Apache-2.0
/*
 * net_tx.h - the transmit half of a network device (virtio 1.2 §5.1.6.2)
 */
#ifndef MOTE_VIRTIO_NET_TX_H
#define MOTE_VIRTIO_NET_TX_H

#include "virtio/net_rx.h"

/* What of a frame is checked is private, from its first byte to its last. */
struct net_tx_head {
	struct virtio_net_hdr_v1 hdr;
	uint8_t ethernet[NET_MIN_FRAME];
};

struct net_tx {
	struct net_backend *backend; /* borrowed; NULL once it is gone */
	struct gate gate;
	struct virtio_net_stats *stats;
	uint8_t mac[NET_MAC_BYTES];
	uint64_t features; /* negotiated */

	bool held; /* the frame below is in flight, the back end was full */
	struct chain chain;
	struct net_tx_head head;
	size_t len; /* without the header */
	int nr_iov;
	struct iovec iov[CHAIN_MAX_SEGMENTS + 1];
};

/* Starts over, for a driver that negotiated FEATURES. */
void net_tx_begin(struct net_tx *tx, uint64_t features);

/* Forgets the frame in flight; nothing of guest memory is touched afterwards.
 */
void net_tx_reset(struct net_tx *tx);

/* Moves frames from VQ to the back end, for one turn; enum net_result, or
 * -EBADMSG or -EFAULT.  Without a back end frames are used and lost.
 */
int net_tx_run(struct net_tx *tx, struct virtqueue *vq);

#endif
