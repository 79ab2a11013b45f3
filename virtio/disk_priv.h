// SPDX-License-Identifier: Apache-2.0
/*
 * disk_priv.h - a disk from inside, for disk.c and disk_io.c only
 */
#ifndef MOTE_VIRTIO_DISK_PRIV_H
#define MOTE_VIRTIO_DISK_PRIV_H

#include "base/util.h"
#include "virtio/disk.h"
#include "virtio/disk_ring.h"
#include "virtio/hole.h"

struct disk {
	int fd;
	int lock_fd;
	bool read_only;
	bool direct;
	bool writethrough;
	uint64_t size;	    /* bytes, whole blocks */
	uint32_t block;	    /* of offsets and lengths */
	uint32_t mem_align; /* of memory, with direct */
	uint8_t *bounce;    /* with direct */
	int flush_error;    /* -errno of the first flush that failed, or 0 */
	char id[DISK_ID_BYTES];
	struct hole_puncher hole;

	/* disk_io.c's; the rest is used with a ring only. */
	struct disk_ring *ring; /* borrowed; NULL: everything is done at once */
	struct disk_ring_file file;
	void (*ready)(void *user);
	void *user;
	bool can_try_read, can_try_write; /* disk_ring_try() */
	unsigned int nr_writes;		  /* in the ring */
	struct list waiting;		  /* for those to end */
	struct list done;		  /* to be collected */
	struct list flushed;		  /* by the flush under way */
	struct list unflushed;		  /* by the one after it */
	struct disk_ring_op flush;
	bool flushing;

	uint8_t zeros[PAGE_SIZE]; /* never written */
};

/* Whether LEN bytes at OFFSET are still there to be written: 0, -ENXIO, or
 * another -errno.
 */
int disk_reaches(const struct disk *disk, uint64_t offset, uint64_t len);

/* A read has stopped at OFFSET.  0 when that is the end of the file or behind
 * it, so that nothing but zeros follow; -EIO.
 */
int disk_end_of_file(const struct disk *disk, uint64_t offset);

/* Whether the kernel takes this transfer as it is; always without direct. */
bool disk_is_aligned(const struct disk *disk, const struct iovec *iov,
		     unsigned int nr, uint64_t offset);

#endif
