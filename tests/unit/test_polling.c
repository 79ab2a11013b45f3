// SPDX-License-Identifier: Apache-2.0
/*
 * test_polling.c - the loop looks around before it sleeps, and queues are
 * looked at instead of being kicked
 */
#include <unistd.h>

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "base/util.h"
#include "tests/unit/echo_fixture.h"

#define LONG_NS 5000000000u /* no step of a test takes as long */

/* Somebody watched, and a source that is always ready. */
struct watched {
	struct loop_poll poll;
	struct loop_source source;
	struct loop_timer timer;
	unsigned int work; /* looks that will find something */
	unsigned int looks, settled, ready, expired;
};

static bool watched_look(struct loop_poll *poll)
{
	struct watched *w = container_of(poll, struct watched, poll);

	w->looks++;
	if (w->work == 0)
		return false;
	w->work--;
	return true;
}

static void watched_settle(struct loop_poll *poll)
{
	container_of(poll, struct watched, poll)->settled++;
}

static void watched_ready(struct loop_source *source, uint32_t events)
{
	(void)events;
	container_of(source, struct watched, source)->ready++;
}

static void watched_expired(struct loop_timer *timer)
{
	container_of(timer, struct watched, timer)->expired++;
}

static void begin(struct loop *loop, struct watched *w)
{
	*w = (struct watched){
		.poll = { .look = watched_look, .settle = watched_settle },
		.source = { .ready = watched_ready },
		.timer = { .expired = watched_expired },
	};
	ck_assert_int_eq(loop_init(loop), 0);
	ck_assert_int_eq(loop_add(loop, &w->source,
				  eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC),
				  EPOLLIN),
			 0);
}

static void end(struct loop *loop, struct watched *w)
{
	int bell = w->source.fd;

	loop_unwatch(loop, &w->poll);
	loop_remove(loop, &w->source);
	close(bell);
	loop_fini(loop);
}

/* Short sleeps, until the loop would rather look. */
static unsigned int steps_until_polling(struct loop *loop)
{
	unsigned int n = 0;

	for (; n < 1000 && !loop_is_polling(loop); n++)
		ck_assert_int_eq(loop_step(loop, -1), 0);
	return n;
}

/* Never, unless it was asked for. */
START_TEST(test_not_asked_for)
{
	struct watched w;
	struct loop loop;

	begin(&loop, &w);
	ck_assert_uint_eq(steps_until_polling(&loop), 1000);
	loop_set_polling(&loop, LONG_NS);
	ck_assert_uint_lt(steps_until_polling(&loop), 100);
	loop_set_polling(&loop, 0);
	ck_assert_uint_eq(steps_until_polling(&loop), 1000);
	end(&loop, &w);
}
END_TEST

/* Work in memory keeps the loop awake; a look in vain ends with settle, sleep,
 * and no looks for a while.
 */
START_TEST(test_looks)
{
	struct watched w;
	struct loop loop;

	begin(&loop, &w);
	loop_set_polling(&loop, LONG_NS);
	steps_until_polling(&loop);
	loop_modify(&loop, &w.source, 0);
	loop_watch(&loop, &w.poll);
	loop_watch(&loop, &w.poll); /* once is enough */
	w.work = 10;
	for (unsigned int i = 1; i <= 10; i++) {
		ck_assert_int_eq(loop_step(&loop, -1), 0);
		ck_assert_uint_eq(w.looks, i);
	}
	ck_assert_uint_eq(counter_get(&loop.poll_hits), 10);
	ck_assert_uint_eq(w.settled, 0);

	loop.poll_ns = 1000; /* so that a look in vain is short */
	for (unsigned int i = 1; loop_is_polling(&loop); i++) {
		loop_watch(&loop, &w.poll);
		ck_assert_int_eq(loop_step(&loop, 1), 0);
		ck_assert_uint_eq(w.settled, i);
		ck_assert_uint_eq(counter_get(&loop.poll_misses), i);
		ck_assert_uint_lt(i, 10);
	}
	ck_assert(!w.poll.watched);
	w.looks = 0;
	ck_assert_int_eq(loop_step(&loop, 1), 0);
	ck_assert_uint_eq(w.looks, 0);
	end(&loop, &w);
}
END_TEST

/* Sources do not wait for those who are watched, nor timers for looks. */
START_TEST(test_fair)
{
	struct watched w;
	struct loop loop;

	begin(&loop, &w);
	loop_set_polling(&loop, LONG_NS);
	steps_until_polling(&loop);
	loop_watch(&loop, &w.poll);
	w.work = UINT_MAX;
	w.ready = 0;
	for (unsigned int i = 0; i < 20; i++)
		ck_assert_int_eq(loop_step(&loop, -1), 0);
	ck_assert_uint_ge(w.ready, 10);

	w.work = 0;
	loop_modify(&loop, &w.source, 0);
	uint64_t start = now_ns();
	loop_timer_arm(&loop, &w.timer, start + 3000000);
	while (w.expired == 0)
		ck_assert_int_eq(loop_step(&loop, -1), 0);
	ck_assert_uint_lt(now_ns() - start, LONG_NS / 2);
	end(&loop, &w);
}
END_TEST

/* A step that must not wait does not look, and leaves nobody watched. */
START_TEST(test_no_wait)
{
	struct watched w;
	struct loop loop;

	begin(&loop, &w);
	loop_set_polling(&loop, LONG_NS);
	steps_until_polling(&loop);
	loop_watch(&loop, &w.poll);
	ck_assert_int_eq(loop_step(&loop, 0), 0);
	ck_assert_uint_eq(w.looks, 0);
	ck_assert_uint_eq(w.settled, 1);
	end(&loop, &w);
}
END_TEST

