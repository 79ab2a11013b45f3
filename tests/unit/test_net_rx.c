// SPDX-License-Identifier: Apache-2.0
/*
 * test_net_rx.c - virtio net: what a driver receives, and when
 */
#include "tests/unit/net_fixture.h"

#define MERGED NET(MRG_RXBUF)

static const struct virtio_net_hdr_v1 plain;
static uint8_t want[HDR + sizeof(pattern)];

/* Header and pattern as a driver must see them. */
static void expect(struct virtio_net_hdr_v1 hdr, uint16_t num_buffers)
{
	hdr.num_buffers = num_buffers;
	memcpy(want, &hdr, HDR);
	memcpy(want + HDR, pattern, sizeof(pattern));
}

static void no_used(void)
{
	ck_assert(!fd_used(&fd, RX, NULL, NULL));
}

/* N5, N6, virtio 1.2 §5.1.6.3.2, §5.1.6.4.1: one buffer, num_buffers 1; V17:
 * the used length is what was written
 */
START_TEST(one_buffer)
{
	static const size_t len[] = { 14, 60, 1514, 2000 - HDR };

	for (int merged = 0; merged < 2; merged++) {
		start(merged ? MERGED : 0);
		expect(plain, 1);
		for (size_t i = 0; i < ARRAY_SIZE(len); i++) {
			uint64_t gpa = post_rx(2000);

			fd_kick(&fd, RX);
			no_used();
			wire_put(&plain, len[i]);
			fd_run_loop(&fd);
			used_rx(gpa, want, HDR + (uint32_t)len[i]);
		}
	}
	ck_assert_uint_eq(counter_get(&stats()->rx_packets), 8);
	ck_assert_uint_eq(counter_get(&stats()->rx_bytes),
			  2 * (14 + 60 + 1514 + 2000 - HDR));
	ck_assert_uint_eq(busy_turns(), 0);
}
END_TEST

/* N6, virtio 1.2 §5.1.6.4.1: the largest frame over buffers of SIZE bytes, of
 * which the driver has enough: num_buffers is their count, all but the last are
 * full.  Twice: the second finds room as the first has taught.
 */
static const uint32_t merge_size[] = { 257, 1000, 1536, 4096, 65536, 131072 };

/* N6, virtio 1.2 §5.1.6.4.1: each row of the table */
START_TEST(merged)
{
	uint32_t size = merge_size[_i];
	uint32_t total = HDR + NET_MAX_FRAME;
	uint32_t n = (total + size - 1) / size;
	uint64_t gpa[256];

	start(NET_ALL);
	expect(plain, (uint16_t)n);
	for (int round = 0; round < 2; round++) {
		uint64_t memory = fd.alloc;

		ck_assert_uint_le(n, 256);
		for (uint32_t i = 0; i < n; i++)
			gpa[i] = post_rx(size);
		fd_kick(&fd, RX);
		wire_put(&plain, NET_MAX_FRAME);
		fd_run_loop(&fd);
		for (uint32_t i = 0; i < n; i++)
			used_rx(gpa[i], want + (size_t)i * size,
				MIN(size, total - i * size));
		no_used();
		fd.alloc = memory;
		/* Header, buffers in two pieces each, spill. */
		if (n > 2)
			ck_assert_int_eq(wire.pieces >= 2 * (int)n, round > 0);
	}
	/* No frame is longer, whatever there is room for. */
	for (uint32_t i = 0; i < n; i++)
		post_rx(size);
	fd_kick(&fd, RX);
	wire_put(&plain, NET_MAX_FRAME + 1);
	fd_run_loop(&fd);
	no_used();
	ck_assert_uint_eq(counter_get(&stats()->rx_bad_size), 1);
	ck_assert(!needs_reset());
	ck_assert_uint_eq(counter_get(&stats()->rx_packets), 2);
}
END_TEST

/* Behind a small frame, the next is read in one piece; behind a large one, to
 * where it belongs.  It is the same frame, either way.
 */
