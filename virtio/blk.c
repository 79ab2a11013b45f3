// SPDX-License-Identifier: Apache-2.0
/*
 * blk.c - virtio block device (virtio 1.2 §5.2)
 *
 * Theory of operation.  A request is a byte stream each way.  Readable: the
 * header, then the data of a write.  Writable: the data of a read, then one
 * status byte, which is the last writable byte wherever that lies.  How the
 * driver cut them into descriptors does not matter (§2.7.4.1).
 *
 * A request is done when it is popped: preadv(2) or pwritev(2) straight to
 * guest memory, on the loop, one after the other.  That needs no request table,
 * no draining before a snapshot or a reset, and no ordering rules; a slow disk
 * holds up the loop, which is the price.  io_uring is to take it away without
 * changing anything that the driver sees.
 *
 * Every request that has room for a status byte is completed, and all of its
 * writable part is written: with data, or with zeros where there is none.  So
 * the used length is exact, and no byte comes from anywhere but the disk.
 *
 * Writes are cached by the host.  They are stable after FLUSH, or, for a driver
 * that did not accept FLUSH, before they are completed (§5.2.6.2).
 */
#include <errno.h>
#include <stdlib.h>

#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>

#include "base/util.h"
#include "virtio/blk.h"
#include "virtio/chain.h"

#define BLK_QUEUE_SIZE 256

/* Bytes after which the loop gets a turn.  A single request is bounded by what
 * one chain may hold.
 */
#define BLK_TURN_BYTES MIB(16)

struct virtio_blk {
	struct virtio_device vdev;
	struct disk *disk; /* owned */
	uint64_t sectors;
	struct virtio_blk_config config;
	struct virtio_blk_stats stats;
	struct chain chain; /* the request being done */
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

/* Whether LEN bytes from SECTOR are whole sectors inside the disk. */
static bool blk_in_range(const struct virtio_blk *blk, uint64_t sector,
			 uint64_t len)
{
	return len % SECTOR_SIZE == 0 && sector <= blk->sectors &&
	       len / SECTOR_SIZE <= blk->sectors - sector;
}

static uint8_t blk_read(struct virtio_blk *blk, uint64_t sector,
			struct chain *c)
{
	uint64_t start = now_ns();
	size_t len = chain_writable(c) - 1;
	unsigned int nr;
	int ret;

	if (!blk_in_range(blk, sector, len))
		return VIRTIO_BLK_S_IOERR;
	nr = chain_write_iov(c, blk->iov, CHAIN_MAX_SEGMENTS, len, &len);
	ret = disk_read(blk->disk, blk->iov, nr, sector * SECTOR_SIZE);
	histogram_add(&blk->stats.read_ns, now_ns() - start);
	if (ret < 0) {
		/* Some of it may have been read; the rest is what the driver
		 * had there.  Neither is an answer.
		 */
		for (unsigned int i = 0; i < nr; i++)
			memset(blk->iov[i].iov_base, 0, blk->iov[i].iov_len);
		return VIRTIO_BLK_S_IOERR;
	}
	counter_add(&blk->stats.reads, 1);
	counter_add(&blk->stats.read_bytes, len);
	return VIRTIO_BLK_S_OK;
}

static uint8_t blk_write(struct virtio_blk *blk, uint64_t sector,
			 struct chain *c)
{
	uint64_t start = now_ns();
	size_t len = chain_readable(c);
	unsigned int nr;
	int ret;

