// SPDX-License-Identifier: Apache-2.0
/*
 * log.h - what the monitor says about itself, on stderr
 *
 * One line a call, prefixed "mote: ", in one write(2).  Nothing the guest does
 * may be logged without a limiter: log_guest() carries one per call site and
 * counts what it swallows.  Nor may it wait: a pipe that nobody reads fills up
 * in minutes, and would then hold the loop.
 */
#ifndef MOTE_BASE_LOG_H
#define MOTE_BASE_LOG_H

#include <stdint.h>

#include "base/util.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO };

/* Lines above LEVEL are dropped; LOG_WARN unless told otherwise.  Before any
 * other thread is started.
 */
void log_set_level(enum log_level level);

/* How a line ends: "\r\n" while the terminal is in raw mode.  Any thread,
 * and in a signal handler.
 */
void log_set_raw(int raw);

/* Waits for room, but not for ever: two seconds, then the line is lost. */
void log_line(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);

#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_line(LOG_INFO, __VA_ARGS__)

/* Ten lines in five seconds for each call site, from any thread. */
struct log_limit {
	_Atomic uint64_t window_ns; /* start of the current five seconds */
	_Atomic uint32_t lines;
	_Atomic uint64_t swallowed; /* ever */
};

/* True when the caller may print one more line. */
int log_limit_pass(struct log_limit *limit);

/* A warning within LIMIT.  Does not wait: without room on stderr the line is
 * swallowed as well.
 */
void log_guest_line(struct log_limit *limit, const char *fmt, ...)
	PRINTF_LIKE(2, 3);

#define log_guest(...)                                                         \
	do {                                                                   \
		static struct log_limit site_limit;                            \
		log_guest_line(&site_limit, __VA_ARGS__);                      \
	} while (0)

/* Text of an errno value (or of -errno), without locale or allocation. */
const char *log_errno(int err);

/* Has RESTORE called before an assertion that failed ends the process. */
void log_set_last_act(void (*restore)(void));

#endif
