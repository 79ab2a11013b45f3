// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_virtqueue.c - hostile rings
 *
 * Input: a byte for the queue's size, one for features, one that counts the
 * actions, the actions, and the first bytes of guest memory, which hold
 * descriptors at 0 and the available ring at AVAIL.  Whatever they are: a
 * chain lies in guest memory, is no longer than its queue, and its byte counts
 * agree; popping and pushing change the used ring alone; no more is used than
 * was available; what used.len says was written.
 */
#include <stdlib.h>
#include <string.h>

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "tests/fuzz/fuzz.h"
#include "virtio/virtqueue.h"

#define RAM_SIZE  (16u * PAGE_SIZE)
#define HIGH_BASE (4ull << 30)
#define MAX_LOG2  5
#define AVAIL	  0x400u
#define USED	  0x800u
#define USED_END  0xa00u

struct fuzz {
	struct guest_memory gm;
	uint8_t *ram, *high;
	struct virtqueue vq;
	struct chain held[1u << MAX_LOG2]; /* popped, not pushed */
	unsigned int nr_held;
	uint64_t popped, pushed;
};

static void check_inside(const struct fuzz *f, const struct iovec *v)
{
	const uint8_t *p = v->iov_base;

	must(v->iov_len > 0);
	if (p >= f->ram && p < f->ram + RAM_SIZE)
		must(v->iov_len <= (size_t)(f->ram + RAM_SIZE - p));
	else
		must(p >= f->high && p < f->high + PAGE_SIZE &&
		     v->iov_len <= (size_t)(f->high + PAGE_SIZE - p));
}

static void check_chain(const struct fuzz *f, const struct chain *c)
{
	unsigned int nr = c->nr_readable + c->nr_writable;
	uint64_t readable = 0, writable = 0;

	must(c->head < f->vq.size && nr <= f->vq.size);
	for (unsigned int i = 0; i < nr; i++) {
		check_inside(f, &c->seg[i]);
		if (i < c->nr_readable)
			readable += c->seg[i].iov_len;
		else
			writable += c->seg[i].iov_len;
	}
	must(readable == chain_readable(c) && writable == chain_writable(c));
	must(readable + writable <= UINT32_MAX);
}

/* Pops into held[]; nothing but the used ring may change. */
static bool do_pop(struct fuzz *f)
{
	uint8_t before[USED];
	struct chain *c = &f->held[f->nr_held];
	int ret;

	if (f->nr_held == f->vq.size)
		return true;
	memcpy(before, f->ram, sizeof(before));
	ret = virtq_pop(&f->vq, c);
	must(memcmp(before, f->ram, sizeof(before)) == 0);
	if (ret <= 0)
		return ret == 0;
	check_chain(f, c);
	for (unsigned int i = 0; i < f->nr_held; i++)
		must(f->held[i].head != c->head);
	f->nr_held++;
	f->popped++;
	return true;
}

/* Uses up the chain in pieces of STEP, then pushes it. */
static void do_push(struct fuzz *f, size_t step)
{
	uint64_t want, done = 0;
	uint8_t buf[256];
	struct iovec iov[3];
	struct vring_used_elem elem;
	uint32_t slot = f->vq.next_used & (f->vq.size - 1u);
	struct chain *c;
	size_t got;

	if (f->nr_held == 0)
		return;
	c = &f->held[--f->nr_held];
	want = chain_readable(c);
	while ((got = chain_read(c, buf, step)) > 0)
		done += got;
	must(done == want);
	want = chain_writable(c);
	/* Half of it through an iovec; no writing over the rings. */
	while (chain_writable(c) > want / 2) {
		chain_write_iov(c, iov, ARRAY_SIZE(iov), step * 16, &got);
		for (unsigned int i = 0; got && i < ARRAY_SIZE(iov); i++)
			got -= MIN(got, iov[i].iov_len);
		must(got == 0);
	}
	done = want - chain_writable(c);
	must(virtq_push(&f->vq, c, (uint32_t)done) == 0);
	memcpy(&elem, f->ram + USED + 4 + 8 * slot, sizeof(elem));
	must(elem.id == c->head && elem.len == done);
	must(get_le16(f->ram + USED + 2) == f->vq.next_used);
	f->pushed++;
	must(f->pushed <= f->popped);
}

/* virtio 1.2 §2.7.7.2, told in another way than the code's. */
static void do_notify(struct fuzz *f)
{
	uint16_t old = f->vq.notified_used, new = f->vq.next_used;
	uint16_t event = get_le16(f->ram + AVAIL + 4 + 2 * f->vq.size);
	bool want = false;

	if (f->vq.event_idx)
		for (uint16_t i = old; i != new; i++)
			want |= i == event;
	else
		want = old != new && !(f->ram[AVAIL] & 1);
	must(virtq_should_notify(&f->vq) == want);
}

static void run(struct fuzz *f, const uint8_t *act, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		uint16_t idx = get_le16(f->ram + AVAIL + 2);

		switch (act[i] & 7) {
		case 0: /* the driver adds some */
			put_le16(f->ram + AVAIL + 2,
				 (uint16_t)(idx + (act[i] >> 3)));
			break;
		case 1:
		case 2:
			if (!do_pop(f))
				return;
			must(virtq_depth(&f->vq) <= f->vq.size);
			break;
		case 3:
		case 4:
			do_push(f, 1 + (size_t)(act[i] >> 3) * 8);
			break;
		case 5:
			if (f->nr_held > 0 && f->popped > f->pushed) {
				f->nr_held--;
				f->popped--;
				virtq_unpop(&f->vq, &f->held[f->nr_held]);
			}
			break;
		case 6:
			do_notify(f);
			break;
		case 7: /* the driver scribbles, ring entries and flags too */
			f->ram[(act[i] >> 3) * 0x29u] ^= (uint8_t)i;
			break;
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct virtq_config config = { 0, 0, AVAIL, USED };
	struct fuzz *f;
	uint64_t features = 0;
	size_t nr;

	if (len < 3)
		return 0;
	f = calloc(1, sizeof(*f));
	must(f);
	f->ram = aligned_alloc(PAGE_SIZE, RAM_SIZE);
	f->high = aligned_alloc(PAGE_SIZE, PAGE_SIZE);
	must(f->ram && f->high);
	memset(f->ram, 0, RAM_SIZE);
	memset(f->high, 0, PAGE_SIZE);
	gmem_add(&f->gm, 0, RAM_SIZE, f->ram);
	gmem_add(&f->gm, HIGH_BASE, PAGE_SIZE, f->high);

	config.num = 1u << (data[0] % (MAX_LOG2 + 1));
	features |= (uint64_t)(data[1] & 1) << VIRTIO_RING_F_EVENT_IDX;
	features |= (uint64_t)(data[1] >> 1 & 1) << VIRTIO_RING_F_INDIRECT_DESC;
	nr = MIN(data[2], len - 3);
	memcpy(f->ram, data + 3 + nr, MIN(len - 3 - nr, RAM_SIZE));
	must(virtq_enable(&f->vq, &f->gm, &config, 1u << MAX_LOG2, features) ==
	     0);
	run(f, data + 3, nr);
	must(f->vq.nr_in_flight == f->nr_held);

	free(f->high);
	free(f->ram);
	free(f);
	return 0;
}
