// SPDX-License-Identifier: Apache-2.0
/*
 * net_rx.c - frames from the back end to the driver
 *
 * Theory of operation.  Buffers are popped before a frame is read, as many as
 * the last frame took (with MRG_RXBUF; else one), and the frame is read by one
 * system call.  Behind a small frame, all of it goes to private memory and is
 * copied.  Behind a large one only the header goes there, the frame straight
 * into the buffers, and what does not fit there into `spill`.  So large frames
 * are not copied, none is ever cut, and nothing the guest may change is looked
 * at twice.  Buffers that the frame did not need are kept for the next.
 *
 * When something was spilled, more buffers are popped for it.  If the driver
 * has no more, the frame waits, half of it in buffers of which the driver does
 * not know yet, and the back end is not read until there are more.  A driver
 * whose whole ring is too small for the frame would wait for ever:
 * net_rx_give_up(), called after a second, drops it.
 *
 * virtio 1.2 §5.1.6.4.1: the buffers of one frame become visible together.  So
 * do a few frames, because a driver that looks at the used ring meanwhile would
 * have both CPUs wait for its cache lines, once for every frame.
 */
#include <errno.h>

#include "base/util.h"
#include "virtio/chain.h"
#include "virtio/net_rx.h"

#define RX_QUEUE   0	 /* virtio 1.2 §5.1.2 */
#define RX_BATCH   64u	 /* frames after which the loop gets a turn */
#define RX_PUBLISH 8u	 /* frames after which the driver sees them */
#define RX_LEAST   2048u /* room for an ordinary frame and its header */
#define VLAN_BYTES 4u
#define ETH_TYPE   12u /* offset of the type field */

static_assert(offsetof(struct net_rx, spill) ==
		      offsetof(struct net_rx, hdr) + NET_HDR_BYTES,
	      "one stream, no padding");
static_assert(sizeof(struct virtio_net_hdr_v1) == NET_HDR_BYTES,
	      "virtio 1.2 §5.1.6: with num_buffers, thanks to VERSION_1");

static bool rx_has(const struct net_rx *rx, unsigned int feature)
{
	return rx->features & 1ull << feature;
}

void net_rx_reset(struct net_rx *rx)
{
	rx->nr_buffers = 0;
	rx->nr_segments = 0;
	rx->room = 0;
	rx->want = RX_LEAST;
	rx->full = false;
	rx->waiting = false;
}

void net_rx_begin(struct net_rx *rx, uint64_t features, uint16_t mtu)
{
	net_rx_reset(rx);
	rx->features = features;
	rx->mtu = mtu;
}

/* Buffers. */

/* Pops one more buffer.  1, 0 when there is none or it cannot be held, or what
 * virtq_pop() says.
 */
static int rx_hold(struct net_rx *rx, struct virtqueue *vq)
{
	struct net_rx_buffer *b = &rx->buffer[rx->nr_buffers];
	struct chain *c = &rx->chain;
	size_t len;
	int ret;

	if (rx->nr_buffers == vq->size) {
		rx->full = true;
		return 0;
	}
	ret = virtq_pop(vq, c);
	if (ret <= 0)
		return ret;
	/* virtio 1.2 §5.1.6.3.1: at least the size of the header */
	if (chain_writable(c) < NET_HDR_BYTES)
		return -EBADMSG;
	if (c->nr_writable > NET_RX_SEGMENTS - rx->nr_segments) {
		virtq_unpop(vq, c);
		rx->full = true;
		return 0;
	}
	b->head = c->head;
	b->len = (uint32_t)chain_writable(c);
	b->nr_segments = (uint16_t)chain_write_iov(
		c, rx->segment + rx->nr_segments, c->nr_writable, b->len, &len);
	rx->nr_segments += b->nr_segments;
	rx->nr_buffers++;
	rx->room += b->len;
	return 1;
}

/* Pops until there is room for BYTES.  0, also when there is less. */
static int rx_gather(struct net_rx *rx, struct virtqueue *vq, uint64_t bytes)
{
	int ret = 1;

	/* virtio 1.2 §5.1.6.4.1: one buffer a frame without MRG_RXBUF */
	while (ret > 0 && rx->room < bytes &&
	       (rx->nr_buffers == 0 || rx_has(rx, VIRTIO_NET_F_MRG_RXBUF)))
		ret = rx_hold(rx, vq);
	return MIN(ret, 0);
}

/* Copies LEN bytes to the buffers, OFF bytes from their start. */
static void rx_put(struct net_rx *rx, size_t off, const void *src, size_t len)
{
	const uint8_t *s = src;

	for (unsigned int i = 0; len > 0; i++) {
		const struct iovec *v = &rx->segment[i];
		size_t here;

		if (off >= v->iov_len) {
			off -= v->iov_len;
			continue;
		}
		here = MIN(len, v->iov_len - off);
		memcpy((uint8_t *)v->iov_base + off, s, here);
		s += here;
		len -= here;
		off = 0;
	}
}

