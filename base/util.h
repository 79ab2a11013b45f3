// SPDX-License-Identifier: Apache-2.0
/*
 * util.h - the few macros and byte-order helpers that every file may use
 */
#ifndef MOTE_BASE_UTIL_H
#define MOTE_BASE_UTIL_H

#include <assert.h>
#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define container_of(ptr, type, member)                                        \
	((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

/* ALIGN must be a power of two.  ALIGN_UP wraps to 0 near the top of the type:
 * callers bound the value first.
 */
#define ALIGN_DOWN(x, align) ((x) & ~((__typeof__(x))(align)-1))
#define ALIGN_UP(x, align)   ALIGN_DOWN((x) + ((__typeof__(x))(align)-1), align)
#define IS_ALIGNED(x, align) (((x) & ((__typeof__(x))(align)-1)) == 0)

/* musl's <limits.h> has one that is signed. */
#undef PAGE_SIZE
#define PAGE_SIZE 4096u

#define KIB(n) ((uint64_t)(n) << 10)
#define MIB(n) ((uint64_t)(n) << 20)
#define GIB(n) ((uint64_t)(n) << 30)

/* Ours: libc's would make system calls that the seccomp filters do not allow,
 * before it says anything.  Prints a line and ends the process with status 134,
 * as abort(3) does in a shell; in base/log.c.
 */
__attribute__((noreturn)) void assertion_failed(const char *what,
						const char *file, int line);

#undef assert
#define assert(e) ((e) ? (void)0 : assertion_failed(#e, __FILE__, __LINE__))

/* printf-style checking for our own variadic functions. */
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	      "guest, files and host share one byte order");

/* Unaligned little-endian fields of files and guest structures. */
static inline uint16_t get_le16(const void *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint32_t get_le32(const void *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint64_t get_le64(const void *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline void put_le16(void *p, uint16_t v)
{
	memcpy(p, &v, sizeof(v));
}

static inline void put_le32(void *p, uint32_t v)
{
	memcpy(p, &v, sizeof(v));
}

static inline void put_le64(void *p, uint64_t v)
{
	memcpy(p, &v, sizeof(v));
}

/* CLOCK_MONOTONIC in nanoseconds; the one clock of marks and histograms. */
static inline uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

#endif
