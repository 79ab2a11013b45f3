// SPDX-License-Identifier: Apache-2.0
/*
 * test_log.c - a standard error that nobody reads
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "tests/unit/unit.h"

static int saved, pipefd[2];

/* Makes a full pipe our standard error. */
static void set_up(void)
{
	char page[4096];
	int flags;

	memset(page, '.', sizeof(page));
	ck_assert_int_eq(pipe(pipefd), 0);
	flags = fcntl(pipefd[1], F_GETFL);
	fcntl(pipefd[1], F_SETFL, flags | O_NONBLOCK);
	while (write(pipefd[1], page, sizeof(page)) > 0)
		;
	fcntl(pipefd[1], F_SETFL, flags);
	saved = dup(STDERR_FILENO);
	dup2(pipefd[1], STDERR_FILENO);
}

static void tear_down(void)
{
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(pipefd[0]);
	close(pipefd[1]);
}

/* A reader who comes after SECONDS, or when it is told to. */
static struct reader {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	time_t seconds;
	bool enough, came;
} reader = { .lock = PTHREAD_MUTEX_INITIALIZER,
	     .changed = PTHREAD_COND_INITIALIZER };

static void *read_late(void *arg)
{
	char page[4096];
	struct timespec until;

	(void)arg;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += reader.seconds;
	pthread_mutex_lock(&reader.lock);
	while (!reader.enough &&
	       pthread_cond_timedwait(&reader.changed, &reader.lock, &until) ==
		       0)
		;
	reader.came = true;
	pthread_mutex_unlock(&reader.lock);
	ck_assert_int_gt(read(pipefd[0], page, sizeof(page)), 0);
	ck_assert_int_gt(read(pipefd[0], page, sizeof(page)), 0);
	return NULL;
}

static void start_reader(time_t seconds)
{
	reader.seconds = seconds;
	reader.enough = false;
	reader.came = false;
	ck_assert_int_eq(pthread_create(&reader.thread, NULL, read_late, NULL),
			 0);
}

/* Whether the reader came by itself. */
static bool stop_reader(void)
{
	bool came;

	pthread_mutex_lock(&reader.lock);
	came = reader.came;
	reader.enough = true;
	pthread_cond_signal(&reader.changed);
	pthread_mutex_unlock(&reader.lock);
	pthread_join(reader.thread, NULL);
	return came;
}

/* What a guest provokes is dropped at once: it must not hold the loop or a
 * device's lock until somebody reads.
 */
START_TEST(guest_lines_do_not_wait)
{
	struct log_limit limit = { 0 };

	start_reader(3);
	for (int i = 0; i < 5; i++)
		log_guest_line(&limit, "line %d", i);
	ck_assert(!stop_reader());
	ck_assert_uint_eq(limit.swallowed, 5);
	log_guest_line(&limit, "there is room now");
	ck_assert_uint_eq(limit.swallowed, 5);
}
END_TEST

/* What we have to say waits, */
START_TEST(other_lines_wait)
{
	char all[1 << 17];
	ssize_t n = 0, got;

	start_reader(0);
	log_error("the end");
	ck_assert(stop_reader());
	dup2(saved, STDERR_FILENO);
	close(pipefd[1]);
	while ((got = read(pipefd[0], all + n, sizeof(all) - (size_t)n)) > 0)
		n += got;
	ck_assert_int_gt(n, 14);
	ck_assert_int_eq(memcmp(all + n - 14, "mote: the end\n", 14), 0);
}
END_TEST

/* but not for ever. */
START_TEST(other_lines_do_not_wait_for_ever)
{
	start_reader(30);
	log_error("the end");
	ck_assert(!stop_reader());
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("log");
	TCase *tc = tcase_create("log");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, guest_lines_do_not_wait);
	tcase_add_test(tc, other_lines_wait);
	tcase_add_test(tc, other_lines_do_not_wait_for_ever);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
