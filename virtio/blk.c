// SPDX-License-Identifier: Apache-2.0
/*
 * blk.c - virtio block device (virtio 1.2 §5.2)
 *
 * Theory of operation.  A request is a byte stream each way.  Readable: the
 * header, then the data of a write.  Writable: the data of a read, then one
 * status byte, which is the last writable byte wherever that lies.  How the
 * driver cut them into descriptors does not matter (§2.7.4.1).
 *
 * Requests are done on the loop, one after the other: preadv(2) or pwritev(2)
 * straight to guest memory.  That needs no request table and no ordering rules;
 * a slow disk holds up the loop, which is the price.  io_uring is to take it
 * away without changing anything that the driver sees.
 *
 * What the driver asks for does not make the price higher.  A chain may hold
 * 4 GiB, so a request is done in slices, and after a number of bytes or some
 * time, between two slices or two requests, the loop gets a turn.  The request
 * in hand is then kept as it is and goes on with the next turn.
 *
 * Every request that has room for a status byte is completed, and all of its
 * writable part is written: with data, or with zeros where there is none.  So
 * the used length is exact, and no byte comes from anywhere but the disk.
 *
 * Writes, zeroes among them, are cached by the host.  They are stable after
 * FLUSH; or before they are completed, when `writeback` is 0 or the driver did
 * not accept FLUSH (§5.2.6.2).  `writeback` is what the operator chose until a
 * driver chooses for itself, and again after a reset.
 */
#include <errno.h>
#include <stdlib.h>

#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>

#include "base/util.h"
#include "virtio/blk.h"
#include "virtio/blk_range.h"
#include "virtio/chain.h"
#include "virtio/gate.h"

#define BLK_QUEUE_SIZE 256

/* How long the others on the loop wait for us: as long as these bytes take, or
 * this time if that is shorter, and at most one slice or one flush more.
 */
#define BLK_TURN_BYTES MIB(16)
#define BLK_TURN_NS    10000000u
#define BLK_SLICE      MIB(1) /* whole sectors */

enum blk_op { OP_NONE, OP_READ, OP_WRITE, OP_FLUSH, OP_DISCARD, OP_ZERO };

/* The request in hand. */
struct blk_request {
	struct chain chain;
	bool held;	 /* the chain is in flight; the rest is valid then */
	enum blk_op op;	 /* of the disk; none when it is refused, say */
	uint8_t status;	 /* so far */
	uint32_t room;	 /* writable bytes in all */
	uint64_t offset; /* on the disk, where it goes on */
	uint64_t bytes;	 /* of data in all */
	uint64_t left;	 /* of data still to be moved */
	uint64_t ns;	 /* spent in the back end */
};

struct blk_turn {
	uint64_t bytes; /* left */
	uint64_t until_ns;
};

struct virtio_blk {
	struct virtio_device vdev;
	struct disk *disk; /* owned */
	uint64_t sectors;
	struct virtio_blk_config config;
	struct virtio_blk_stats stats;
	struct gate gate;
	struct blk_request req;
	struct blk_ranges ranges; /* of the request, if it has such */
	struct iovec iov[CHAIN_MAX_SEGMENTS];
};

static_assert(sizeof(struct virtio_blk_outhdr) == 16, "virtio 1.2 §5.2.6");
static_assert(offsetof(struct virtio_blk_config, wce) == 0x20,
	      "virtio 1.2 §5.2.4");
static_assert(offsetof(struct virtio_blk, vdev) == 0, "virtio_blk_stats");
static_assert(VIRTIO_BLK_ID_BYTES == DISK_ID_BYTES, "virtio 1.2 §5.2.6");

static struct virtio_blk *to_blk(struct virtio_device *vdev)
{
	return container_of(vdev, struct virtio_blk, vdev);
}

static bool blk_turn_over(const struct blk_turn *turn)
{
	return turn->bytes == 0 || now_ns() >= turn->until_ns;
}

/* Whether a write may be completed before it is stable.  virtio 1.2 §5.2.5.2:
 * never if the driver does not know how to flush.
 */
