// SPDX-License-Identifier: Apache-2.0
/*
 * test_base.c - bus, loop, fifo, telemetry, log limiter
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <sys/epoll.h>

#include "base/bus.h"
#include "base/fifo.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/telemetry.h"
#include "tests/unit/unit.h"

struct probe {
	struct bus_target target;
	unsigned int reads, writes;
	uint64_t offset;
};

static void probe_read(struct bus_target *t, uint64_t off, void *data,
		       unsigned int len)
{
	struct probe *p = container_of(t, struct probe, target);

	p->reads++;
	p->offset = off;
	memset(data, 0x5a, len);
}

static void probe_write(struct bus_target *t, uint64_t off, const void *data,
			unsigned int len)
{
	struct probe *p = container_of(t, struct probe, target);

	(void)data;
	(void)len;
	p->writes++;
	p->offset = off;
}

#define PROBE                                                                  \
	{                                                                      \
		.target = { probe_read, probe_write }                          \
	}

START_TEST(bus_ranges)
{
	struct probe a = PROBE, b = PROBE, c = PROBE;
	struct bus bus = { 0 };

	ck_assert_int_eq(bus_add(&bus, 0x2000, 0x1000, &b.target), 0);
	ck_assert_int_eq(bus_add(&bus, 0x1000, 0x1000, &a.target), 0);
	ck_assert_int_eq(bus_add(&bus, 0x4000, 1, &c.target), 0);
	ck_assert_int_eq(bus_add(&bus, 0x1fff, 1, &c.target), -EEXIST);
	ck_assert_int_eq(bus_add(&bus, 0x0, 0x1001, &c.target), -EEXIST);
	ck_assert_int_eq(bus_add(&bus, 0x3fff, 2, &c.target), -EEXIST);
	ck_assert_int_eq(bus_add(&bus, 0x5000, 0, &c.target), -EINVAL);
	ck_assert_int_eq(bus_add(&bus, UINT64_MAX, 2, &c.target), -EINVAL);
	ck_assert_int_eq(bus_add(&bus, UINT64_MAX, 1, &c.target), 0);

	static const struct {
		uint64_t addr;
		unsigned int len;
		int who; /* 0: nobody */
		uint64_t off;
	} access[] = {
		{ 0xfff, 1, 0, 0 },	 { 0x1000, 4, 1, 0 },
		{ 0x1ffc, 4, 1, 0xffc }, { 0x1ffd, 4, 0, 0 },
		{ 0x2000, 8, 2, 0 },	 { 0x2fff, 1, 2, 0xfff },
		{ 0x2fff, 2, 0, 0 },	 { 0x3000, 1, 0, 0 },
		{ 0x4000, 1, 3, 0 },	 { 0x4000, 2, 0, 0 },
		{ UINT64_MAX, 1, 3, 0 }, { UINT64_MAX, 8, 0, 0 },
	};
	struct probe *who[] = { NULL, &a, &b, &c };

	for (size_t i = 0; i < ARRAY_SIZE(access); i++) {
		uint64_t data = 0;
		struct probe *p = who[access[i].who];
		unsigned int before = p ? p->reads : 0;

		ck_assert_int_eq(bus_read(&bus, access[i].addr, &data,
					  access[i].len),
				 p != NULL);
		ck_assert_uint_eq(data & 0xff, p ? 0x5a : 0xff);
		if (access[i].len < 8) /* not a byte more than asked for */
			ck_assert_uint_eq(data >> (8 * access[i].len), 0);
		ck_assert_int_eq(bus_write(&bus, access[i].addr, &data,
					   access[i].len),
				 p != NULL);
		if (p) {
			ck_assert_uint_eq(p->reads, before + 1);
			ck_assert_uint_eq(p->offset, access[i].off);
		}
	}
}
END_TEST

START_TEST(bus_full)
{
	struct probe p = PROBE;
	struct bus bus = { 0 };

	for (uint64_t i = 0; i < BUS_MAX_RANGES; i++)
		ck_assert_int_eq(bus_add(&bus, i * 16, 16, &p.target), 0);
	ck_assert_int_eq(bus_add(&bus, 1 << 20, 1, &p.target), -ENOSPC);
}
END_TEST

