// SPDX-License-Identifier: Apache-2.0
/*
 * host_io.h - a test's own preadv2(2) and pwritev2(2) between disk and kernel
 *
 * Disks call them through syscall(3): this program's own syscall() hands them,
 * when they have no flags, to what the test defines.
 */
#ifndef MOTE_TESTS_HOST_IO_H
#define MOTE_TESTS_HOST_IO_H

#include <errno.h>
#include <stdarg.h>

#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>

static ssize_t host_preadv(int fd, const struct iovec *iov, int nr, off_t off);
static ssize_t host_pwritev(int fd, const struct iovec *iov, int nr, off_t off);

static inline long kernel(long call, const long arg[6])
{
	register long r10 __asm__("r10") = arg[3];
	register long r8 __asm__("r8") = arg[4];
	register long r9 __asm__("r9") = arg[5];
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(call), "D"(arg[0]), "S"(arg[1]), "d"(arg[2]),
			   "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	if (ret >= 0 || ret < -4095)
		return ret;
	errno = (int)-ret;
	return -1;
}

long syscall(long call, ...)
{
	long arg[6];
	va_list args;

	va_start(args, call);
	for (int i = 0; i < 6; i++)
		arg[i] = va_arg(args, long);
	va_end(args);
	if (call == SYS_preadv2 && (int)arg[5] == 0)
		return host_preadv((int)arg[0], (const struct iovec *)arg[1],
				   (int)arg[2], arg[3]);
	if (call == SYS_pwritev2 && (int)arg[5] == 0)
		return host_pwritev((int)arg[0], (const struct iovec *)arg[1],
				    (int)arg[2], arg[3]);
	return kernel(call, arg);
}

#endif