START_TEST(one_piece_or_more)
{
	static const struct {
		size_t len;
		bool one_piece;
	} row[] = { { 60, true },   { 9000, true }, { 60, false },
		    { 1514, true }, { 9000, true }, { 9000, false } };

	start(MERGED);
	expect(plain, 1);
	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		uint64_t gpa = post_rx(16384);

		fd_kick(&fd, RX);
		wire_put(&plain, row[i].len);
		fd_run_loop(&fd);
		used_rx(gpa, want, HDR + (uint32_t)row[i].len);
		ck_assert_int_eq(wire.pieces == 1, row[i].one_piece);
	}
}
END_TEST

/* N6, V31, virtio 1.2 §5.1.6.4.1: too few buffers.  Nothing is half used and
 * nothing turns, until the last buffer is there; then all become visible.
 */
START_TEST(buffers_come_late)
{
	uint64_t gpa[40];
	unsigned int n = 0;

	start(NET_ALL);
	expect(plain, 40);
	wire_put(&plain, 40 * 1500 - HDR - 100);
	wire_put(&plain, 60);
	fd_run_loop(&fd);
	ck_assert_uint_eq(wire.receives, 0); /* no buffer, no look */
	while (n < 40) {
		no_used();
		ck_assert_uint_eq(busy_turns(), 0);
		gpa[n++] = post_rx(1500);
		fd_kick(&fd, RX);
	}
	ck_assert_uint_eq(fd_used_ring(&fd, RX)->idx, 40);
	for (unsigned int i = 0; i < 40; i++)
		used_rx(gpa[i], want + (size_t)i * 1500, i < 39 ? 1500 : 1400);
	ck_assert_uint_eq(busy_turns(), 0);
	/* The next one waits for its buffer. */
	gpa[0] = post_rx(1500);
	fd_kick(&fd, RX);
	expect(plain, 1);
	used_rx(gpa[0], want, HDR + 60);
	ck_assert_uint_eq(counter_get(&stats()->rx_no_buffers), 0);
}
END_TEST

/* V31 (CVE-2020-16843): a driver whose ring is too small for a frame is not
 * frozen: the frame is dropped, at once when the ring is ours altogether, else
 * after a second
 */
START_TEST(ring_too_small)
{
	uint64_t gpa;

	start(NET_ALL);
	for (int i = 0; i < 256; i++)
		post_rx(16);
	fd_kick(&fd, RX);
	wire_put(&plain, 5000);
	fd_run_loop(&fd);
	no_used();
	ck_assert_uint_eq(counter_get(&stats()->rx_no_buffers), 1);
	ck_assert_ptr_null(fd.loop.timers);
	wire_put(&plain, 256 * 16 - HDR);
	fd_run_loop(&fd);
	for (int i = 0; i < 256; i++)
		ck_assert(fd_used(&fd, RX, NULL, NULL));

	gpa = post_rx(100);
	fd_kick(&fd, RX);
	wire_put(&plain, 500);
	wire_put(&plain, 60);
	fd_run_loop(&fd);
	no_used();
	ck_assert_ptr_nonnull(fd.loop.timers);
	ck_assert_uint_le(fd.loop.timers->deadline_ns, now_ns() + 1000000000);
	ck_assert_uint_gt(fd.loop.timers->deadline_ns, now_ns() + 500000000);
	fd.loop.timers->deadline_ns = 1;
	fd_run_loop(&fd);
	ck_assert_uint_eq(counter_get(&stats()->rx_no_buffers), 2);
	expect(plain, 1);
	/* What lies behind the frame is of the one that was dropped. */
	memset(fd_ptr(&fd, gpa + HDR + 60, 1), UNTOUCHED, 1);
	used_rx(gpa, want, HDR + 60);
	ck_assert_ptr_null(fd.loop.timers);
}
END_TEST

