// SPDX-License-Identifier: Apache-2.0
/*
 * vsock_conn.c - one vsock connection
 *
 * Theory of operation.  Guest to host: payload goes from guest memory straight
 * to the socket; what the socket does not take waits in `out`, of which the
 * guest knows the size as buf_alloc.  `forwarded` counts what has left us, so
 * buf_alloc - (received - forwarded) is the room in `out`, and a guest that
 * sends more has broken §5.10.6.3.1.
 *
 * Host to guest: nothing is buffered here.  The socket is read only into a
 * buffer of the guest and only within its credit; a guest that takes nothing
 * leaves the bytes in the socket, and the host's writer waits.
 *
 * The socket is level triggered, so it waits for an event only while the event
 * would be news: not for input while `readable` is set and not acted upon, not
 * for output while nothing waits, and once hung up not at all (a hang-up cannot
 * be masked).
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include <sys/epoll.h>
#include <sys/socket.h>

#include "virtio/vsock_conn.h"

#define CONN_IOV	 16u
#define CONN_CREDIT_STEP (VSOCK_BUFFER / 4) /* news for the guest */

#define SHUT_RCV  VIRTIO_VSOCK_SHUTDOWN_RCV
#define SHUT_SEND VIRTIO_VSOCK_SHUTDOWN_SEND
#define SHUT_BOTH (SHUT_RCV | SHUT_SEND)

void vsock_conn_init(struct vsock_conn *conn, int fd, enum vsock_state state,
		     void *buffer)
{
	conn->fd = fd;
	conn->state = state;
	fifo_init(&conn->out, buffer, VSOCK_BUFFER);
}

void vsock_conn_hang_up(struct vsock_conn *conn)
{
	loop_remove(conn->loop, &conn->source);
	if (conn->fd >= 0)
		close(conn->fd);
	conn->fd = -1;
}

static bool wants_input(const struct vsock_conn *conn)
{
	if (conn->readable || conn->host_shut & SHUT_SEND ||
	    conn->guest_shut & SHUT_RCV)
		return false;
	return conn->state == VSOCK_HELLO || conn->state == VSOCK_OPEN;
}

int vsock_conn_watch(struct vsock_conn *conn)
{
	uint32_t events = 0;

	if (conn->fd < 0 || conn->gone) {
		loop_remove(conn->loop, &conn->source);
		return 0;
	}
	if (wants_input(conn))
		events |= EPOLLIN;
	if (conn->out.used > 0)
		events |= EPOLLOUT;
	if (conn->source.fd < 0)
		return loop_add(conn->loop, &conn->source, conn->fd, events);
	loop_modify(conn->loop, &conn->source, events);
	return 0;
}

void vsock_conn_heard(struct vsock_conn *conn,
		      const struct virtio_vsock_hdr *hdr)
{
	conn->peer_alloc = hdr->buf_alloc;
	conn->peer_fwd = hdr->fwd_cnt;
	if (vsock_conn_credit(conn) > 0)
		conn->asked = false;
}

uint32_t vsock_conn_credit(const struct vsock_conn *conn)
{
	/* virtio 1.2 §5.10.6.3: counters wrap, and a guest may shrink its
	 * buffer below what is on its way, or claim to have consumed what it
	 * never got: then the difference is huge.
	 */
	uint32_t alloc = MIN(conn->peer_alloc, (uint32_t)VSOCK_PEER_MAX);
	uint32_t in_flight = conn->sent - conn->peer_fwd;

	return alloc > in_flight ? alloc - in_flight : 0;
}

/* N more bytes have left for the host, or for nowhere. */
static void forward(struct vsock_conn *conn, size_t n)
{
	conn->forwarded += (uint32_t)n;
	if (conn->forwarded - conn->told_fwd >= CONN_CREDIT_STEP)
		conn->owed |= VSOCK_OWE_CREDIT;
}

/* Nobody reads any more: what waits is dropped, and the guest is told. */
static void host_stopped_reading(struct vsock_conn *conn)
{
	conn->host_shut |= SHUT_RCV;
	forward(conn, conn->out.used);
	fifo_drop(&conn->out, conn->out.used);
}

