// SPDX-License-Identifier: Apache-2.0
/*
 * loop.c - epoll, with the source's address as cookie
 *
 * Polling.  To sleep and to be woken costs CPU time, and the waker has to make
 * a system call or, when it is a guest, leave the guest.  Where the next event
 * is only microseconds away it is cheaper to look for it.  Whether it is, the
 * last events say: each that came soon is a point for looking, each that did
 * not is one against, and a look in vain is POLL_MISS against.  The loop looks
 * around while the sum is positive.
 *
 * So a guest that stops and goes wastes little; and so does one that shares its
 * CPU with us, which cannot do anything while we look: of POLL_MISS events one
 * is looked for then.
 */
#include <errno.h>
#include <unistd.h>

#include <sys/epoll.h>

#include "base/loop.h"
#include "base/util.h"

#define TIMERS_PER_ROUND 16
#define POLL_MISS	 16
#define POLL_MAX_SCORE	 (4 * POLL_MISS)
#define LOOKS_PER_ROUND	 64 /* at memory, for one at the descriptors */

int loop_init(struct loop *loop)
{
	*loop = (struct loop){ 0 };
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	return loop->epoll_fd < 0 ? -errno : 0;
}

void loop_fini(struct loop *loop)
{
	close(loop->epoll_fd);
	loop->epoll_fd = -1;
}

int loop_add(struct loop *loop, struct loop_source *source, int fd,
	     uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = source };

	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		return -errno;
	source->fd = fd;
	source->events = events;
	return 0;
}

void loop_modify(struct loop *loop, struct loop_source *source, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = source };

	if (source->events == events)
		return;
	/* Cannot fail for a descriptor that is in the set. */
	epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, source->fd, &event);
	source->events = events;
}

void loop_remove(struct loop *loop, struct loop_source *source)
{
	if (source->fd < 0)
		return;
	epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
	source->fd = -1;
	for (unsigned int i = 0; i < loop->nr_pending; i++) {
		if (loop->pending[i] == source)
			loop->pending[i] = NULL;
	}
}

void loop_timer_cancel(struct loop *loop, struct loop_timer *timer)
{
	struct loop_timer **at = &loop->timers;

	while (*at && *at != timer)
		at = &(*at)->next;
	if (*at)
		*at = timer->next;
	timer->deadline_ns = 0;
}

void loop_timer_arm(struct loop *loop, struct loop_timer *timer,
		    uint64_t deadline_ns)
{
	struct loop_timer **at = &loop->timers;

	loop_timer_cancel(loop, timer);
	while (*at && (*at)->deadline_ns <= deadline_ns)
		at = &(*at)->next;
	timer->deadline_ns = deadline_ns;
	timer->next = *at;
	*at = timer;
}

/* Expires what is due.  Bounded, because a callback may arm a timer for now: it
 * must not hold the loop.
 */
static void run_timers(struct loop *loop)
{
	uint64_t now = loop->timers ? now_ns() : 0;

	for (unsigned int i = 0; i < TIMERS_PER_ROUND; i++) {
		struct loop_timer *timer = loop->timers;

		if (!timer || timer->deadline_ns > now)
			break;
		loop->timers = timer->next;
		timer->deadline_ns = 0;
		timer->expired(timer);
	}
}

/* Milliseconds to wait, rounded up so that a timer is due when we wake. */
static int wait_ms(const struct loop *loop, int timeout_ms)
{
	uint64_t now, ms;

	if (!loop->timers)
		return timeout_ms;
	now = now_ns();
	if (loop->timers->deadline_ns <= now)
		return 0;
	ms = (loop->timers->deadline_ns - now + 999999) / 1000000;
	ms = MIN(ms, 60000u);
	return timeout_ms < 0 ? (int)ms : MIN((int)ms, timeout_ms);
}

/* Polling. */

