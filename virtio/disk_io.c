// SPDX-License-Identifier: Apache-2.0
/*
 * disk_io.c - operations on a disk, several at a time
 *
 * Theory of operation.  Without a ring an operation is done when disk_start()
 * returns.  With one, reads are tried in the page cache first, writes likewise
 * where the file system can tell; what is left goes to the ring.  A transfer
 * that comes back short is started again with the rest of it.
 *
 * One flush is in the ring at a time.  A flush that is started meanwhile waits
 * for it to end, then one fdatasync serves all that wait: it begins after they
 * were started, and so after all writes that had been completed by then.  That
 * also keeps an error from being lost: the kernel tells of it once.
 *
 * With O_DIRECT, what does not fill whole blocks is read, changed and written
 * back at once, by us.  No other write may be under way then, or the old bytes
 * around the new ones could overwrite it.  So such an operation waits until the
 * writes in the ring have ended, and those that come after it wait behind it.
 *
 * Discards and zeroes are done at once, with or without a ring, and so are
 * reads with O_DIRECT that are not aligned.
 */
#include <errno.h>

#include "virtio/disk_priv.h"

static struct disk_io *to_io(struct list_node *node)
{
	return container_of(node, struct disk_io, node);
}

/* Ends IO with RET.  What a read has not filled is zeros from here on. */
static bool io_end(struct disk_io *io, int64_t ret)
{
	const struct iovec *iov = io->ring.iov;

	io->result = ret;
	for (unsigned int i = 0; io->op == DISK_READ && i < io->ring.nr; i++)
		memset(iov[i].iov_base, 0, iov[i].iov_len);
	return true;
}

/* Drops the first LEN bytes of the iovec, which has that many. */
static void io_advance(struct disk_io *io, uint64_t len)
{
	struct iovec *iov = io->iov + (io->nr - io->ring.nr);

	io->ring.offset += len;
	io->left -= len;
	for (; io->ring.nr > 0 && len >= iov->iov_len; iov++, io->ring.nr--)
		len -= iov->iov_len;
	io->ring.iov = iov;
	if (len == 0)
		return;
	iov->iov_base = (uint8_t *)iov->iov_base + len;
	iov->iov_len -= len;
}

/* GOT is what a transfer gave.  True when that is the end of it, false when the
 * rest is to be started again.
 */
static bool io_moved(struct disk *disk, struct disk_io *io, ssize_t got)
{
	bool whole;

	if (got == -EINTR)
		return false;
	if (got < 0 || (uint64_t)got > io->left)
		return io_end(io, got < 0 ? got : -EIO);
	io_advance(io, (uint64_t)got);
	whole = !disk->direct || IS_ALIGNED((size_t)got, disk->block);
	if (io->left == 0)
		return io_end(io, 0);
	if (got > 0 && whole)
		return false;
	return io_end(io, io->op == DISK_WRITE
				  ? -EIO
				  : disk_end_of_file(disk, io->ring.offset));
}

/* Does IO without the ring. */
static bool io_do(struct disk *disk, struct disk_io *io)
{
	int64_t ret = 0;

	switch (io->op) {
	case DISK_NONE:
		break;
	case DISK_READ:
		ret = disk_read(disk, io->iov, io->nr, io->offset);
		if (ret == 0)
			io->ring.nr = 0;
		break;
	case DISK_WRITE:
		ret = disk_write(disk, io->iov, io->nr, io->offset);
		break;
	case DISK_FLUSH:
		ret = disk_flush(disk);
		break;
	case DISK_DISCARD:
		ret = disk_discard(disk, io->offset, io->len);
		break;
	case DISK_ZERO:
		ret = disk_zero(disk, io->offset, io->len, io->unmap);
		break;
	}
	return io_end(io, ret);
}

/* Moves what needs no waiting.  True when that was all of it. */
static bool io_try(struct disk *disk, struct disk_io *io, bool *can)
{
	ssize_t got;

	if (!*can)
		return false;
	got = disk_ring_try(&io->ring, disk->fd);
	if (got == -EOPNOTSUPP || got == -ENOSYS)
		*can = false;
	/* Of another error the ring is to tell. */
	return got >= 0 && io_moved(disk, io, got);
}

/* A transfer that is aligned. */
static bool io_transfer(struct disk *disk, struct disk_io *io)
{
	bool write = io->op == DISK_WRITE;
	int ret = 0;

	if (write)
		ret = disk->read_only ? -EROFS
				      : disk_reaches(disk, io->offset, io->len);
	if (ret < 0)
		return io_end(io, ret);
	io->ring.opcode = write ? DISK_RING_WRITE : DISK_RING_READ;
	if (io_try(disk, io,
		   write ? &disk->can_try_write : &disk->can_try_read))
		return true;
	disk_ring_start(disk->ring, &disk->file, &io->ring);
	disk->nr_writes += write;
	return false;
}

static void flush_begin(struct disk *disk)
{
	disk->flushed = disk->unflushed;
	disk->unflushed = (struct list){ 0 };
	disk->flushing = true;
	disk->flush.opcode = DISK_RING_SYNC;
	disk_ring_start(disk->ring, &disk->file, &disk->flush);
}

