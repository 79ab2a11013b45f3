// SPDX-License-Identifier: Apache-2.0
/*
 * balloon.c - virtio traditional memory balloon (virtio 1.2 §5.5)
 *
 * Theory of operation.  The host asks for pages (num_pages), the driver picks
 * some that it does without and sends their numbers on the inflate queue, and
 * they are discarded before the chain is given back.  On the deflate queue it
 * takes pages back: there is nothing to do, they fill when touched.  Besides,
 * the driver reports free memory as it comes (PAGE_REPORTING); that is
 * discarded too, and stays the driver's.  A page that was discarded reads as
 * zeros.
 *
 * Nothing that the driver says is needed for anything of ours: a page number
 * outside RAM is counted and skipped, and a page that holds a ring or the list
 * itself is the driver's own loss.  `actual` is the driver's word; it is kept
 * as it is written, byte by byte, and clamped where it is used.
 *
 * Work is bounded.  Of one chain CHAIN_PAGES numbers or CHAIN_BYTES of reported
 * memory are served; what is more stays where it is, which a driver cannot
 * tell.  After TURN_PAGES or TURN_BYTES the loop gets a turn.
 *
 * Statistics.  The driver's buffer is held; giving it back asks for new numbers
 * (§5.5.6.3), which come in the same buffer.
 *
 * Queues.  §5.5.2 numbers them from 0 to 4; Linux numbers those that exist.  We
 * have no free page hinting, so its queue 3 is either unused or, for a driver
 * that counts, the reporting queue, and so is queue 2 without statistics.
 *
 * Not offered: MUST_TELL_HOST, as a discarded page needs nothing when it comes
 * back; FREE_PAGE_HINT, which serves migration; PAGE_POISON.
 */
#include <errno.h>
#include <stdlib.h>

#include <linux/virtio_balloon.h>
#include <linux/virtio_ids.h>

#include "base/util.h"
#include "virtio/balloon.h"
#include "virtio/chain.h"

#define BALLOON_QUEUE_SIZE 64

#define CHAIN_PAGES 1024u /* Linux sends 256 */
#define TURN_PAGES  4096u
#define CHAIN_BYTES GIB(1)   /* Linux sends 128 MiB */
#define TURN_BYTES  MIB(256) /* a host frees them in some ten milliseconds */

#define MAX_STATS   64u /* of one buffer; there are 16 tags */
#define LIST_LENGTH 256u

enum { INFLATE, DEFLATE, STATISTICS, HINTING, REPORTING, NR_QUEUES };

/* The part of struct virtio_balloon_config that exists without hinting and
 * poison (§5.5.4).
 */
struct balloon_config {
	uint32_t num_pages;
	uint32_t actual;
};

/* What one run of the device has done, for the loop to get its turn. */
struct balloon_turn {
	unsigned int pages;
	uint64_t bytes;
};

struct virtio_balloon {
	struct virtio_device vdev;
	struct balloon_config config;
	uint64_t nr_pages; /* of RAM */
	struct virtio_balloon_stats stats;

	struct loop_timer timer; /* loop */
	uint64_t interval_ns;	 /* loop; 0: no statistics wanted */
	bool holding;		 /* `held` is the driver's statistics buffer */
	bool stats_due;		 /* and is to be given back */
	uint32_t known;
	uint64_t value[BALLOON_NR_TAGS];
	struct chain held;

	struct chain chain; /* the request being done */
};

static_assert(sizeof(struct virtio_balloon_stat) == 10, "virtio 1.2 §5.5.6.3");
static_assert(offsetof(struct virtio_balloon_config, actual) ==
		      offsetof(struct balloon_config, actual),
	      "virtio 1.2 §5.5.4");
static_assert(offsetof(struct virtio_balloon, vdev) == 0,
	      "virtio_balloon_stats");
static_assert(BALLOON_PAGE_SIZE == PAGE_SIZE, "a page number is a host page");

static struct virtio_balloon *to_balloon(struct virtio_device *vdev)
{
	return container_of(vdev, struct virtio_balloon, vdev);
}

/* Pages that follow each other, in either direction. */
struct run {
	uint64_t first;
	unsigned int nr;
};

