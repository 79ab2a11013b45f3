// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_stream.c - frames over a stream socket whose other end writes anything,
 * in any pieces
 *
 * The input is a list of actions: bytes from the peer as they are, frames of the
 * peer that are whole, a frame of ours, a read of the peer, a place of any shape
 * for the next frame.  A model reads the peer's bytes as the framing says: what
 * is received is what it says, up to the first length that no frame has; and
 * what the peer reads are our frames, each whole and in order.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <sys/socket.h>

#include "base/util.h"
#include "virtio/stream.h"

#define HDR	 NET_HDR_BYTES
#define LEN	 4u
#define MOST_IN	 (1u << 17) /* of the peer's bytes in one run */
#define MOST_OUT (1u << 19)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct fuzz {
	struct net_backend *stream;
	int peer;
	/* All that the peer wrote, and how far the model has read it. */
	uint8_t in[MOST_IN];
	size_t in_end, in_at;
	bool gone;
	/* All that went out, and how far the peer has read it. */
	uint8_t out[MOST_OUT];
	size_t out_end, out_at;
	const uint8_t *data;
	size_t len;
};

static void must(bool cond)
{
	if (!cond)
		abort();
}

static uint8_t take(struct fuzz *f)
{
	if (f->len == 0)
		return 0;
	f->len--;
	return *f->data++;
}

/* The peer writes what it can of LEN bytes. */
static void peer_writes(struct fuzz *f, const uint8_t *bytes, size_t len)
{
	ssize_t n;

	len = MIN(len, MOST_IN - f->in_end);
	n = send(f->peer, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n <= 0)
		return;
	memcpy(f->in + f->in_end, bytes, (size_t)n);
	f->in_end += (size_t)n;
}

/* A frame of any size; its bytes count up. */
static void peer_sends(struct fuzz *f)
{
	static uint8_t frame[LEN + 2 * NET_MAX_FRAME];
	uint32_t len = take(f) * 257u + take(f), head = htonl(len);

	memcpy(frame, &head, LEN);
	for (uint32_t i = 0; i < len; i++)
		frame[LEN + i] = (uint8_t)(i + len);
	peer_writes(f, frame, LEN + len);
}

/* The length of the frame that the model sees next; 0: not yet, -1: never. */
static ssize_t model_next(const struct fuzz *f)
{
	size_t have = f->in_end - f->in_at;
	uint32_t len;

	if (f->gone)
		return -1;
	if (have < LEN)
		return 0;
	memcpy(&len, f->in + f->in_at, LEN);
	len = ntohl(len);
	if (len < NET_MIN_FRAME || len > NET_MAX_FRAME)
		return -1;
	return have - LEN < len ? 0 : (ssize_t)len;
}

static void receive(struct fuzz *f)
{
	static uint8_t got[HDR + NET_MAX_FRAME + 1];
	static const uint8_t zero[HDR];
	size_t cut = take(f) * 300u, at = 0;
	ssize_t want = model_next(f), n;
	struct iovec iov[8];
	int nr = 0;

	/* What net_rx.c gives has the header first, and room for all. */
	iov[nr++] = (struct iovec){ got, HDR };
	for (at = HDR; nr < 7 && cut > 0 && at + cut < sizeof(got); at += cut)
		iov[nr++] = (struct iovec){ got + at, cut };
	iov[nr++] = (struct iovec){ got + at, sizeof(got) - at };
	memset(got, 0xee, sizeof(got));
	n = f->stream->receive(f->stream, iov, nr);
	if (n == -EAGAIN) {
		/* A read may stop before all that is there. */
		must(want == 0 || !f->stream->unread);
		return;
	}
	if (n == -ENODEV) {
		must(want < 0);
		f->gone = true;
		return;
	}
	must(want > 0 && n == (ssize_t)HDR + want);
	must(memcmp(got, zero, HDR) == 0);
	must(memcmp(got + HDR, f->in + f->in_at + LEN, (size_t)want) == 0);
	must(got[n] == 0xee);
	f->in_at += LEN + (size_t)want;
}

static void send_frame(struct fuzz *f)
{
	static uint8_t frame[HDR + NET_MAX_FRAME];
	uint32_t len = take(f) * 260u + take(f);
	uint32_t cut = NET_MIN_FRAME + take(f), head;
	struct iovec iov[2];
	ssize_t n;

	len = MIN(MAX(len, NET_MIN_FRAME), NET_MAX_FRAME);
	head = htonl(len);
	if (MOST_OUT - f->out_end < LEN + len)
		return;
	cut = MIN(cut, len);
	for (uint32_t i = 0; i < len; i++)
		frame[HDR + i] = (uint8_t)(i * 3 + len);
	frame[HDR + 12] = 0x88; /* no Internet protocol */
	iov[0] = (struct iovec){ frame, HDR + cut };
	iov[1] = (struct iovec){ frame + HDR + cut, len - cut };
	n = f->stream->send(f->stream, iov, 2);
	if (n == -EAGAIN || (n == -ENODEV && f->gone))
		return;
	must(n == (ssize_t)(HDR + len) && f->stream->unsent);
	memcpy(f->out + f->out_end, &head, LEN);
	memcpy(f->out + f->out_end + LEN, frame + HDR, len);
	f->out_end += LEN + len;
}

static void peer_reads(struct fuzz *f, size_t most)
{
	static uint8_t got[MOST_OUT];
	ssize_t n = recv(f->peer, got, MIN(most, sizeof(got)), MSG_DONTWAIT);

	if (n <= 0)
		return;
	must((size_t)n <= f->out_end - f->out_at);
	must(memcmp(got, f->out + f->out_at, (size_t)n) == 0);
	f->out_at += (size_t)n;
}

static void act(struct fuzz *f)
{
	uint8_t action = take(f);
	size_t n;

	switch (action % 8) {
	case 0:
		n = MIN(f->len, action / 8u);
		peer_writes(f, f->data, n);
		f->data += n;
		f->len -= n;
		break;
	case 1:
	case 2:
		peer_sends(f);
		break;
	case 3:
	case 4:
		receive(f);
		break;
	case 5:
		send_frame(f);
		break;
	case 6:
		n = (size_t)f->stream->flush(f->stream);
		must(n == 0 || f->gone);
		break;
	case 7:
		peer_reads(f, take(f) * 1000u + 1);
		break;
	}
}

/* With a peer that reads, all that was taken arrives. */
static void settle(struct fuzz *f)
{
	while (!f->gone && f->out_at < f->out_end) {
		must(f->stream->flush(f->stream) == 0);
		peer_reads(f, MOST_OUT);
	}
	must(f->gone || !f->stream->unsent || f->stream->flush(f->stream) == 0);
	must(f->gone || !f->stream->unsent);
	while (model_next(f) != 0 && !f->gone)
		receive(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct fuzz *f = calloc(1, sizeof(*f));
	int pair[2];

	must(f &&
	     socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	must(stream_create(pair[0], "the peer", &f->stream) == 0);
	f->peer = pair[1];
	f->data = data;
	f->len = len;
	for (int i = 0; i < 500 && f->len > 0; i++)
		act(f);
	settle(f);
	f->stream->close(f->stream);
	close(f->peer);
	free(f);
	return 0;
}
