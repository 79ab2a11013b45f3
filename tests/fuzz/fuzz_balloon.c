// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_balloon.c - a balloon and a driver that does not know what it wants
 *
 * The input is a list of actions: lists of page numbers in any cut, reports,
 * statistics, doorbells, configuration writes, targets, the timer, resets.  A
 * model knows which pages may be gone: every page of the pool holds its own
 * byte until its number is sent or it is reported, and is then all old or all
 * zeros, while the counters add up.  One action writes anywhere into the rings:
 * from then on until the next reset only memory safety is required.
 */
#include <stdlib.h>
#include <string.h>

#include <linux/virtio_balloon.h>
#include <linux/virtio_ring.h>

#include "tests/fuzz/fuzz.h"
#include "virtio/balloon.h"

#define NR_QUEUES  5u
#define QUEUE_SIZE 64u
#define RINGS	   0x1000u /* bytes a queue: table, available, used */
#define AVAIL	   0x400u
#define USED	   0x600u
#define DATA	   (RINGS * NR_QUEUES) /* what chains point to */
#define DATA_SIZE  0x1000u
#define POOL	   (DATA + DATA_SIZE) /* pages to give away */
#define POOL_PAGES 16u
#define RAM_SIZE   (POOL + POOL_PAGES * PAGE_SIZE)
#define HIGH_BASE  (4ull << 30)
#define HIGH_PAGES 2u
#define NR_SLOTS   16u /* chains a queue, 4 descriptors each */

struct fuzz_queue {
	uint16_t avail_idx, used_idx;
	bool posted[NR_SLOTS];
	unsigned int nr_posted;
};

static const struct fuzz_layout layout = { NR_QUEUES, QUEUE_SIZE, 0,
					   RINGS,     AVAIL,	  USED };

struct fuzz {
	struct guest_memory gm;
	uint8_t *ram, *high;
	struct irq_line irq;
	struct loop loop;
	struct virtio_device *vdev;
	struct fuzz_queue queue[NR_QUEUES];
	bool wild; /* the rings are not the model's any more */
	bool may_be_gone[POOL_PAGES]; /* sent since it was filled */
	struct fuzz_input in;
};

static uint8_t take(struct fuzz *f)
{
	return fuzz_take(&f->in);
}

static uint8_t *rings(struct fuzz *f, unsigned int q)
{
	return f->ram + (size_t)RINGS * q;
}

static uint8_t *pool_page(struct fuzz *f, unsigned int n)
{
	return f->ram + POOL + (size_t)n * PAGE_SIZE;
}

static void fill(struct fuzz *f, unsigned int n)
{
	memset(pool_page(f, n), (int)n + 1, PAGE_SIZE);
	f->may_be_gone[n] = false;
}

static void check_pool(struct fuzz *f)
{
	for (unsigned int n = 0; n < POOL_PAGES; n++) {
		const uint8_t *p = pool_page(f, n);

		must(memcmp(p, p + 1, PAGE_SIZE - 1) == 0);
		must(*p == n + 1 || (f->may_be_gone[n] && *p == 0));
	}
}

/* Resets the device and drives it to DRIVER_OK; the input has the features. */
static void restart(struct fuzz *f)
{
	uint8_t features = take(f);

	fuzz_reset(f->vdev);
	memset(f->ram, 0, POOL);
	memset(f->queue, 0, sizeof(f->queue));
	f->wild = false;
	for (unsigned int n = 0; n < POOL_PAGES; n++)
		fill(f, n);
	fuzz_bring_up(
		f->vdev, &layout,
		(features & 1 ? 0 : 1u << VIRTIO_BALLOON_F_STATS_VQ) |
			(features & 2 ? 0 : 1u << VIRTIO_BALLOON_F_REPORTING) |
			(features & 4 ? 1u << VIRTIO_RING_F_EVENT_IDX : 0));
}

