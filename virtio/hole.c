// SPDX-License-Identifier: Apache-2.0
/*
 * hole.c - holes: ranges of a file or block device that the host gives up or
 * zeroes without being handed the zeros
 *
 * Files: fallocate(2) with PUNCH_HOLE or ZERO_RANGE, with KEEP_SIZE always.
 * Block devices: BLKDISCARD gives space up; fallocate(2) zeroes, by unmapping
 * with PUNCH_HOLE and without it with ZERO_RANGE.
 *
 * Which of these works depends on the file system or the device, and there is
 * no way to ask but to try.  Discard has to be offered or not before a driver
 * comes, so it is tried at once, where it changes nothing: a file's hole behind
 * its end, and a device's discard that is not aligned, which is refused for
 * that only where there is discard.  The others are tried when they are wanted,
 * and what the host refuses is not asked of it again.
 */
#include <errno.h>
#include <fcntl.h>

#include <sys/ioctl.h>

#include <linux/falloc.h>
#include <linux/fs.h>

#include "base/util.h"
#include "virtio/hole.h"

#define HOLE_MIN_GRANULARITY 512u
#define HOLE_MAX_GRANULARITY ((uint32_t)MIB(1))
#define PUNCH_HOLE	     (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)
#define ZERO_RANGE	     (FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE)

static int hole_fallocate(int fd, int mode, uint64_t offset, uint64_t len)
{
	int ret;

	do {
		ret = fallocate(fd, mode, (off_t)offset, (off_t)len);
	} while (ret < 0 && errno == EINTR);
	return ret < 0 ? -errno : 0;
}

static int hole_ioctl_discard(int fd, uint64_t offset, uint64_t len)
{
	uint64_t range[2] = { offset, len };
	int ret;

	do {
		ret = ioctl(fd, BLKDISCARD, range);
	} while (ret < 0 && errno == EINTR);
	return ret < 0 ? -errno : 0;
}

/* Whether ERR says that the file is of a kind that cannot do it at all. */
static bool hole_is_unable(int err)
{
	return err == -EOPNOTSUPP || err == -ENOSYS || err == -ENODEV ||
	       err == -ENOTTY;
}

void hole_probe(struct hole_puncher *hp, int fd, const struct stat *st,
		uint64_t end, bool writable)
{
	uint64_t block = (uint64_t)st->st_blksize;

	*hp = (struct hole_puncher){ .fd = fd,
				     .is_block = S_ISBLK(st->st_mode),
				     .can_punch = writable,
				     .can_zero_range = writable,
				     .granularity = PAGE_SIZE };
	if (block >= HOLE_MIN_GRANULARITY && block <= HOLE_MAX_GRANULARITY &&
	    (block & (block - 1)) == 0)
		hp->granularity = (uint32_t)block;
	if (!writable)
		return;
	if (hp->is_block) {
		hp->can_discard = hole_ioctl_discard(fd, 1, 1) == -EINVAL;
		return;
	}
	hp->can_punch = hole_fallocate(fd, PUNCH_HOLE,
				       ALIGN_UP(end, hp->granularity),
				       hp->granularity) == 0;
	hp->can_discard = hp->can_punch;
}

int hole_discard(struct hole_puncher *hp, uint64_t offset, uint64_t len)
{
	uint64_t start = ALIGN_UP(offset, hp->granularity);
	uint64_t end = ALIGN_DOWN(offset + len, hp->granularity);
	int ret;

	if (!hp->can_discard || start >= end)
		return 0;
	ret = hp->is_block
		      ? hole_ioctl_discard(hp->fd, start, end - start)
		      : hole_fallocate(hp->fd, PUNCH_HOLE, start, end - start);
	if (!hole_is_unable(ret))
		return ret;
	hp->can_discard = false;
	return 0;
}

/* Tries MODE, which *CAN says to be worth it. */
static int hole_try(struct hole_puncher *hp, bool *can, int mode,
		    uint64_t offset, uint64_t len)
{
	int ret;

	if (!*can)
		return -EOPNOTSUPP;
	ret = hole_fallocate(hp->fd, mode, offset, len);
	if (!hole_is_unable(ret))
		return ret;
	*can = false;
	return -EOPNOTSUPP;
}

int hole_zero(struct hole_puncher *hp, uint64_t offset, uint64_t len,
	      bool unmap)
{
	int ret = -EOPNOTSUPP;

	if (unmap)
		ret = hole_try(hp, &hp->can_punch, PUNCH_HOLE, offset, len);
	if (ret == -EOPNOTSUPP)
		ret = hole_try(hp, &hp->can_zero_range, ZERO_RANGE, offset,
			       len);
	/* A device whose blocks are larger than it says wants whole ones. */
	return ret == -EINVAL ? -EOPNOTSUPP : ret;
}