static void balloon_discard_run(struct virtio_balloon *b, const struct run *run)
{
	int ret;

	if (run->nr == 0)
		return;
	ret = gmem_discard(b->vdev.env.gm, run->first * BALLOON_PAGE_SIZE,
			   (size_t)run->nr * BALLOON_PAGE_SIZE);
	counter_add(ret < 0 ? &b->stats.kept : &b->stats.inflated, run->nr);
}

static bool balloon_is_ram(const struct virtio_balloon *b, uint64_t first,
			   unsigned int nr)
{
	return gmem_ptr(b->vdev.env.gm, first * BALLOON_PAGE_SIZE,
			(size_t)nr * BALLOON_PAGE_SIZE);
}

/* One more page to discard: in RUN, or in a new one. */
static void balloon_discard(struct virtio_balloon *b, struct run *run,
			    uint64_t pfn)
{
	if (!balloon_is_ram(b, pfn, 1)) {
		counter_add(&b->stats.refused, 1);
		return;
	}
	if (run->nr > 0 && pfn == run->first + run->nr &&
	    balloon_is_ram(b, run->first, run->nr + 1)) {
		run->nr++;
		return;
	}
	if (run->nr > 0 && pfn + 1 == run->first &&
	    balloon_is_ram(b, pfn, run->nr + 1)) {
		run->first = pfn;
		run->nr++;
		return;
	}
	balloon_discard_run(b, run);
	*run = (struct run){ pfn, 1 };
}

/* virtio 1.2 §5.5.6.1: page numbers, 32 bits each; returns how many. */
static unsigned int balloon_inflate(struct virtio_balloon *b, struct chain *c)
{
	uint32_t pfn[LIST_LENGTH];
	struct run run = { 0, 0 };
	unsigned int done = 0;

	while (done < CHAIN_PAGES) {
		size_t len = (size_t)MIN(LIST_LENGTH, CHAIN_PAGES - done) * 4;
		unsigned int n = (unsigned int)(chain_read(c, pfn, len) / 4);

		for (unsigned int i = 0; i < n; i++)
			balloon_discard(b, &run, pfn[i]);
		done += n;
		if (n < LIST_LENGTH)
			break;
	}
	balloon_discard_run(b, &run);
	return done;
}

static unsigned int balloon_deflate(struct virtio_balloon *b,
				    const struct chain *c)
{
	uint64_t n = MIN(chain_readable(c) / 4, CHAIN_PAGES);

	counter_add(&b->stats.deflated, n);
	return (unsigned int)n;
}

/* virtio 1.2 §5.5.6.7: the segments themselves are the free memory. */
static uint64_t balloon_report(struct virtio_balloon *b, const struct chain *c)
{
	uint64_t bytes = 0;

	for (unsigned int i = 0; i < c->nr_writable; i++) {
		const struct iovec *v = &c->seg[c->nr_readable + i];

		if (v->iov_len > CHAIN_BYTES - bytes)
			break;
		bytes += v->iov_len;
		if (!IS_ALIGNED((uintptr_t)v->iov_base | v->iov_len, PAGE_SIZE))
			counter_add(&b->stats.refused, 1);
		else if (gmem_discard_ptr(b->vdev.env.gm, v->iov_base,
					  v->iov_len) < 0)
			counter_add(&b->stats.kept, 1);
		else
			counter_add(&b->stats.reported_bytes, v->iov_len);
	}
	counter_add(&b->stats.reported, 1);
	return bytes;
}

/* virtio 1.2 §5.5.6.3.2: in any order, and tags that we do not know. */
static void balloon_read_stats(struct virtio_balloon *b, struct chain *c)
{
	struct virtio_balloon_stat stat;

	b->known = 0;
	for (unsigned int i = 0; i < MAX_STATS; i++) {
		if (chain_read(c, &stat, sizeof(stat)) != sizeof(stat))
			break;
		if (stat.tag >= BALLOON_NR_TAGS)
			continue;
		b->value[stat.tag] = stat.val;
		b->known |= 1u << stat.tag;
	}
	counter_add(&b->stats.updates, 1);
}