/* virtio 1.2 §5.1.6.4.1: a frame beyond the one buffer there may be is dropped,
 * never cut; the buffer serves the next
 */
START_TEST(not_merged)
{
	uint64_t gpa;

	start(0);
	gpa = post_rx(1526);
	for (int i = 0; i < 60; i++)
		post_rx(1526);
	fd_kick(&fd, RX);
	wire_put(&plain, 1515);
	wire_put(&plain, NET_MAX_FRAME);
	wire_put(&plain, NET_MAX_FRAME + 1);
	wire_put(&plain, NET_MAX_FRAME + 50);
	wire_put(&plain, 13);
	wire_put(&plain, 0);
	fd_run_loop(&fd);
	no_used();
	ck_assert_uint_eq(counter_get(&stats()->rx_bad_size), 6);
	wire_put(&plain, 1514);
	fd_run_loop(&fd);
	expect(plain, 1);
	used_rx(gpa, want, 1526);
}
END_TEST

/* V8, V12, virtio 1.2 §5.1.6.3.1: a buffer of less than a header, and one that
 * is not ours to write (V16), are malformed; a reset mends it
 */
START_TEST(buffer_too_small)
{
	for (uint32_t len = 0; len <= HDR; len++) {
		uint64_t gpa = fd_alloc(&fd, 64);
		struct fd_seg seg[2] = { { gpa, 64 }, { gpa, len } };

		start(NET_ALL);
		fd_post(&fd, RX, seg, 1, 1, FD_DIRECT);
		fd_kick(&fd, RX);
		ck_assert_int_eq(needs_reset(), len < HDR);
		wire_put(&plain, 60);
		ck_assert_uint_le(busy_turns(), 4);
		ck_assert_uint_eq(busy_turns(), 0);
	}
	for (int round = 0; round < 2; round++) {
		uint64_t gpa = fd_alloc(&fd, 64);
		struct fd_seg seg = { gpa, 64 };

		start(NET_ALL);
		fd_post(&fd, RX, &seg, 1, 0, FD_DIRECT);
		fd_kick(&fd, RX);
		ck_assert(needs_reset());
		ck_assert_uint_eq(busy_turns(), 0);
	}
	start(MERGED);
	post_rx(2000);
	fd_kick(&fd, RX);
	wire_put(&plain, 60);
	fd_run_loop(&fd);
	ck_assert(fd_used(&fd, RX, NULL, NULL));
}
END_TEST

#define NEEDS VIRTIO_NET_HDR_F_NEEDS_CSUM
#define VALID VIRTIO_NET_HDR_F_DATA_VALID
#define TSO4  VIRTIO_NET_HDR_GSO_TCPV4
#define TSO6  VIRTIO_NET_HDR_GSO_TCPV6
#define USO   VIRTIO_NET_HDR_GSO_UDP_L4
#define ECN   VIRTIO_NET_HDR_GSO_ECN
#define CSUM  NET(GUEST_CSUM)

/* N7, N8, virtio 1.2 §5.1.6.4.1: flags, segmentation and its size as the host
 * says, what was negotiated, and the flags that the driver may see; -1: the
 * frame is dropped.
 */
