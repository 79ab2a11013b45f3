// SPDX-License-Identifier: Apache-2.0
/*
 * net_tx.c - frames from the driver to the back end
 *
 * Theory of operation.  A chain is the header and the frame as one byte stream
 * (§2.7.4.1).  Header and Ethernet header are copied to private memory, checked
 * there and sent from there; the rest goes from guest memory to the back end by
 * one system call.  So the guest cannot change what was checked.
 *
 * A frame that is malformed, or asks for what was not negotiated, harms nobody
 * but its sender: the chain is used, the frame is counted and not sent.  When
 * the back end is full, the frame stays in flight, and nothing more is popped
 * until the back end is writable.
 */
#include <errno.h>

#include "base/util.h"
#include "virtio/chain.h"
#include "virtio/net_tx.h"

#define TX_QUEUE   1	  /* virtio 1.2 §5.1.2 */
#define TX_TURN	   MIB(1) /* bytes after which the loop gets a turn */
#define MAC_SOURCE 6	  /* offset in an Ethernet header */

static_assert(sizeof(struct net_tx_head) == NET_HDR_BYTES + NET_MIN_FRAME,
	      "one stream, no padding");

static bool tx_has(const struct net_tx *tx, unsigned int feature)
{
	return tx->features & 1ull << feature;
}

void net_tx_reset(struct net_tx *tx)
{
	tx->held = false;
}

void net_tx_begin(struct net_tx *tx, uint64_t features)
{
	net_tx_reset(tx);
	tx->features = features;
}

/* virtio 1.2 §5.1.6.2.1: which kinds of segmentation the driver may ask for */
static bool tx_gso_ok(const struct net_tx *tx)
{
	const struct virtio_net_hdr_v1 *hdr = &tx->head.hdr;

	bool ecn = hdr->gso_type & VIRTIO_NET_HDR_GSO_ECN;

	if (ecn && !tx_has(tx, VIRTIO_NET_F_HOST_ECN))
		return false;
	if (!(hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) || hdr->gso_size == 0)
		return false;
	switch (hdr->gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
		return tx_has(tx, VIRTIO_NET_F_HOST_TSO4);
	case VIRTIO_NET_HDR_GSO_TCPV6:
		return tx_has(tx, VIRTIO_NET_F_HOST_TSO6);
	case VIRTIO_NET_HDR_GSO_UDP_L4: /* ECN is of TCP */
		return tx_has(tx, VIRTIO_NET_F_HOST_USO) && !ecn;
	default:
		return false;
	}
}

/* Checks the private copy of the header; what the driver need not have set
 * (§5.1.6.2.2) becomes 0, so that nobody behind us relies on it.
 */
static bool tx_header_ok(struct net_tx *tx)
{
	struct virtio_net_hdr_v1 *hdr = &tx->head.hdr;

	/* virtio 1.2 §5.1.6.2.2: other flags are ignored; DATA_VALID is for
	 * the other direction
	 */
	hdr->flags &= VIRTIO_NET_HDR_F_NEEDS_CSUM;
	hdr->hdr_len = 0;
	hdr->num_buffers = 0;
	if (hdr->flags == 0) {
		hdr->csum_start = hdr->csum_offset = 0;
	} else if (!tx_has(tx, VIRTIO_NET_F_CSUM) ||
		   hdr->csum_start < NET_MIN_FRAME ||
		   hdr->csum_start + hdr->csum_offset + 2ul > tx->len) {
		return false;
	}
	if (hdr->gso_type != VIRTIO_NET_HDR_GSO_NONE)
		return tx_gso_ok(tx);
	hdr->gso_size = 0;
	return true;
}

/* Copies and checks the frame in `chain`.  NULL, or the counter of the reason
 * for which it is not sent.
 */
static struct counter *tx_refuse(struct net_tx *tx)
{
	struct chain *c = &tx->chain;
	uint64_t len = chain_readable(c);

	tx->len = 0;
	if (len < sizeof(tx->head) || len - NET_HDR_BYTES > NET_MAX_FRAME)
		return &tx->stats->tx_bad_size;
	tx->len = len - NET_HDR_BYTES;
	chain_read(c, &tx->head, sizeof(tx->head));
	if (!tx_header_ok(tx))
		return &tx->stats->tx_bad_header;
	if (memcmp(tx->head.ethernet + MAC_SOURCE, tx->mac, NET_MAC_BYTES) != 0)
		return &tx->stats->tx_spoofed;
	if (!tx->backend)
		return &tx->stats->tx_no_link;

	tx->iov[0] = (struct iovec){ &tx->head, sizeof(tx->head) };
	tx->nr_iov = 1 + (int)chain_read_iov(c, tx->iov + 1, CHAIN_MAX_SEGMENTS,
					     tx->len, &len);
	return NULL;
}

/* Sends the frame: NET_IDLE when it is done with, or NET_BLOCKED, NET_GONE. */
static enum net_result tx_send(struct net_tx *tx)
{
	ssize_t ret = -ENODEV;

	if (tx->backend)
		ret = tx->backend->send(tx->backend, tx->iov, tx->nr_iov);
	if (ret == -EAGAIN) {
		counter_add(&tx->stats->tx_waits, !tx->held);
		return NET_BLOCKED;
	}
	if (ret >= 0) {
		counter_add(&tx->stats->tx_packets, 1);
		counter_add(&tx->stats->tx_bytes, tx->len);
		return NET_IDLE;
	}
	counter_add(ret == -ENODEV ? &tx->stats->tx_no_link
				   : &tx->stats->tx_errors,
		    1);
	return ret == -ENODEV ? NET_GONE : NET_IDLE;
}

static bool tx_may_pass(struct net_tx *tx)
{
	return gate_pass(&tx->gate, TX_QUEUE,
			 (struct rate_amount){ tx->len, 1 });
}

int net_tx_run(struct net_tx *tx, struct virtqueue *vq)
{
	bool gone = false;
	size_t turn = 0;

	for (;;) {
		enum net_result sent = NET_IDLE;
		struct counter *refused = NULL;
		int ret;

		if (!tx->held) {
			ret = virtq_pop(vq, &tx->chain);
			if (ret < 0)
				return ret;
			if (ret == 0)
				break;
			refused = tx_refuse(tx);
			if (!refused && !tx_may_pass(tx)) {
				virtq_unpop(vq, &tx->chain);
				break;
			}
		}
		if (refused)
			counter_add(refused, 1);
		else
			sent = tx_send(tx);
		tx->held = sent == NET_BLOCKED;
		if (tx->held)
			return NET_BLOCKED;
		gone |= sent == NET_GONE;
		/* virtio 1.2 §2.7.8.2: nothing was written to the chain */
		ret = virtq_push(vq, &tx->chain, 0);
		if (ret < 0)
			return ret;
		turn += tx->len;
		if (turn >= TX_TURN) {
			/* The doorbell rings again for the rest. */
			vq->budget = 0;
			break;
		}
	}
	return gone ? NET_GONE : NET_IDLE;
}