/* Forgets the first NR buffers. */
static void rx_release(struct net_rx *rx, unsigned int nr)
{
	unsigned int segments = 0;

	for (unsigned int i = 0; i < nr; i++) {
		segments += rx->buffer[i].nr_segments;
		rx->room -= rx->buffer[i].len;
	}
	rx->nr_buffers -= nr;
	rx->nr_segments -= segments;
	memmove(rx->buffer, rx->buffer + nr,
		rx->nr_buffers * sizeof(rx->buffer[0]));
	memmove(rx->segment, rx->segment + segments,
		rx->nr_segments * sizeof(rx->segment[0]));
	rx->full = false;
}

/* Frames. */

/* The frame's place: behind the header in the buffers, then the spill.  Returns
 * how many entries of `vec` are read into; the frame begins at the second.
 *
 * To copy a small frame is cheaper than to have the kernel look at three pieces
 * of memory.
 */
static int rx_build_vec(struct net_rx *rx)
{
	size_t left = NET_MAX_FRAME + 1;
	size_t skip = NET_HDR_BYTES;
	int nr = 1;

	rx->vec[0] = (struct iovec){ &rx->hdr, sizeof(rx->hdr) };
	rx->in_room = 0;
	if (rx->want <= RX_LEAST) {
		rx->vec[0].iov_len += sizeof(rx->spill);
		rx->vec[1] = (struct iovec){ rx->spill, sizeof(rx->spill) };
		return 1;
	}
	for (unsigned int i = 0; i < rx->nr_segments && left > 0; i++) {
		const struct iovec *v = &rx->segment[i];
		size_t gap = MIN(skip, v->iov_len);
		size_t here = MIN(v->iov_len - gap, left);

		skip -= gap;
		if (here == 0)
			continue;
		rx->vec[nr++] =
			(struct iovec){ (uint8_t *)v->iov_base + gap, here };
		rx->in_room += (uint32_t)here;
		left -= here;
	}
	if (left > 0)
		rx->vec[nr++] = (struct iovec){ rx->spill, left };
	return nr;
}

/* The 16 bits of the Ethernet type; the frame may lie anywhere. */
static uint16_t rx_ether_type(const struct net_rx *rx)
{
	uint8_t type[2] = { 0 };
	size_t at = 0;

	for (int i = 1; at < ETH_TYPE + 2; at += rx->vec[i++].iov_len) {
		const uint8_t *p = rx->vec[i].iov_base;

		for (size_t k = 0; k < 2; k++) {
			size_t off = ETH_TYPE + k;

			if (off >= at && off - at < rx->vec[i].iov_len)
				type[k] = p[off - at];
		}
	}
	return (uint16_t)(type[0] << 8 | type[1]);
}

/* virtio 1.2 §5.1.4.1: nothing beyond the MTU, but for segmentation */
static bool rx_size_ok(const struct net_rx *rx)
{
	uint32_t most = rx->mtu + NET_MIN_FRAME;

	if (rx->len < NET_MIN_FRAME || rx->len > NET_MAX_FRAME)
		return false;
	if (rx->mtu == 0 || rx->hdr.gso_type != VIRTIO_NET_HDR_GSO_NONE ||
	    rx->len <= most)
		return true;
	return rx->len <= most + VLAN_BYTES && rx_ether_type(rx) == ETH_P_8021Q;
}

/* virtio 1.2 §5.1.6.4.1: which kinds of segmentation this driver takes */
static bool rx_gso_ok(const struct net_rx *rx, uint8_t type)
{
	bool ecn = type & VIRTIO_NET_HDR_GSO_ECN;

	if (ecn && !rx_has(rx, VIRTIO_NET_F_GUEST_ECN))
		return false;
	switch (type & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
		return rx_has(rx, VIRTIO_NET_F_GUEST_TSO4);
	case VIRTIO_NET_HDR_GSO_TCPV6:
		return rx_has(rx, VIRTIO_NET_F_GUEST_TSO6);
	case VIRTIO_NET_HDR_GSO_UDP_L4:
		/* One name for both: only for who takes both.  ECN is TCP's. */
		return !ecn && rx_has(rx, VIRTIO_NET_F_GUEST_USO4) &&
		       rx_has(rx, VIRTIO_NET_F_GUEST_USO6);
	default:
		return false;
	}
}

/* virtio 1.2 §5.1.6.4.1: what the header may say to this driver.  Frames that
 * the host had queued for an earlier driver may say more.
 */
