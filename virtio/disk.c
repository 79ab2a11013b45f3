// SPDX-License-Identifier: Apache-2.0
/*
 * disk.c - a raw disk image: the block device's back end
 *
 * Theory of operation.  One descriptor, positioned vectored I/O.  What is here
 * is done when the call returns; disk_io.c has what takes longer.  The kernel
 * may move fewer bytes than it was asked to (a signal, a limit, its own
 * maximum), so a request is a cursor over the caller's iovec that goes round
 * until all is moved.
 *
 * With O_DIRECT, memory, lengths and offsets must be aligned to what the host's
 * device wants.  Guest memory usually is, and then goes to the kernel as it is.
 * A request that is not aligned passes through a bounce buffer, in spans of
 * whole blocks; a write that covers a block in part reads that block first.
 * Nobody else writes in between: we hold the image's write lock, and disk_io.c
 * keeps our own writes away.
 *
 * A file may shrink under us.  What it has lost reads as zeros; a write there
 * fails rather than make the file longer again behind its owner's back, so each
 * write looks at the end first.  That is one lseek(2), and leaves the instant
 * between the two calls.
 *
 * The lock belongs to the open file (F_OFD_SETLK), not to the process: two
 * disks of one machine exclude each other too, and no unrelated close() of the
 * same file drops it.  It is an open file of its own: the ring's table holds
 * the other for a while after the process has ended, and the lock would stay.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <linux/stat.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "base/fd.h"
#include "base/util.h"
#include "virtio/disk_priv.h"

#define DISK_BOUNCE_SIZE KIB(128)
#define DISK_BATCH	 64 /* segments handed to the kernel at a time */

/* Most of a range that the host is asked to give up or zero at a time.  It may
 * write back what is dirty there, or the zeros of a device without a better
 * way, before it answers.
 */
#define DISK_HOLE_SIZE MIB(16)

/* What is left of a caller's iovec. */
struct disk_cursor {
	const struct iovec *iov;
	size_t off; /* into iov[0] */
};

/* The next run of at most MAX (not 0) contiguous bytes, at least one; moves the
 * cursor past it.  The caller knows that there are bytes left.
 */
static uint8_t *cursor_run(struct disk_cursor *c, size_t max, size_t *len)
{
	uint8_t *run;

	while (c->off == c->iov->iov_len) {
		c->iov++;
		c->off = 0;
	}
	run = (uint8_t *)c->iov->iov_base + c->off;
	*len = MIN(max, c->iov->iov_len - c->off);
	c->off += *len;
	return run;
}

static void cursor_skip(struct disk_cursor *c, size_t len)
{
	for (size_t here; len > 0; len -= here)
		cursor_run(c, len, &here);
}

static void cursor_zero(struct disk_cursor *c, size_t len)
{
	for (size_t here; len > 0; len -= here) {
		uint8_t *run = cursor_run(c, len, &here);

		memset(run, 0, here);
	}
}

/* Copies LEN bytes from BUF to the caller's memory, or to BUF from there. */
static void cursor_put(struct disk_cursor *c, const uint8_t *buf, size_t len)
{
	for (size_t here; len > 0; len -= here, buf += here) {
		uint8_t *run = cursor_run(c, len, &here);

		memcpy(run, buf, here);
	}
}

static void cursor_get(struct disk_cursor *c, uint8_t *buf, size_t len)
{
	for (size_t here; len > 0; len -= here, buf += here) {
		const uint8_t *run = cursor_run(c, len, &here);

		memcpy(buf, run, here);
	}
}

/* The next LEN bytes, or as many as fit, without moving the cursor. */
static int cursor_batch(struct disk_cursor c, struct iovec batch[DISK_BATCH],
			size_t len)
{
	int n = 0;

	while (len > 0 && n < DISK_BATCH) {
		batch[n].iov_base = cursor_run(&c, len, &batch[n].iov_len);
		len -= batch[n].iov_len;
		n++;
	}
	return n;
}

/* The size in bytes as it is now, of block devices as well. */
static off_t disk_end(const struct disk *disk)
{
	off_t end = lseek(disk->fd, 0, SEEK_END);

	return end < 0 ? -errno : end;
}

