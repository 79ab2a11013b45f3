// SPDX-License-Identifier: Apache-2.0
/*
 * fifo.c - a bounded byte queue
 */
#include "base/fifo.h"
#include "base/util.h"

void fifo_init(struct fifo *f, void *buf, size_t size)
{
	*f = (struct fifo){ .buf = buf, .size = size };
}

size_t fifo_put(struct fifo *f, const void *data, size_t len)
{
	const uint8_t *src = data;
	size_t n = MIN(len, fifo_room(f));
	size_t tail = (f->head + f->used) % f->size;
	size_t first = MIN(n, f->size - tail);

	memcpy(f->buf + tail, src, first);
	memcpy(f->buf, src + first, n - first);
	f->used += n;
	return n;
}

const void *fifo_peek(const struct fifo *f, size_t *len)
{
	*len = MIN(f->used, f->size - f->head);
	return f->buf + f->head;
}

void fifo_drop(struct fifo *f, size_t len)
{
	f->head = (f->head + len) % f->size;
	f->used -= len;
}

size_t fifo_get(struct fifo *f, void *data, size_t len)
{
	uint8_t *dst = data;
	size_t done = 0;

	while (done < len && f->used > 0) {
		size_t run;
		const void *src = fifo_peek(f, &run);

		run = MIN(run, len - done);
		memcpy(dst + done, src, run);
		fifo_drop(f, run);
		done += run;
	}
	return done;
}