static int balloon_return_held(struct virtio_balloon *b)
{
	if (!b->holding)
		return 0;
	b->holding = false;
	return virtq_push(&b->vdev.vq[STATISTICS], &b->held, 0);
}

/* A driver has one buffer (§5.5.6.3.1); of several the last one is held. */
static int balloon_stats_notify(struct virtio_balloon *b)
{
	struct virtqueue *vq = &b->vdev.vq[STATISTICS];
	int ret;

	if (b->stats_due) {
		b->stats_due = false;
		ret = balloon_return_held(b);
		if (ret < 0)
			return ret;
	}
	while ((ret = virtq_pop(vq, &b->chain)) > 0) {
		ret = balloon_return_held(b);
		if (ret < 0)
			return ret;
		b->held = b->chain;
		b->holding = true;
		balloon_read_stats(b, &b->held);
	}
	return ret;
}

/* What the chain of queue Q asks for, whatever Q is but the statistics. */
static void balloon_serve(struct virtio_balloon *b, unsigned int q,
			  struct balloon_turn *turn)
{
	if (q == INFLATE)
		turn->pages += balloon_inflate(b, &b->chain);
	else if (q == DEFLATE)
		turn->pages += balloon_deflate(b, &b->chain);
	else
		turn->bytes += balloon_report(b, &b->chain);
}

static int balloon_queue_notify(struct virtio_device *vdev, unsigned int q)
{
	struct virtio_balloon *b = to_balloon(vdev);
	struct virtqueue *vq = &vdev->vq[q];
	struct balloon_turn turn = { 0 };
	int ret;

	if (q == STATISTICS &&
	    virtio_has_feature(vdev, VIRTIO_BALLOON_F_STATS_VQ))
		return balloon_stats_notify(b);
	/* virtio 1.2 §5.5.2: without its feature a queue does not exist */
	if (q > DEFLATE &&
	    !virtio_has_feature(vdev, VIRTIO_BALLOON_F_REPORTING))
		return 0;
	while ((ret = virtq_pop(vq, &b->chain)) > 0) {
		balloon_serve(b, q, &turn);
		/* virtio 1.2 §5.5.6.1: given back when the pages are gone.  We
		 * wrote nothing that the driver may count on.
		 */
		ret = virtq_push(vq, &b->chain, 0);
		if (ret < 0)
			return ret;
		/* The generic code rings again when the budget is used up. */
		if (turn.pages >= TURN_PAGES || turn.bytes >= TURN_BYTES)
			vq->budget = 0;
	}
	return ret;
}

static void balloon_timer(struct loop_timer *timer)
{
	struct virtio_balloon *b =
		container_of(timer, struct virtio_balloon, timer);

	loop_timer_arm(b->vdev.env.loop, timer, now_ns() + b->interval_ns);
	pthread_mutex_lock(&b->vdev.lock);
	b->stats_due = b->holding;
	if (b->stats_due)
		virtio_run_queue_locked(&b->vdev, STATISTICS);
	pthread_mutex_unlock(&b->vdev.lock);
}

/* The held buffer is the old driver's.  The target is the host's and stays, and
 * so do the last statistics: a guest that powers off resets its devices first.
 */
static void balloon_reset(struct virtio_device *vdev)
{
	struct virtio_balloon *b = to_balloon(vdev);

	b->holding = false;
	b->stats_due = false;
	b->config.actual = 0;
}

static void balloon_config_read(struct virtio_device *vdev, size_t off,
				void *buf, size_t len)
{
	memcpy(buf, (const uint8_t *)&to_balloon(vdev)->config + off, len);
}

/* virtio 1.2 §5.5.4: `actual` is the driver's, num_pages is ours. */
static void balloon_config_write(struct virtio_device *vdev, size_t off,
				 const void *buf, size_t len)
{
	struct balloon_config *config = &to_balloon(vdev)->config;
	uint32_t num_pages = config->num_pages;

	memcpy((uint8_t *)config + off, buf, len);
	config->num_pages = num_pages;
}

static void balloon_destroy(struct virtio_device *vdev)
{
	struct virtio_balloon *b = to_balloon(vdev);

	loop_timer_cancel(vdev->env.loop, &b->timer);
	free(b);
}

