// SPDX-License-Identifier: Apache-2.0
/*
 * blk.c - virtio block device (virtio 1.2 §5.2)
 *
 * Theory of operation.  Chains are taken from the queues as they come, into a
 * fixed table of requests; blk_request.c knows what one asks for.  What the
 * disk can do at once is done in the driver's turn.  The rest is under way in
 * the kernel, any number at a time, and is completed in the order in which it
 * ends.  The specification gives requests no order either; a driver that wants
 * one waits, or flushes.
 *
 * With a rate limit, a request for which there are no tokens stays in its
 * queue; what has passed is no longer concerned.
 *
 * What the driver asks for does not hold up the loop: after a number of bytes
 * or some time, between two slices or two requests, the others get a turn.  A
 * request that is not done then is kept, ready to go on with the next.
 *
 * Writes, zeroes among them, are cached by the host.  They are stable after
 * FLUSH; or before they are completed, when `writeback` is 0 or the driver did
 * not accept FLUSH (§5.2.6.2).  `writeback` is what the operator chose until a
 * driver chooses for itself, and again after a reset.
 *
 * Memory of a request that is under way is the kernel's.  When its queue is
 * stopped or the device reset meanwhile, the device is busy until the last of
 * these has come back; they are dropped then, half done, as when the power
 * fails.  No chain can get into their place before that.
 *
 * All queues are served by the one loop.  More than one spares the processors
 * of a guest a lock, no more, so one is what a disk has unless told otherwise.
 */
#include <errno.h>
#include <stdlib.h>

#include <sys/mman.h>

#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>

#include "base/log.h"
#include "virtio/blk_priv.h"

/* How long the others on the loop wait for us: as long as these bytes take, or
 * this time if that is shorter, and at most one slice more.
 */
#define BLK_TURN_BYTES MIB(16)
#define BLK_TURN_NS    10000000u

/* How long the kernel may keep us from closing a disk. */
#define BLK_CLOSE_NS 5000000000u

static_assert(offsetof(struct virtio_blk_config, wce) == 0x20,
	      "virtio 1.2 §5.2.4");
static_assert(offsetof(struct virtio_blk, vdev) == 0, "virtio_blk_stats");

static struct virtio_blk *to_blk(struct virtio_device *vdev)
{
	return container_of(vdev, struct virtio_blk, vdev);
}

static void blk_count_in_hand(struct virtio_blk *blk, int n)
{
	struct virtio_blk_stats *stats = &blk->stats;
	uint64_t now;

	counter_add(&stats->in_hand, (uint64_t)n);
	now = counter_get(&stats->in_hand);
	if (now > counter_get(&stats->in_hand_peak))
		counter_add(&stats->in_hand_peak,
			    now - counter_get(&stats->in_hand_peak));
}

/* The last one used is the first to be used again: it is in the CPU's cache. */
static void blk_free(struct virtio_blk *blk, struct blk_request *req)
{
	list_add_front(&blk->free, &req->node);
	blk_count_in_hand(blk, -1);
}

/* Whether there is a free request, at the head of the list then.  Memory of
 * those that were never used is not touched.
 */
static bool blk_has_free(struct virtio_blk *blk)
{
	if (list_empty(&blk->free) && blk->nr_used < BLK_REQUESTS)
		list_add(&blk->free, &blk->request[blk->nr_used++].node);
	return !list_empty(&blk->free);
}

/* Whether REQ, which was begun, may go on; otherwise it is to be available
 * again, as if it had not been looked at.  A discard gives away what there is
 * and costs an operation, as what moves no data does.
 */
static bool blk_may_pass(struct virtio_blk *blk, const struct blk_request *req)
{
	const struct rate_amount want = {
		.bytes = req->op == DISK_DISCARD ? 0 : req->bytes,
		.ops = 1,
	};

	return gate_pass(&blk->gate, req->q, want);
}

/* The next request of queue Q that can go on.  1, 0 when there is none for now,
 * or an error of the queue.
 */
static int blk_next(struct virtio_blk *blk, unsigned int q,
		    struct blk_request **next)
{
	struct blk_queue *queue = &blk->queue[q];
	struct blk_request *req;
	int ret;

