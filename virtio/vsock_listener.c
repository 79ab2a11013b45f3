// SPDX-License-Identifier: Apache-2.0
/*
 * vsock_listener.c - paths of Unix sockets
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/util.h"
#include "virtio/vsock_listener.h"

#define BACKLOG	 128
#define ACCEPTS	 16 /* in one turn of the loop */
#define RETRY_NS UINT64_C(100000000)

static void listener_ready(struct loop_source *source, uint32_t events)
{
	struct vsock_listener *l =
		container_of(source, struct vsock_listener, source);

	(void)events;
	for (int i = 0; i < ACCEPTS; i++) {
		int fd = accept4(l->fd, NULL, NULL,
				 SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			l->client(l, fd);
			continue;
		}
		/* EMFILE and the like: the client stays where it is, and would
		 * wake the loop again at once.
		 */
		if (errno != EAGAIN && errno != EINTR) {
			loop_modify(l->loop, source, 0);
			loop_timer_arm(l->loop, &l->retry, now_ns() + RETRY_NS);
		}
		return;
	}
}

static void listener_retry(struct loop_timer *timer)
{
	struct vsock_listener *l =
		container_of(timer, struct vsock_listener, retry);

	loop_modify(l->loop, &l->source, EPOLLIN);
}

int vsock_listener_open(struct vsock_listener *l, const char *path,
			struct loop *loop)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	size_t len = strlen(path);
	struct stat st;
	mode_t mask;
	int ret;

	if (len >= sizeof(l->path))
		return -ENAMETOOLONG;
	memcpy(l->path, path, len + 1);
	memcpy(addr.sun_path, path, len + 1);
	l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (l->fd < 0)
		return -errno;
	/* Whoever may write to the socket file may connect. */
	mask = umask(0177);
	ret = bind(l->fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ? -errno
								      : 0;
	umask(mask);
	if (ret < 0)
		goto err_close;
	if (lstat(path, &st) < 0 || listen(l->fd, BACKLOG) < 0) {
		ret = -errno;
		goto err_unlink;
	}
	l->dev = st.st_dev;
	l->ino = st.st_ino;
	l->loop = loop;
	l->source = (struct loop_source){ .ready = listener_ready, .fd = -1 };
	l->retry = (struct loop_timer){ .expired = listener_retry };
	ret = loop_add(loop, &l->source, l->fd, EPOLLIN);
	if (ret == 0)
		return 0;

err_unlink:
	unlink(path);
err_close:
	close(l->fd);
	return ret;
}

void vsock_listener_remove(const struct vsock_listener *l)
{
	struct stat st;

	if (lstat(l->path, &st) == 0 && st.st_dev == l->dev &&
	    st.st_ino == l->ino)
		unlink(l->path);
}

void vsock_listener_close(struct vsock_listener *l)
{
	loop_timer_cancel(l->loop, &l->retry);
	loop_remove(l->loop, &l->source);
	vsock_listener_remove(l);
	close(l->fd);
}

int vsock_listener_connect(const struct vsock_listener *l, uint32_t port)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd, ret;

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s_%u", l->path, port);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	/* Does not wait: EAGAIN when the server's backlog is full. */
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
		return fd;
	ret = -errno;
	close(fd);
	return ret;
}

bool vsock_listener_parse(const char *line, size_t len, uint32_t *port)
{
	static const char word[] = "CONNECT ";
	uint64_t n = 0;
	size_t at = sizeof(word) - 1;

	if (len < at + 2 || strncasecmp(line, word, at) != 0)
		return false;
	for (; at < len - 1; at++) {
		if (line[at] < '0' || line[at] > '9')
			return false;
		n = n * 10 + (uint64_t)(line[at] - '0');
		if (n > UINT32_MAX)
			return false;
	}
	*port = (uint32_t)n;
	return line[at] == '\n';
}
