// SPDX-License-Identifier: Apache-2.0
/*
 * blk_range.c - the segments of a discard or write-zeroes request (virtio 1.2
 * §5.2.6)
 *
 * All segments are copied and checked before the first is worked on, so that a
 * request that is refused has changed nothing, and a driver that rewrites them
 * meanwhile changes nothing either.  The work is then done in parts that the
 * disk chooses, so that the device can stop between two of them.
 */
#include "base/util.h"
#include "virtio/blk_range.h"

static_assert(sizeof(struct virtio_blk_discard_write_zeroes) == 16,
	      "virtio 1.2 §5.2.6");

static bool range_fits(const struct virtio_blk_discard_write_zeroes *range,
		       uint64_t sectors)
{
	return range->num_sectors <= BLK_MAX_RANGE_SECTORS &&
	       range->sector <= sectors &&
	       range->num_sectors <= sectors - range->sector;
}

uint8_t blk_ranges_read(struct blk_ranges *r, struct chain *c, uint32_t type,
			uint64_t sectors, uint64_t *bytes)
{
	/* virtio 1.2 §5.2.6.2: unknown flags, and unmap of a discard */
	uint32_t flags = type == VIRTIO_BLK_T_WRITE_ZEROES
				 ? VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP
				 : 0;
	uint64_t len = chain_readable(c);
	uint8_t status = VIRTIO_BLK_S_OK;

	/* virtio 1.2 §5.2.6.1: whole segments, at most as many as we said */
	if (len == 0 || len % sizeof(r->range[0]) != 0 ||
	    len > sizeof(r->range))
		return VIRTIO_BLK_S_IOERR;
	r->nr = (unsigned int)(len / sizeof(r->range[0]));
	r->next = 0;
	r->done = 0;
	chain_read(c, r->range, len);

	*bytes = 0;
	for (unsigned int i = 0; i < r->nr; i++) {
		if (r->range[i].flags & ~flags)
			return VIRTIO_BLK_S_UNSUPP;
		if (!range_fits(&r->range[i], sectors))
			status = VIRTIO_BLK_S_IOERR;
		*bytes += (uint64_t)r->range[i].num_sectors * SECTOR_SIZE;
	}
	return status;
}

void blk_ranges_next(struct blk_ranges *r, uint64_t *offset, uint64_t *len,
		     bool *unmap)
{
	const struct virtio_blk_discard_write_zeroes *range;

	for (;;) {
		range = &r->range[r->next];
		*len = (uint64_t)range->num_sectors * SECTOR_SIZE - r->done;
		if (*len > 0)
			break;
		r->next++;
		r->done = 0;
		assert(r->next < r->nr);
	}
	*offset = range->sector * SECTOR_SIZE + r->done;
	*unmap = range->flags != 0;
}

void blk_ranges_advance(struct blk_ranges *r, uint64_t bytes)
{
	r->done += bytes;
}