/* A loop that polls and whose looks in vain are as short as can be. */
static void poll_device(void)
{
	loop_set_polling(&fd.loop, 1);
	fd.loop.poll_score = 100;
}

/* One more chain; those that were used are free again. */
static void post_one(void)
{
	while (fd_used(&fd, 0, NULL, NULL))
		;
	post_echo(FD_DIRECT);
}

/* Of a queue that was kicked, the next chain needs no kick; when the loop goes
 * to sleep, the one after it does (virtio 1.2 §2.7.10).
 */
START_TEST(test_queue_is_watched)
{
	ck_assert(fd_start(&fd, FD_FEATURES));
	fd_run_loop(&fd);
	poll_device();
	post_one();
	ck_assert(fd_kick_wanted(&fd, 0, 1));
	fd_kick(&fd, 0);
	ck_assert_uint_eq(echo.echoed, 1);
	for (unsigned int i = 2; i <= 5; i++) {
		post_one();
		ck_assert(!fd_kick_wanted(&fd, 0, 1));
		ck_assert_int_eq(loop_step(&fd.loop, -1), 0);
		ck_assert_uint_eq(echo.echoed, i);
	}
	ck_assert_uint_eq(counter_get(&fd.vdev->looks), 4);
	ck_assert_uint_eq(counter_get(&fd.loop.poll_hits), 4);

	ck_assert_int_eq(loop_step(&fd.loop, 1), 0);
	ck_assert_uint_eq(counter_get(&fd.loop.poll_misses), 1);
	post_one();
	ck_assert(fd_kick_wanted(&fd, 0, 1));
	ck_assert_int_eq(loop_step(&fd.loop, 1), 0);
	ck_assert_uint_eq(echo.echoed, 5);
	fd_kick(&fd, 0);
	ck_assert_uint_eq(echo.echoed, 6);
}
END_TEST

/* What comes between the last look and the sleep is not left lying. */
START_TEST(test_nothing_is_lost)
{
	ck_assert(fd_start(&fd, FD_FEATURES));
	fd_run_loop(&fd);
	poll_device();
	post_one();
	fd_kick(&fd, 0);
	post_one();
	ck_assert(!fd_kick_wanted(&fd, 0, 1));
	loop_set_polling(&fd.loop, 0);
	ck_assert_int_eq(loop_step(&fd.loop, 1000), 0);
	ck_assert_uint_eq(echo.echoed, 2);
	ck_assert_uint_eq(counter_get(&fd.vdev->looks), 0);
}
END_TEST

/* A reset takes the queue away while it is watched; the next driver's queue is
 * not, until it is kicked.
 */
START_TEST(test_reset_while_watched)
{
	ck_assert(fd_start(&fd, FD_FEATURES));
	fd_run_loop(&fd);
	poll_device();
	post_one();
	fd_kick(&fd, 0);
	ck_assert(fd.vdev->doorbell[0].poll.watched);
	fd_reset(&fd);
	ck_assert_int_eq(loop_step(&fd.loop, 1), 0);
	poll_device();
	ck_assert(fd_start(&fd, FD_FEATURES));
	loop_set_polling(&fd.loop, 0);
	fd_run_loop(&fd);
	post_one();
	ck_assert(fd_kick_wanted(&fd, 0, 1));
}
END_TEST

/* A ring that is broken while it is watched is found out, once. */
START_TEST(test_broken_while_watched)
{
	ck_assert(fd_start(&fd, FD_FEATURES));
	fd_run_loop(&fd);
	poll_device();
	post_one();
	fd_kick(&fd, 0);
	fd_avail_ring(&fd, 0)->idx += 1000;
	ck_assert_int_eq(loop_step(&fd.loop, 1), 0);
	ck_assert(fd.vdev->status & VIRTIO_CONFIG_S_NEEDS_RESET);
	ck_assert_uint_eq(counter_get(&fd.vdev->resets_needed), 1);
	for (unsigned int i = 0; i < 10; i++)
		ck_assert_int_eq(loop_step(&fd.loop, 1), 0);
	ck_assert_uint_eq(counter_get(&fd.vdev->looks), 1);
	ck_assert_uint_eq(counter_get(&fd.vdev->resets_needed), 1);
}
END_TEST

/* Work that the device does not take now is not work at every look. */
START_TEST(test_once)
{
	struct virtqueue *vq = &fd.vdev->vq[0];
	struct chain c;

	ck_assert(fd_start(&fd, FD_FEATURES));
	vq->watched = true;
	ck_assert(!virtq_look(vq));
	ck_assert_int_eq(virtq_pop(vq, &c), 0);
	ck_assert(!virtq_look(vq));
	post_one();
	ck_assert(virtq_look(vq));
	ck_assert(!virtq_look(vq));
	ck_assert(!virtq_settle(vq));
	ck_assert_int_eq(virtq_pop(vq, &c), 1);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("polling");
	TCase *loops = tcase_create("loop");
	TCase *queues = tcase_create("queue");

	tcase_add_test(loops, test_not_asked_for);
	tcase_add_test(loops, test_looks);
	tcase_add_test(loops, test_fair);
	tcase_add_test(loops, test_no_wait);
	suite_add_tcase(s, loops);
	tcase_add_checked_fixture(queues, setup, teardown);
	tcase_add_test(queues, test_queue_is_watched);
	tcase_add_test(queues, test_nothing_is_lost);
	tcase_add_test(queues, test_reset_while_watched);
	tcase_add_test(queues, test_broken_while_watched);
	tcase_add_test(queues, test_once);
	suite_add_tcase(s, queues);
	return s;
}

UNIT_MAIN(suite)