int disk_reaches(const struct disk *disk, uint64_t offset, uint64_t len)
{
	off_t end = disk_end(disk);

	if (end < 0)
		return (int)end;
	return (uint64_t)end >= len && (uint64_t)end - len >= offset ? 0
								     : -ENXIO;
}

int disk_end_of_file(const struct disk *disk, uint64_t offset)
{
	off_t end = disk_end(disk);

	return end >= 0 && (uint64_t)end <= offset ? 0 : -EIO;
}

/* Moves LEN bytes at the cursor; with direct all is aligned. */
static int disk_transfer(struct disk *disk, struct disk_cursor *c, size_t len,
			 uint64_t offset, bool write)
{
	struct iovec batch[DISK_BATCH];

	while (len > 0) {
		int nr = cursor_batch(*c, batch, len);
		off_t off = (off_t)offset;
		/* preadv2(2), as in disk_ring.c: one system call for both. */
		ssize_t got = syscall(write ? SYS_pwritev2 : SYS_preadv2,
				      disk->fd, batch, (long)nr, off, 0L, 0L);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		cursor_skip(c, (size_t)got);
		offset += (uint64_t)got;
		len -= (size_t)got;

		if (got == 0 ||
		    (disk->direct && !IS_ALIGNED((size_t)got, disk->block))) {
			/* With O_DIRECT a read stops inside a block at the end
			 * of the file only.
			 */
			int ret = write ? -EIO : disk_end_of_file(disk, offset);

			if (ret == 0)
				cursor_zero(c, len);
			return ret;
		}
	}
	return 0;
}

/* Moves LEN bytes from or to DISK->bounce, which starts at block OFFSET. */
static int disk_transfer_bounce(struct disk *disk, size_t len, uint64_t offset,
				bool write)
{
	struct iovec iov = { disk->bounce, len };
	struct disk_cursor c = { &iov, 0 };

	return disk_transfer(disk, &c, len, offset, write);
}

/* Moves LEN bytes of any alignment through the bounce buffer. */
static int disk_bounce(struct disk *disk, struct disk_cursor *c, size_t len,
		       uint64_t offset, bool write)
{
	while (len > 0) {
		uint64_t start = ALIGN_DOWN(offset, disk->block);
		size_t head = (size_t)(offset - start);
		size_t here = MIN(len, DISK_BOUNCE_SIZE - head);
		size_t span = ALIGN_UP(head + here, disk->block);
		int ret = 0;

		if (!write || span != here)
			ret = disk_transfer_bounce(disk, span, start, false);
		if (ret < 0)
			return ret;
		if (write) {
			cursor_get(c, disk->bounce + head, here);
			ret = disk_transfer_bounce(disk, span, start, true);
		} else {
			cursor_put(c, disk->bounce + head, here);
		}
		if (ret < 0)
			return ret;
		offset += here;
		len -= here;
	}
	return 0;
}

bool disk_is_aligned(const struct disk *disk, const struct iovec *iov,
		     unsigned int nr, uint64_t offset)
{
	if (!disk->direct)
		return true;
	for (unsigned int i = 0; i < nr; i++) {
		uintptr_t base = (uintptr_t)iov[i].iov_base;

		if (iov[i].iov_len > 0 && !IS_ALIGNED(base, disk->mem_align))
			return false;
		if (!IS_ALIGNED(iov[i].iov_len, disk->block))
			return false;
	}
	return IS_ALIGNED(offset, disk->block);
}

static int disk_move(struct disk *disk, const struct iovec *iov,
		     unsigned int nr, uint64_t offset, bool write)
{
	struct disk_cursor c = { iov, 0 };
	size_t len = 0;
	int ret;

	for (unsigned int i = 0; i < nr; i++)
		len += iov[i].iov_len;
	ret = write ? disk_reaches(disk, offset, len) : 0;
	if (ret < 0)
		return ret;
	if (!disk_is_aligned(disk, iov, nr, offset))
		return disk_bounce(disk, &c, len, offset, write);
	return disk_transfer(disk, &c, len, offset, write);
}

int disk_read(struct disk *disk, const struct iovec *iov, unsigned int nr,
	      uint64_t offset)
{
	return disk_move(disk, iov, nr, offset, false);
}

int disk_write(struct disk *disk, const struct iovec *iov, unsigned int nr,
	       uint64_t offset)
{
	if (disk->read_only)
		return -EROFS;
	return disk_move(disk, iov, nr, offset, true);
}

