// SPDX-License-Identifier: Apache-2.0
/*
 * fd.c - descriptors with numbers of their own
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <sys/eventfd.h>
#include <sys/resource.h>

#include "base/fd.h"
#include "base/util.h"

#define IS_BAND(first, count)                                                  \
	(((count) & ((count)-1)) == 0 && (first) % (count) == 0)

static_assert(IS_BAND(FD_VCPUS, FD_NR_VCPUS), "one masked comparison");
static_assert(IS_BAND(FD_EVENTS, FD_NR_EVENTS), "one masked comparison");
static_assert(IS_BAND(FD_DISKS, FD_NR_DISKS), "one masked comparison");
static_assert(IS_BAND(FD_NETS, FD_NR_NETS), "one masked comparison");
static_assert(IS_BAND(FD_IMAGES, FD_NR_IMAGES), "one masked comparison");
static_assert(IS_BAND(FD_TTYS, FD_NR_TTYS), "one masked comparison");

/* Process-wide by nature: there is one table of descriptors. */
static _Atomic unsigned int misplaced;

int fd_place(int fd, int first, int count)
{
	int new;

	if (fd < 0 || (fd >= first && fd < first + count))
		return fd;
	new = fcntl(fd, F_DUPFD_CLOEXEC, first);
	if (new >= first &&new < first + count) {
		close(fd);
		return new;
	}
	if (new >= 0)
		close(new);
	misplaced++;
	return fd;
}

int fd_event(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	return fd < 0 ? -errno : fd_place(fd, FD_EVENTS, FD_NR_EVENTS);
}

int fd_fill(void)
{
	/* One that can be neither read nor written, nor asked anything. */
	int fd = open("/", O_PATH | O_CLOEXEC);
	int last, ret;

	if (fd < 0)
		return -errno;
	do {
		last = fcntl(fd, F_DUPFD_CLOEXEC, FD_FIRST);
	} while (last >= 0 && last < FD_END);
	/* EMFILE: the limit is where the numbers end. */
	ret = last < 0 && errno != EMFILE ? -errno : 0;
	if (last >= 0)
		close(last);
	close(fd);
	return ret;
}

int fd_wait(int fd, short events, int ms)
{
	struct pollfd pfd = { .fd = fd, .events = events };
	struct timespec timeout = {
		.tv_sec = ms / 1000,
		.tv_nsec = ms % 1000 * 1000000L,
	};

	return ppoll(&pfd, 1, &timeout, NULL);
}

unsigned int fd_misplaced(void)
{
	return misplaced;
}

void fd_raise_limit(unsigned long at_least)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = MAX(limit.rlim_cur,
			     MIN(limit.rlim_max,
				 (rlim_t)MAX(at_least, (unsigned long)FD_END)));
	/* Fewer are no harm here: whoever misses one says so. */
	setrlimit(RLIMIT_NOFILE, &limit);
}
