// SPDX-License-Identifier: Apache-2.0
/*
 * chain.h - one descriptor chain, already copied and checked, as a cursor
 *
 * virtq_pop() walks the descriptors once and leaves here host pointers to
 * memory that was inside guest RAM: first the device-readable segments, then
 * the device-writable ones (§2.7.4.2).  Devices make no assumption on how the
 * driver cut its request into segments (§2.7.4.1): they read and write bytes.
 */
#ifndef MOTE_VIRTIO_CHAIN_H
#define MOTE_VIRTIO_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sys/uio.h>

#define CHAIN_MAX_SEGMENTS                                                     \
	256 /* no chain is longer than its queue, §2.7.5.3.1 */

struct chain {
	uint16_t head; /* index of the first descriptor */
	uint16_t nr_readable;
	uint16_t nr_writable;
	/* Readable segments first.  Their bytes may change at any time. */
	struct iovec seg[CHAIN_MAX_SEGMENTS];

	/* The cursors: next segment (an index into seg[]) and offset in it, and
	 * bytes left.
	 */
	uint16_t read_seg, write_seg;
	size_t read_off, write_off;
	uint64_t read_left, write_left;
};

/* For virtq_pop(): an empty chain, and one more segment of it.  LEN is not 0,
 * readable segments come first, at most CHAIN_MAX_SEGMENTS.
 */
void chain_init(struct chain *c, uint16_t head);
void chain_add(struct chain *c, void *hva, size_t len, bool writable);

/* Bytes not yet read, and not yet written. */
static inline uint64_t chain_readable(const struct chain *c)
{
	return c->read_left;
}

static inline uint64_t chain_writable(const struct chain *c)
{
	return c->write_left;
}

/* Copies up to LEN bytes and moves the cursor; returns how many there were. */
size_t chain_read(struct chain *c, void *dst, size_t len);
size_t chain_write(struct chain *c, const void *src, size_t len);

/* Writes up to LEN zeros; returns how many fitted. */
size_t chain_write_zeros(struct chain *c, size_t len);

/* The next LEN bytes (at most what is left) as an iovec of at most MAX entries,
 * for bulk I/O straight to guest memory; moves the cursor past what it returns.
 * Returns the number of entries; *GOT is the bytes they hold.
 */
unsigned int chain_read_iov(struct chain *c, struct iovec *iov,
			    unsigned int max, size_t len, size_t *got);
unsigned int chain_write_iov(struct chain *c, struct iovec *iov,
			     unsigned int max, size_t len, size_t *got);

#endif
