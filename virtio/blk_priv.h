// SPDX-License-Identifier: Apache-2.0
/*
 * blk_priv.h - the block device from inside, for blk.c and blk_request.c only
 */
#ifndef MOTE_VIRTIO_BLK_PRIV_H
#define MOTE_VIRTIO_BLK_PRIV_H

#include <linux/virtio_blk.h>

#include "base/list.h"
#include "base/util.h"
#include "virtio/blk.h"
#include "virtio/blk_range.h"
#include "virtio/chain.h"
#include "virtio/disk.h"
#include "virtio/gate.h"
#include "virtio/virtio.h"

#define BLK_QUEUE_SIZE 256
#define BLK_REQUESTS   256 /* in hand at a time, of all queues */

/* A request in hand: on the free list, or the disk's, or ready to go on. */
struct blk_request {
	struct list_node node;
	struct disk_io io; /* the slice under way */
	unsigned int q;
	enum disk_op op; /* none when it is refused, say */
	uint8_t status;	 /* so far */
	bool stable;	 /* a flush came after the data */
	uint32_t room;	 /* writable bytes in all */
	uint64_t offset; /* on the disk, where it goes on */
	uint64_t bytes;	 /* of data in all */
	uint64_t left;	 /* of data still to be moved */
	uint64_t begin_ns;
	struct blk_ranges ranges; /* of discard and write zeroes */
	struct chain chain;
	struct iovec iov[CHAIN_MAX_SEGMENTS]; /* of the slice */
};

struct blk_queue {
	struct list ready;    /* requests that can go on */
	unsigned int in_disk; /* requests that cannot, yet */
	bool starved;	      /* there was no free request for a chain */
};

struct virtio_blk {
	struct virtio_device vdev;
	struct disk *disk; /* owned */
	uint64_t sectors;
	struct virtio_blk_config config;
	struct virtio_blk_stats stats;
	struct gate gate;
	struct blk_queue queue[VIRTIO_MAX_QUEUES];
	struct list free; /* of those that were used once */
	unsigned int nr_used;
	bool held;		     /* no chain is taken from a queue */
	struct blk_request *request; /* BLK_REQUESTS of them, owned */
};

struct blk_turn {
	uint64_t bytes; /* left */
	uint64_t until_ns;
};

enum blk_step {
	BLK_DONE,      /* all but the status byte is written */
	BLK_WAITS,     /* for the disk */
	BLK_TURN_OVER, /* goes on with the next turn */
};

static inline bool blk_turn_over(const struct blk_turn *turn)
{
	return turn->bytes == 0 || now_ns() >= turn->until_ns;
}

/* Whether a write may be completed before it is stable.  virtio 1.2 §5.2.5.2:
 * never if the driver does not know how to flush.
 */
static inline bool blk_writeback(const struct virtio_blk *blk)
{
	bool flush = virtio_has_feature(&blk->vdev, VIRTIO_BLK_F_FLUSH);

	return blk->config.wce &&
	       (flush || !(blk->vdev.status & VIRTIO_CONFIG_S_FEATURES_OK));
}

/* Examines REQ, whose chain was just popped.  -EBADMSG when there is no room
 * for a status byte, so that the driver could not be told anything.
 */
int blk_request_begin(struct virtio_blk *blk, struct blk_request *req);

/* Goes on with REQ, by one slice at least. */
enum blk_step blk_request_run(struct virtio_blk *blk, struct blk_request *req,
			      struct blk_turn *turn);

/* The disk is done with REQ->io; returns the bytes that this was.  An error is
 * the end of the data.
 */
size_t blk_request_account(struct blk_request *req);

/* Writes the status and returns the chain to the driver.  0 or -EFAULT. */
int blk_request_finish(struct virtio_blk *blk, struct blk_request *req,
		       struct virtqueue *vq);

#endif
