// SPDX-License-Identifier: Apache-2.0
/*
 * fortify.c - entry points of glibc that Debian's libraries were compiled for
 *
 * Their callers are compiled with _FORTIFY_SOURCE and say how big the buffer
 * is; musl, which mote is linked with, has only the plain functions.  The check
 * is done here, as glibc does it: a caller that is wrong ends the process.
 */
#ifndef __GLIBC__
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

int __vsnprintf_chk(char *s, size_t n, int flag, size_t room, const char *fmt,
		    va_list ap) PRINTF_LIKE(5, 0);
int __snprintf_chk(char *s, size_t n, int flag, size_t room, const char *fmt,
		   ...) PRINTF_LIKE(5, 6);
char *__strncpy_chk(char *to, const char *from, size_t n, size_t room);

int __vsnprintf_chk(char *s, size_t n, int flag, size_t room, const char *fmt,
		    va_list ap)
{
	(void)flag; /* %n needs a literal format: ours and jansson's are */
	if (n > room)
		abort();
	return vsnprintf(s, n, fmt, ap);
}

int __snprintf_chk(char *s, size_t n, int flag, size_t room, const char *fmt,
		   ...)
{
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = __vsnprintf_chk(s, n, flag, room, fmt, ap);
	va_end(ap);
	return len;
}

char *__strncpy_chk(char *to, const char *from, size_t n, size_t room)
{
	if (n > room)
		abort();
	return strncpy(to, from, n);
}
#endif