int64_t disk_discard(struct disk *disk, uint64_t offset, uint64_t len)
{
	/* Cut at multiples of the size, so that no piece loses its ends. */
	uint64_t here = MIN(len, DISK_HOLE_SIZE - offset % DISK_HOLE_SIZE);
	int ret = disk->read_only ? -EROFS
				  : hole_discard(&disk->hole, offset, here);

	return ret < 0 ? ret : (int64_t)here;
}

/* Writes zeros; as many as one batch has room for. */
static int64_t disk_write_zeros(struct disk *disk, uint64_t offset,
				uint64_t len)
{
	struct iovec iov[DISK_BATCH];
	uint64_t done = 0;
	unsigned int nr = 0;
	int ret;

	for (; done < len && nr < DISK_BATCH; nr++) {
		iov[nr].iov_base = disk->zeros;
		iov[nr].iov_len = MIN(len - done, PAGE_SIZE);
		done += iov[nr].iov_len;
	}
	ret = disk_move(disk, iov, nr, offset, true);
	return ret < 0 ? ret : (int64_t)done;
}

int64_t disk_zero(struct disk *disk, uint64_t offset, uint64_t len, bool unmap)
{
	uint32_t unit = disk->hole.granularity;
	uint64_t head = offset % unit;
	uint64_t here;
	int ret;

	if (disk->read_only)
		return -EROFS;
	ret = disk_reaches(disk, offset, len);
	if (ret < 0)
		return ret;
	/* The ends of a range, where it covers a unit in part, are written. */
	if (head > 0 || len < unit)
		return disk_write_zeros(disk, offset, MIN(len, unit - head));
	here = MIN(ALIGN_DOWN(len, (uint64_t)unit),
		   DISK_HOLE_SIZE - offset % DISK_HOLE_SIZE);
	ret = hole_zero(&disk->hole, offset, here, unmap);
	if (ret == -EOPNOTSUPP)
		return disk_write_zeros(disk, offset, here);
	return ret < 0 ? ret : (int64_t)here;
}

int disk_flush(struct disk *disk)
{
	int ret;

	if (disk->flush_error)
		return disk->flush_error;
	do {
		ret = fdatasync(disk->fd);
	} while (ret < 0 && errno == EINTR);
	/* fdatasync(2) tells of a lost page once and takes it for clean then.
	 * What was written before can never be called stable again.
	 */
	if (ret < 0)
		disk->flush_error = -errno;
	return disk->flush_error;
}

uint64_t disk_sectors(const struct disk *disk)
{
	return disk->size / SECTOR_SIZE;
}

bool disk_read_only(const struct disk *disk)
{
	return disk->read_only;
}

uint32_t disk_block_size(const struct disk *disk)
{
	return disk->block;
}

bool disk_can_discard(const struct disk *disk)
{
	return disk->hole.can_discard;
}

uint32_t disk_discard_unit(const struct disk *disk)
{
	return MAX(disk->hole.granularity, disk->block);
}

bool disk_resize(struct disk *disk)
{
	off_t end = disk_end(disk);
	uint64_t size;

	if (end < 0)
		return false;
	size = ALIGN_DOWN((uint64_t)end, (uint64_t)disk->block);
	if (size == disk->size)
		return false;
	disk->size = size;
	return true;
}

void disk_set_writethrough(struct disk *disk)
{
	disk->writethrough = true;
}

bool disk_writethrough(const struct disk *disk)
{
	return disk->writethrough;
}

void disk_id(const struct disk *disk, char id[DISK_ID_BYTES])
{
	memcpy(id, disk->id, DISK_ID_BYTES);
}

void disk_set_id(struct disk *disk, const char *text)
{
	memset(disk->id, 0, DISK_ID_BYTES);
	memcpy(disk->id, text, strnlen(text, DISK_ID_BYTES));
}

/* What O_DIRECT asks of offsets, lengths and memory.  Linux tells since 6.1;
 * before that, a page satisfies every device with blocks of up to a page.
 */