static const struct {
	uint8_t flags, gso;
	uint16_t gso_size;
	uint64_t features;
	int seen;
} header[] = {
	{ 0, 0, 0, 0, 0 },
	{ VALID, 0, 0, 0, 0 },
	{ VALID, 0, 0, CSUM, VALID },
	{ VALID | 4 | 0xf8, 0, 0, CSUM, VALID }, /* RSC_INFO, unknown */
	{ NEEDS, 0, 0, CSUM, NEEDS },
	{ NEEDS, 0, 0, 0, -1 },
	{ NEEDS, TSO4, 1448, CSUM | NET(GUEST_TSO4), NEEDS },
	{ NEEDS, TSO4, 1448, CSUM | NET(GUEST_TSO6), -1 },
	{ NEEDS, TSO6, 1448, CSUM | NET(GUEST_TSO6), NEEDS },
	{ NEEDS, TSO6, 1448, CSUM | NET(GUEST_TSO4), -1 },
	{ NEEDS, TSO4, 1448, CSUM, -1 },
	{ NEEDS, TSO4, 1448, 0, -1 },
	{ NEEDS, TSO4, 0, NET_RX_OFFLOADS, -1 },
	{ 0, TSO4, 1448, NET_RX_OFFLOADS, -1 },
	{ VALID, TSO4, 1448, NET_RX_OFFLOADS, -1 },
	{ NEEDS, TSO4 | ECN, 1448, NET_RX_OFFLOADS, NEEDS },
	{ NEEDS, TSO6 | ECN, 1448, NET_RX_OFFLOADS, NEEDS },
	{ NEEDS, TSO4 | ECN, 1448, NET_RX_OFFLOADS & ~NET(GUEST_ECN), -1 },
	{ NEEDS, ECN, 1448, NET_RX_OFFLOADS, -1 },
	{ NEEDS, VIRTIO_NET_HDR_GSO_UDP, 1448, NET_RX_OFFLOADS, -1 },
	{ NEEDS, USO, 1448, NET_RX_OFFLOADS, NEEDS },
	{ NEEDS, USO, 1448, CSUM | NET(GUEST_USO4) | NET(GUEST_USO6), NEEDS },
	{ NEEDS, USO, 1448, NET_RX_OFFLOADS & ~NET(GUEST_USO4), -1 },
	{ NEEDS, USO, 1448, NET_RX_OFFLOADS & ~NET(GUEST_USO6), -1 },
	{ NEEDS, USO, 0, NET_RX_OFFLOADS, -1 },
	{ VALID, USO, 1448, NET_RX_OFFLOADS, -1 },
	{ NEEDS, USO | ECN, 1448, NET_RX_OFFLOADS, -1 },
};

/* N7, N8, virtio 1.2 §5.1.6.4.1: each row of the table */
START_TEST(headers)
{
	struct virtio_net_hdr_v1 hdr = {
		.flags = header[_i].flags,
		.gso_type = header[_i].gso,
		.gso_size = header[_i].gso_size,
		.hdr_len = header[_i].gso ? 66 : 0,
		.csum_start = header[_i].flags & NEEDS ? 34 : 0,
		.csum_offset = header[_i].flags & NEEDS ? 16 : 0,
		.num_buffers = 99,
	};
	bool dropped = header[_i].seen < 0;
	uint64_t gpa;

	start(header[_i].features | MERGED);
	gpa = post_rx(1600);
	fd_kick(&fd, RX);
	wire_put(&hdr, 1000);
	fd_run_loop(&fd);
	ck_assert_uint_eq(counter_get(&stats()->rx_not_offered), dropped);
	if (dropped) {
		no_used();
		hdr = plain;
		wire_put(&hdr, 1000);
		fd_run_loop(&fd);
	} else {
		hdr.flags = (uint8_t)header[_i].seen;
	}
	expect(hdr, 1);
	used_rx(gpa, want, HDR + 1000);
}
END_TEST

/* N1, virtio 1.2 §5.1.4.1: up to the MTU is passed, more is not once it was
 * negotiated, but for a tag and for segmentation
 */
