// SPDX-License-Identifier: Apache-2.0
/*
 * loop.h - the event loop of the main thread: descriptors and timers
 *
 * Level triggered.  Sources and timers are embedded in their owners, so nothing
 * is allocated and nothing dangles: an owner removes its source before it goes
 * away.  All functions are for the loop's thread.  A source may be removed,
 * also by another source's callback in the same round.
 */
#ifndef MOTE_BASE_LOOP_H
#define MOTE_BASE_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct loop_source {
	/* EVENTS as epoll(7) reports them. */
	void (*ready)(struct loop_source *source, uint32_t events);
	int fd;		 /* borrowed; -1 while not in a loop */
	uint32_t events; /* EPOLLIN and so on, as asked for */
};

struct loop_timer {
	void (*expired)(struct loop_timer *timer);
	uint64_t deadline_ns; /* CLOCK_MONOTONIC; 0 while not armed */
	struct loop_timer *next;
};

struct loop {
	int epoll_fd;
	bool stopped;
	struct loop_timer *timers; /* sorted by deadline */
	/* The round being dispatched; loop_remove() clears entries in it. */
	struct loop_source *pending[16];
	unsigned int nr_pending;
};

/* -errno from epoll_create1(2). */
int loop_init(struct loop *loop);
void loop_fini(struct loop *loop);

/* Watches FD for EVENTS with SOURCE, whose ready is set.  -EPERM when the kind
 * of file cannot be waited for (a regular file): it is always ready.
 */
int loop_add(struct loop *loop, struct loop_source *source, int fd,
	     uint32_t events);

/* Changes what SOURCE waits for; 0 keeps it in the loop but silent (hang-up and
 * error are still reported).
 */
void loop_modify(struct loop *loop, struct loop_source *source,
		 uint32_t events);

/* No callback of SOURCE runs after this.  Harmless when it is not in a loop. */
void loop_remove(struct loop *loop, struct loop_source *source);

/* Runs TIMER->expired once, at or after DEADLINE_NS; re-arms when armed. */
void loop_timer_arm(struct loop *loop, struct loop_timer *timer,
		    uint64_t deadline_ns);
void loop_timer_cancel(struct loop *loop, struct loop_timer *timer);

/* Dispatches until loop_stop().  0, or -errno when epoll itself fails. */
int loop_run(struct loop *loop);

/* One round that waits at most TIMEOUT_MS (-1: for ever). */
int loop_step(struct loop *loop, int timeout_ms);

/* Makes loop_run() return after the callback that calls this. */
void loop_stop(struct loop *loop);

#endif
