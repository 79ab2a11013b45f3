// SPDX-License-Identifier: Apache-2.0
/*
 * http_server.c - a Unix socket on which requests are answered, on the loop
 *
 * A connection either waits for input or has output to send, never both: as
 * long as an answer is under way nothing more is read.  Requests that a client
 * has sent ahead stay in the buffer and are answered one for each turn of the
 * loop; to get that turn the connection waits for room to write, which there
 * is.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/util.h"
#include "vmm/http_server.h"

#define BACKLOG	 16
#define RETRY_NS 100000000u

static void connection_close(struct http_connection *c)
{
	int fd = c->source.fd;

	loop_remove(c->server->loop, &c->source);
	close(fd);
	c->server = NULL;
}

/* Sends what there is.  False when the connection is over. */
static bool connection_send(struct http_connection *c)
{
	while (c->out_at < c->out_len) {
		ssize_t n = write(c->source.fd, c->out + c->out_at,
				  c->out_len - c->out_at);

		if (n < 0 && errno == EAGAIN)
			return true;
		if (n < 0 && errno != EINTR)
			return false;
		if (n > 0)
			c->out_at += (size_t)n;
	}
	c->out_at = 0;
	c->out_len = 0;
	return !c->ending;
}

/* Puts the head in front of the body, which is in its place. */
static void connection_reply(struct http_connection *c,
			     const struct http_reply_head *head)
{
	char text[HTTP_REPLY_HEAD];
	size_t len = http_format_head(head, text);

	c->out_at = HTTP_REPLY_HEAD - len;
	c->out_len = HTTP_REPLY_HEAD + head->len;
	memcpy(c->out + c->out_at, text, len);
}

static void connection_refuse(struct http_connection *c)
{
	struct http_reply_head head = { .status = 400, .closing = true };

	head.len = (size_t)snprintf(
		c->out + HTTP_REPLY_HEAD, HTTP_MAX_REPLY,
		"{ \"error\": \"%s\\nAll previous unanswered requests will be "
		"dropped.\" }",
		c->reader.error);
	c->ending = true;
	connection_reply(c, &head);
}

static void connection_handle(struct http_connection *c,
			      const struct http_request *request)
{
	struct http_reply reply = { .body = c->out + HTTP_REPLY_HEAD };
	size_t used = http_reader_end(&c->reader);

	c->server->handle(c->server, request, &reply);
	connection_reply(c, &(struct http_reply_head){
				    .status = reply.status,
				    .deprecated = reply.deprecated,
				    .len = reply.len,
			    });
	c->in_len -= used;
	memmove(c->in, c->in + used, c->in_len);
	c->again = c->in_len > 0;
	http_reader_init(&c->reader, c->server->max_body);
}

/* Looks at what has come in; there may be something to send then. */
static void connection_serve(struct http_connection *c)
{
	struct http_request request;

	c->again = false;
	switch (http_read(&c->reader, c->in, c->in_len, &request)) {
	case HTTP_MORE:
		if (http_wants_continue(&c->reader)) {
			memcpy(c->out, HTTP_CONTINUE,
			       sizeof(HTTP_CONTINUE) - 1);
			c->out_len = sizeof(HTTP_CONTINUE) - 1;
		}
		break;
	case HTTP_REQUEST:
		connection_handle(c, &request);
		break;
	case HTTP_BAD:
		connection_refuse(c);
		break;
	}
}

/* A request and its limits fit into the buffer, so there is room.  False when
 * the client is gone, or is done.
 */
static bool connection_receive(struct http_connection *c)
{
	ssize_t n = read(c->source.fd, c->in + c->in_len,
			 sizeof(c->in) - c->in_len);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	c->in_len += (size_t)n;
	return n > 0;
}