static bool blk_writeback(const struct virtio_blk *blk)
{
	bool flush = virtio_has_feature(&blk->vdev, VIRTIO_BLK_F_FLUSH);

	return blk->config.wce &&
	       (flush || !(blk->vdev.status & VIRTIO_CONFIG_S_FEATURES_OK));
}

/* LEN bytes of data from SECTOR on, if they are whole sectors of the disk. */
static uint8_t blk_begin_data(const struct virtio_blk *blk,
			      struct blk_request *req, enum blk_op op,
			      uint64_t sector, uint64_t len)
{
	if (len % SECTOR_SIZE != 0 || sector > blk->sectors ||
	    len / SECTOR_SIZE > blk->sectors - sector)
		return VIRTIO_BLK_S_IOERR;
	req->op = op;
	req->offset = sector * SECTOR_SIZE;
	req->bytes = len;
	req->left = len;
	return VIRTIO_BLK_S_OK;
}

static uint8_t blk_get_id(const struct virtio_blk *blk, struct chain *c)
{
	char id[DISK_ID_BYTES];

	/* virtio 1.2 §5.2.6: the data is exactly 20 bytes */
	if (chain_writable(c) - 1 != DISK_ID_BYTES)
		return VIRTIO_BLK_S_IOERR;
	disk_id(blk->disk, id);
	chain_write(c, id, sizeof(id));
	return VIRTIO_BLK_S_OK;
}

/* A discard or write-zeroes request.  It is not offered for a read-only disk,
 * and what was not negotiated is not supported (virtio 1.2 §5.2.6.2).
 */
static uint8_t blk_begin_ranges(struct virtio_blk *blk, struct blk_request *req,
				uint32_t type)
{
	bool zero = type == VIRTIO_BLK_T_WRITE_ZEROES;
	uint64_t bytes = 0;
	uint8_t status;

	if (!virtio_has_feature(&blk->vdev, zero ? VIRTIO_BLK_F_WRITE_ZEROES
						 : VIRTIO_BLK_F_DISCARD))
		return VIRTIO_BLK_S_UNSUPP;
	status = blk_ranges_read(&blk->ranges, &req->chain, type, blk->sectors,
				 &bytes);
	if (status == VIRTIO_BLK_S_OK) {
		req->op = zero ? OP_ZERO : OP_DISCARD;
		req->bytes = bytes;
		req->left = bytes;
	}
	return status;
}

/* Reads the header and decides what is to be done; returns the status that the
 * request has if that goes well.
 */
static uint8_t blk_examine(struct virtio_blk *blk, struct blk_request *req)
{
	struct chain *c = &req->chain;
	struct virtio_blk_outhdr hdr;

	if (chain_read(c, &hdr, sizeof(hdr)) != sizeof(hdr))
		return VIRTIO_BLK_S_IOERR;
	switch (hdr.type) {
	case VIRTIO_BLK_T_IN:
		return blk_begin_data(blk, req, OP_READ, hdr.sector,
				      chain_writable(c) - 1);
	case VIRTIO_BLK_T_OUT:
		/* virtio 1.2 §5.2.6.2: read-only holds even if RO was not
		 * accepted
		 */
		if (disk_read_only(blk->disk))
			return VIRTIO_BLK_S_IOERR;
		return blk_begin_data(blk, req, OP_WRITE, hdr.sector,
				      chain_readable(c));
	case VIRTIO_BLK_T_FLUSH:
		req->op = OP_FLUSH;
		return VIRTIO_BLK_S_OK;
	case VIRTIO_BLK_T_GET_ID:
		return blk_get_id(blk, c);
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
		return blk_begin_ranges(blk, req, hdr.type);
	default:
		/* virtio 1.2 §5.2.6.2: what was not negotiated, and zones */
		return VIRTIO_BLK_S_UNSUPP;
	}
}

/* Takes the chain that was just popped in hand.  -EBADMSG when there is no room
 * for a status byte, so that the driver could not be told anything.
 */
static int blk_begin(struct virtio_blk *blk, struct blk_request *req)
{
	uint64_t room = chain_writable(&req->chain);

	if (room == 0)
		return -EBADMSG;
	req->held = true;
	req->op = OP_NONE;
	req->room = (uint32_t)room; /* a chain holds less than 2^32 bytes */
	req->bytes = 0;
	req->left = 0;
	req->ns = 0;
	req->status = blk_examine(blk, req);
	return 0;
}

