// SPDX-License-Identifier: Apache-2.0
/*
 * chain.c - a descriptor chain as two byte streams
 *
 * The segments point into guest memory that was checked when the chain was
 * popped, and are ours: nothing here follows anything that the guest can
 * change.  Loops advance by segment, and no segment is empty.
 */
#include <string.h>

#include "base/util.h"
#include "virtio/chain.h"

void chain_init(struct chain *c, uint16_t head)
{
	c->head = head;
	c->nr_readable = 0;
	c->nr_writable = 0;
	c->read_seg = 0;
	c->write_seg = 0;
	c->read_off = 0;
	c->write_off = 0;
	c->read_left = 0;
	c->write_left = 0;
}

void chain_add(struct chain *c, void *hva, size_t len, bool writable)
{
	unsigned int nr = c->nr_readable + c->nr_writable;

	assert(nr < CHAIN_MAX_SEGMENTS);
	assert(len > 0 && (writable || c->nr_writable == 0));
	c->seg[nr].iov_base = hva;
	c->seg[nr].iov_len = len;
	if (writable) {
		c->nr_writable++;
		c->write_left += len;
	} else {
		c->nr_readable++;
		c->write_seg = c->nr_readable;
		c->read_left += len;
	}
}

/* Moves a cursor by the next run of at most LEN bytes (LEN > 0 and at most
 * what is left); *RUN is the bytes it holds.
 */
static void *chain_step(const struct chain *c, uint16_t *seg, size_t *off,
			size_t len, size_t *run)
{
	const struct iovec *v = &c->seg[*seg];
	void *p = (uint8_t *)v->iov_base + *off;

	*run = MIN(len, v->iov_len - *off);
	*off += *run;
	if (*off == v->iov_len) {
		*off = 0;
		(*seg)++;
	}
	return p;
}

static void *chain_read_step(struct chain *c, size_t len, size_t *run)
{
	void *p = chain_step(c, &c->read_seg, &c->read_off, len, run);

	c->read_left -= *run;
	return p;
}

static void *chain_write_step(struct chain *c, size_t len, size_t *run)
{
	void *p = chain_step(c, &c->write_seg, &c->write_off, len, run);

	c->write_left -= *run;
	return p;
}

size_t chain_read(struct chain *c, void *dst, size_t len)
{
	uint8_t *d = dst;
	size_t done = 0;
	size_t run;

	len = MIN(len, c->read_left);
	for (; done < len; done += run) {
		const void *p = chain_read_step(c, len - done, &run);

		memcpy(d + done, p, run);
	}
	return done;
}

size_t chain_write(struct chain *c, const void *src, size_t len)
{
	const uint8_t *s = src;
	size_t done = 0;
	size_t run;

	len = MIN(len, c->write_left);
	for (; done < len; done += run) {
		void *p = chain_write_step(c, len - done, &run);

		memcpy(p, s + done, run);
	}
	return done;
}

size_t chain_write_zeros(struct chain *c, size_t len)
{
	size_t done = 0;
	size_t run;

	len = MIN(len, c->write_left);
	for (; done < len; done += run) {
		void *p = chain_write_step(c, len - done, &run);

		memset(p, 0, run);
	}
	return done;
}

unsigned int chain_read_iov(struct chain *c, struct iovec *iov,
			    unsigned int max, size_t len, size_t *got)
{
	unsigned int nr = 0;

	*got = 0;
	len = MIN(len, c->read_left);
	while (*got < len && nr < max) {
		size_t run;

		iov[nr].iov_base = chain_read_step(c, len - *got, &run);
		iov[nr++].iov_len = run;
		*got += run;
	}
	return nr;
}

unsigned int chain_write_iov(struct chain *c, struct iovec *iov,
			     unsigned int max, size_t len, size_t *got)
{
	unsigned int nr = 0;

	*got = 0;
	len = MIN(len, c->write_left);
	while (*got < len && nr < max) {
		size_t run;

		iov[nr].iov_base = chain_write_step(c, len - *got, &run);
		iov[nr++].iov_len = run;
		*got += run;
	}
	return nr;
}