	if (!list_empty(&queue->ready)) {
		*next = container_of(list_take(&queue->ready),
				     struct blk_request, node);
		return 1;
	}
	queue->starved = !blk_has_free(blk);
	if (queue->starved || blk->held)
		return 0;
	req = container_of(blk->free.first, struct blk_request, node);
	ret = virtq_pop(&blk->vdev.vq[q], &req->chain);
	if (ret <= 0)
		return ret;
	req->q = q;
	ret = blk_request_begin(blk, req);
	if (ret < 0)
		return ret;
	if (!blk_may_pass(blk, req)) {
		virtq_unpop(&blk->vdev.vq[q], &req->chain);
		return 0;
	}
	list_take(&blk->free);
	blk_count_in_hand(blk, 1);
	*next = req;
	return 1;
}

/* Goes on with REQ.  0, or an error of its queue. */
static int blk_run(struct virtio_blk *blk, struct blk_request *req,
		   struct blk_turn *turn)
{
	struct blk_queue *queue = &blk->queue[req->q];
	int ret;

	switch (blk_request_run(blk, req, turn)) {
	case BLK_WAITS:
		queue->in_disk++;
		break;
	case BLK_TURN_OVER:
		list_add_front(&queue->ready, &req->node);
		break;
	case BLK_DONE:
		ret = blk_request_finish(blk, req, &blk->vdev.vq[req->q]);
		blk_free(blk, req);
		return ret;
	}
	return 0;
}

static int blk_serve(struct virtio_blk *blk, unsigned int q)
{
	struct blk_turn turn = { BLK_TURN_BYTES, now_ns() + BLK_TURN_NS };
	struct blk_request *req;
	int ret;

	do {
		ret = blk_next(blk, q, &req);
		if (ret <= 0)
			return ret;
		ret = blk_run(blk, req, &turn);
		if (ret < 0)
			return ret;
	} while (!blk_turn_over(&turn));
	/* The generic code rings again when the budget is used up. */
	blk->vdev.vq[q].budget = 0;
	return 0;
}

static int blk_queue_notify(struct virtio_device *vdev, unsigned int q)
{
	struct virtio_blk *blk = to_blk(vdev);
	int ret = blk_serve(blk, q);

	/* Others may go on with what this queue has freed. */
	for (unsigned int i = 0; i < vdev->nr_queues; i++) {
		if (!blk->queue[i].starved || !blk_has_free(blk))
			continue;
		blk->queue[i].starved = false;
		vdev->vq[i].budget = 0;
	}
	disk_submit(blk->disk);
	return ret;
}

/* The disk has done something: those requests can go on. */
static void blk_collect(struct virtio_blk *blk)
{
	struct disk_io *io;

	while ((io = disk_collect(blk->disk))) {
		struct blk_request *req =
			container_of(io, struct blk_request, io);
		struct blk_queue *queue = &blk->queue[req->q];

		queue->in_disk--;
		blk_request_account(req);
		if (blk->vdev.vq[req->q].live)
			list_add(&queue->ready, &req->node);
		else
			blk_free(blk, req);
	}
}

static void blk_disk_ready(void *user)
{
	struct virtio_blk *blk = user;
	struct virtio_device *vdev = &blk->vdev;

	pthread_mutex_lock(&vdev->lock);
	blk_collect(blk);
	for (unsigned int q = 0; q < vdev->nr_queues; q++) {
		if (!list_empty(&blk->queue[q].ready) || blk->queue[q].starved)
			virtio_run_queue_locked(vdev, q);
	}
	virtio_idle_locked(vdev);
	pthread_mutex_unlock(&vdev->lock);
}

static bool blk_busy(struct virtio_device *vdev, unsigned int q)
{
	return to_blk(vdev)->queue[q].in_disk > 0;
}

static void blk_reset(struct virtio_device *vdev)
{
	struct virtio_blk *blk = to_blk(vdev);

	for (unsigned int q = 0; q < vdev->nr_queues; q++) {
		struct list *ready = &blk->queue[q].ready;

		while (!list_empty(ready))
			blk_free(blk, container_of(list_take(ready),
						   struct blk_request, node));
		blk->queue[q].starved = false;
	}
	blk->config.wce = !disk_writethrough(blk->disk);
}

