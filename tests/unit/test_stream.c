// SPDX-License-Identifier: Apache-2.0
/*
 * test_stream.c - frames over a stream socket: the back end alone, and the
 * network device on it
 */
#include <arpa/inet.h>

#include "tests/unit/net_fixture.h"
#include "virtio/stream.h"

#define LEN 4 /* bytes before each frame */

static const struct virtio_net_hdr_v1 plain;
static struct net_backend *stream;
static int peer; /* the other end, -1 once it is closed */

static void set_up_socket(int type)
{
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair), 0);
	peer = pair[1];
	ck_assert_int_eq(stream_create(pair[0], "the peer", &stream), 0);
	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = (uint8_t)(i * 7 + (i >> 8) * 3);
	memcpy(pattern + 6, our_mac, 6);
}

static void set_up_stream(void)
{
	set_up_socket(SOCK_STREAM);
}

static void hang_up(void)
{
	if (peer >= 0)
		close(peer);
	peer = -1;
}

static void tear_down_stream(void)
{
	stream->close(stream);
	hang_up();
}

/* The device has the stream then. */
static void set_up_device(void)
{
	struct virtio_net_params params = { 0 };
	struct virtio_device *vdev;

	set_up_stream();
	memcpy(params.mac, our_mac, 6);
	fd_init(&fd);
	ck_assert_int_eq(virtio_net_create(&fd.env, &params, stream, &vdev), 0);
	fd_attach(&fd, vdev);
}

static void tear_down_device(void)
{
	fd_fini(&fd);
	hang_up();
}

/* The peer writes LEN bytes of the pattern, said to be SAID. */
static void peer_says(uint32_t said, size_t len)
{
	uint32_t head = htonl(said);
	struct iovec iov[2] = { { &head, 4 }, { pattern, len } };

	ck_assert_int_eq(writev(peer, iov, 2), (ssize_t)(4 + len));
}

static void peer_puts(size_t len)
{
	peer_says((uint32_t)len, len);
}

static size_t peer_reads(void *buf, size_t len)
{
	size_t got = 0;
	ssize_t n;

	while (got < len) {
		n = recv(peer, (uint8_t *)buf + got, len - got, MSG_DONTWAIT);
		if (n <= 0)
			break;
		got += (size_t)n;
	}
	return got;
}

/* The peer reads one frame, which is the first LEN bytes of the pattern. */
static void peer_gets(size_t len)
{
	static uint8_t got[sizeof(pattern)];
	uint32_t head = 0;

	ck_assert_uint_eq(peer_reads(&head, 4), 4);
	ck_assert_uint_eq(ntohl(head), len);
	ck_assert_uint_eq(peer_reads(got, len), len);
	ck_assert_mem_eq(got, pattern, len);
}

static bool peer_sees_the_end(void)
{
	uint8_t byte;

	return recv(peer, &byte, 1, MSG_DONTWAIT) == 0;
}

/* Sends as the device does: header and Ethernet header apart from the rest. */
static ssize_t put(size_t len)
{
	uint8_t head[HDR + NET_MIN_FRAME];
	struct iovec iov[3] = {
		{ head, sizeof(head) },
		{ pattern + NET_MIN_FRAME, (len - NET_MIN_FRAME) / 2 },
		{ pattern + NET_MIN_FRAME + (len - NET_MIN_FRAME) / 2,
		  len - NET_MIN_FRAME - (len - NET_MIN_FRAME) / 2 },
	};

	memset(head, 0xff, HDR); /* goes nowhere */
	memcpy(head + HDR, pattern, NET_MIN_FRAME);
	return stream->send(stream, iov, 3);
}