/* A page number of the pool or of somewhere; never of rings or data. */
static uint32_t any_pfn(struct fuzz *f)
{
	uint8_t kind = take(f);
	uint32_t pfn;

	if (kind < 160) {
		f->may_be_gone[kind % POOL_PAGES] = true;
		return POOL / PAGE_SIZE + kind % POOL_PAGES;
	}
	if (kind < 200)
		return (uint32_t)(HIGH_BASE / PAGE_SIZE) - 1 + kind % 4;
	pfn = (uint32_t)take(f) << 24 | (uint32_t)take(f) << 16 | kind << 4;
	return MAX(pfn, RAM_SIZE / PAGE_SIZE);
}

/* Fills the data page; returns the bytes. */
static uint32_t make_data(struct fuzz *f, unsigned int q)
{
	unsigned int n = take(f);
	uint8_t *p = f->ram + DATA;

	if (q == 2 && virtio_has_feature(f->vdev, VIRTIO_BALLOON_F_STATS_VQ)) {
		n %= 80;
		for (unsigned int i = 0; i < n; i++) {
			put_le16(p + 10 * i, take(f));
			put_le64(p + 10 * i + 2, i);
		}
		return 10 * n + take(f) % 10;
	}
	for (unsigned int i = 0; i < n; i++)
		put_le32(p + 4 * i, any_pfn(f));
	return 4 * n + take(f) % 4;
}

static unsigned int free_slot(const struct fuzz_queue *fq)
{
	unsigned int slot = 0;

	while (slot < NR_SLOTS && fq->posted[slot])
		slot++;
	return slot;
}

/* Posts the data page, cut into up to 4 descriptors, or pages to report. */
static void post(struct fuzz *f, unsigned int q)
{
	struct fuzz_queue *fq = &f->queue[q];
	struct vring_desc *desc = (void *)rings(f, q);
	struct vring_avail *avail = (void *)(rings(f, q) + AVAIL);
	unsigned int slot = free_slot(fq);
	bool report = q > 2 || take(f) % 8 == 0;
	uint32_t left = report ? 4 : make_data(f, q);
	uint32_t piece = MAX(take(f) * 4u, left / 4 + 1);
	uint64_t gpa = DATA;

	if (slot == NR_SLOTS)
		return;
	for (unsigned int d = slot * 4; d < slot * 4 + 4; d++) {
		desc[d] = (struct vring_desc){
			.addr = gpa,
			.len = MIN(left, piece),
			.flags = VRING_DESC_F_NEXT,
			.next = (uint16_t)(d + 1),
		};
		if (report) {
			uint8_t at = take(f);
			unsigned int page = at % POOL_PAGES;

			f->may_be_gone[page] = true;
			desc[d].addr = POOL + page * PAGE_SIZE;
			desc[d].addr += at & 128 ? 1 : 0;
			desc[d].len = at & 64 ? 2048 : PAGE_SIZE;
			desc[d].flags |= VRING_DESC_F_WRITE;
			if (at & 128)
				desc[d].len -= 1;
		}
		gpa += desc[d].len;
		left -= MIN(left, piece);
	}
	desc[slot * 4 + 3].flags &= (uint16_t)~VRING_DESC_F_NEXT;
	fq->posted[slot] = true;
	fq->nr_posted++;
	avail->ring[fq->avail_idx++ % QUEUE_SIZE] = (uint16_t)(slot * 4);
	avail->idx = fq->avail_idx;
	/* The data page is the next chain's: served before it changes. */
	virtio_doorbell(f->vdev, q);
}

static void reap(struct fuzz *f, unsigned int q)
{
	struct fuzz_queue *fq = &f->queue[q];
	const struct vring_used *used = (void *)(rings(f, q) + USED);

	while (!f->wild && fq->used_idx != used->idx) {
		const struct vring_used_elem *e =
			&used->ring[fq->used_idx++ % QUEUE_SIZE];

		must(e->id % 4 == 0 && e->id / 4 < NR_SLOTS &&
		     fq->posted[e->id / 4]);
		must(e->len == 0);
		fq->posted[e->id / 4] = false;
		fq->nr_posted--;
	}
}

