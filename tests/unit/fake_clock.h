// SPDX-License-Identifier: Apache-2.0
/*
 * fake_clock.h - CLOCK_MONOTONIC as a test sets it
 *
 * For one file of a test program: it defines clock_gettime() for all of it.
 * Nothing sleeps: a loop's timers are due when the test has said so.
 */
#ifndef MOTE_TESTS_FAKE_CLOCK_H
#define MOTE_TESTS_FAKE_CLOCK_H

#include <stdint.h>
#include <time.h>
#include <unistd.h>

#include <sys/syscall.h>

#define SECOND 1000000000ull

/* In ns; 0: the real one. */
static uint64_t fake_now;

int clock_gettime(clockid_t id, struct timespec *ts)
{
	if (fake_now == 0 || id != CLOCK_MONOTONIC)
		return (int)syscall(SYS_clock_gettime, id, ts);
	ts->tv_sec = (time_t)(fake_now / SECOND);
	ts->tv_nsec = (long)(fake_now % SECOND);
	return 0;
}

#endif
