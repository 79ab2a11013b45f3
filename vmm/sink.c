// SPDX-License-Identifier: Apache-2.0
/*
 * sink.c - one descriptor that is written to and never waited for
 *
 * O_NONBLOCK belongs to an open file description, and the one behind stdout is
 * shared with the shell and with every other program of a pipeline: it is not
 * ours to set.  Opening /proc/self/fd/N gives a second description of the same
 * pipe or terminal, which is.  A regular file must not be opened again (its
 * offset is shared on purpose), a socket cannot be.  Where there is no second
 * one, after a change of user for example, poll(2) says that a write of a small
 * size does not block: PIPE_BUF bytes of a pipe or a socket, a few bytes of a
 * terminal.
 *
 * The sink is in the loop only while bytes are held, because epoll reports
 * errors and hang-ups of whatever is in it, again and again.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/util.h"
#include "vmm/sink.h"

#define TTY_CHUNK 64u /* what a terminal that polls writable takes */

int fd_reopen(int fd, int flags)
{
	char path[32];
	int number;

	/* Opening a pseudo-terminal's master would create another pair. */
	if (ioctl(fd, TIOCGPTN, &number) == 0)
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return fd_place(open(path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC),
			FD_TTYS, FD_NR_TTYS);
}

bool fd_is_open(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && !(flags & O_PATH);
}

bool fd_poll(int fd, short events)
{
	/* An error or a hang-up counts: the call will say which. */
	return fd_wait(fd, events, 0) > 0;
}

/* One attempt that does not block.  Bytes written (at least one), -EAGAIN, or
 * another -errno: then the descriptor is gone.
 */
static ssize_t sink_try(struct sink *sink, const void *data, size_t len)
{
	ssize_t n = -1;

	do {
		errno = EPIPE;
		switch (sink->kind) {
		case SINK_POLLED:
			if (!fd_poll(sink->fd, POLLOUT))
				return -EAGAIN;
			len = MIN(len, sink->tty ? TTY_CHUNK : PIPE_BUF);
			n = write(sink->fd, data, len);
			break;
		case SINK_OWN:
		case SINK_FILE:
			n = write(sink->fd, data, len);
			break;
		case SINK_CLOSED:
			break;
		}
	} while (n < 0 && errno == EINTR);
	if (n == 0)
		return -EIO;
	return n < 0 ? -errno : n;
}

static void sink_close(struct sink *sink, int err)
{
	/* The reader of a pipe that has had enough is nothing to warn of. */
	log_line(err == -EPIPE ? LOG_INFO : LOG_WARN,
		 "standard output: %s; guest output is dropped from now on",
		 log_errno(err));
	loop_remove(sink->loop, &sink->source);
	counter_add(&sink->dropped, sink->held.used);
	fifo_drop(&sink->held, sink->held.used);
	sink->kind = SINK_CLOSED;
	sink->gone(sink);
}

/* Has the loop say when the descriptor takes more. */
static void sink_watch(struct sink *sink)
{
	int ret;

	if (sink->source.fd >= 0)
		return;
	ret = loop_add(sink->loop, &sink->source, sink->fd, EPOLLOUT);
	if (ret < 0)
		sink_close(sink, ret);
}

void sink_drain(struct sink *sink)
{
	size_t len;

	while (sink->held.used > 0) {
		const void *data = fifo_peek(&sink->held, &len);
		ssize_t n = sink_try(sink, data, len);

		if (n == -EAGAIN)
			return;
		if (n < 0) {
			sink_close(sink, (int)n);
			return;
		}
		fifo_drop(&sink->held, (size_t)n);
	}
	loop_remove(sink->loop, &sink->source);
}

void sink_wait(struct sink *sink, int ms)
{
	fd_wait(sink->fd, POLLOUT, ms);
	sink_drain(sink);
}

size_t sink_put(struct sink *sink, const void *data, size_t len)
{
	const uint8_t *bytes = data;
	size_t done = 0;
	ssize_t n = 0;

	/* Held bytes go first. */
	while (sink->held.used == 0 && done < len && n >= 0) {
		n = sink_try(sink, bytes + done, len - done);
		if (n > 0)
			done += (size_t)n;
	}
	if (n < 0 && n != -EAGAIN && sink->kind != SINK_CLOSED)
		sink_close(sink, (int)n);
	if (sink->kind == SINK_CLOSED) {
		counter_add(&sink->dropped, len - done);
		return len;
	}
	if (done < len) {
		done += fifo_put(&sink->held, bytes + done, len - done);
		sink_watch(sink);
	}
	return done;
}

static void sink_ready(struct loop_source *source, uint32_t events)
{
	struct sink *sink = container_of(source, struct sink, source);

	(void)events;
	sink_drain(sink);
	sink->drained(sink);
}

void sink_init(struct sink *sink, struct loop *loop, int fd)
{
	struct stat st;
	int own;

	sink->loop = loop;
	sink->fd = fd;
	sink->source.ready = sink_ready;
	sink->source.fd = -1;
	fifo_init(&sink->held, sink->buf, sizeof(sink->buf));
	if (!fd_is_open(fd) || fstat(fd, &st) < 0) {
		sink->kind = SINK_CLOSED;
		return;
	}
	sink->tty = isatty(fd);
	sink->kind = SINK_POLLED;
	if (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode))
		sink->kind = SINK_FILE;
	if (!S_ISFIFO(st.st_mode) && !sink->tty)
		return;

	own = fd_reopen(fd, O_WRONLY);
	if (own >= 0) {
		sink->fd = own;
		sink->own = true;
		sink->kind = SINK_OWN;
	}
}

void sink_fini(struct sink *sink)
{
	loop_remove(sink->loop, &sink->source);
	if (sink->own)
		close(sink->fd);
}