static void config(struct fuzz *f)
{
	uint8_t value[8], before[4], after[4];
	size_t off = take(f) % 8, len = 1 + take(f) % 8;

	if (off + len > 8)
		return;
	for (size_t i = 0; i < len; i++)
		value[i] = take(f);
	pthread_mutex_lock(&f->vdev->lock);
	f->vdev->ops->config_read(f->vdev, 0, before, 4);
	f->vdev->ops->config_write(f->vdev, off, value, len);
	f->vdev->ops->config_read(f->vdev, 0, after, 4);
	pthread_mutex_unlock(&f->vdev->lock);
	must(memcmp(before, after, 4) == 0);
}

/* What must be true at any time. */
static void settle(struct fuzz *f)
{
	bool statistics =
		virtio_has_feature(f->vdev, VIRTIO_BALLOON_F_STATS_VQ);
	bool reporting =
		virtio_has_feature(f->vdev, VIRTIO_BALLOON_F_REPORTING);
	struct virtio_balloon_state state;

	for (int i = 0; i < 4; i++)
		loop_step(&f->loop, 0);
	virtio_balloon_get(f->vdev, &state);
	must(state.actual <= gmem_size(&f->gm));
	must(state.target <= gmem_size(&f->gm));
	must(state.known >> BALLOON_NR_TAGS == 0);
	must(counter_get(&virtio_balloon_stats(f->vdev)->kept) == 0);
	if (f->wild)
		return;
	check_pool(f);
	must(f->vdev->status == 15);
	for (unsigned int q = 0; q < NR_QUEUES; q++) {
		reap(f, q);
		if (q == 2 && statistics)
			must(f->queue[q].nr_posted <= 1);
		else if (q < 2 || reporting)
			must(f->queue[q].nr_posted == 0);
	}
}

static void act(struct fuzz *f)
{
	uint8_t action = take(f);

	switch (action % 12) {
	case 0:
	case 1:
	case 2:
	case 3:
	case 4:
		post(f, action % 12);
		break;
	case 5:
		virtio_doorbell(f->vdev, take(f));
		break;
	case 6:
		config(f);
		break;
	case 7:
		virtio_balloon_set_target(f->vdev, take(f) * 1000ull);
		break;
	case 8:
		/* 1 ns: the next round of the loop is it. */
		virtio_balloon_set_interval(f->vdev, action & 64);
		break;
	case 9:
		fill(f, take(f) % POOL_PAGES);
		break;
	case 10:
		if (action < 192)
			settle(f);
		else
			restart(f);
		break;
	case 11:
		/* Somewhere in the rings. */
		f->wild = true;
		action = take(f);
		f->ram[(action * 256u + take(f)) % DATA] = take(f);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct fuzz *f = calloc(1, sizeof(*f));
	struct virtio_env env;

	must(f);
	f->in = (struct fuzz_input){ data, len };
	f->irq.pulse = fuzz_irq_ignore;
	f->ram = fuzz_memory(&f->gm, RAM_SIZE);
	f->high = aligned_alloc(PAGE_SIZE, HIGH_PAGES * PAGE_SIZE);
	must(f->high);
	memset(f->high, 0, HIGH_PAGES * PAGE_SIZE);
	must(gmem_add(&f->gm, HIGH_BASE, HIGH_PAGES * PAGE_SIZE, f->high) == 0);
	must(loop_init(&f->loop) == 0);
	env = (struct virtio_env){ &f->gm, &f->irq, &f->loop };
	must(virtio_balloon_create(&env, &f->vdev) == 0);
	must(virtio_device_start(f->vdev) == 0);

	restart(f);
	for (int i = 0; i < 500 && f->in.len > 0; i++)
		act(f);
	settle(f);

	virtio_device_destroy(f->vdev);
	loop_fini(&f->loop);
	gmem_fini(&f->gm);
	free(f->ram);
	free(f->high);
	free(f);
	return 0;
}