static const struct telemetry_field balloon_fields[] = {
	{ "inflated_pages", offsetof(struct virtio_balloon, stats.inflated),
	  TELEMETRY_COUNTER },
	{ "deflated_pages", offsetof(struct virtio_balloon, stats.deflated),
	  TELEMETRY_COUNTER },
	{ "reports", offsetof(struct virtio_balloon, stats.reported),
	  TELEMETRY_COUNTER },
	{ "reported_bytes",
	  offsetof(struct virtio_balloon, stats.reported_bytes),
	  TELEMETRY_COUNTER },
	{ "refused", offsetof(struct virtio_balloon, stats.refused),
	  TELEMETRY_COUNTER },
	{ "kept", offsetof(struct virtio_balloon, stats.kept),
	  TELEMETRY_COUNTER },
	{ "stats_updates", offsetof(struct virtio_balloon, stats.updates),
	  TELEMETRY_COUNTER },
};

static const struct virtio_device_ops balloon_ops = {
	.name = "balloon",
	.device_id = VIRTIO_ID_BALLOON,
	.features = 1ull << VIRTIO_BALLOON_F_STATS_VQ |
		    1ull << VIRTIO_BALLOON_F_DEFLATE_ON_OOM |
		    1ull << VIRTIO_BALLOON_F_REPORTING,
	.fields = balloon_fields,
	.nr_fields = ARRAY_SIZE(balloon_fields),
	.nr_queues = NR_QUEUES,
	.queue_size = BALLOON_QUEUE_SIZE,
	.config_size = sizeof(struct balloon_config),
	.reset = balloon_reset,
	.queue_notify = balloon_queue_notify,
	.config_read = balloon_config_read,
	.config_write = balloon_config_write,
	.destroy = balloon_destroy,
};

int virtio_balloon_create(const struct virtio_env *env,
			  struct virtio_device **owned)
{
	struct virtio_balloon *b = calloc(1, sizeof(*b));

	if (!b)
		return -ENOMEM;
	b->nr_pages = gmem_size(env->gm) / BALLOON_PAGE_SIZE;
	b->timer.expired = balloon_timer;
	virtio_device_init(&b->vdev, &balloon_ops, env, balloon_ops.features);
	*owned = &b->vdev;
	return 0;
}

bool virtio_balloon_is(const struct virtio_device *vdev)
{
	return vdev->ops == &balloon_ops;
}

int virtio_balloon_set_target(struct virtio_device *vdev, uint64_t bytes)
{
	struct virtio_balloon *b = to_balloon(vdev);

	assert(virtio_balloon_is(vdev));
	if (bytes / BALLOON_PAGE_SIZE > b->nr_pages)
		return -EINVAL;
	pthread_mutex_lock(&vdev->lock);
	b->config.num_pages = (uint32_t)(bytes / BALLOON_PAGE_SIZE);
	virtio_config_changed_locked(vdev);
	pthread_mutex_unlock(&vdev->lock);
	return 0;
}

void virtio_balloon_set_interval(struct virtio_device *vdev, uint64_t ns)
{
	struct virtio_balloon *b = to_balloon(vdev);

	assert(virtio_balloon_is(vdev));
	b->interval_ns = ns;
	if (ns > 0)
		loop_timer_arm(vdev->env.loop, &b->timer, now_ns() + ns);
	else
		loop_timer_cancel(vdev->env.loop, &b->timer);
}

void virtio_balloon_get(struct virtio_device *vdev,
			struct virtio_balloon_state *state)
{
	const struct virtio_balloon *b = to_balloon(vdev);

	assert(virtio_balloon_is(vdev));
	pthread_mutex_lock(&vdev->lock);
	state->target = (uint64_t)b->config.num_pages * BALLOON_PAGE_SIZE;
	state->actual = MIN(b->config.actual, b->nr_pages) * BALLOON_PAGE_SIZE;
	state->known = b->known;
	memcpy(state->value, b->value, sizeof(state->value));
	pthread_mutex_unlock(&vdev->lock);
}

const struct virtio_balloon_stats *
virtio_balloon_stats(const struct virtio_device *vdev)
{
	assert(virtio_balloon_is(vdev));
	return &((const struct virtio_balloon *)vdev)->stats;
}