static void blk_config_read(struct virtio_device *vdev, size_t off, void *buf,
			    size_t len)
{
	const struct virtio_blk *blk = to_blk(vdev);
	struct virtio_blk_config config = blk->config;

	config.wce = blk_writeback(blk);
	memcpy(buf, (const uint8_t *)&config + off, len);
}

/* virtio 1.2 §5.2.6.1: the cache mode is the one thing that can be written */
static void blk_config_write(struct virtio_device *vdev, size_t off,
			     const void *buf, size_t len)
{
	const uint8_t *value = buf;

	if (off == offsetof(struct virtio_blk_config, wce) && len == 1 &&
	    *value <= 1 && virtio_has_feature(vdev, VIRTIO_BLK_F_CONFIG_WCE) &&
	    vdev->status & VIRTIO_CONFIG_S_FEATURES_OK)
		to_blk(vdev)->config.wce = *value;
}

/* Waits for what the disk has under way, and forgets it. */
static int blk_abandon(struct virtio_blk *blk)
{
	uint64_t deadline = now_ns() + BLK_CLOSE_NS;
	unsigned int in_disk = 0;
	int ret = 0;

	disk_set_user(blk->disk, NULL, NULL);
	for (unsigned int q = 0; q < blk->vdev.nr_queues; q++)
		in_disk += blk->queue[q].in_disk;
	for (;;) {
		while (disk_collect(blk->disk))
			in_disk--;
		if (in_disk == 0 || ret < 0)
			return ret;
		ret = disk_wait(blk->disk, deadline);
	}
}

static void blk_destroy(struct virtio_device *vdev)
{
	struct virtio_blk *blk = to_blk(vdev);

	gate_fini(&blk->gate);
	/* The kernel may hold a request for ever; it is not freed then. */
	if (blk_abandon(blk) < 0) {
		log_warn("disk: the host has not answered for %u s; requests "
			 "are left undone",
			 (unsigned int)(BLK_CLOSE_NS / 1000000000u));
		return;
	}
	disk_close(blk->disk);
	munmap(blk->request, BLK_REQUESTS * sizeof(blk->request[0]));
	free(blk);
}

static const struct telemetry_field blk_fields[] = {
	{ "reads", offsetof(struct virtio_blk, stats.reads),
	  TELEMETRY_COUNTER },
	{ "writes", offsetof(struct virtio_blk, stats.writes),
	  TELEMETRY_COUNTER },
	{ "flushes", offsetof(struct virtio_blk, stats.flushes),
	  TELEMETRY_COUNTER },
	{ "discards", offsetof(struct virtio_blk, stats.discards),
	  TELEMETRY_COUNTER },
	{ "zeroes", offsetof(struct virtio_blk, stats.zeroes),
	  TELEMETRY_COUNTER },
	{ "read_bytes", offsetof(struct virtio_blk, stats.read_bytes),
	  TELEMETRY_COUNTER },
	{ "write_bytes", offsetof(struct virtio_blk, stats.write_bytes),
	  TELEMETRY_COUNTER },
	{ "discard_bytes", offsetof(struct virtio_blk, stats.discard_bytes),
	  TELEMETRY_COUNTER },
	{ "zero_bytes", offsetof(struct virtio_blk, stats.zero_bytes),
	  TELEMETRY_COUNTER },
	{ "errors", offsetof(struct virtio_blk, stats.errors),
	  TELEMETRY_COUNTER },
	{ "in_hand", offsetof(struct virtio_blk, stats.in_hand),
	  TELEMETRY_COUNTER },
	{ "in_hand_peak", offsetof(struct virtio_blk, stats.in_hand_peak),
	  TELEMETRY_COUNTER },
	{ "read_ns", offsetof(struct virtio_blk, stats.read_ns),
	  TELEMETRY_HISTOGRAM },
	{ "write_ns", offsetof(struct virtio_blk, stats.write_ns),
	  TELEMETRY_HISTOGRAM },
	{ "flush_ns", offsetof(struct virtio_blk, stats.flush_ns),
	  TELEMETRY_HISTOGRAM },
	{ "discard_ns", offsetof(struct virtio_blk, stats.discard_ns),
	  TELEMETRY_HISTOGRAM },
	{ "zero_ns", offsetof(struct virtio_blk, stats.zero_ns),
	  TELEMETRY_HISTOGRAM },
	{ "stall_ns", offsetof(struct virtio_blk, gate.stall_ns),
	  TELEMETRY_HISTOGRAM },
};