/* Moves the next slice of data; an error is the end of it. */
static size_t blk_move(struct virtio_blk *blk, struct blk_request *req)
{
	uint64_t start = now_ns();
	size_t len = MIN(req->left, BLK_SLICE);
	unsigned int nr;
	int ret;

	if (req->op == OP_READ) {
		nr = chain_write_iov(&req->chain, blk->iov, CHAIN_MAX_SEGMENTS,
				     len, &len);
		ret = disk_read(blk->disk, blk->iov, nr, req->offset);
		/* Some of it may have been read; the rest is what the driver
		 * had there.  Neither is an answer.
		 */
		for (unsigned int i = 0; ret < 0 && i < nr; i++)
			memset(blk->iov[i].iov_base, 0, blk->iov[i].iov_len);
	} else {
		nr = chain_read_iov(&req->chain, blk->iov, CHAIN_MAX_SEGMENTS,
				    len, &len);
		ret = disk_write(blk->disk, blk->iov, nr, req->offset);
	}
	req->offset += len;
	req->left -= len;
	if (ret < 0) {
		req->left = 0;
		req->status = VIRTIO_BLK_S_IOERR;
	}
	req->ns += now_ns() - start;
	return len;
}

/* Discards or zeroes a next part; an error is the end of it. */
static size_t blk_clear(struct virtio_blk *blk, struct blk_request *req)
{
	uint64_t start = now_ns();
	int64_t ret =
		blk_ranges_step(&blk->ranges, blk->disk, req->op == OP_ZERO);

	req->ns += now_ns() - start;
	if (ret < 0) {
		req->left = 0;
		req->status = VIRTIO_BLK_S_IOERR;
		return 0;
	}
	req->left -= (uint64_t)ret;
	return (size_t)ret;
}

/* Whether all but the status byte is written. */
static bool blk_done(const struct blk_request *req)
{
	return req->left == 0 && chain_writable(&req->chain) == 1;
}

/* Goes on with the request, by one slice at least.  False when the turn was
 * over before it was done.
 */
static bool blk_continue(struct virtio_blk *blk, struct blk_request *req,
			 struct blk_turn *turn)
{
	while (!blk_done(req)) {
		size_t len = MIN(chain_writable(&req->chain) - 1, BLK_SLICE);

		/* virtio 1.2 §2.7.8.2: len counts from the first writable byte,
		 * so what lies before the status byte must have been written
		 */
		if (req->left == 0)
			len = chain_write_zeros(&req->chain, len);
		else if (req->op == OP_DISCARD || req->op == OP_ZERO)
			len = blk_clear(blk, req);
		else
			len = blk_move(blk, req);
		turn->bytes -= MIN(turn->bytes, len);
		if (!blk_done(req) && blk_turn_over(turn))
			return false;
	}
	return true;
}

static void blk_sync(struct virtio_blk *blk, struct blk_request *req)
{
	uint64_t start = now_ns();

	if (disk_flush(blk->disk) < 0)
		req->status = VIRTIO_BLK_S_IOERR;
	req->ns += now_ns() - start;
}

static void blk_count(struct virtio_blk_stats *stats,
		      const struct blk_request *req)
{
	uint64_t ok = req->status == VIRTIO_BLK_S_OK;

	counter_add(&stats->errors, !ok);
	switch (req->op) {
	case OP_NONE:
		break;
	case OP_READ:
		counter_add(&stats->reads, ok);
		counter_add(&stats->read_bytes, ok * req->bytes);
		histogram_add(&stats->read_ns, req->ns);
		break;
	case OP_WRITE:
		counter_add(&stats->writes, ok);
		counter_add(&stats->write_bytes, ok * req->bytes);
		histogram_add(&stats->write_ns, req->ns);
		break;
	case OP_FLUSH:
		counter_add(&stats->flushes, ok);
		histogram_add(&stats->flush_ns, req->ns);
		break;
	case OP_DISCARD:
		counter_add(&stats->discards, ok);
		counter_add(&stats->discard_bytes, ok * req->bytes);
		histogram_add(&stats->discard_ns, req->ns);
		break;
	case OP_ZERO:
		counter_add(&stats->zeroes, ok);
		counter_add(&stats->zero_bytes, ok * req->bytes);
		histogram_add(&stats->zero_ns, req->ns);
		break;
	}
}