static int disk_direct_align(struct disk *disk)
{
	struct statx sx;

	disk->block = PAGE_SIZE;
	disk->mem_align = PAGE_SIZE;
#ifdef STATX_DIOALIGN
	if (syscall(SYS_statx, disk->fd, "", AT_EMPTY_PATH, STATX_DIOALIGN,
		    &sx) == 0 &&
	    (sx.stx_mask & STATX_DIOALIGN)) {
		disk->block = MAX(sx.stx_dio_offset_align, SECTOR_SIZE);
		disk->mem_align = sx.stx_dio_mem_align;
		if (sx.stx_dio_offset_align == 0)
			return -EINVAL;
	}
#endif
	if (disk->block > DISK_BOUNCE_SIZE || disk->mem_align > KIB(64))
		return -EINVAL;

	disk->bounce = aligned_alloc(MAX(disk->mem_align, PAGE_SIZE),
				     DISK_BOUNCE_SIZE);
	return disk->bounce ? 0 : -ENOMEM;
}

/* Device and inode number: twenty characters, without a NUL.  High bits of
 * large inode numbers are folded in rather than lost.
 */
static void disk_make_id(struct disk *disk, const struct stat *st)
{
	dev_t dev = S_ISBLK(st->st_mode) ? st->st_rdev : st->st_dev;
	uint64_t ino = S_ISBLK(st->st_mode) ? 0 : st->st_ino;
	char text[32];

	snprintf(text, sizeof(text), "%03x%05x%012llx", major(dev) & 0xfff,
		 minor(dev) & 0xfffff,
		 (unsigned long long)((ino ^ ino >> 48) & 0xffffffffffff));
	memcpy(disk->id, text, DISK_ID_BYTES);
}

static int disk_lock(struct disk *disk)
{
	char self[32];
	struct flock lock = {
		.l_type = disk->read_only ? F_RDLCK : F_WRLCK,
		.l_whence = SEEK_SET,
	};

	snprintf(self, sizeof(self), "/proc/self/fd/%d", disk->fd);
	disk->lock_fd = open(self, (disk->read_only ? O_RDONLY : O_RDWR) |
					   O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (disk->lock_fd < 0)
		return -errno;
	if (fcntl(disk->lock_fd, F_OFD_SETLK, &lock) == 0)
		return 0;
	return errno == EACCES ? -EAGAIN : -errno;
}

/* All that is learnt of an image once it is open. */
static int disk_examine(struct disk *disk)
{
	struct stat st;
	off_t end;
	int ret;

	if (fstat(disk->fd, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return -ENOTSUP;
	ret = disk_lock(disk);
	if (ret < 0)
		return ret;

	disk->block = SECTOR_SIZE;
	disk->mem_align = 1;
	if (disk->direct) {
		ret = disk_direct_align(disk);
		if (ret < 0)
			return ret;
	}
	end = disk_end(disk);
	if (end < 0)
		return (int)end;
	disk->size = ALIGN_DOWN((uint64_t)end, (uint64_t)disk->block);
	disk_make_id(disk, &st);
	hole_probe(&disk->hole, disk->fd, &st, (uint64_t)end, !disk->read_only);
	return 0;
}

int disk_open(const char *path, bool read_only, bool direct,
	      struct disk **owned)
{
	struct disk *disk = calloc(1, sizeof(*disk));
	int ret;

	if (!disk)
		return -ENOMEM;
	disk->read_only = read_only;
	disk->direct = direct;
	disk->lock_fd = -1;

	/* O_NONBLOCK: a FIFO is refused, not waited for.  Neither files nor
	 * block devices heed it.
	 */
	disk->fd = open(path, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC |
				      O_NOCTTY | O_NONBLOCK |
				      (direct ? O_DIRECT : 0));
	if (disk->fd < 0) {
		ret = -errno;
		goto err_free;
	}
	disk->fd = fd_place(disk->fd, FD_DISKS, FD_NR_DISKS);
	ret = disk_examine(disk);
	if (ret < 0)
		goto err_close;
	*owned = disk;
	return 0;

err_close:
	free(disk->bounce);
	if (disk->lock_fd >= 0)
		close(disk->lock_fd);
	close(disk->fd);
err_free:
	free(disk);
	return ret;
}

void disk_close(struct disk *disk)
{
	if (disk->ring)
		disk_ring_detach(disk->ring, &disk->file);
	close(disk->lock_fd);
	close(disk->fd);
	free(disk->bounce);
	free(disk);
}
