// SPDX-License-Identifier: Apache-2.0
/*
 * sink.h - one descriptor that is written to and never waited for
 *
 * Nothing here blocks, and no flag of a descriptor that somebody else shares is
 * ever changed.  What the descriptor does not take at once is held, up to
 * 64 KiB.  When it is gone (EPIPE, EIO, ENOSPC, any other error) everything
 * more is taken, counted and dropped.  All functions are for the loop's thread.
 */
#ifndef MOTE_VMM_SINK_H
#define MOTE_VMM_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fifo.h"
#include "base/loop.h"
#include "base/telemetry.h"

#define SINK_SIZE (64u << 10)

enum sink_kind {
	SINK_OWN,    /* a pipe or terminal, through a description of our own */
	SINK_FILE,   /* just written: offset and append mode are shared */
	SINK_POLLED, /* blocking and shared: poll, then a little at a time */
	SINK_CLOSED,
};

struct sink {
	/* Held bytes have been written.  From a callback on the loop. */
	void (*drained)(struct sink *sink);
	/* The descriptor has just failed, perhaps inside sink_put(). */
	void (*gone)(struct sink *sink);
	enum sink_kind kind;
	bool tty;
	struct counter dropped; /* bytes after it was gone */

	/* Private to sink.c from here on. */
	struct loop *loop;
	int fd;
	bool own; /* re-opened: non-blocking, and ours to close */
	struct loop_source source;
	struct fifo held;
	uint8_t buf[SINK_SIZE];
};

/* Looks at FD (borrowed) and re-opens it where that is possible.  Never fails:
 * a descriptor that is closed swallows what is written.  The caller sets the
 * two callbacks and ignores SIGPIPE.
 */
void sink_init(struct sink *sink, struct loop *loop, int fd);

/* Takes up to LEN bytes; fewer only when as much is held as there may be. */
size_t sink_put(struct sink *sink, const void *data, size_t len);

/* Writes what is held as far as the descriptor takes it. */
void sink_drain(struct sink *sink);

/* Waits at most MS for the descriptor to take more, and drains. */
void sink_wait(struct sink *sink, int ms);

/* Lets go of the loop and of the descriptor. */
void sink_fini(struct sink *sink);

/* A second, non-blocking description of FD's file, or -1.  O_NONBLOCK on the
 * first one would be everybody's who shares it.
 */
int fd_reopen(int fd, int flags);

/* Whether FD is open for anything.  A descriptor of O_PATH, with which main()
 * fills the gaps that its parent left, is not.
 */
bool fd_is_open(int fd);

/* Whether a call for EVENTS would not block now. */
bool fd_poll(int fd, short events);

#endif