/* Receives to places of odd sizes; the header is all zero. */
static ssize_t get(void)
{
	static uint8_t got[NET_MAX_FRAME + 1];
	struct virtio_net_hdr_v1 hdr;
	struct iovec iov[4] = {
		{ &hdr, HDR },
		{ got, 13 },
		{ got + 13, 0 },
		{ got + 13, sizeof(got) - 13 },
	};
	ssize_t n;

	memset(&hdr, 0xff, HDR);
	memset(got, 0xee, sizeof(got));
	n = stream->receive(stream, iov, 4);
	if (n < 0)
		return n;
	ck_assert_int_ge(n, HDR);
	ck_assert_mem_eq(&hdr, &plain, HDR);
	ck_assert_mem_eq(got, pattern, (size_t)n - HDR);
	ck_assert_uint_eq(got[n - HDR], 0xee);
	return n - HDR;
}

/* Frames go out with their length before them and no header, many at once. */
START_TEST(out)
{
	uint8_t byte;

	ck_assert(!stream->unsent);
	for (size_t len = NET_MIN_FRAME; len < 2000; len += 331)
		ck_assert_int_eq(put(len), (ssize_t)(HDR + len));
	ck_assert(stream->unsent);
	ck_assert_uint_eq(peer_reads(&byte, 1), 0);
	ck_assert_int_eq(stream->flush(stream), 0);
	ck_assert(!stream->unsent);
	for (size_t len = NET_MIN_FRAME; len < 2000; len += 331)
		peer_gets(len);
	ck_assert_uint_eq(peer_reads(&byte, 1), 0);
}
END_TEST

/* Each frame is a message of its own, which a reader with borders sees: more
 * than a call takes, small and large.
 */
START_TEST(messages)
{
	static uint8_t got[LEN + NET_MAX_FRAME + 1];
	ssize_t n = 0;

	stream->close(stream);
	hang_up();
	set_up_socket(SOCK_SEQPACKET);
	for (size_t len = 100; len < 170; len++)
		ck_assert_int_gt(put(len), 0);
	ck_assert_int_gt(put(NET_MAX_FRAME), 0);
	ck_assert_int_gt(put(60), 0);
	for (size_t len = 100; len < 172; len++) {
		ck_assert_int_eq(stream->flush(stream), 0);
		n = recv(peer, got, sizeof(got), MSG_DONTWAIT);
		if (len < 170)
			ck_assert_int_eq(n, (ssize_t)(LEN + len));
		else if (len == 170)
			ck_assert_int_eq(n, LEN + NET_MAX_FRAME);
	}
	ck_assert_int_eq(n, LEN + 60);
	ck_assert(!stream->unsent);
}
END_TEST

/* Frames come in: many at once, each whole. */
START_TEST(in)
{
	ck_assert_int_eq(get(), -EAGAIN);
	for (size_t len = NET_MIN_FRAME; len < 2000; len += 331)
		peer_puts(len);
	ck_assert(!stream->unread);
	for (size_t len = NET_MIN_FRAME; len < 2000; len += 331) {
		ck_assert_int_eq(get(), (ssize_t)len);
		ck_assert_int_eq(stream->unread, len + 331 < 2000);
	}
	ck_assert_int_eq(get(), -EAGAIN);
}
END_TEST

/* Both ways, the largest frame. */
START_TEST(largest)
{
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(put(NET_MAX_FRAME),
				 (ssize_t)(HDR + NET_MAX_FRAME));
		ck_assert_int_eq(stream->flush(stream), 0);
		peer_gets(NET_MAX_FRAME);
		peer_puts(NET_MAX_FRAME);
		ck_assert_int_eq(get(), NET_MAX_FRAME);
	}
}
END_TEST

/* A stream has no borders: two frames and a half, byte by byte. */
START_TEST(in_pieces)
{
	uint32_t len = htonl(100);
	uint8_t wire_bytes[260];

	for (size_t at = 0; at < sizeof(wire_bytes); at += 104) {
		memcpy(wire_bytes + at, &len, 4);
		memcpy(wire_bytes + at + 4, pattern,
		       MIN((size_t)100, sizeof(wire_bytes) - at - 4));
	}
	for (size_t at = 0; at < sizeof(wire_bytes); at++) {
		ck_assert_int_eq(write(peer, wire_bytes + at, 1), 1);
		ck_assert_int_eq(get(), at == 103 || at == 207 ? 100 : -EAGAIN);
		ck_assert(!stream->unread);
	}
}
END_TEST