/* The bytes that the socket took, from what write(2) or writev(2) returned. */
static size_t conn_took(struct vsock_conn *conn, ssize_t n)
{
	if (n >= 0)
		return (size_t)n;
	if (errno != EAGAIN && errno != EINTR)
		host_stopped_reading(conn);
	return 0;
}

static size_t conn_write(struct vsock_conn *conn, struct iovec *iov,
			 unsigned int nr)
{
	return conn_took(conn, writev(conn->fd, iov, (int)nr));
}

/* Passes on what one iovec of the guest holds, after its first SKIP bytes. */
static void keep_rest(struct vsock_conn *conn, const struct iovec *iov,
		      unsigned int nr, size_t skip)
{
	for (unsigned int i = 0; i < nr; i++) {
		size_t gone = MIN(skip, iov[i].iov_len);

		fifo_put(&conn->out, (const uint8_t *)iov[i].iov_base + gone,
			 iov[i].iov_len - gone);
		skip -= gone;
	}
	conn->spilled |= conn->out.used > 0;
}

int vsock_conn_receive(struct vsock_conn *conn, struct chain *chain,
		       uint32_t len)
{
	/* virtio 1.2 §5.10.6.5: SHUTDOWN's flags are permanent */
	if (conn->guest_shut & SHUT_SEND)
		return -EPIPE;
	/* virtio 1.2 §5.10.6.3: only within what we have advertised */
	if (len > fifo_room(&conn->out))
		return -ENOBUFS;
	while (len > 0) {
		struct iovec iov[CONN_IOV];
		size_t got, done = 0;
		unsigned int nr =
			chain_read_iov(chain, iov, CONN_IOV, len, &got);

		if (nr == 0)
			return -EBADMSG;
		len -= (uint32_t)got;
		if (conn->out.used == 0 && !(conn->host_shut & SHUT_RCV))
			done = conn_write(conn, iov, nr);
		if (conn->host_shut & SHUT_RCV)
			done = got;
		forward(conn, done);
		keep_rest(conn, iov, nr, done);
	}
	return 0;
}

/* What the guest's SHUTDOWN means for the socket, once all is delivered. */
static void pass_shutdown(struct vsock_conn *conn)
{
	if (conn->fd < 0 || conn->out.used > 0)
		return;
	if (conn->guest_shut & SHUT_SEND)
		shutdown(conn->fd, SHUT_WR);
}

void vsock_conn_flush(struct vsock_conn *conn)
{
	while (conn->out.used > 0 && conn->fd >= 0) {
		size_t len;
		const void *data = fifo_peek(&conn->out, &len);
		size_t n = conn_took(conn, write(conn->fd, data, len));

		if (n == 0)
			break;
		fifo_drop(&conn->out, n);
		forward(conn, n);
	}
	/* An empty fifo starts over, so that a lively connection keeps to its
	 * first pages.
	 */
	if (conn->out.used == 0)
		fifo_init(&conn->out, conn->out.buf, conn->out.size);
	pass_shutdown(conn);
}

uint32_t vsock_conn_read(struct vsock_conn *conn, struct iovec *iov,
			 unsigned int nr)
{
	ssize_t n = readv(conn->fd, iov, (int)nr);

	if (n > 0)
		return (uint32_t)n;
	conn->readable = false;
	if (n < 0 && (errno == EAGAIN || errno == EINTR) && !conn->gone)
		return 0;
	conn->host_shut |= SHUT_SEND;
	/* ECONNRESET: it closed without having read all. */
	if (n < 0)
		vsock_conn_host_gone(conn);
	return 0;
}

int vsock_conn_read_line(struct vsock_conn *conn)
{
	/* One byte at a time: what follows the line belongs to the guest. */
	while (conn->line_len < VSOCK_LINE_MAX) {
		char *at = conn->line + conn->line_len;
		ssize_t n = read(conn->fd, at, 1);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return 0;
		if (n <= 0)
			return -EPIPE;
		conn->line_len++;
		if (*at == '\n')
			return 1;
	}
	return -EMSGSIZE;
}

