// SPDX-License-Identifier: Apache-2.0
/*
 * virtqueue.c - one split virtqueue, the device's side (virtio 1.2 §2.7)
 *
 * Theory of operation.  Everything in the rings and tables belongs to a driver
 * that may lie and may change it while we look.  So:
 *
 *  - each descriptor is copied once, the copy is checked, and only the copy is
 *    used; an indirect table is copied as a whole;
 *  - a walk takes at most `size` data descriptors and one INDIRECT one, and an
 *    index is compared with its table's length before it is used;
 *  - a head that is in flight cannot be made available again, so that used
 *    entries never outnumber the chains that were popped;
 *  - the only bytes of a queue that are written are in the used ring.
 *
 * Indices are 16-bit single-copy atomics.  An acquire load of the available idx
 * pairs with the driver's store of it (§2.7.13.3), the release store of the
 * used idx with the driver's load (§2.7.14).  Where each side writes one word
 * and then reads the other's to decide on a notification, a full fence is
 * needed on both sides; those two places are virtq_arm() and
 * virtq_should_notify().
 */
#include <errno.h>

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "base/util.h"
#include "virtio/virtqueue.h"

static_assert(sizeof(struct vring_desc) == 16, "virtio 1.2 §2.7.5");
static_assert(sizeof(struct vring_used_elem) == 8, "virtio 1.2 §2.7.8");
static_assert(CHAIN_MAX_SEGMENTS >= VIRTQ_MAX_SIZE, "a chain fits");

/* A walk along one chain. */
struct walk {
	struct virtqueue *vq;
	struct chain *chain;
	unsigned int hops; /* data descriptors so far */
	bool writable;	   /* a device-writable one was among them */
	uint64_t bytes;
};

static uint64_t virtq_avail_slot(const struct virtqueue *vq, uint16_t idx)
{
	return vq->avail + sizeof(struct vring_avail) +
	       2ull * (idx & (vq->size - 1u));
}

static uint64_t virtq_used_slot(const struct virtqueue *vq, uint16_t idx)
{
	return vq->used + sizeof(struct vring_used) +
	       sizeof(struct vring_used_elem) * (idx & (vq->size - 1ull));
}

/* virtio 1.2 §2.7.6, §2.7.8: the event words follow the rings. */
static uint64_t virtq_used_event(const struct virtqueue *vq)
{
	return vq->avail + sizeof(struct vring_avail) + 2ull * vq->size;
}

static uint64_t virtq_avail_event(const struct virtqueue *vq)
{
	return vq->used + sizeof(struct vring_used) +
	       sizeof(struct vring_used_elem) * (uint64_t)vq->size;
}

static bool virtq_in_flight(const struct virtqueue *vq, uint16_t head)
{
	return vq->in_flight[head / 64] >> (head % 64) & 1;
}

static void virtq_mark(struct virtqueue *vq, uint16_t head)
{
	vq->in_flight[head / 64] |= 1ull << (head % 64);
	vq->nr_in_flight++;
}

static void virtq_unmark(struct virtqueue *vq, uint16_t head)
{
	vq->in_flight[head / 64] &= ~(1ull << (head % 64));
	vq->nr_in_flight--;
}

int virtq_enable(struct virtqueue *vq, struct guest_memory *gm,
		 const struct virtq_config *config, uint16_t max,
		 uint64_t features)
{
	uint64_t num = config->num; /* all 32 bits of the register */
	uint16_t no_flags = 0;

	if (vq->live)
		return -EBUSY;
	/* virtio 1.2 §2.7: a power of two; table of alignments and sizes */
	if (num == 0 || num > MIN(max, VIRTQ_MAX_SIZE) || (num & (num - 1)))
		return -EINVAL;
	if (!IS_ALIGNED(config->desc, 16) || !IS_ALIGNED(config->driver, 2) ||
	    !IS_ALIGNED(config->device, 4))
		return -EINVAL;
	if (!gmem_ptr(gm, config->desc, 16 * num) ||
	    !gmem_ptr(gm, config->driver, 6 + 2 * num) ||
	    !gmem_ptr(gm, config->device, 6 + 8 * num))
		return -EFAULT;

	*vq = (struct virtqueue){
		.live = true,
		.event_idx = features >> VIRTIO_RING_F_EVENT_IDX & 1,
		.indirect = features >> VIRTIO_RING_F_INDIRECT_DESC & 1,
		.size = (uint16_t)num,
		.gm = gm,
		.desc = config->desc,
		.avail = config->driver,
		.used = config->device,
		.budget = VIRTQ_NO_BUDGET,
	};
	/* virtio 1.2 §2.7.10.2: 0 with EVENT_IDX, and 0 asks for all
	 * notifications without
	 */
	return gmem_write(gm, vq->used, &no_flags, sizeof(no_flags));
}

