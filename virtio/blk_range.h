// SPDX-License-Identifier: Apache-2.0
/*
 * blk_range.h - the segments of a discard or write-zeroes request (virtio 1.2
 * §5.2.6)
 */
#ifndef MOTE_VIRTIO_BLK_RANGE_H
#define MOTE_VIRTIO_BLK_RANGE_H

#include <stdbool.h>
#include <stdint.h>

#include <linux/virtio_blk.h>

#include "virtio/chain.h"
#include "virtio/disk.h"

/* What one request may ask for: max_discard_seg and max_discard_sectors, and
 * the same of write zeroes.
 */
#define BLK_MAX_RANGES	      64u
#define BLK_MAX_RANGE_SECTORS (1u << 21) /* 1 GiB */

struct blk_ranges {
	struct virtio_blk_discard_write_zeroes range[BLK_MAX_RANGES];
	unsigned int nr;
	unsigned int next; /* the one in hand */
	uint64_t done;	   /* bytes of it */
};

/* Copies the data of C, which is a request of TYPE to a disk of SECTORS, and
 * checks all of it.  Returns the status that the request has if it goes well,
 * or the one with which it is refused; *BYTES is then what it covers in all.
 */
uint8_t blk_ranges_read(struct blk_ranges *r, struct chain *c, uint32_t type,
			uint64_t sectors, uint64_t *bytes);

/* What is still to be done of the segment in hand: *OFFSET and *LEN in bytes,
 * *UNMAP of a write-zeroes request.  Only while there are bytes left.
 */
void blk_ranges_next(struct blk_ranges *r, uint64_t *offset, uint64_t *len,
		     bool *unmap);

/* BYTES of that are done. */
void blk_ranges_advance(struct blk_ranges *r, uint64_t bytes);

#endif
