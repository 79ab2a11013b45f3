// SPDX-License-Identifier: Apache-2.0
/*
 * disk.h - a raw disk image: the block device's back end
 *
 * Raw only, whatever the bytes look like: no probing, no backing files.
 *
 * A disk has one user, on the loop, who starts operations and hears of those
 * that could not be done at once.  Any number may be under way; they end in any
 * order.
 */
#ifndef MOTE_VIRTIO_DISK_H
#define MOTE_VIRTIO_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sys/uio.h>

#include "virtio/disk_ring.h"

#define SECTOR_SIZE   512u
#define DISK_ID_BYTES 20u

struct disk;

/* Opens PATH (a regular file or a block device); DIRECT bypasses the host's
 * page cache.  *OWNED is closed with disk_close().  0, or -errno: -EISDIR,
 * -EACCES, -ENOENT, ...; -ENOTSUP when it is neither kind of file, -EAGAIN when
 * another opener's lock excludes ours (writers exclude all others, readers
 * share), -EINVAL when the file system has no O_DIRECT.
 */
int disk_open(const char *path, bool read_only, bool direct,
	      struct disk **owned);

/* Nothing is under way; its memory would still be the kernel's. */
void disk_close(struct disk *disk);

/* From now on what would wait is done by RING, which outlives the disk; before,
 * and without this, disk_start() does everything at once.  -errno.
 */
int disk_set_ring(struct disk *disk, struct disk_ring *ring);
bool disk_has_ring(const struct disk *disk);

/* How writes are to be treated: without this, they are stable after a flush;
 * with it, when they are completed.  The disk only keeps it for the device.
 */
void disk_set_writethrough(struct disk *disk);
bool disk_writethrough(const struct disk *disk);

/* Looks at the file's size again.  True when that is another number of blocks
 * than before, which disk_sectors() then tells.
 */
bool disk_resize(struct disk *disk);

/* Whole sectors; a tail shorter than a block is not offered. */
uint64_t disk_sectors(const struct disk *disk);
bool disk_read_only(const struct disk *disk);

/* The unit in which the disk does best, a power of two: a sector, or with
 * DIRECT what the host's device wants.  Requests need not keep to it.
 */
uint32_t disk_block_size(const struct disk *disk);

enum disk_op {
	DISK_NONE, /* never started */
	DISK_READ,
	DISK_WRITE,
	DISK_FLUSH,
	DISK_DISCARD,
	DISK_ZERO,
};

/* An operation; embedded in its owner, and the disk's until it has ended. */
struct disk_io {
	enum disk_op op;
	bool unmap;	   /* ZERO: space may be given up */
	struct iovec *iov; /* READ, WRITE: used up on the way */
	unsigned int nr;   /* of iov, at most 1024 */
	uint64_t offset;   /* all but FLUSH */
	uint64_t len;	   /* likewise; of all the iovec */
	/* When it has ended: 0 or the bytes that were discarded or zeroed, a
	 * first part; or -errno.  A read that fails leaves zeros where it left
	 * nothing else.
	 */
	int64_t result;

	struct disk_ring_op ring; /* from here on the disk's */
	uint64_t left;
	struct list_node node;
};

/* Starts IO, by the rules of the functions below.  True when it has ended, and
 * then it is not collected.
 */
bool disk_start(struct disk *disk, struct disk_io *io);

/* What was started goes to the kernel now. */
void disk_submit(struct disk *disk);

/* READY(USER) is called, on the loop, when there is something to collect. */
void disk_set_user(struct disk *disk, void (*ready)(void *user), void *user);

/* Something that has ended since, or NULL. */
struct disk_io *disk_collect(struct disk *disk);

/* Waits until something of this or another disk has ended; the users have been
 * called then.  0 also when nothing is under way; -ETIMEDOUT after DEADLINE_NS.
 */
int disk_wait(struct disk *disk, uint64_t deadline_ns);

/* Moves all the bytes of IOV, a multiple of SECTOR_SIZE in all, at byte OFFSET,
 * a multiple too, or fails with -errno; the caller has checked them against the
 * capacity.  Any alignment of memory is fine with DIRECT too.  Reading past the
 * end of a file that has shrunk gives zeros; writing there is -ENXIO, moves
 * nothing and never makes the file longer.  Writing a disk that was opened
 * read-only is -EROFS.
 */
int disk_read(struct disk *disk, const struct iovec *iov, unsigned int nr,
	      uint64_t offset);
int disk_write(struct disk *disk, const struct iovec *iov, unsigned int nr,
	       uint64_t offset);

/* Gives up or zeroes a first part of the LEN (not 0) bytes at OFFSET, as much
 * as does not take long; returns its length, or -errno.  Multiples of
 * SECTOR_SIZE inside the capacity, checked by the caller.
 *
 * What was discarded may read as anything that was there, or zeros.  Where the
 * host cannot discard, and in units that are covered in part, nothing is done.
 * What was zeroed reads as zeros; UNMAP allows that its space is given up.
 * Beyond the end of a file that has shrunk that is -ENXIO, as a write is.
 */
int64_t disk_discard(struct disk *disk, uint64_t offset, uint64_t len);
int64_t disk_zero(struct disk *disk, uint64_t offset, uint64_t len, bool unmap);

/* Whether discarding is of any use, and the unit in bytes in which it is. */
bool disk_can_discard(const struct disk *disk);
uint32_t disk_discard_unit(const struct disk *disk);

/* All completed writes are stable on return.  -errno; once it has failed it
 * fails until the disk is opened again, because nobody knows what was lost.
 */
int disk_flush(struct disk *disk);

/* The device id string (virtio 1.2 §5.2.6, VIRTIO_BLK_T_GET_ID): up to 20
 * bytes, NUL padded; stable for a file.
 */
void disk_id(const struct disk *disk, char id[DISK_ID_BYTES]);

/* Another id string: TEXT, or the first 20 bytes of it. */
void disk_set_id(struct disk *disk, const char *text);

#endif
