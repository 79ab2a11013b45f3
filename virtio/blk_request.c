// SPDX-License-Identifier: Apache-2.0
/*
 * blk_request.c - one request of a block device, from header to status byte
 *
 * Theory of operation.  A request is a byte stream each way.  Readable: the
 * header, then the data of a write.  Writable: the data of a read, then one
 * status byte, which is the last writable byte wherever that lies.  How the
 * driver cut them into descriptors does not matter (§2.7.4.1).
 *
 * A chain may hold 4 GiB, so data moves in slices, straight to and from guest
 * memory, one slice at a time.  After each the request either goes on, or waits
 * for the disk, or stops because the device's turn is over.
 *
 * Every request that has room for a status byte is completed, and all of its
 * writable part is written: with data, or with zeros where there is none.  So
 * the used length is exact, and no byte comes from anywhere but the disk.
 */
#include <errno.h>

#include "virtio/blk_priv.h"

#define BLK_SLICE MIB(1) /* whole sectors */

static_assert(sizeof(struct virtio_blk_outhdr) == 16, "virtio 1.2 §5.2.6");
static_assert(VIRTIO_BLK_ID_BYTES == DISK_ID_BYTES, "virtio 1.2 §5.2.6");

/* LEN bytes of data from SECTOR on, if they are whole sectors of the disk. */
static uint8_t blk_begin_data(const struct virtio_blk *blk,
			      struct blk_request *req, enum disk_op op,
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
	status = blk_ranges_read(&req->ranges, &req->chain, type, blk->sectors,
				 &bytes);
	if (status == VIRTIO_BLK_S_OK) {
		req->op = zero ? DISK_ZERO : DISK_DISCARD;
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
		return blk_begin_data(blk, req, DISK_READ, hdr.sector,
				      chain_writable(c) - 1);
	case VIRTIO_BLK_T_OUT:
		/* virtio 1.2 §5.2.6.2: read-only holds even if RO was not
		 * accepted
		 */
		if (disk_read_only(blk->disk))
			return VIRTIO_BLK_S_IOERR;
		return blk_begin_data(blk, req, DISK_WRITE, hdr.sector,
				      chain_readable(c));
	case VIRTIO_BLK_T_FLUSH:
		req->op = DISK_FLUSH;
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

int blk_request_begin(struct virtio_blk *blk, struct blk_request *req)
{
	uint64_t room = chain_writable(&req->chain);

	if (room == 0)
		return -EBADMSG;
	req->op = DISK_NONE;
	req->stable = false;
	req->room = (uint32_t)room; /* a chain holds less than 2^32 bytes */
	req->bytes = 0;
	req->left = 0;
	req->begin_ns = now_ns();
	req->status = blk_examine(blk, req);
	return 0;
}

/* Whether the disk's cache is to be flushed for it. */
static bool request_syncs(const struct virtio_blk *blk,
			  const struct blk_request *req)
{
	if (req->status != VIRTIO_BLK_S_OK || req->stable)
		return false;
	if (req->op == DISK_FLUSH)
		return true;
	/* virtio 1.2 §5.2.6.2: without writeback, stable before completion */
	return (req->op == DISK_WRITE || req->op == DISK_ZERO) &&
	       !blk_writeback(blk);
}

static bool request_done(const struct virtio_blk *blk,
			 const struct blk_request *req)
{
	return req->left == 0 && chain_writable(&req->chain) == 1 &&
	       !request_syncs(blk, req);
}

/* Makes the next slice of data, or the flush behind it, an operation. */
static void request_fill(struct blk_request *req)
{
	struct disk_io *io = &req->io;
	size_t len = MIN(req->left, BLK_SLICE);

	io->op = req->left > 0 ? req->op : DISK_FLUSH;
	io->nr = 0;
	switch (io->op) {
	case DISK_READ:
		io->nr = chain_write_iov(&req->chain, req->iov,
					 CHAIN_MAX_SEGMENTS, len, &len);
		break;
	case DISK_WRITE:
		io->nr = chain_read_iov(&req->chain, req->iov,
					CHAIN_MAX_SEGMENTS, len, &len);
		break;
	case DISK_DISCARD:
	case DISK_ZERO:
		blk_ranges_next(&req->ranges, &io->offset, &io->len,
				&io->unmap);
		return;
	case DISK_FLUSH:
	case DISK_NONE:
		len = 0;
		break;
	}
	io->iov = req->iov;
	io->offset = req->offset;
	io->len = len;
}

size_t blk_request_account(struct blk_request *req)
{
	const struct disk_io *io = &req->io;
	size_t len = io->len;

	if (io->result < 0) {
		req->left = 0;
		req->status = VIRTIO_BLK_S_IOERR;
		return len;
	}
	if (io->op == DISK_FLUSH) {
		req->stable = true;
		return 0;
	}
	if (io->op == DISK_DISCARD || io->op == DISK_ZERO) {
		len = (size_t)io->result;
		blk_ranges_advance(&req->ranges, len);
	}
	req->offset += len;
	req->left -= len;
	return len;
}

enum blk_step blk_request_run(struct virtio_blk *blk, struct blk_request *req,
			      struct blk_turn *turn)
{
	while (!request_done(blk, req)) {
		size_t len = MIN(chain_writable(&req->chain) - 1, BLK_SLICE);

		/* virtio 1.2 §2.7.8.2: len counts from the first writable byte,
		 * so what lies before the status byte must have been written
		 */
		if (req->left == 0 && len > 0) {
			len = chain_write_zeros(&req->chain, len);
		} else {
			request_fill(req);
			if (!disk_start(blk->disk, &req->io))
				return BLK_WAITS;
			len = blk_request_account(req);
		}
		turn->bytes -= MIN(turn->bytes, len);
		if (!request_done(blk, req) && blk_turn_over(turn))
			return BLK_TURN_OVER;
	}
	return BLK_DONE;
}

static void request_count(struct virtio_blk_stats *stats,
			  const struct blk_request *req)
{
	uint64_t ok = req->status == VIRTIO_BLK_S_OK;
	uint64_t ns = now_ns() - req->begin_ns;

	counter_add(&stats->errors, !ok);
	switch (req->op) {
	case DISK_NONE:
		break;
	case DISK_READ:
		counter_add(&stats->reads, ok);
		counter_add(&stats->read_bytes, ok * req->bytes);
		histogram_add(&stats->read_ns, ns);
		break;
	case DISK_WRITE:
		counter_add(&stats->writes, ok);
		counter_add(&stats->write_bytes, ok * req->bytes);
		histogram_add(&stats->write_ns, ns);
		break;
	case DISK_FLUSH:
		counter_add(&stats->flushes, ok);
		histogram_add(&stats->flush_ns, ns);
		break;
	case DISK_DISCARD:
		counter_add(&stats->discards, ok);
		counter_add(&stats->discard_bytes, ok * req->bytes);
		histogram_add(&stats->discard_ns, ns);
		break;
	case DISK_ZERO:
		counter_add(&stats->zeroes, ok);
		counter_add(&stats->zero_bytes, ok * req->bytes);
		histogram_add(&stats->zero_ns, ns);
		break;
	}
}

int blk_request_finish(struct virtio_blk *blk, struct blk_request *req,
		       struct virtqueue *vq)
{
	request_count(&blk->stats, req);
	chain_write(&req->chain, &req->status, 1);
	return virtq_push(vq, &req->chain, req->room);
}