static const struct virtio_device_ops blk_ops = {
	.name = "blk",
	.device_id = VIRTIO_ID_BLOCK,
	.features = 1ull << VIRTIO_BLK_F_SEG_MAX | 1ull << VIRTIO_BLK_F_RO |
		    1ull << VIRTIO_BLK_F_BLK_SIZE | 1ull << VIRTIO_BLK_F_FLUSH |
		    1ull << VIRTIO_BLK_F_CONFIG_WCE | 1ull << VIRTIO_BLK_F_MQ |
		    1ull << VIRTIO_BLK_F_DISCARD |
		    1ull << VIRTIO_BLK_F_WRITE_ZEROES,
	.fields = blk_fields,
	.nr_fields = ARRAY_SIZE(blk_fields),
	.nr_queues = VIRTIO_MAX_QUEUES,
	.queue_size = BLK_QUEUE_SIZE,
	.config_size = sizeof(struct virtio_blk_config),
	.reset = blk_reset,
	.busy = blk_busy,
	.queue_notify = blk_queue_notify,
	.config_read = blk_config_read,
	.config_write = blk_config_write,
	.destroy = blk_destroy,
};

/* The configuration of a fresh device; returns the features it offers. */
static uint64_t blk_configure(struct virtio_blk *blk)
{
	struct virtio_blk_config *config = &blk->config;
	const struct disk *disk = blk->disk;
	uint64_t features = blk_ops.features & ~(1ull << VIRTIO_BLK_F_MQ);

	config->capacity = blk->sectors;
	/* Two descriptors are the header's and the status byte's. */
	config->seg_max = BLK_QUEUE_SIZE - 2;
	/* Linux refuses a disk whose blocks are larger than its pages. */
	config->blk_size = MIN(disk_block_size(disk), PAGE_SIZE);
	config->wce = !disk_writethrough(disk);
	if (disk_can_discard(disk)) {
		config->max_discard_sectors = BLK_MAX_RANGE_SECTORS;
		config->max_discard_seg = BLK_MAX_RANGES;
		config->discard_sector_alignment =
			disk_discard_unit(disk) / SECTOR_SIZE;
	} else {
		features &= ~(1ull << VIRTIO_BLK_F_DISCARD);
	}
	if (disk_read_only(disk)) {
		features &= ~(1ull << VIRTIO_BLK_F_WRITE_ZEROES);
		return features;
	}
	features &= ~(1ull << VIRTIO_BLK_F_RO);
	config->max_write_zeroes_sectors = BLK_MAX_RANGE_SECTORS;
	config->max_write_zeroes_seg = BLK_MAX_RANGES;
	config->write_zeroes_may_unmap = disk_can_discard(disk);
	return features;
}

int virtio_blk_create(const struct virtio_env *env, struct disk *disk,
		      struct virtio_device **owned)
{
	struct virtio_blk *blk = calloc(1, sizeof(*blk));

	if (!blk)
		return -ENOMEM;
	/* Mapped, so that what is never used takes no memory. */
	blk->request = mmap(NULL, BLK_REQUESTS * sizeof(blk->request[0]),
			    PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			    -1, 0);
	if (blk->request == MAP_FAILED) {
		free(blk);
		return -ENOMEM;
	}
	blk->disk = disk;
	blk->sectors = disk_sectors(disk);
	disk_set_user(disk, blk_disk_ready, blk);
	virtio_device_init(&blk->vdev, &blk_ops, env, blk_configure(blk));
	blk->vdev.nr_queues = 1;
	gate_init(&blk->gate, &blk->vdev, VIRTIO_MAX_QUEUES);
	*owned = &blk->vdev;
	return 0;
}

void virtio_blk_set_queues(struct virtio_device *vdev, unsigned int nr)
{
	struct virtio_blk *blk = to_blk(vdev);

	assert(vdev->ops == &blk_ops && nr >= 1 && nr <= BLK_MAX_QUEUES);
	vdev->nr_queues = nr;
	if (nr == 1)
		return;
	/* virtio 1.2 §5.2.4: the field is there with MQ only */
	vdev->features |= 1ull << VIRTIO_BLK_F_MQ;
	blk->config.num_queues = (uint16_t)nr;
}

