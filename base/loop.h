// SPDX-License-Identifier: Apache-2.0
/*
 * loop.h - the event loop of the main thread: descriptors and timers
 *
 * Level triggered.  Sources and timers are embedded in their owners, so nothing
 * is allocated and nothing dangles: an owner removes its source before it goes
 * away.  All functions are for the loop's thread.  A source may be removed,
 * also by another source's callback in the same round.
 *
 * With loop_set_polling() the loop looks around for a moment before it sleeps,
 * while that has lately been cheaper than to sleep; see loop.c.
 */
#ifndef MOTE_BASE_LOOP_H
#define MOTE_BASE_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/telemetry.h"

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

/* Somebody whose next work can be seen in memory, before a descriptor tells. */
struct loop_poll {
	/* Does what there is to do; false when there is nothing. */
	bool (*look)(struct loop_poll *poll);
	/* There are no looks any more: the next work must make a source ready,
	 * and so must work that has come since the last look.
	 */
	void (*settle)(struct loop_poll *poll);
	struct loop_poll *next;
	bool watched;
};

struct loop {
	int epoll_fd;
	bool stopped;
	uint64_t poll_ns;	 /* how long it looks around; 0: never */
	int poll_score;		 /* positive: looking has paid lately */
	struct loop_poll *polls; /* being watched */
	struct counter poll_hits, poll_misses;
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

/* Looks around for up to NS nanoseconds before a sleep, when that pays; 0, as
 * after loop_init(), is never.
 */
void loop_set_polling(struct loop *loop, uint64_t ns);

/* Whether it looks around now.  Then, who has a struct loop_poll and expects
 * more work soon, may have it watched instead of its source; that ends with
 * settle.
 */
bool loop_is_polling(const struct loop *loop);
void loop_watch(struct loop *loop, struct loop_poll *poll);

/* No callback of POLL runs after this.  Harmless when it is not watched. */
void loop_unwatch(struct loop *loop, struct loop_poll *poll);

/* Dispatches until loop_stop().  0, or -errno when epoll itself fails. */
int loop_run(struct loop *loop);

/* One round that waits at most TIMEOUT_MS (-1: for ever). */
int loop_step(struct loop *loop, int timeout_ms);

/* Makes loop_run() return after the callback that calls this. */
void loop_stop(struct loop *loop);

#endif
