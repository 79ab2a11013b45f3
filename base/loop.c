// SPDX-License-Identifier: Apache-2.0
/*
 * loop.c - epoll, with the source's address as cookie
 */
#include <errno.h>
#include <unistd.h>

#include <sys/epoll.h>

#include "base/loop.h"
#include "base/util.h"

#define TIMERS_PER_ROUND 16

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

int loop_step(struct loop *loop, int timeout_ms)
{
	struct epoll_event event[ARRAY_SIZE(loop->pending)];
	int n = epoll_wait(loop->epoll_fd, event, ARRAY_SIZE(event),
			   wait_ms(loop, timeout_ms));

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