void virtq_disable(struct virtqueue *vq)
{
	vq->live = false;
	vq->nr_in_flight = 0;
	memset(vq->in_flight, 0, sizeof(vq->in_flight));
}

/* Chains that the driver has published and we have not taken. */
static int virtq_available(const struct virtqueue *vq)
{
	uint16_t idx, n;
	int ret;

	/* Pairs with the driver's store, virtio 1.2 §2.7.13.3. */
	ret = gmem_load_acquire_le16(
		vq->gm, vq->avail + offsetof(struct vring_avail, idx), &idx);
	if (ret < 0)
		return ret;
	n = (uint16_t)(idx - vq->next_avail);
	/* virtio 1.2 §2.7.6.1: idx never moves back or beyond the ring */
	return n > vq->size ? -EBADMSG : n;
}

/* Asks for a notification of the next chain, and looks once more. */
static int virtq_arm(struct virtqueue *vq)
{
	int ret;

	/* virtio 1.2 §2.7.10: without EVENT_IDX the flags ask already */
	if (!vq->event_idx)
		return 0;
	ret = gmem_store_release_le16(vq->gm, virtq_avail_event(vq),
				      vq->next_avail);
	if (ret < 0)
		return ret;
	/* Pairs with the driver's barrier between its idx and its look at
	 * avail_event (§2.7.13.4.1): one of us sees the other's store.
	 */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return virtq_available(vq);
}

/* Checks the copy D of a data descriptor and adds its memory to the chain. */
static int walk_add(struct walk *w, const struct vring_desc *d)
{
	bool writable = d->flags & VRING_DESC_F_WRITE;
	void *hva;

	/* virtio 1.2 §2.7.5.3.1: no longer than the queue, so no loops */
	if (++w->hops > w->vq->size)
		return -EBADMSG;
	/* virtio 1.2 §2.7.4.2: device-writable ones after the readable */
	if (w->writable && !writable)
		return -EBADMSG;
	w->writable = writable;
	if (d->len == 0)
		return 0;
	/* virtio 1.2 §2.7.5.2: the total stays below 2^32 */
	w->bytes += d->len;
	if (w->bytes > UINT32_MAX)
		return -EBADMSG;
	hva = gmem_ptr_mut(w->vq->gm, d->addr, d->len);
	if (!hva)
		return -EFAULT;
	chain_add(w->chain, hva, d->len, writable);
	return 0;
}

/* The table that D refers to.  D's WRITE flag means nothing (§2.7.5.3.2). */
static int walk_indirect(struct walk *w, const struct vring_desc *d)
{
	struct vring_desc table[VIRTQ_MAX_SIZE];
	uint32_t n = d->len / sizeof(table[0]);
	uint32_t i = 0;
	int ret;

	/* virtio 1.2 §2.7.5.3.1: only when negotiated, and never with NEXT */
	if (!w->vq->indirect || d->flags & VRING_DESC_F_NEXT)
		return -EBADMSG;
	if (d->len % sizeof(table[0]) || n > w->vq->size)
		return -EBADMSG;
	ret = gmem_read(w->vq->gm, d->addr, table, d->len);
	if (ret < 0)
		return ret;
	for (;;) {
		/* virtio 1.2 §2.7.5.3.1: not nested.  A table of none ends here
		 * as well.
		 */
		if (i >= n || table[i].flags & VRING_DESC_F_INDIRECT)
			return -EBADMSG;
		ret = walk_add(w, &table[i]);
		if (ret < 0 || !(table[i].flags & VRING_DESC_F_NEXT))
			return ret;
		i = table[i].next;
	}
}

static int virtq_walk(struct virtqueue *vq, struct chain *chain, uint16_t head)
{
	struct walk w = { .vq = vq, .chain = chain };
	uint16_t i = head;
	int ret;

	chain_init(chain, head);
	for (;;) {
		struct vring_desc d;

		if (i >= vq->size)
			return -EBADMSG;
		ret = gmem_read(vq->gm, vq->desc + sizeof(d) * (uint64_t)i, &d,
				sizeof(d));
		if (ret < 0)
			return ret;
		/* virtio 1.2 §2.7.5.3.2: direct ones may come before it */
		if (d.flags & VRING_DESC_F_INDIRECT)
			return walk_indirect(&w, &d);
		ret = walk_add(&w, &d);
		if (ret < 0 || !(d.flags & VRING_DESC_F_NEXT))
			return ret;
		i = d.next;
	}
}