/* Whether anything is under way, or can go on. */
static bool blk_in_hand(const struct virtio_blk *blk)
{
	const struct virtio_device *vdev = &blk->vdev;

	for (unsigned int q = 0; q < vdev->nr_queues; q++) {
		if (blk->queue[q].in_disk > 0)
			return true;
		if (virtio_running(vdev) && vdev->vq[q].live &&
		    !list_empty(&blk->queue[q].ready))
			return true;
	}
	return false;
}

static void blk_run_all(struct virtio_blk *blk)
{
	for (unsigned int q = 0; q < blk->vdev.nr_queues; q++)
		virtio_run_queue_locked(&blk->vdev, q);
}

int virtio_blk_drain(struct virtio_device *vdev, uint64_t timeout_ns)
{
	struct virtio_blk *blk = to_blk(vdev);
	uint64_t deadline = now_ns() + timeout_ns;
	int ret = 0;

	assert(vdev->ops == &blk_ops);
	pthread_mutex_lock(&vdev->lock);
	blk->held = true;
	blk_run_all(blk);
	while (blk_in_hand(blk) && ret == 0) {
		if (now_ns() >= deadline) {
			ret = -ETIMEDOUT;
			break;
		}
		pthread_mutex_unlock(&vdev->lock);
		ret = disk_wait(blk->disk, deadline);
		pthread_mutex_lock(&vdev->lock);
		blk_run_all(blk);
	}
	pthread_mutex_unlock(&vdev->lock);
	return ret;
}

void virtio_blk_resume(struct virtio_device *vdev)
{
	struct virtio_blk *blk = to_blk(vdev);

	assert(vdev->ops == &blk_ops);
	pthread_mutex_lock(&vdev->lock);
	blk->held = false;
	blk_run_all(blk);
	pthread_mutex_unlock(&vdev->lock);
}

static void blk_set_capacity(struct virtio_blk *blk)
{
	blk->sectors = disk_sectors(blk->disk);
	blk->config.capacity = blk->sectors;
	/* virtio 1.2 §5.2.6.1: drivers look at the capacity then */
	virtio_config_changed_locked(&blk->vdev);
}

int virtio_blk_replace(struct virtio_device *vdev, struct disk *disk,
		       uint64_t timeout_ns)
{
	struct virtio_blk *blk = to_blk(vdev);
	int ret;

	assert(vdev->ops == &blk_ops);
	if (disk_read_only(disk) != disk_read_only(blk->disk))
		return -EINVAL;
	ret = virtio_blk_drain(vdev, timeout_ns);
	if (ret == 0) {
		pthread_mutex_lock(&vdev->lock);
		disk_set_user(blk->disk, NULL, NULL);
		disk_close(blk->disk);
		blk->disk = disk;
		disk_set_user(disk, blk_disk_ready, blk);
		blk_set_capacity(blk);
		pthread_mutex_unlock(&vdev->lock);
	}
	virtio_blk_resume(vdev);
	return ret;
}

bool virtio_blk_resized(struct virtio_device *vdev)
{
	struct virtio_blk *blk = to_blk(vdev);
	bool resized;

	assert(vdev->ops == &blk_ops);
	pthread_mutex_lock(&vdev->lock);
	resized = disk_resize(blk->disk);
	if (resized)
		blk_set_capacity(blk);
	pthread_mutex_unlock(&vdev->lock);
	return resized;
}

void virtio_blk_set_rate(struct virtio_device *vdev,
			 const struct rate_change *change)
{
	struct virtio_blk *blk = to_blk(vdev);

	assert(vdev->ops == &blk_ops);
	pthread_mutex_lock(&vdev->lock);
	gate_set(&blk->gate, change);
	pthread_mutex_unlock(&vdev->lock);
}

const struct virtio_blk_stats *
virtio_blk_stats(const struct virtio_device *vdev)
{
	assert(vdev->ops == &blk_ops);
	return &((const struct virtio_blk *)vdev)->stats;
}