START_TEST(fifo_wraps)
{
	char store[5], out[8];
	struct fifo f;
	size_t len;

	fifo_init(&f, store, sizeof(store));
	ck_assert_uint_eq(fifo_put(&f, "abc", 3), 3);
	ck_assert_uint_eq(fifo_get(&f, out, 2), 2);
	ck_assert_uint_eq(fifo_put(&f, "defghi", 6), 4);
	ck_assert_uint_eq(fifo_room(&f), 0);
	ck_assert_uint_eq(fifo_put(&f, "x", 1), 0);
	fifo_peek(&f, &len);
	ck_assert_uint_eq(len, 3); /* c d e, then the wrap */
	ck_assert_uint_eq(fifo_get(&f, out, sizeof(out)), 5);
	ck_assert_int_eq(memcmp(out, "cdefg", 5), 0);
	ck_assert_uint_eq(fifo_get(&f, out, 1), 0);
}
END_TEST

START_TEST(histogram_buckets)
{
	struct histogram h = { 0 };

	ck_assert_uint_eq(histogram_percentile(&h, 50), 0);
	histogram_add(&h, 0);
	histogram_add(&h, 1);
	histogram_add(&h, 2);
	histogram_add(&h, 3);
	histogram_add(&h, 4);
	histogram_add(&h, UINT64_MAX);
	ck_assert_uint_eq(h.bucket[0], 2);
	ck_assert_uint_eq(h.bucket[1], 2);
	ck_assert_uint_eq(h.bucket[2], 1);
	ck_assert_uint_eq(h.bucket[HISTOGRAM_BUCKETS - 1], 1);
	ck_assert_uint_eq(h.count, 6);
	ck_assert_uint_eq(h.max, UINT64_MAX);
	ck_assert_uint_eq(histogram_percentile(&h, 50), 3);
	ck_assert_uint_eq(histogram_percentile(&h, 100), UINT64_MAX);
}
END_TEST

/* V25: ten lines in five seconds, the rest is counted */
START_TEST(log_limited)
{
	struct log_limit limit = { 0 };
	int passed = 0;

	for (int i = 0; i < 1000; i++)
		passed += log_limit_pass(&limit);
	ck_assert_int_eq(passed, 10);
	ck_assert_uint_eq(limit.swallowed, 990);
	limit.window_ns -= 6000000000u; /* six seconds ago */
	ck_assert(log_limit_pass(&limit));
}
END_TEST

/* One line, one prefix, one end, however long the text is. */
START_TEST(log_one_line)
{
	char text[2000], got[4096];
	int saved = dup(STDERR_FILENO), pipefd[2];
	ssize_t n;

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	ck_assert_int_eq(pipe(pipefd), 0);
	dup2(pipefd[1], STDERR_FILENO);
	log_error("%s", text);
	log_info("never");
	dup2(saved, STDERR_FILENO);
	n = read(pipefd[0], got, sizeof(got));
	ck_assert_int_gt(n, 100);
	ck_assert_int_le(n, 512);
	ck_assert_int_eq(memcmp(got, "mote: xxx", 9), 0);
	ck_assert_ptr_eq(memchr(got, '\n', (size_t)n), got + n - 1);
	close(pipefd[0]);
	close(pipefd[1]);
	close(saved);
}
END_TEST

struct counting {
	struct loop_source source;
	struct loop_timer timer;
	struct loop *loop;
	struct counting *victim;
	unsigned int calls;
};

static void count_ready(struct loop_source *s, uint32_t events)
{
	struct counting *c = container_of(s, struct counting, source);

	(void)events;
	c->calls++;
	if (c->victim)
		loop_remove(c->loop, &c->victim->source);
}

static void count_expired(struct loop_timer *t)
{
	struct counting *c = container_of(t, struct counting, timer);

	c->calls++;
	if (c->victim)
		loop_timer_cancel(c->loop, &c->victim->timer);
	loop_timer_arm(c->loop, t, 1); /* due for ever */
}

/* Of two sources that are both ready, the first to run removes the other: the
 * other's callback must not come any more.
 */