/* Looks for chains behind those that have been seen.  1, 0 when there are none,
 * or what virtq_available() says.
 */
static int virtq_fetch(struct virtqueue *vq)
{
	int ret = virtq_available(vq);

	vq->unarmed = ret == 0 && vq->watched;
	if (ret == 0 && !vq->watched)
		ret = virtq_arm(vq);
	if (ret <= 0)
		return ret;
	vq->nr_seen = (uint16_t)ret;
	return 1;
}

int virtq_pop(struct virtqueue *vq, struct chain *chain)
{
	uint16_t head;
	int ret;

	if (!vq->live || vq->budget == 0)
		return 0;
	/* The driver writes its idx for every chain; to read it that often
	 * would have both CPUs wait for the same cache line.
	 */
	if (vq->nr_seen == 0) {
		ret = virtq_fetch(vq);
		if (ret <= 0)
			return ret;
	}
	ret = gmem_read(vq->gm, virtq_avail_slot(vq, vq->next_avail), &head,
			sizeof(head));
	if (ret < 0)
		return ret;
	if (head >= vq->size || virtq_in_flight(vq, head))
		return -EBADMSG;
	ret = virtq_walk(vq, chain, head);
	if (ret < 0)
		return ret;

	vq->next_avail++;
	vq->nr_seen--;
	virtq_mark(vq, head);
	if (vq->budget != VIRTQ_NO_BUDGET)
		vq->budget--;
	return 1;
}

void virtq_unpop(struct virtqueue *vq, const struct chain *chain)
{
	if (!vq->live || !virtq_in_flight(vq, chain->head))
		return;
	vq->next_avail--;
	vq->nr_seen++;
	virtq_unmark(vq, chain->head);
	if (vq->budget != VIRTQ_NO_BUDGET)
		vq->budget++;
}

int virtq_stage(struct virtqueue *vq, uint16_t head, uint32_t len)
{
	struct vring_used_elem elem = { .id = head, .len = len };
	int ret;

	if (!vq->live || !virtq_in_flight(vq, head))
		return 0;
	ret = gmem_write(vq->gm, virtq_used_slot(vq, vq->next_used), &elem,
			 sizeof(elem));
	if (ret < 0)
		return ret;
	virtq_unmark(vq, head);
	vq->next_used++;
	return 0;
}

int virtq_publish(struct virtqueue *vq)
{
	if (!vq->live)
		return 0;
	/* virtio 1.2 §2.7.8.2: the entry and the data before idx; pairs with
	 * the driver's load of it, §2.7.14
	 */
	return gmem_store_release_le16(
		vq->gm, vq->used + offsetof(struct vring_used, idx),
		vq->next_used);
}

int virtq_push(struct virtqueue *vq, const struct chain *chain, uint32_t len)
{
	int ret;

	if (!vq->live || !virtq_in_flight(vq, chain->head))
		return 0;
	ret = virtq_stage(vq, chain->head, len);
	return ret < 0 ? ret : virtq_publish(vq);
}

bool virtq_should_notify(struct virtqueue *vq)
{
	uint16_t old = vq->notified_used;
	uint16_t word;

	if (!vq->live || vq->next_used == old)
		return false;
	vq->notified_used = vq->next_used;
	/* Pairs with the driver's barrier between its used_event (or flags) and
	 * its look at the used idx (§2.7.14): one of us sees the other's store.
	 */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (gmem_load_acquire_le16(
		    vq->gm, vq->event_idx ? virtq_used_event(vq) : vq->avail,
		    &word) < 0)
		return true;
	/* virtio 1.2 §2.7.7.2: with EVENT_IDX the flags are ignored, without it
	 * used_event is
	 */
	if (vq->event_idx)
		return vring_need_event(word, vq->next_used, old);
	return !(word & VRING_AVAIL_F_NO_INTERRUPT);
}

bool virtq_look(struct virtqueue *vq)
{
	if (!vq->live || !vq->unarmed || virtq_available(vq) == 0)
		return false;
	vq->unarmed = false;
	return true;
}

bool virtq_settle(struct virtqueue *vq)
{
	bool unarmed = vq->live && vq->unarmed;

	vq->watched = false;
	vq->unarmed = false;
	return unarmed && virtq_arm(vq) != 0;
}

unsigned int virtq_depth(const struct virtqueue *vq)
{
	int n = vq->live ? virtq_available(vq) : 0;

	return n > 0 ? (unsigned int)n : 0;
}
