// SPDX-License-Identifier: Apache-2.0
/*
 * hole.h - holes: ranges of a file or block device that the host gives up or
 * zeroes without being handed the zeros
 *
 * Offsets and lengths are bytes.  Nothing here changes the size of a file, and
 * a range beyond its end is none.
 */
#ifndef MOTE_VIRTIO_HOLE_H
#define MOTE_VIRTIO_HOLE_H

#include <stdbool.h>
#include <stdint.h>

#include <sys/stat.h>

/* What the host can do with one open file; learnt when it is opened, and again
 * when the host refuses after all.
 */
struct hole_puncher {
	int fd; /* borrowed */
	bool is_block;
	bool can_discard;     /* give the space back, contents undefined */
	bool can_punch;	      /* the same, and reads give zeros */
	bool can_zero_range;  /* zeros, and the space stays taken */
	uint32_t granularity; /* bytes, a power of two, a sector at least */
};

/* Finds out about FD, whose stat and END (size) are given.  A file that is not
 * WRITABLE can do nothing.  No contents are touched.
 */
void hole_probe(struct hole_puncher *hp, int fd, const struct stat *st,
		uint64_t end, bool writable);

/* Gives the range up; parts smaller than the granularity are left alone.  A
 * host that turns out to be unable has done all it can: 0.  -errno.
 */
int hole_discard(struct hole_puncher *hp, uint64_t offset, uint64_t len);

/* Makes the range, which is aligned to the granularity, read as zeros; UNMAP
 * allows giving it up.  -EOPNOTSUPP when zeros must be written instead; another
 * -errno when that would fail as well.
 */
int hole_zero(struct hole_puncher *hp, uint64_t offset, uint64_t len,
	      bool unmap);

#endif