/* Makes stable what has to be, and answers. */
static int blk_finish(struct virtio_blk *blk, struct blk_request *req,
		      struct virtqueue *vq)
{
	bool wrote = req->op == OP_WRITE || req->op == OP_ZERO;

	/* virtio 1.2 §5.2.6.2: without writeback, stable before completion */
	if (req->status == VIRTIO_BLK_S_OK &&
	    (req->op == OP_FLUSH || (wrote && !blk_writeback(blk))))
		blk_sync(blk, req);
	blk_count(&blk->stats, req);
	chain_write(&req->chain, &req->status, 1);
	req->held = false;
	return virtq_push(vq, &req->chain, req->room);
}

/* Whether the request that was begun may go on; otherwise it is available
 * again, as if it had not been looked at.  A discard gives away what there is
 * and costs an operation, as what moves no data does.
 */
static bool blk_may_pass(struct virtio_blk *blk, struct blk_request *req,
			 unsigned int q)
{
	const struct rate_amount want = {
		.bytes = req->op == OP_DISCARD ? 0 : req->bytes,
		.ops = 1,
	};

	if (gate_pass(&blk->gate, q, want))
		return true;
	req->held = false;
	virtq_unpop(&blk->vdev.vq[q], &req->chain);
	return false;
}

static int blk_queue_notify(struct virtio_device *vdev, unsigned int q)
{
	struct virtio_blk *blk = to_blk(vdev);
	struct blk_request *req = &blk->req;
	struct virtqueue *vq = &vdev->vq[q];
	struct blk_turn turn = { BLK_TURN_BYTES, now_ns() + BLK_TURN_NS };
	int ret;

	do {
		if (!req->held) {
			ret = virtq_pop(vq, &req->chain);
			if (ret <= 0)
				return ret;
			ret = blk_begin(blk, req);
			if (ret < 0)
				return ret;
			if (!blk_may_pass(blk, req, q))
				return 0;
		}
		if (!blk_continue(blk, req, &turn))
			break;
		ret = blk_finish(blk, req, vq);
		if (ret < 0)
			return ret;
	} while (!blk_turn_over(&turn));
	/* The generic code rings again when the budget is used up. */
	vq->budget = 0;
	return 0;
}

/* Half a write has been done then, as when the power fails. */
static void blk_reset(struct virtio_device *vdev)
{
	struct virtio_blk *blk = to_blk(vdev);

	blk->req.held = false;
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

static void blk_destroy(struct virtio_device *vdev)
{
	struct virtio_blk *blk = to_blk(vdev);

	gate_fini(&blk->gate);
	disk_close(blk->disk);
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
		    1ull << VIRTIO_BLK_F_CONFIG_WCE |
		    1ull << VIRTIO_BLK_F_DISCARD |
		    1ull << VIRTIO_BLK_F_WRITE_ZEROES,
	.fields = blk_fields,
	.nr_fields = ARRAY_SIZE(blk_fields),
	.nr_queues = 1,
	.queue_size = BLK_QUEUE_SIZE,
	.config_size = sizeof(struct virtio_blk_config),
	.reset = blk_reset,
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
	uint64_t features = blk_ops.features;

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
	blk->disk = disk;
	blk->sectors = disk_sectors(disk);
	virtio_device_init(&blk->vdev, &blk_ops, env, blk_configure(blk));
	gate_init(&blk->gate, &blk->vdev, blk_ops.nr_queues);
	*owned = &blk->vdev;
	return 0;
}

bool virtio_blk_resized(struct virtio_device *vdev)
{
	struct virtio_blk *blk = to_blk(vdev);
	bool resized;

	assert(vdev->ops == &blk_ops);
	pthread_mutex_lock(&vdev->lock);
	resized = disk_resize(blk->disk);
	if (resized) {
		blk->sectors = disk_sectors(blk->disk);
		blk->config.capacity = blk->sectors;
		/* virtio 1.2 §5.2.6.1: drivers look at the capacity then */
		virtio_config_changed_locked(vdev);
	}
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
