// SPDX-License-Identifier: Apache-2.0
/*
 * log.c - one line, one write(2)
 *
 * Standard error is shared with others, so O_NONBLOCK is not ours to set.  A
 * pipe or terminal that poll(2) calls writable takes a line without blocking,
 * unless another writer is quicker.
 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"

#define STATUS_ABORTED 134 /* 128 + SIGABRT */
#define LOG_WINDOW_NS  5000000000u
#define LOG_WINDOW_MAX 10
#define LOG_WAIT_MS    2000

/* Process-wide by nature: there is one stderr. */
static enum log_level log_level = LOG_WARN;
static _Atomic int log_raw;
static void (*log_last_act)(void);

void log_set_level(enum log_level level)
{
	log_level = level;
}

void log_set_last_act(void (*restore)(void))
{
	log_last_act = restore;
}

void assertion_failed(const char *what, const char *file, int line)
{
	log_error("%s:%d: this cannot be: not %s", file, line, what);
#ifdef MOTE_SANITIZED
	abort();
#endif
	if (log_last_act)
		log_last_act();
	_exit(STATUS_ABORTED);
}

void log_set_raw(int raw)
{
	log_raw = raw;
}

/* Whether a line can be written, or an error had. */
static bool log_has_room(int wait_ms)
{
	int n;

	do {
		n = fd_wait(STDERR_FILENO, POLLOUT, wait_ms);
	} while (n < 0 && errno == EINTR);
	return n > 0;
}

/* One line.  False when it could not be written: nobody to tell then. */
__attribute__((format(printf, 2, 0))) static bool
log_put(int wait_ms, const char *fmt, va_list args)
{
	static const char prefix[] = "mote: ";
	char line[512];
	size_t len = sizeof(prefix) - 1;
	int saved_errno = errno;
	bool written;
	int n;

	memcpy(line, prefix, len);
	n = vsnprintf(line + len, sizeof(line) - len - 2, fmt, args);
	if (n > 0)
		len += MIN((size_t)n, sizeof(line) - len - 3);
	if (log_raw)
		line[len++] = '\r';
	line[len++] = '\n';
	written = log_has_room(wait_ms) && write(STDERR_FILENO, line, len) >= 0;
	errno = saved_errno;
	return written;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	va_list args;

	if (level > log_level)
		return;
	va_start(args, fmt);
	log_put(LOG_WAIT_MS, fmt, args);
	va_end(args);
}

void log_guest_line(struct log_limit *limit, const char *fmt, ...)
{
	va_list args;

	if (LOG_WARN > log_level || !log_limit_pass(limit))
		return;
	va_start(args, fmt);
	if (!log_put(0, fmt, args))
		limit->swallowed++;
	va_end(args);
}

int log_limit_pass(struct log_limit *limit)
{
	uint64_t now = now_ns();
	uint64_t start = limit->window_ns;

	/* Races between threads cost a line more or less, no more. */
	if (now - start > LOG_WINDOW_NS || start == 0) {
		limit->window_ns = now;
		limit->lines = 0;
	}
	if (limit->lines++ < LOG_WINDOW_MAX)
		return 1;
	limit->swallowed++;
	return 0;
}

const char *log_errno(int err)
{
	err = err < 0 ? -err : err;
#ifdef __GLIBC__
	/* Its strerror() translates, allocates and is not for threads. */
	const char *text = strerrordesc_np(err);

	return text ? text : "unknown error";
#else
	return strerror(err);
#endif
}