START_TEST(loop_remove_pending)
{
	struct loop loop;
	int p[2], q[2];

	ck_assert_int_eq(loop_init(&loop), 0);
	struct counting a = { .source.ready = count_ready, .loop = &loop };
	struct counting b = { .source.ready = count_ready, .loop = &loop };

	a.victim = &b;
	b.victim = &a;
	ck_assert_int_eq(pipe(p), 0);
	ck_assert_int_eq(pipe(q), 0);
	ck_assert_int_eq(loop_add(&loop, &a.source, p[0], EPOLLIN), 0);
	ck_assert_int_eq(loop_add(&loop, &b.source, q[0], EPOLLIN), 0);
	ck_assert_int_eq(write(p[1], "x", 1), 1);
	ck_assert_int_eq(write(q[1], "x", 1), 1);
	ck_assert_int_eq(loop_step(&loop, 0), 0);
	ck_assert_uint_eq(a.calls + b.calls, 1);
	ck_assert_int_eq(loop_step(&loop, 0), 0);
	ck_assert_uint_eq(a.calls + b.calls, 2);
	for (int i = 0; i < 2; i++) {
		close(p[i]);
		close(q[i]);
	}
	loop_fini(&loop);
}
END_TEST

START_TEST(loop_events)
{
	struct loop loop;
	int p[2], fd = open("/proc/self/exe", O_RDONLY);

	ck_assert_int_eq(loop_init(&loop), 0);
	struct counting a = { .source.ready = count_ready, .loop = &loop };

	ck_assert_int_eq(loop_add(&loop, &a.source, fd, EPOLLIN), -EPERM);
	ck_assert_int_eq(pipe(p), 0);
	ck_assert_int_eq(loop_add(&loop, &a.source, p[0], EPOLLIN), 0);
	ck_assert_int_eq(write(p[1], "x", 1), 1);
	loop_modify(&loop, &a.source, 0);
	ck_assert_int_eq(loop_step(&loop, 0), 0);
	ck_assert_uint_eq(a.calls, 0);
	loop_modify(&loop, &a.source, EPOLLIN);
	ck_assert_int_eq(loop_step(&loop, 0), 0);
	ck_assert_uint_eq(a.calls, 1);
	loop_remove(&loop, &a.source);
	loop_remove(&loop, &a.source);
	ck_assert_int_eq(loop_step(&loop, 0), 0);
	ck_assert_uint_eq(a.calls, 1);
	close(p[0]);
	close(p[1]);
	close(fd);
	loop_fini(&loop);
}
END_TEST

START_TEST(loop_timers)
{
	struct loop loop;

	ck_assert_int_eq(loop_init(&loop), 0);
	struct counting a = { .timer.expired = count_expired, .loop = &loop };
	struct counting b = { .timer.expired = count_expired, .loop = &loop };

	a.victim = &b;
	loop_timer_arm(&loop, &b.timer, now_ns() + 1000000);
	loop_timer_arm(&loop, &a.timer, 1);
	ck_assert_int_eq(loop_step(&loop, -1), 0);
	/* a cancelled b before it was due; it re-arms itself, which is bounded
	 * in each round
	 */
	ck_assert_uint_eq(b.calls, 0);
	ck_assert_uint_gt(a.calls, 0);
	ck_assert_uint_lt(a.calls, 100);
	loop_timer_cancel(&loop, &a.timer);
	ck_assert_ptr_null(loop.timers);
	loop_timer_arm(&loop, &b.timer, now_ns() + 2000000);
	b.calls = 0;
	while (b.calls == 0)
		ck_assert_int_eq(loop_step(&loop, -1), 0);
	loop_fini(&loop);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("base");
	TCase *tc = tcase_create("base");

	tcase_add_test(tc, bus_ranges);
	tcase_add_test(tc, bus_full);
	tcase_add_test(tc, fifo_wraps);
	tcase_add_test(tc, histogram_buckets);
	tcase_add_test(tc, log_limited);
	tcase_add_test(tc, log_one_line);
	tcase_add_test(tc, loop_remove_pending);
	tcase_add_test(tc, loop_events);
	tcase_add_test(tc, loop_timers);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