static void connection_ready(struct loop_source *source, uint32_t events)
{
	struct http_connection *c =
		container_of(source, struct http_connection, source);
	bool alive = true;

	if (c->out_len == 0 && events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		alive = connection_receive(c);
	else if (events & EPOLLERR)
		alive = false;
	if (alive && c->out_len == 0 && c->in_len > 0)
		connection_serve(c);
	if (!alive || !connection_send(c)) {
		connection_close(c);
		return;
	}
	/* Something to send, or perhaps a further request: it is this one's
	 * turn when the socket takes bytes.
	 */
	if (c->out_len > 0 || c->again)
		loop_modify(c->server->loop, source, EPOLLOUT);
	else
		loop_modify(c->server->loop, source, EPOLLIN);
}

static void refuse_client(int fd)
{
	/* It fits into the socket's buffer, which is empty. */
	if (write(fd, HTTP_TOO_MANY, sizeof(HTTP_TOO_MANY) - 1) < 0)
		errno = 0;
	close(fd);
}

static void new_client(struct http_server *server, int fd)
{
	struct http_connection *c = server->conn;

	while (c < server->conn + HTTP_MAX_CONNECTIONS && c->server)
		c++;
	if (c == server->conn + HTTP_MAX_CONNECTIONS) {
		refuse_client(fd);
		return;
	}
	c->source = (struct loop_source){ .ready = connection_ready, .fd = -1 };
	c->in_len = 0;
	c->out_at = 0;
	c->out_len = 0;
	c->again = false;
	c->ending = false;
	http_reader_init(&c->reader, server->max_body);
	if (loop_add(server->loop, &c->source, fd, EPOLLIN) < 0)
		close(fd);
	else
		c->server = server;
}

static void listener_ready(struct loop_source *source, uint32_t events)
{
	struct http_server *server =
		container_of(source, struct http_server, listener);
	int fd = accept4(source->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)events;
	if (fd >= 0) {
		new_client(server, fd);
		return;
	}
	/* EMFILE and the like: the client stays where it is, and would wake
	 * the loop again at once.
	 */
	if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
		loop_modify(server->loop, source, 0);
		loop_timer_arm(server->loop, &server->retry,
			       now_ns() + RETRY_NS);
	}
}

static void listener_retry(struct loop_timer *timer)
{
	struct http_server *server =
		container_of(timer, struct http_server, retry);

	loop_modify(server->loop, &server->listener, EPOLLIN);
}

/* A listening socket at server->path, or -errno. */
static int listen_at_path(struct http_server *server)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct stat st;
	mode_t mask;
	int fd, ret = 0;

	memcpy(addr.sun_path, server->path, sizeof(addr.sun_path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	/* Whoever may write to the socket file commands the machine. */
	mask = umask(0177);
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		ret = -errno;
	umask(mask);
	if (ret < 0)
		goto err_close;
	/* Clients take the file's appearance for a server: at once. */
	if (listen(fd, BACKLOG) < 0 || lstat(server->path, &st) < 0) {
		ret = -errno;
		goto err_unlink;
	}
	server->dev = st.st_dev;
	server->ino = st.st_ino;
	return fd;

err_unlink:
	unlink(server->path);
err_close:
	close(fd);
	return ret;
}

int http_server_open(struct http_server *server, struct loop *loop,
		     const char *path)
{
	size_t len = strlen(path);
	int fd, ret;

	server->listener = (struct loop_source){
		.ready = listener_ready,
		.fd = -1,
	};
	if (len == 0)
		return -ENOENT;
	if (len >= sizeof(server->path))
		return -ENAMETOOLONG;
	memcpy(server->path, path, len + 1);
	server->loop = loop;
	server->retry = (struct loop_timer){ .expired = listener_retry };
	fd = listen_at_path(server);
	if (fd < 0)
		return fd;
	ret = loop_add(loop, &server->listener, fd, EPOLLIN);
	if (ret < 0) {
		unlink(path);
		close(fd);
	}
	return ret;
}

void http_server_remove(const struct http_server *server)
{
	struct stat st;

	/* Another's of the same name is not ours to remove. */
	if (server->loop && server->listener.fd >= 0 &&
	    lstat(server->path, &st) == 0 && st.st_dev == server->dev &&
	    st.st_ino == server->ino)
		unlink(server->path);
}

void http_server_close(struct http_server *server)
{
	int fd = server->listener.fd;

	if (!server->loop || fd < 0)
		return;
	for (size_t i = 0; i < HTTP_MAX_CONNECTIONS; i++) {
		if (server->conn[i].server)
			connection_close(&server->conn[i]);
	}
	loop_timer_cancel(server->loop, &server->retry);
	http_server_remove(server);
	loop_remove(server->loop, &server->listener);
	close(fd);
}
