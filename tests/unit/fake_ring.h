// SPDX-License-Identifier: Apache-2.0
/*
 * fake_ring.h - a ring (virtio/disk_ring.h) whose operations end when a test
 * says so, in the order and with the result that it says
 *
 * For one program each: it takes the place of disk_ring.c there.
 */
#ifndef MOTE_TESTS_FAKE_RING_H
#define MOTE_TESTS_FAKE_RING_H

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include <sys/uio.h>

#include "base/util.h"
#include "virtio/disk_ring.h"

#define FAKE_MAX_OPS 1024

/* Results that fake_end() takes besides those of the kernel. */
#define FAKE_REAL  INT_MAX	 /* what the kernel gives for it, all of it */
#define FAKE_SHORT (INT_MAX - 1) /* the same, of its first sector only */

struct disk_ring {
	struct disk_ring_file *file[DISK_RING_FILES];
	struct disk_ring_op *op[FAKE_MAX_OPS]; /* in the order of their start */
	unsigned int nr;
	unsigned int nr_submitted;
	unsigned int starts; /* ever */
	unsigned int syncs;  /* ever */
	int try_result;	     /* -errno, or 0: the page cache has everything */
	unsigned int tries;
	bool stalled; /* nothing ends while somebody waits */
};

static inline void must_be(bool cond)
{
	if (!cond)
		abort();
}

static inline ssize_t fake_move(const struct disk_ring_op *op, int fd,
				bool first_only)
{
	struct iovec cut = op->iov ? op->iov[0] : (struct iovec){ 0 };
	const struct iovec *iov = first_only ? &cut : op->iov;
	int nr = first_only ? 1 : (int)op->nr;
	ssize_t got = 0;

	cut.iov_len = MIN(cut.iov_len, (size_t)512);
	switch (op->opcode) {
	case DISK_RING_READ:
		got = preadv(fd, iov, nr, (off_t)op->offset);
		break;
	case DISK_RING_WRITE:
		got = pwritev(fd, iov, nr, (off_t)op->offset);
		break;
	case DISK_RING_SYNC:
		break;
	}
	return got < 0 ? -errno : got;
}

/* Operation number I (as started) ends with RESULT. */
static inline void fake_end(struct disk_ring *ring, unsigned int i, int result)
{
	struct disk_ring_op *op = ring->op[i];
	struct disk_ring_file *file;

	must_be(i < ring->nr && i < ring->nr_submitted);
	file = ring->file[op->slot];
	if (result == FAKE_REAL || result == FAKE_SHORT)
		result = (int)fake_move(op, file->fd, result == FAKE_SHORT);
	ring->nr--;
	ring->nr_submitted--;
	memmove(&ring->op[i], &ring->op[i + 1],
		(ring->nr - i) * sizeof(ring->op[0]));
	file->touched = true;
	file->done(file, op, result);
}

/* The device hears of what has ended. */
static inline void fake_reap(struct disk_ring *ring)
{
	for (unsigned int i = 0; i < DISK_RING_FILES; i++) {
		struct disk_ring_file *file = ring->file[i];

		if (!file || !file->touched)
			continue;
		file->touched = false;
		file->reaped(file);
	}
	disk_ring_submit(ring);
}

/* Everything ends as the kernel would end it, and what follows from it. */
static inline void fake_end_all(struct disk_ring *ring)
{
	disk_ring_submit(ring);
	while (ring->nr > 0) {
		fake_end(ring, 0, FAKE_REAL);
		fake_reap(ring);
	}
}

int disk_ring_create(struct loop *loop, struct disk_ring **owned)
{
	(void)loop;
	*owned = calloc(1, sizeof(**owned));
	(*owned)->try_result = -EAGAIN;
	return 0;
}

void disk_ring_destroy(struct disk_ring *ring)
{
	must_be(ring->nr == 0);
	free(ring);
}

int disk_ring_attach(struct disk_ring *ring, struct disk_ring_file *file)
{
	for (unsigned int i = 0; i < DISK_RING_FILES; i++) {
		if (ring->file[i])
			continue;
		ring->file[i] = file;
		file->slot = i;
		return 0;
	}
	return -ENOSPC;
}

void disk_ring_detach(struct disk_ring *ring, struct disk_ring_file *file)
{
	for (unsigned int i = 0; i < ring->nr; i++)
		must_be(ring->op[i]->slot != file->slot);
	ring->file[file->slot] = NULL;
}

void disk_ring_start(struct disk_ring *ring, struct disk_ring_file *file,
		     struct disk_ring_op *op)
{
	must_be(ring->nr < FAKE_MAX_OPS && ring->file[file->slot] == file);
	for (unsigned int i = 0; i < ring->nr; i++)
		must_be(ring->op[i] != op);
	op->slot = file->slot;
	ring->op[ring->nr++] = op;
	ring->starts++;
	ring->syncs += op->opcode == DISK_RING_SYNC;
}

void disk_ring_submit(struct disk_ring *ring)
{
	ring->nr_submitted = ring->nr;
}

unsigned int disk_ring_busy(const struct disk_ring *ring)
{
	return ring->nr;
}

int disk_ring_wait(struct disk_ring *ring, uint64_t deadline_ns)
{
	(void)deadline_ns;
	disk_ring_submit(ring);
	if (ring->nr == 0)
		return 0;
	if (ring->stalled)
		return -ETIMEDOUT;
	fake_end(ring, ring->nr - 1, FAKE_REAL);
	fake_reap(ring);
	return 0;
}

/* The one ring of the test. */
static struct disk_ring *fake_ring;

ssize_t disk_ring_try(const struct disk_ring_op *op, int fd)
{
	fake_ring->tries++;
	return fake_ring->try_result ? fake_ring->try_result
				     : fake_move(op, fd, false);
}

#endif