/* Lengths that no frame has: the connection is at its end, at once and without
 * a byte of it looked at.
 */
static const uint32_t nonsense[] = {
	0,	  1,	     NET_MIN_FRAME - 1, NET_MAX_FRAME + 1,
	1u << 24, INT32_MAX, 1u << 31,		UINT32_MAX
};

START_TEST(bad_length)
{
	peer_puts(60);
	peer_says(nonsense[_i], 0);
	ck_assert_int_eq(get(), 60);
	ck_assert(stream->unread); /* somebody must look at it */
	ck_assert_int_eq(get(), -ENODEV);
	ck_assert_int_eq(get(), -ENODEV);
	ck_assert(peer_sees_the_end());
}
END_TEST

/* RFC 1122 §3.2.1.3, RFC 4291 §2.5: what is for the host itself goes nowhere */
static const struct {
	uint16_t type;
	uint8_t dest[16]; /* IPv4: the first four bytes */
	bool goes;
} addresses[] = {
	{ 0x0800, { 127, 0, 0, 1 }, false },
	{ 0x0800, { 127, 255, 255, 254 }, false },
	{ 0x0800, { 0 }, false },
	{ 0x0800, { 0, 0, 0, 1 }, false },
	{ 0x0800, { 192, 0, 2, 1 }, true },
	{ 0x0800, { 126, 127, 0, 1 }, true },
	{ 0x0800, { 255, 255, 255, 255 }, true },
	{ 0x86dd, { [15] = 1 }, false },
	{ 0x86dd, { 0 }, false },
	{ 0x86dd, { [10] = 255, 255, 127, 0, 0, 1 }, false },
	{ 0x86dd, { [12] = 127, 0, 0, 1 }, false },
	{ 0x86dd, { 0xfe, 0x80, [15] = 1 }, true },
	{ 0x86dd, { [9] = 1 }, true },
	{ 0x86dd, { 0xff, 0x02, [15] = 1 }, true },
	{ 0x0806, { 127, 0, 0, 1 }, true },
};

START_TEST(this_host)
{
	size_t at = addresses[_i].type == 0x86dd ? 38 : 30;

	pattern[12] = (uint8_t)(addresses[_i].type >> 8);
	pattern[13] = (uint8_t)addresses[_i].type;
	memcpy(pattern + at, addresses[_i].dest, 16);
	ck_assert_int_eq(put(100),
			 addresses[_i].goes ? (int)HDR + 100 : -EPERM);
	ck_assert_int_eq(stream->unsent, addresses[_i].goes);
	/* Too short to have a destination. */
	ck_assert_int_eq(put(at), HDR + (ssize_t)at);
	ck_assert_int_eq(stream->flush(stream), 0);
	if (addresses[_i].goes)
		peer_gets(100);
	peer_gets(at);
}
END_TEST

/* A peer that does not read: what we hold for it has a limit, and nothing is
 * lost of what was taken.
 */
START_TEST(full)
{
	unsigned int taken = 0, seen = 0;

	while (put(1514) > 0)
		ck_assert_uint_lt(++taken, 10000);
	ck_assert_int_eq(put(1514), -EAGAIN);
	ck_assert(stream->unsent);
	ck_assert_int_eq(stream->flush(stream), 0);
	ck_assert(stream->unsent);
	for (; seen < 50; seen++)
		peer_gets(1514);
	/* Room again, perhaps in the middle of a frame. */
	while (put(1514) > 0)
		taken++;
	while (seen < taken) {
		ck_assert_int_eq(stream->flush(stream), 0);
		peer_gets(1514);
		seen++;
	}
	ck_assert_int_eq(stream->flush(stream), 0);
	ck_assert(!stream->unsent);
	ck_assert(!peer_sees_the_end());
}
END_TEST

