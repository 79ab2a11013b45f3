// SPDX-License-Identifier: Apache-2.0
/*
 * disk_ring.h - the kernel's ways to move a file's bytes without making us
 * wait: an io_uring(7) that all disks of a machine share, and the page cache
 *
 * All functions are for the loop's thread.
 */
#ifndef MOTE_VIRTIO_DISK_RING_H
#define MOTE_VIRTIO_DISK_RING_H

#include <stdint.h>

#include <sys/uio.h>

#include "base/list.h"
#include "base/loop.h"

#define DISK_RING_FILES 32

struct disk_ring;

enum disk_ring_opcode { DISK_RING_READ, DISK_RING_WRITE, DISK_RING_SYNC };

/* One operation.  It and the iovec belong to the ring until done() was called,
 * and so does the memory that the iovec names.
 */
struct disk_ring_op {
	enum disk_ring_opcode opcode;
	const struct iovec *iov; /* of at most 1024 entries */
	unsigned int nr;
	uint64_t offset;
	unsigned int slot; /* the ring's */
	struct list_node node;
};

/* A file that the ring works on; embedded in its owner. */
struct disk_ring_file {
	int fd; /* borrowed */
	/* OP has ended: bytes moved (0 at the end of the file), 0 of a sync, or
	 * -errno.  It may be started again at once.
	 */
	void (*done)(struct disk_ring_file *file, struct disk_ring_op *op,
		     int result);
	/* After one or more calls of done(): the last of them for now. */
	void (*reaped)(struct disk_ring_file *file);
	unsigned int slot; /* the ring's, from here on */
	bool touched;
};

/* Makes the ring and puts it into LOOP.  From the start it can do nothing but
 * reads, writes and fdatasync, of the files attached to it.  -errno where the
 * host has no io_uring or does not allow it (-ENOSYS, -EPERM, -EINVAL).
 */
int disk_ring_create(struct loop *loop, struct disk_ring **owned);

/* All files are detached. */
void disk_ring_destroy(struct disk_ring *ring);

/* FILE, whose fd and callbacks are set, may be worked on.  -ENOSPC when there
 * are DISK_RING_FILES already, or -errno.
 */
int disk_ring_attach(struct disk_ring *ring, struct disk_ring_file *file);

/* Nothing of FILE is being worked on. */
void disk_ring_detach(struct disk_ring *ring, struct disk_ring_file *file);

/* Begins OP on FILE: it goes to the kernel with the next submit, at the latest
 * when the loop has run what is ready.
 */
void disk_ring_start(struct disk_ring *ring, struct disk_ring_file *file,
		     struct disk_ring_op *op);
void disk_ring_submit(struct disk_ring *ring);

/* Waits until an operation has ended and calls done() of all that have.  0 also
 * when none is under way; -ETIMEDOUT after DEADLINE_NS.
 */
int disk_ring_wait(struct disk_ring *ring, uint64_t deadline_ns);

/* Operations under way. */
unsigned int disk_ring_busy(const struct disk_ring *ring);

/* Moves what can be moved without waiting for a device, at once: bytes, or
 * -EAGAIN when that is nothing, -EOPNOTSUPP where the file cannot say.
 */
ssize_t disk_ring_try(const struct disk_ring_op *op, int fd);

#endif
