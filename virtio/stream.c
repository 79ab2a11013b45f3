// SPDX-License-Identifier: Apache-2.0
/*
 * stream.c - Ethernet frames over a stream socket
 *
 * Theory of operation.  On the wire a frame is its length, 32 bits in network
 * byte order, and its bytes, without any virtio header: what QEMU calls -netdev
 * stream, and passt(1) speaks.  So there is nobody to leave a checksum or a
 * segmentation to, and no offload is on offer.
 *
 * A stream has no borders: a read ends, and a write stops, anywhere.  Both ways
 * there is a buffer with room for two frames of the largest size, so that one
 * system call moves many frames, or the part of one that there is.
 *
 * Not every reader is as careful as we are: passt of 2023 loses its place when
 * a read of its ends in a length, or when the rest of a frame comes in more
 * than one piece.  So each frame is a message of its own (sendmmsg(2)): the
 * kernel cuts a Unix socket's stream into pieces of about 36 KiB and begins a
 * new one for each message.  A reader that sees what is queued then finds whole
 * frames and at most half of a large one.
 *
 * The other end is not trusted.  Its lengths are checked before anything is
 * done with them; after one that no frame has, the place where the next one
 * starts is unknown, and the connection is at its end.
 *
 * Nor is the driver trusted with it.  Who is at the other end may make sockets
 * of the frames, as passt does, and would connect them to what listens on this
 * host alone when a frame says so.  No address that means "this host" is ever
 * seen on a wire, so such a frame is not sent.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <linux/if_ether.h>

#include "base/fd.h"
#include "base/util.h"
#include "virtio/stream.h"

#define ETH_TYPE      12 /* offsets in a frame */
#define ETH_IPV4_DEST (NET_MIN_FRAME + 16)
#define ETH_IPV6_DEST (NET_MIN_FRAME + 24)
#define LEN_BYTES     ((size_t)4)
#define BUFFER_BYTES  (2 * (LEN_BYTES + NET_MAX_FRAME))

#define MESSAGES 64 /* of one call */

/* Bytes from START to END are to be taken out. */
struct stream_buffer {
	size_t start, end;
	uint8_t bytes[BUFFER_BYTES];
};

struct stream {
	struct net_backend backend;
	struct stream_buffer in, out;
	/* Of a frame that went out in part: what is left of it at out.start. */
	size_t half;
	struct iovec iov[MESSAGES];
	struct mmsghdr message[MESSAGES];
};

static struct stream *to_stream(struct net_backend *backend)
{
	return container_of(backend, struct stream, backend);
}

/* Makes the room behind END as large as it gets. */
static size_t buffer_room(struct stream_buffer *b)
{
	b->end -= b->start;
	if (b->start > 0 && b->end > 0)
		memmove(b->bytes, b->bytes + b->start, b->end);
	b->start = 0;
	return BUFFER_BYTES - b->end;
}

/* What send(2) or recv(2) left in errno, or an end of file.  Whatever it is, it
 * will not get better.
 */
static int stream_error(ssize_t ret)
{
	if (ret < 0 && (errno == EAGAIN || errno == EINTR))
		return -EAGAIN;
	return -ENODEV;
}

static uint32_t get_len(const uint8_t *at)
{
	uint32_t len;

	memcpy(&len, at, LEN_BYTES);
	return ntohl(len);
}

/* The length of the first frame in `in`: 0 when it is not there as a whole,
 * -EBADMSG when no frame is that long, or that short.
 */
static ssize_t stream_next(const struct stream *s)
{
	size_t have = s->in.end - s->in.start;
	uint32_t len;

	if (have < LEN_BYTES)
		return 0;
	len = get_len(s->in.bytes + s->in.start);
	if (len < NET_MIN_FRAME || len > NET_MAX_FRAME)
		return -EBADMSG;
	return have - LEN_BYTES < len ? 0 : (ssize_t)len;
}

/* Reads what there is.  0, -EAGAIN or -ENODEV. */
static int stream_fill(struct stream *s)
{
	size_t room = buffer_room(&s->in);
	ssize_t got = read(s->backend.fd, s->in.bytes + s->in.end, room);

	if (got <= 0)
		return stream_error(got);
	s->in.end += (size_t)got;
	return 0;
}

/* Copies LEN bytes to the places in IOV, OFF bytes from their start. */
static void scatter(const struct iovec *iov, size_t off, const uint8_t *src,
		    size_t len)
{
	for (; len > 0; iov++) {
		size_t here;

		if (off >= iov->iov_len) {
			off -= iov->iov_len;
			continue;
		}
		here = MIN(len, iov->iov_len - off);
		memcpy((uint8_t *)iov->iov_base + off, src, here);
		src += here;
		len -= here;
		off = 0;
	}
}

static size_t iov_bytes(const struct iovec *iov, int nr)
{
	size_t total = 0;

	for (int i = 0; i < nr; i++)
		total += iov[i].iov_len;
	return total;
}