/* The peer is gone: no SIGPIPE. */
START_TEST(gone)
{
	if (_i == 0)
		ck_assert_int_eq(put(60), HDR + 60);
	else if (_i == 1)
		peer_says(60, 30);
	hang_up();
	if (_i == 1)
		ck_assert_int_eq(get(), -EAGAIN);
	ck_assert_int_eq(get(), -ENODEV);
	ck_assert_int_eq(put(60), HDR + 60);
	ck_assert_int_eq(stream->flush(stream), -ENODEV);
	for (int i = 0; put(60000) > 0; i++)
		ck_assert_int_lt(i, 3);
	ck_assert_int_eq(put(60000), -ENODEV);
}
END_TEST

/* C9, N8, virtio 1.2 §5.1.3: nobody to leave a checksum or a segmentation to;
 * and not one frame with such a wish goes out
 */
START_TEST(no_offloads)
{
	struct virtio_net_hdr_v1 hdr = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.csum_start = 34,
		.csum_offset = 16,
	};

	ck_assert_uint_eq(fd_device_features(&fd),
			  FD_FEATURES | NET(MRG_RXBUF) | NET(MAC) |
				  NET(STATUS));
	start(NET(MRG_RXBUF) | NET(MAC) | NET(STATUS));
	send_one(&hdr, 100);
	ck_assert_uint_eq(counter_get(&stats()->tx_bad_header), 1);
	send_one(&plain, 100);
	peer_gets(100);
	ck_assert_uint_eq(peer_reads(&hdr, 1), 0);
}
END_TEST

static unsigned int received(size_t len)
{
	uint32_t used_len;
	unsigned int n = 0;

	while (fd_used(&fd, RX, NULL, &used_len)) {
		ck_assert_uint_eq(used_len, HDR + len);
		n++;
	}
	return n;
}

/* More frames than a turn moves, in one read: the socket has nothing more to
 * say, and yet all of them come.  Also when the driver had no buffers then.
 */
START_TEST(more_than_a_turn)
{
	start(0);
	for (int i = 0; i < 200; i++)
		peer_puts(60);
	for (int i = 0; i < 90; i++)
		post_rx(200);
	fd_kick(&fd, RX);
	fd_run_loop(&fd);
	ck_assert_uint_eq(received(60), 90);
	ck_assert_uint_eq(busy_turns(), 0);
	for (int i = 0; i < 120; i++)
		post_rx(200);
	fd_kick(&fd, RX);
	fd_run_loop(&fd);
	ck_assert_uint_eq(received(60), 110);
	ck_assert_uint_eq(busy_turns(), 0);
	peer_puts(61);
	fd_run_loop(&fd);
	ck_assert_uint_eq(received(61), 1);
}
END_TEST

/* A frame comes in two pieces while the device waits for it. */
START_TEST(wakes_up)
{
	uint64_t gpa;

	start(0);
	gpa = post_rx(200);
	fd_kick(&fd, RX);
	fd_run_loop(&fd);
	peer_says(100, 50);
	fd_run_loop(&fd);
	ck_assert_uint_eq(busy_turns(), 0);
	ck_assert(!fd_used(&fd, RX, NULL, NULL));
	ck_assert_int_eq(write(peer, pattern + 50, 50), 50);
	fd_run_loop(&fd);
	ck_assert_uint_eq(received(100), 1);
	ck_assert_mem_eq(fd_ptr(&fd, gpa + HDR, 100), pattern, 100);
}
END_TEST

/* The peer does not read for a while: chains wait, nothing turns, and when it
 * reads again, all come, the last ones without another doorbell.
 */
START_TEST(backpressure)
{
	uint64_t memory = fd.alloc;
	unsigned int sent = 0, seen = 0;

	start(0);
	while (counter_get(&stats()->tx_waits) == 0) {
		fd.alloc = memory + MIB(1);
		post_tx(&plain, 1514, 2000);
		fd_kick(&fd, TX);
		ck_assert_uint_lt(++sent, 10000);
		if (counter_get(&stats()->tx_waits) == 0)
			used_tx();
	}
	ck_assert_uint_eq(busy_turns(), 0);
	ck_assert(!fd_used(&fd, TX, NULL, NULL));
	for (; seen < sent; seen++) {
		peer_gets(1514);
		fd_run_loop(&fd);
	}
	used_tx();
	ck_assert_uint_eq(counter_get(&stats()->tx_packets), sent);
	ck_assert_uint_eq(busy_turns(), 0);
}
END_TEST