START_TEST(mtu)
{
	const struct virtio_net_hdr_v1 tso = { .flags = NEEDS,
					       .gso_type = TSO4,
					       .gso_size = 500,
					       .csum_start = 34,
					       .csum_offset = 16 };
	unsigned int bad = 0;

	fd_fini(&fd);
	wire_fini(&wire);
	set_up_mtu(576);
	for (int told = 1; told >= 0; told--) {
		start(NET_RX_OFFLOADS | MERGED | (told ? NET(MTU) : 0));
		for (size_t len = 576 + 13; len < 576 + 21; len++) {
			for (int tag = 0; tag < 2; tag++) {
				bool passed = !told || len <= 576 + 14 ||
					      (tag && len <= 576 + 18);

				pattern[12] = tag ? 0x81 : 0x08;
				post_rx(2000);
				fd_kick(&fd, RX);
				wire_put(&plain, len);
				fd_run_loop(&fd);
				ck_assert_int_eq(fd_used(&fd, RX, NULL, NULL),
						 passed);
				bad += !passed;
				ck_assert_uint_eq(
					counter_get(&stats()->rx_bad_size),
					bad);
			}
		}
		post_rx(20000);
		fd_kick(&fd, RX);
		wire_put(&tso, 10000);
		fd_run_loop(&fd);
		ck_assert(fd_used(&fd, RX, NULL, NULL));
	}
}
END_TEST

/* V31, V24: frames from before the driver are its first; a turn is bounded, and
 * one interrupt
 */
START_TEST(turns)
{
	unsigned int n = 0;
	uint64_t memory;

	for (int i = 0; i < 200; i++) {
		wire_put(&plain, 60);
		if (i == 0)
			ck_assert_uint_eq(busy_turns(), 0);
	}
	ck_assert(fd_start(&fd, NET_ALL));
	fd_run_loop(&fd);
	memory = fd.alloc;
	for (int i = 0; i < 250; i++) {
		fd.alloc = memory;
		post_rx(1600);
	}
	fd_want_irq(&fd, RX, true);
	fd.irq.pulses = 0;
	wire.receives = 0;
	fd_kick(&fd, RX);
	ck_assert_uint_eq(wire.receives, 64);
	ck_assert_uint_eq(fd.irq.pulses, 1);
	fd_run_loop(&fd);
	while (fd_used(&fd, RX, NULL, NULL))
		n++;
	ck_assert_uint_eq(n, 200);
	ck_assert_uint_eq(counter_get(&stats()->rx_packets), 200);
	ck_assert_uint_eq(busy_turns(), 0);
}
END_TEST

/* V19, V31: resets with buffers held, with a frame waiting; the loop comes to
 * rest although frames are there
 */
START_TEST(resets)
{
	for (int i = 0; i < 100; i++) {
		start(NET_ALL);
		for (int k = 0; k < i % 5; k++)
			post_rx(300);
		fd_kick(&fd, RX);
		fd_reset(&fd);
		wire_put(&plain, 1000);
		ck_assert_uint_le(busy_turns(), 2);
		ck_assert_uint_eq(busy_turns(), 0);
		/* Without queues, too. */
		ck_assert(fd_negotiate(&fd, NET_ALL));
		fd_add_status(&fd, VIRTIO_CONFIG_S_DRIVER_OK);
		ck_assert_uint_eq(busy_turns(), 0);
		start(NET_ALL);
		post_rx(2000);
		fd_kick(&fd, RX);
		fd_run_loop(&fd);
		ck_assert(fd_used(&fd, RX, NULL, NULL));
	}
	ck_assert_uint_eq(counter_get(&stats()->rx_packets), 100);
}
END_TEST

/* V31, virtio 1.2 §4.2.2.1: a queue whose QueueReady the driver takes back is
 * not looked at, and neither is what waits for it
 */
START_TEST(queue_taken_back)
{
	for (uint32_t q = 0; q < 2; q++) {
		wire.send_error = -EAGAIN;
		start(NET_ALL);
		post_rx(2000);
		fd_kick(&fd, RX);
		post_rx(2000);
		post_tx(&plain, 60, 4096);
		fd_kick(&fd, TX);
		fd_set_reg(&fd, VIRTIO_MMIO_QUEUE_SEL, q);
		fd_set_reg(&fd, VIRTIO_MMIO_QUEUE_READY, 0);
		wire.send_error = 0;
		wire_put(&plain, 60);
		fd_run_loop(&fd);
		ck_assert_uint_eq(busy_turns(), 0);
		ck_assert_int_eq(fd_used(&fd, RX, NULL, NULL), q != RX);
	}
}
END_TEST

