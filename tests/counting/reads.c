// SPDX-License-Identifier: Apache-2.0
/*
 * reads.c - what the instrumented code calls (see the header)
 *
 * The functions are those of LLVM's ThreadSanitizer pass, for the sizes and
 * atomics that occur; one that is missing fails the link.
 */
#include <string.h>

#include <sys/socket.h>
#include <sys/uio.h>

#include "tests/counting/reads.h"

static struct {
	const uint8_t *ram;
	size_t size;
	uint8_t count[READS_MAX];
	uint32_t touched[READS_MAX]; /* offsets that were read */
	size_t nr_touched;
} reads;

void reads_begin(const void *ram, size_t size)
{
	while (reads.nr_touched > 0)
		reads.count[reads.touched[--reads.nr_touched]] = 0;
	reads.ram = ram;
	reads.size = size;
}

void reads_end(void)
{
	reads.ram = NULL;
}

unsigned int reads_of(size_t offset)
{
	return reads.count[offset];
}

size_t reads_touched(const uint32_t **offset)
{
	*offset = reads.touched;
	return reads.nr_touched;
}

static void count(const void *addr, size_t len)
{
	const uint8_t *p = addr;

	if (!reads.ram)
		return;
	for (size_t i = 0; i < len; i++) {
		size_t at = (size_t)(p + i - reads.ram);

		if (p + i < reads.ram || at >= reads.size)
			continue;
		if (reads.count[at] == 0)
			reads.touched[reads.nr_touched++] = (uint32_t)at;
		reads.count[at] += reads.count[at] < UINT8_MAX;
	}
}

static void count_iov(const struct iovec *iov, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		count(iov[i].iov_base, iov[i].iov_len);
}

/* NOLINTBEGIN: names are the compiler's */
#define ACCESS(bytes)                                                          \
	void __tsan_read##bytes(const void *p);                                \
	void __tsan_write##bytes(void *p);                                     \
	void __tsan_unaligned_read##bytes(const void *p);                      \
	void __tsan_unaligned_write##bytes(void *p);                           \
	void __tsan_read_write##bytes(void *p);                                \
	void __tsan_unaligned_read_write##bytes(void *p);                      \
	void __tsan_read##bytes(const void *p)                                 \
	{                                                                      \
		count(p, bytes);                                               \
	}                                                                      \
	void __tsan_write##bytes(void *p)                                      \
	{                                                                      \
		(void)p;                                                       \
	}                                                                      \
	void __tsan_unaligned_read##bytes(const void *p)                       \
	{                                                                      \
		count(p, bytes);                                               \
	}                                                                      \
	void __tsan_unaligned_write##bytes(void *p)                            \
	{                                                                      \
		(void)p;                                                       \
	}                                                                      \
	void __tsan_read_write##bytes(void *p)                                 \
	{                                                                      \
		count(p, bytes);                                               \
	}                                                                      \
	void __tsan_unaligned_read_write##bytes(void *p)                       \
	{                                                                      \
		count(p, bytes);                                               \
	}
ACCESS(1)
ACCESS(2)
ACCESS(4)
ACCESS(8)
ACCESS(16)

#define ATOMIC(bits)                                                           \
	uint##bits##_t __tsan_atomic##bits##_load(                             \
		const volatile uint##bits##_t *p, int order);                  \
	void __tsan_atomic##bits##_store(volatile uint##bits##_t *p,           \
					 uint##bits##_t v, int order);         \
	uint##bits##_t __tsan_atomic##bits##_load(                             \
		const volatile uint##bits##_t *p, int order)                   \
	{                                                                      \
		(void)order;                                                   \
		count((const void *)(uintptr_t)p, sizeof(*p));                 \
		return __atomic_load_n(p, __ATOMIC_SEQ_CST);                   \
	}                                                                      \
	void __tsan_atomic##bits##_store(volatile uint##bits##_t *p,           \
					 uint##bits##_t v, int order)          \
	{                                                                      \
		(void)order;                                                   \
		__atomic_store_n(p, v, __ATOMIC_SEQ_CST);                      \
	}
ATOMIC(8)
ATOMIC(16)
ATOMIC(32)
ATOMIC(64)

#define CHANGE(bits, name)                                                     \
	uint##bits##_t __tsan_atomic##bits##_##name(                           \
		volatile uint##bits##_t *p, uint##bits##_t v, int order);      \
	uint##bits##_t __tsan_atomic##bits##_##name(                           \
		volatile uint##bits##_t *p, uint##bits##_t v, int order)       \
	{                                                                      \
		(void)order;                                                   \
		count((const void *)(uintptr_t)p, sizeof(*p));                 \
		return __atomic_##name(p, v, __ATOMIC_SEQ_CST);                \
	}
#define __atomic_exchange __atomic_exchange_n
CHANGE(8, exchange)
CHANGE(32, exchange)
CHANGE(32, fetch_or)
CHANGE(32, fetch_and)
CHANGE(32, fetch_add)
CHANGE(64, fetch_add)

void __tsan_init(void);
void __tsan_init(void)
{
}

void __tsan_func_entry(void *pc);
void __tsan_func_entry(void *pc)
{
	(void)pc;
}

void __tsan_func_exit(void);
void __tsan_func_exit(void)
{
}

void __tsan_atomic_thread_fence(int order);
void __tsan_atomic_thread_fence(int order)
{
	(void)order;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* The linker's --wrap: calls of NAME come to __wrap_NAME. */
#define WRAP(type, name, args, call, counted)                                  \
	type __real_##name args;                                               \
	type __wrap_##name args;                                               \
	type __wrap_##name args                                                \
	{                                                                      \
		counted;                                                       \
		return __real_##name call;                                     \
	}

WRAP(void *, memcpy, (void *d, const void *s, size_t n), (d, s, n), count(s, n))
WRAP(void *, memmove, (void *d, const void *s, size_t n), (d, s, n),
     count(s, n))
WRAP(int, memcmp, (const void *a, const void *b, size_t n), (a, b, n),
     (count(a, n), count(b, n)))
WRAP(void *, memchr, (const void *s, int c, size_t n), (s, c, n), count(s, n))
WRAP(ssize_t, write, (int fd, const void *s, size_t n), (fd, s, n), count(s, n))
WRAP(ssize_t, pwrite, (int fd, const void *s, size_t n, off_t at),
     (fd, s, n, at), count(s, n))
WRAP(ssize_t, send, (int fd, const void *s, size_t n, int flags),
     (fd, s, n, flags), count(s, n))
WRAP(ssize_t, writev, (int fd, const struct iovec *v, int n), (fd, v, n),
     count_iov(v, (size_t)n))
WRAP(ssize_t, pwritev, (int fd, const struct iovec *v, int n, off_t at),
     (fd, v, n, at), count_iov(v, (size_t)n))
WRAP(ssize_t, sendmsg, (int fd, const struct msghdr *m, int flags),
     (fd, m, flags), count_iov(m->msg_iov, m->msg_iovlen))
/* NOLINTEND */