/* Ends all flushes in LIST. */
static void flush_end(struct disk *disk, struct list *list)
{
	while (!list_empty(list)) {
		struct disk_io *io = to_io(list_take(list));

		io->result = disk->flush_error;
		list_add(&disk->done, &io->node);
	}
}

static void flush_done(struct disk *disk, int result)
{
	if (result == -EINTR) {
		disk_ring_start(disk->ring, &disk->file, &disk->flush);
		return;
	}
	disk->flushing = false;
	if (result < 0)
		disk->flush_error = result;
	flush_end(disk, &disk->flushed);
	if (disk->flush_error)
		flush_end(disk, &disk->unflushed);
	else if (!list_empty(&disk->unflushed))
		flush_begin(disk);
}

static bool io_flush(struct disk *disk, struct disk_io *io)
{
	/* See disk_flush(). */
	if (disk->flush_error)
		return io_end(io, disk->flush_error);
	list_add(&disk->unflushed, &io->node);
	if (!disk->flushing)
		flush_begin(disk);
	return false;
}

/* Whether IO may change bytes around those that it is to change. */
static bool io_needs_peace(const struct disk *disk, const struct disk_io *io)
{
	if (io->op == DISK_ZERO)
		return disk->direct;
	return io->op == DISK_WRITE &&
	       !disk_is_aligned(disk, io->iov, io->nr, io->offset);
}

/* True when IO has ended. */
static bool io_begin(struct disk *disk, struct disk_io *io)
{
	switch (io->op) {
	case DISK_READ:
	case DISK_WRITE:
		if (disk_is_aligned(disk, io->iov, io->nr, io->offset))
			return io_transfer(disk, io);
		break;
	case DISK_FLUSH:
		return io_flush(disk, io);
	case DISK_NONE:
	case DISK_DISCARD:
	case DISK_ZERO:
		break;
	}
	return io_do(disk, io);
}

/* Whether the write at the head of those that wait has to go on waiting. */
static bool disk_is_held(const struct disk *disk, const struct disk_io *io)
{
	return disk->nr_writes > 0 && io_needs_peace(disk, io);
}

static void disk_run_waiting(struct disk *disk)
{
	while (!list_empty(&disk->waiting) &&
	       !disk_is_held(disk, to_io(disk->waiting.first))) {
		struct disk_io *io = to_io(list_take(&disk->waiting));

		if (io_begin(disk, io))
			list_add(&disk->done, &io->node);
	}
}

bool disk_start(struct disk *disk, struct disk_io *io)
{
	bool writes = io->op == DISK_WRITE || io->op == DISK_ZERO;

	io->ring.iov = io->iov;
	io->ring.nr = io->nr;
	io->ring.offset = io->offset;
	io->left = io->len;
	if (!disk->ring)
		return io_do(disk, io);
	if (writes && (!list_empty(&disk->waiting) || disk_is_held(disk, io))) {
		list_add(&disk->waiting, &io->node);
		return false;
	}
	return io_begin(disk, io);
}

static void disk_ring_done(struct disk_ring_file *file, struct disk_ring_op *op,
			   int result)
{
	struct disk *disk = container_of(file, struct disk, file);
	struct disk_io *io = container_of(op, struct disk_io, ring);

	if (op == &disk->flush) {
		flush_done(disk, result);
		return;
	}
	if (!io_moved(disk, io, result)) {
		disk_ring_start(disk->ring, &disk->file, op);
		return;
	}
	disk->nr_writes -= io->op == DISK_WRITE;
	list_add(&disk->done, &io->node);
	disk_run_waiting(disk);
}

static void disk_ring_reaped(struct disk_ring_file *file)
{
	struct disk *disk = container_of(file, struct disk, file);

	if (!list_empty(&disk->done) && disk->ready)
		disk->ready(disk->user);
}

int disk_set_ring(struct disk *disk, struct disk_ring *ring)
{
	int ret;

	disk->file.fd = disk->fd;
	disk->file.done = disk_ring_done;
	disk->file.reaped = disk_ring_reaped;
	ret = disk_ring_attach(ring, &disk->file);
	if (ret < 0)
		return ret;
	disk->ring = ring;
	/* With O_DIRECT nothing is there without waiting for the device. */
	disk->can_try_read = !disk->direct;
	disk->can_try_write = !disk->direct;
	return 0;
}

bool disk_has_ring(const struct disk *disk)
{
	return disk->ring;
}

void disk_submit(struct disk *disk)
{
	if (disk->ring)
		disk_ring_submit(disk->ring);
}

void disk_set_user(struct disk *disk, void (*ready)(void *user), void *user)
{
	disk->ready = ready;
	disk->user = user;
}

struct disk_io *disk_collect(struct disk *disk)
{
	return list_empty(&disk->done) ? NULL : to_io(list_take(&disk->done));
}

int disk_wait(struct disk *disk, uint64_t deadline_ns)
{
	return disk->ring ? disk_ring_wait(disk->ring, deadline_ns) : 0;
}
