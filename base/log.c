// SPDX-License-Identifier: Apache-2.0
/*
 * log.c - one line, one write(2)
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

#define LOG_WINDOW_NS  5000000000u
#define LOG_WINDOW_MAX 10

/* Process-wide by nature: there is one stderr. */
static enum log_level log_level = LOG_WARN;
static _Atomic int log_raw;

void log_set_level(enum log_level level)
{
	log_level = level;
}

void log_set_raw(int raw)
{
	log_raw = raw;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	static const char prefix[] = "mote: ";
	char line[512];
	size_t len = sizeof(prefix) - 1;
	int saved_errno = errno;
	va_list args;
	int n;

	if (level > log_level)
		return;
	memcpy(line, prefix, len);
	va_start(args, fmt);
	n = vsnprintf(line + len, sizeof(line) - len - 2, fmt, args);
	va_end(args);
	if (n > 0)
		len += MIN((size_t)n, sizeof(line) - len - 3);
	if (log_raw)
		line[len++] = '\r';
	line[len++] = '\n';
	/* Nobody to tell when stderr is gone. */
	if (write(STDERR_FILENO, line, len) < 0)
		errno = saved_errno;
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
	const char *text = strerrordesc_np(err < 0 ? -err : err);

	return text ? text : "unknown error";
}