/* A reset in the middle of a frame on the wire: the next driver's frames come
 * behind its end, and the end does not wait for them.
 */
START_TEST(reset_in_a_frame)
{
	static uint8_t rest[8 << 20];
	unsigned int frames = 0;
	size_t got;

	start(0);
	while (counter_get(&stats()->tx_waits) == 0) {
		fd.alloc = MIB(4);
		post_tx(&plain, 60000, 60100);
		fd_kick(&fd, TX);
		if (counter_get(&stats()->tx_waits) == 0)
			used_tx();
	}
	fd_reset(&fd);
	fd_run_loop(&fd);
	ck_assert_uint_eq(busy_turns(), 0);
	for (got = 0; got < sizeof(rest);) {
		size_t n = peer_reads(rest + got, sizeof(rest) - got);

		if (n == 0)
			break;
		got += n;
		fd_run_loop(&fd);
	}
	ck_assert_uint_eq(got % (4 + 60000), 0);
	frames = (unsigned int)(got / (4 + 60000));
	ck_assert_uint_eq(frames, counter_get(&stats()->tx_packets));
	start(0);
	send_one(&plain, 77);
	peer_gets(77);
}
END_TEST

/* virtio 1.2 §5.1.4.2: however the peer goes, the link is down, the driver is
 * told, the machine lives
 */
START_TEST(link_down)
{
	uint8_t link;

	start(NET(STATUS));
	post_rx(2000);
	fd_kick(&fd, RX);
	fd_run_loop(&fd);
	fd_config_read(&fd, 6, &link, 1);
	ck_assert_uint_eq(link, VIRTIO_NET_S_LINK_UP);
	fd.irq.pulses = 0;
	switch (_i) {
	case 0:
		hang_up();
		break;
	case 1:
		peer_says(UINT32_MAX, 100);
		break;
	case 2:
		shutdown(peer, SHUT_WR);
		break;
	default:
		hang_up();
		send_one(&plain, 60);
		/* at once: the loop has not looked */
		ck_assert_uint_eq(counter_get(&stats()->tx_packets), 1);
		fd_config_read(&fd, 6, &link, 1);
		ck_assert_uint_eq(link, 0);
	}
	fd_run_loop(&fd);
	fd_config_read(&fd, 6, &link, 1);
	ck_assert_uint_eq(link, 0);
	ck_assert(fd_reg(&fd, VIRTIO_MMIO_INTERRUPT_STATUS) &
		  VIRTIO_MMIO_INT_CONFIG);
	ck_assert_uint_eq(fd.irq.pulses, _i == 3 ? 2 : 1);
	ck_assert(!needs_reset());
	send_one(&plain, 60);
	ck_assert_uint_eq(busy_turns(), 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("stream");
	TCase *alone = tcase_create("alone");
	TCase *device = tcase_create("device");

	tcase_add_checked_fixture(alone, set_up_stream, tear_down_stream);
	tcase_add_test(alone, out);
	tcase_add_test(alone, messages);
	tcase_add_test(alone, in);
	tcase_add_test(alone, largest);
	tcase_add_test(alone, in_pieces);
	tcase_add_loop_test(alone, bad_length, 0, ARRAY_SIZE(nonsense));
	tcase_add_loop_test(alone, this_host, 0, ARRAY_SIZE(addresses));
	tcase_add_test(alone, full);
	tcase_add_loop_test(alone, gone, 0, 3);
	suite_add_tcase(s, alone);

	tcase_add_checked_fixture(device, set_up_device, tear_down_device);
	tcase_add_test(device, no_offloads);
	tcase_add_test(device, more_than_a_turn);
	tcase_add_test(device, wakes_up);
	tcase_add_test(device, backpressure);
	tcase_add_test(device, reset_in_a_frame);
	tcase_add_loop_test(device, link_down, 0, 4);
	suite_add_tcase(s, device);
	return s;
}

UNIT_MAIN(suite)