static ssize_t stream_receive(struct net_backend *backend,
			      const struct iovec *iov, int nr)
{
	static const uint8_t plain[NET_HDR_BYTES];
	struct stream *s = to_stream(backend);
	ssize_t len = stream_next(s);

	if (len == 0) {
		int ret = stream_fill(s);

		if (ret < 0)
			return ret;
		len = stream_next(s);
	}
	if (len == 0)
		return -EAGAIN;
	if (len < 0) {
		shutdown(backend->fd, SHUT_RDWR);
		return -ENODEV;
	}
	assert(iov_bytes(iov, nr) >= NET_HDR_BYTES + (size_t)len);
	scatter(iov, 0, plain, NET_HDR_BYTES);
	scatter(iov, NET_HDR_BYTES, s->in.bytes + s->in.start + LEN_BYTES,
		(size_t)len);
	s->in.start += LEN_BYTES + (size_t)len;
	/* A length that is nonsense is for the next call to find. */
	backend->unread = stream_next(s) != 0;
	return (ssize_t)NET_HDR_BYTES + len;
}

/* What is left of `out`, as a message for each frame.  How many there are. */
static unsigned int stream_messages(struct stream *s)
{
	size_t at = s->out.start, here = s->half;
	unsigned int nr = 0;

	for (; at < s->out.end && nr < MESSAGES; at += here, here = 0, nr++) {
		if (here == 0)
			here = LEN_BYTES + get_len(s->out.bytes + at);
		s->iov[nr] = (struct iovec){ s->out.bytes + at, here };
		/* All of it 0 before: msghdr's lengths are wider in the kernel
		 * than in some C libraries.
		 */
		memset(&s->message[nr], 0, sizeof(s->message[nr]));
		s->message[nr].msg_hdr.msg_iov = &s->iov[nr];
		s->message[nr].msg_hdr.msg_iovlen = 1;
	}
	return nr;
}

static int stream_flush(struct net_backend *backend)
{
	struct stream *s = to_stream(backend);

	while (s->out.start < s->out.end) {
		/* Not the library's, which may be a loop of sendmsg(2). */
		long sent = syscall(SYS_sendmmsg, backend->fd, s->message,
				    stream_messages(s),
				    MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent <= 0)
			return stream_error(sent) == -EAGAIN ? 0 : -ENODEV;
		for (long i = 0; i < sent; i++) {
			s->out.start += s->message[i].msg_len;
			s->half = s->iov[i].iov_len - s->message[i].msg_len;
		}
	}
	backend->unsent = false;
	return 0;
}

/* Whether FRAME's destination is the host that it is on. */
static bool is_for_this_host(const uint8_t *frame, size_t len)
{
	static const uint8_t zero[10];
	uint16_t type = (uint16_t)(frame[ETH_TYPE] << 8 | frame[ETH_TYPE + 1]);

	switch (type) {
	case ETH_P_IP:
		/* RFC 1122 §3.2.1.3: 127/8 (g), and 0/8 (a, b), which
		 * connect(2) takes for the same
		 */
		return len > ETH_IPV4_DEST && (frame[ETH_IPV4_DEST] == 127 ||
					       frame[ETH_IPV4_DEST] == 0);
	case ETH_P_IPV6:
		/* RFC 4291 §2.5.2, §2.5.3, §2.5.5: ::, ::1, and IPv4
		 * addresses in IPv6's clothes
		 */
		return len >= ETH_IPV6_DEST + sizeof(zero) &&
		       memcmp(frame + ETH_IPV6_DEST, zero, sizeof(zero)) == 0;
	default:
		return false;
	}
}

static ssize_t stream_send(struct net_backend *backend, const struct iovec *iov,
			   int nr)
{
	struct stream_buffer *out = &to_stream(backend)->out;
	size_t total = iov_bytes(iov, nr), skip = NET_HDR_BYTES;
	uint32_t len = htonl((uint32_t)(total - NET_HDR_BYTES));
	size_t need = LEN_BYTES + total - NET_HDR_BYTES;
	size_t at;

	if (BUFFER_BYTES - out->end < need && buffer_room(out) < need) {
		int ret = stream_flush(backend);

		if (ret < 0)
			return ret;
		if (buffer_room(out) < need)
			return -EAGAIN;
	}
	memcpy(out->bytes + out->end, &len, LEN_BYTES);
	at = out->end + LEN_BYTES;
	for (int i = 0; i < nr; i++) {
		size_t gap = MIN(skip, iov[i].iov_len);
		size_t here = iov[i].iov_len - gap;

		skip -= gap;
		memcpy(out->bytes + at, (const uint8_t *)iov[i].iov_base + gap,
		       here);
		at += here;
	}
	/* Looked at here, where the guest cannot change it any more. */
	if (is_for_this_host(out->bytes + out->end + LEN_BYTES,
			     need - LEN_BYTES))
		return -EPERM;
	out->end = at;
	backend->unsent = true;
	return (ssize_t)total;
}

static void stream_close(struct net_backend *backend)
{
	close(backend->fd);
	free(to_stream(backend));
}

int stream_create(int fd, const char *peer, struct net_backend **owned)
{
	struct stream *s = calloc(1, sizeof(*s));
	int flags = fcntl(fd, F_GETFL);

	if (!s)
		return -ENOMEM;
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
		free(s);
		return -errno;
	}
	s->backend = (struct net_backend){
		.name = peer,
		.fd = fd_place(fd, FD_NETS, FD_NR_NETS),
		.receive = stream_receive,
		.send = stream_send,
		.flush = stream_flush,
		.close = stream_close,
	};
	*owned = &s->backend;
	return 0;
}