static bool rx_header_ok(struct net_rx *rx)
{
	struct virtio_net_hdr_v1 *hdr = &rx->hdr;
	bool needs_csum = hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM;
	bool csum = rx_has(rx, VIRTIO_NET_F_GUEST_CSUM);

	if (needs_csum && !csum)
		return false;
	hdr->flags &= csum ? VIRTIO_NET_HDR_F_NEEDS_CSUM |
				      VIRTIO_NET_HDR_F_DATA_VALID
			   : 0;
	if (!needs_csum)
		hdr->csum_start = hdr->csum_offset = 0;
	if (hdr->gso_type == VIRTIO_NET_HDR_GSO_NONE) {
		hdr->gso_size = hdr->hdr_len = 0;
		return true;
	}
	return needs_csum && hdr->gso_size > 0 && rx_gso_ok(rx, hdr->gso_type);
}

/* Reads one frame.  1 when it is to be delivered, 0 when it was lost or
 * dropped, -EAGAIN or -ENODEV.
 */
static int rx_read(struct net_rx *rx)
{
	int nr = rx_build_vec(rx);
	ssize_t got = rx->backend->receive(rx->backend, rx->vec, nr);

	if (got == -EAGAIN || got == -ENODEV)
		return (int)got;
	if (got < (ssize_t)NET_HDR_BYTES) {
		counter_add(&rx->stats->rx_errors, 1);
		return 0;
	}
	rx->len = (uint32_t)got - NET_HDR_BYTES;
	if (!rx_header_ok(rx)) {
		counter_add(&rx->stats->rx_not_offered, 1);
		return 0;
	}
	if (!rx_size_ok(rx)) {
		counter_add(&rx->stats->rx_bad_size, 1);
		return 0;
	}
	rx->want = MAX(rx->len + NET_HDR_BYTES, RX_LEAST);
	return 1;
}

/* Gives the frame, for which there is room, to the driver. */
static int rx_deliver(struct net_rx *rx, struct virtqueue *vq)
{
	uint32_t left = rx->len + NET_HDR_BYTES;
	unsigned int nr = 0;
	int ret = 0;

	for (uint64_t room = 0; room < left; nr++)
		room += rx->buffer[nr].len;
	if (rx->len > rx->in_room)
		rx_put(rx, NET_HDR_BYTES + rx->in_room, rx->spill,
		       rx->len - rx->in_room);
	/* virtio 1.2 §5.1.6.4.1: 1 without MRG_RXBUF, else the buffers used */
	rx->hdr.num_buffers = (uint16_t)nr;
	rx_put(rx, 0, &rx->hdr, sizeof(rx->hdr));

	for (unsigned int i = 0; i < nr && ret == 0; i++) {
		/* all but the last are filled */
		uint32_t here = MIN(left, rx->buffer[i].len);

		ret = virtq_stage(vq, rx->buffer[i].head, here);
		left -= here;
	}
	rx_release(rx, nr);
	gate_charge(&rx->gate, (struct rate_amount){ rx->len, 1 });
	counter_add(&rx->stats->rx_packets, 1);
	counter_add(&rx->stats->rx_bytes, rx->len);
	return ret;
}

/* The frame that was read goes to the driver, waits, or is dropped. */
static int rx_finish(struct net_rx *rx, struct virtqueue *vq)
{
	uint64_t need = (uint64_t)rx->len + NET_HDR_BYTES;
	int ret = rx_gather(rx, vq, need);

	rx->waiting = false;
	if (ret < 0)
		return ret;
	if (rx->room >= need)
		return rx_deliver(rx, vq);
	if (!rx_has(rx, VIRTIO_NET_F_MRG_RXBUF))
		counter_add(&rx->stats->rx_bad_size, 1);
	else if (rx->full)
		counter_add(&rx->stats->rx_no_buffers, 1);
	else
		rx->waiting = true;
	return 0;
}

/* Frames until there are no more, or no buffers, or the turn is over. */
static int rx_turn(struct net_rx *rx, struct virtqueue *vq)
{
	int ret = 0;

	if (rx->waiting)
		ret = rx_finish(rx, vq);
	for (unsigned int i = 0; ret == 0 && i < RX_BATCH; i++) {
		if (!rx->waiting)
			ret = rx_gather(rx, vq, rx->want);
		if (ret < 0)
			break;
		if (rx->waiting || rx->nr_buffers == 0)
			return NET_BLOCKED;
		/* What waits in the back end need not be held here. */
		if (!gate_is_open(&rx->gate, RX_QUEUE))
			return NET_IDLE;
		ret = rx_read(rx);
		if (ret > 0)
			ret = rx_finish(rx, vq);
		if (ret == 0 && i % RX_PUBLISH == RX_PUBLISH - 1)
			ret = virtq_publish(vq);
	}
	if (ret == -ENODEV)
		return NET_GONE;
	return ret == -EAGAIN ? NET_IDLE : ret;
}

int net_rx_run(struct net_rx *rx, struct virtqueue *vq)
{
	int result = rx_turn(rx, vq);
	int ret = virtq_publish(vq);

	return ret < 0 ? ret : result;
}

void net_rx_give_up(struct net_rx *rx)
{
	if (!rx->waiting)
		return;
	rx->waiting = false;
	counter_add(&rx->stats->rx_no_buffers, 1);
}