/* V19: a frame that waits is not the next driver's, and neither are buffers */
START_TEST(reset_while_waiting)
{
	uint64_t gpa;

	for (int i = 0; i < 20; i++) {
		start(NET_ALL);
		post_rx(300);
		fd_kick(&fd, RX);
		wire_put(&plain, 1000);
		fd_run_loop(&fd);
		no_used();
		start(NET_ALL);
		gpa = post_rx(2000);
		fd_kick(&fd, RX);
		wire_put(&plain, 60);
		fd_run_loop(&fd);
		expect(plain, 1);
		used_rx(gpa, want, HDR + 60);
		no_used();
	}
}
END_TEST

/* Watches a used index as another CPU of the guest would. */
struct watcher {
	pthread_t thread;
	const struct vring_used *ring;
	_Atomic bool stop;
	unsigned int step, partial;
};

static void *watch_used(void *arg)
{
	struct watcher *w = arg;

	while (!w->stop) {
		uint16_t idx = __atomic_load_n(&w->ring->idx, __ATOMIC_ACQUIRE);

		w->partial += idx % w->step != 0;
	}
	return NULL;
}

/* N6, virtio 1.2 §5.1.6.4.1: no CPU sees some of a frame's buffers used */
START_TEST(visible_together)
{
	struct watcher w = { .step = 128 };
	uint64_t memory;

	start(NET_ALL);
	w.ring = fd_used_ring(&fd, RX);
	ck_assert_int_eq(pthread_create(&w.thread, NULL, watch_used, &w), 0);
	memory = fd.alloc;
	for (int round = 0; round < 1500; round++) {
		for (unsigned int i = 0; i < w.step; i++) {
			fd.alloc = memory + i * 512;
			post_rx(256);
		}
		fd_kick(&fd, RX);
		wire_put(&plain, w.step * 256 - HDR);
		fd_run_loop(&fd);
		for (unsigned int i = 0; i < w.step; i++)
			ck_assert(fd_used(&fd, RX, NULL, NULL));
	}
	w.stop = true;
	pthread_join(w.thread, NULL);
	ck_assert_uint_eq(w.partial, 0);
}
END_TEST

/* V32: a frame that the back end lost is one frame */
START_TEST(back_end_errors)
{
	start(MERGED);
	post_rx(2000);
	wire.receive_error = -EFAULT;
	fd_kick(&fd, RX);
	ck_assert_uint_eq(wire.receives, 64);
	ck_assert_uint_eq(counter_get(&stats()->rx_errors), 64);
	wire.receive_error = 0;
	wire_put(&plain, 60);
	fd_run_loop(&fd);
	ck_assert(fd_used(&fd, RX, NULL, NULL));
	/* less than a header */
	post_rx(2000);
	fd_kick(&fd, RX);
	ck_assert_int_eq(write(wire.host, pattern, HDR - 1), HDR - 1);
	fd_run_loop(&fd);
	no_used();
	ck_assert_uint_eq(counter_get(&stats()->rx_errors), 65);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("net_rx");
	TCase *tc = tcase_create("net_rx");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, one_buffer);
	tcase_add_loop_test(tc, merged, 0, ARRAY_SIZE(merge_size));
	tcase_add_test(tc, buffers_come_late);
	tcase_add_test(tc, ring_too_small);
	tcase_add_test(tc, not_merged);
	tcase_add_test(tc, buffer_too_small);
	tcase_add_loop_test(tc, headers, 0, ARRAY_SIZE(header));
	tcase_add_test(tc, mtu);
	tcase_add_test(tc, turns);
	tcase_add_test(tc, resets);
	tcase_add_test(tc, reset_while_waiting);
	tcase_add_test(tc, one_piece_or_more);
	tcase_add_test(tc, visible_together);
	tcase_add_test(tc, queue_taken_back);
	tcase_add_test(tc, back_end_errors);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