void loop_set_polling(struct loop *loop, uint64_t ns)
{
	loop->poll_ns = ns;
	loop->poll_score = -POLL_MISS;
}

bool loop_is_polling(const struct loop *loop)
{
	return loop->poll_score > 0;
}

void loop_watch(struct loop *loop, struct loop_poll *poll)
{
	if (poll->watched)
		return;
	poll->watched = true;
	poll->next = loop->polls;
	loop->polls = poll;
}

void loop_unwatch(struct loop *loop, struct loop_poll *poll)
{
	struct loop_poll **at = &loop->polls;

	while (*at && *at != poll)
		at = &(*at)->next;
	if (*at)
		*at = poll->next;
	poll->watched = false;
}

static void settle(struct loop *loop)
{
	while (loop->polls) {
		struct loop_poll *poll = loop->polls;

		loop_unwatch(loop, poll);
		poll->settle(poll);
	}
}

/* True when somebody who is watched had something to do. */
static bool look(struct loop *loop)
{
	bool found = false;

	for (struct loop_poll *poll = loop->polls; poll; poll = poll->next)
		found |= poll->look(poll);
	return found;
}

static void poll_score(struct loop *loop, int points)
{
	int score = loop->poll_score + points;

	loop->poll_score = MAX(MIN(score, POLL_MAX_SCORE), -POLL_MISS);
}

/* Looks around.  True when there was something: *N events, or work in memory,
 * which is done then.
 */
static bool poll_around(struct loop *loop, struct epoll_event *event, int max,
			int *n)
{
	uint64_t end = now_ns() + loop->poll_ns;
	bool found = false;

	if (loop->timers)
		end = MIN(end, loop->timers->deadline_ns);
	do {
		*n = epoll_wait(loop->epoll_fd, event, max, 0);
		for (unsigned int i = 0; *n == 0 && i < LOOKS_PER_ROUND; i++) {
			found = look(loop);
			if (found)
				break;
			cpu_relax();
		}
	} while (*n == 0 && !found && now_ns() < end);
	if (*n == 0 && !found) {
		counter_add(&loop->poll_misses, 1);
		poll_score(loop, -POLL_MISS);
		return false;
	}
	counter_add(&loop->poll_hits, 1);
	poll_score(loop, 1);
	return true;
}

/* Sleeps for up to MS milliseconds; returns what epoll_wait() does. */
static int poll_sleep(struct loop *loop, struct epoll_event *event, int max,
		      int ms)
{
	uint64_t start;
	int n;

	if (loop->poll_ns == 0 || ms == 0)
		return epoll_wait(loop->epoll_fd, event, max, ms);
	start = now_ns();
	n = epoll_wait(loop->epoll_fd, event, max, ms);
	poll_score(loop, now_ns() - start < loop->poll_ns ? 1 : -1);
	return n;
}

int loop_step(struct loop *loop, int timeout_ms)
{
	struct epoll_event event[ARRAY_SIZE(loop->pending)];
	int ms = wait_ms(loop, timeout_ms);
	int n = 0;

	if (ms == 0 || !loop_is_polling(loop) ||
	    !poll_around(loop, event, ARRAY_SIZE(event), &n)) {
		settle(loop);
		n = poll_sleep(loop, event, ARRAY_SIZE(event), ms);
	}
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	loop->nr_pending = (unsigned int)n;
	for (int i = 0; i < n; i++)
		loop->pending[i] = event[i].data.ptr;
	for (int i = 0; i < n; i++) {
		struct loop_source *source = loop->pending[i];

		if (source && !loop->stopped)
			source->ready(source, event[i].events);
	}
	loop->nr_pending = 0;
	if (!loop->stopped)
		run_timers(loop);
	return 0;
}

int loop_run(struct loop *loop)
{
	int ret = 0;

	while (ret == 0 && !loop->stopped)
		ret = loop_step(loop, -1);
	return ret;
}

void loop_stop(struct loop *loop)
{
	loop->stopped = true;
}