bool vsock_conn_greet(struct vsock_conn *conn)
{
	char line[sizeof("OK 4294967295\n")];
	int len = snprintf(line, sizeof(line), "OK %u\n", conn->host_port);

	/* An empty socket takes it whole. */
	return write(conn->fd, line, (size_t)len) == len;
}

void vsock_conn_shutdown(struct vsock_conn *conn, uint32_t flags)
{
	conn->guest_shut |= flags & SHUT_BOTH;
	if (conn->fd < 0)
		return;
	if (flags & SHUT_RCV)
		shutdown(conn->fd, SHUT_RD);
	pass_shutdown(conn);
}

void vsock_conn_host_gone(struct vsock_conn *conn)
{
	conn->gone = true;
	loop_remove(conn->loop, &conn->source);
	host_stopped_reading(conn);
	conn->readable = !(conn->host_shut & SHUT_SEND);
}

bool vsock_conn_finished(const struct vsock_conn *conn)
{
	return conn->guest_shut == SHUT_BOTH && conn->out.used == 0;
}

static bool may_read(const struct vsock_conn *conn)
{
	return conn->readable && !(conn->host_shut & SHUT_SEND) &&
	       !(conn->guest_shut & SHUT_RCV);
}

uint16_t vsock_conn_due(const struct vsock_conn *conn)
{
	uint8_t shut = conn->host_shut;

	if (conn->owed & VSOCK_OWE_RST)
		return VIRTIO_VSOCK_OP_RST;
	if (conn->owed & VSOCK_OWE_REQUEST)
		return VIRTIO_VSOCK_OP_REQUEST;
	if (conn->owed & VSOCK_OWE_RESPONSE)
		return VIRTIO_VSOCK_OP_RESPONSE;
	if (conn->state != VSOCK_OPEN)
		return 0;
	if (conn->owed & VSOCK_OWE_CREDIT)
		return VIRTIO_VSOCK_OP_CREDIT_UPDATE;
	if (may_read(conn) && vsock_conn_credit(conn) > 0)
		return VIRTIO_VSOCK_OP_RW;
	if (may_read(conn) && !conn->asked)
		return VIRTIO_VSOCK_OP_CREDIT_REQUEST;
	/* A host that has closed is told of with both flags at once, after its
	 * last byte.
	 */
	if (may_read(conn) && conn->gone)
		return 0;
	return shut & ~conn->told_shut ? VIRTIO_VSOCK_OP_SHUTDOWN : 0;
}

void vsock_conn_sent(struct vsock_conn *conn, uint16_t op, uint32_t len,
		     struct virtio_vsock_hdr *hdr)
{
	static const uint8_t paid[] = {
		[VIRTIO_VSOCK_OP_RST] = VSOCK_OWE_RST,
		[VIRTIO_VSOCK_OP_REQUEST] = VSOCK_OWE_REQUEST,
		[VIRTIO_VSOCK_OP_RESPONSE] = VSOCK_OWE_RESPONSE,
	};

	/* Every packet tells the credit, so a separate one is not needed. */
	conn->owed &= (uint8_t)~VSOCK_OWE_CREDIT;
	if (op < ARRAY_SIZE(paid))
		conn->owed &= (uint8_t)~paid[op];
	if (op == VIRTIO_VSOCK_OP_CREDIT_REQUEST)
		conn->asked = true;
	if (op == VIRTIO_VSOCK_OP_SHUTDOWN)
		conn->told_shut = conn->host_shut;
	conn->sent += len;
	conn->told_fwd = conn->forwarded;
	*hdr = (struct virtio_vsock_hdr){
		.src_port = conn->host_port,
		.dst_port = conn->guest_port,
		.len = len,
		.type = VIRTIO_VSOCK_TYPE_STREAM,
		.op = op,
		.flags = op == VIRTIO_VSOCK_OP_SHUTDOWN ? conn->told_shut : 0,
		.buf_alloc = VSOCK_BUFFER,
		.fwd_cnt = conn->forwarded,
	};
}
