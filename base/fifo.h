// SPDX-License-Identifier: Apache-2.0
/*
 * fifo.h - a bounded byte queue over storage that its owner provides
 *
 * Not locked: one thread, or the owner's lock.
 */
#ifndef MOTE_BASE_FIFO_H
#define MOTE_BASE_FIFO_H

#include <stddef.h>
#include <stdint.h>

struct fifo {
	uint8_t *buf; /* borrowed */
	size_t size;  /* of buf */
	size_t head;  /* next byte out */
	size_t used;
};

void fifo_init(struct fifo *f, void *buf, size_t size);

/* Bytes that fit. */
static inline size_t fifo_room(const struct fifo *f)
{
	return f->size - f->used;
}

/* Appends up to LEN bytes; returns how many fitted. */
size_t fifo_put(struct fifo *f, const void *data, size_t len);

/* Removes up to LEN bytes; returns how many there were. */
size_t fifo_get(struct fifo *f, void *data, size_t len);

/* The first run of contiguous bytes, for write(2); *LEN is 0 when empty. */
const void *fifo_peek(const struct fifo *f, size_t *len);

/* Drops LEN bytes (at most fifo_used) from the front, after a peek. */
void fifo_drop(struct fifo *f, size_t len);

#endif