	/* virtio 1.2 §5.2.6.2: read-only holds even if RO was not accepted */
	if (disk_read_only(blk->disk) || !blk_in_range(blk, sector, len))
		return VIRTIO_BLK_S_IOERR;
	nr = chain_read_iov(c, blk->iov, CHAIN_MAX_SEGMENTS, len, &len);
	ret = disk_write(blk->disk, blk->iov, nr, sector * SECTOR_SIZE);
	/* virtio 1.2 §5.2.6.2: without FLUSH, stable before completion */
	if (ret == 0 && !virtio_has_feature(&blk->vdev, VIRTIO_BLK_F_FLUSH))
		ret = disk_flush(blk->disk);
	histogram_add(&blk->stats.write_ns, now_ns() - start);
	if (ret < 0)
		return VIRTIO_BLK_S_IOERR;
	counter_add(&blk->stats.writes, 1);
	counter_add(&blk->stats.write_bytes, len);
	return VIRTIO_BLK_S_OK;
}

static uint8_t blk_flush(struct virtio_blk *blk)
{
	uint64_t start = now_ns();
	int ret = disk_flush(blk->disk);

	histogram_add(&blk->stats.flush_ns, now_ns() - start);
	if (ret < 0)
		return VIRTIO_BLK_S_IOERR;
	counter_add(&blk->stats.flushes, 1);
	return VIRTIO_BLK_S_OK;
}

static uint8_t blk_get_id(struct virtio_blk *blk, struct chain *c)
{
	char id[DISK_ID_BYTES];

	/* virtio 1.2 §5.2.6: the data is exactly 20 bytes */
	if (chain_writable(c) - 1 != DISK_ID_BYTES)
		return VIRTIO_BLK_S_IOERR;
	disk_id(blk->disk, id);
	chain_write(c, id, sizeof(id));
	return VIRTIO_BLK_S_OK;
}

/* Does what the request C asks for; returns its status.  The cursor is left
 * behind the data that was written.
 */
static uint8_t blk_execute(struct virtio_blk *blk, struct chain *c)
{
	struct virtio_blk_outhdr hdr;

	if (chain_read(c, &hdr, sizeof(hdr)) != sizeof(hdr))
		return VIRTIO_BLK_S_IOERR;
	switch (hdr.type) {
	case VIRTIO_BLK_T_IN:
		return blk_read(blk, hdr.sector, c);
	case VIRTIO_BLK_T_OUT:
		return blk_write(blk, hdr.sector, c);
	case VIRTIO_BLK_T_FLUSH:
		return blk_flush(blk);
	case VIRTIO_BLK_T_GET_ID:
		return blk_get_id(blk, c);
	default:
		/* virtio 1.2 §5.2.6.2: what was not negotiated, and zones */
		return VIRTIO_BLK_S_UNSUPP;
	}
}

/* Returns in *USED the bytes written; -EBADMSG when there is no room for a
 * status byte, so that the driver could not be told anything.
 */
static int blk_request(struct virtio_blk *blk, struct chain *c, uint32_t *used)
{
	uint64_t room = chain_writable(c);
	uint8_t status;

	if (room == 0)
		return -EBADMSG;
	status = blk_execute(blk, c);
	if (status != VIRTIO_BLK_S_OK)
		counter_add(&blk->stats.errors, 1);
	/* virtio 1.2 §2.7.8.2: len counts from the first writable byte, so what
	 * lies before the status byte must have been written
	 */
	chain_write_zeros(c, chain_writable(c) - 1);
	chain_write(c, &status, 1);
	*used = (uint32_t)room; /* a chain holds less than 2^32 bytes */
	return 0;
}

static int blk_queue_notify(struct virtio_device *vdev, unsigned int q)
{
	struct virtio_blk *blk = to_blk(vdev);
	struct virtqueue *vq = &vdev->vq[q];
	struct chain *c = &blk->chain;
	uint64_t bytes = 0;
	int ret;

	while ((ret = virtq_pop(vq, c)) > 0) {
		uint32_t used = 0;

		bytes += chain_readable(c) + chain_writable(c);
		ret = blk_request(blk, c, &used);
		if (ret == 0)
			ret = virtq_push(vq, c, used);
		if (ret < 0)
			return ret;
		/* The generic code rings again when the budget is used up. */
		if (bytes >= BLK_TURN_BYTES)
			vq->budget = 0;
	}
	return ret;
}

static void blk_config_read(struct virtio_device *vdev, size_t off, void *buf,
			    size_t len)
{
	memcpy(buf, (const uint8_t *)&to_blk(vdev)->config + off, len);
}

static void blk_destroy(struct virtio_device *vdev)
{
	struct virtio_blk *blk = to_blk(vdev);

	disk_close(blk->disk);
	free(blk);
}

static const struct virtio_device_ops blk_ops = {
	.name = "blk",
	.device_id = VIRTIO_ID_BLOCK,
	.features = 1ull << VIRTIO_BLK_F_SEG_MAX | 1ull << VIRTIO_BLK_F_RO |
		    1ull << VIRTIO_BLK_F_BLK_SIZE | 1ull << VIRTIO_BLK_F_FLUSH,
	.nr_queues = 1,
	.queue_size = BLK_QUEUE_SIZE,
	.config_size = sizeof(struct virtio_blk_config),
	.queue_notify = blk_queue_notify,
	.config_read = blk_config_read,
	.destroy = blk_destroy,
};

int virtio_blk_create(const struct virtio_env *env, struct disk *disk,
		      struct virtio_device **owned)
{
	struct virtio_blk *blk = calloc(1, sizeof(*blk));
	uint64_t features = blk_ops.features;

	if (!blk)
		return -ENOMEM;
	blk->disk = disk;
	blk->sectors = disk_sectors(disk);
	blk->config.capacity = blk->sectors;
	/* Two descriptors are the header's and the status byte's. */
	blk->config.seg_max = BLK_QUEUE_SIZE - 2;
	/* Linux refuses a disk whose blocks are larger than its pages. */
	blk->config.blk_size = MIN(disk_block_size(disk), PAGE_SIZE);
	if (!disk_read_only(disk))
		features &= ~(1ull << VIRTIO_BLK_F_RO);
	virtio_device_init(&blk->vdev, &blk_ops, env, features);
	*owned = &blk->vdev;
	return 0;
}

const struct virtio_blk_stats *
virtio_blk_stats(const struct virtio_device *vdev)
{
	assert(vdev->ops == &blk_ops);
	return &((const struct virtio_blk *)vdev)->stats;
}
