// SPDX-License-Identifier: Apache-2.0
/*
 * test_net_tx.c - virtio net: what a driver sends, hostile headers first
 */
#include "tests/unit/net_fixture.h"

#define CSUM_AT 34 /* where a TCP header begins behind IPv4 */

static const struct virtio_net_hdr_v1 plain;

/* C29, virtio 1.2 §2.7.4.1: header and frame cut in any way */
START_TEST(any_framing)
{
	static const size_t piece[] = { 1, 2, 11, 12, 13, 25, 26, 27, 200 };

	start(0);
	for (size_t i = 0; i < ARRAY_SIZE(piece); i++) {
		post_tx(&plain, 100, piece[i]);
		fd_kick(&fd, TX);
		used_tx();
		check_wire(100);
	}
	ck_assert_uint_eq(counter_get(&stats()->tx_packets), ARRAY_SIZE(piece));
	ck_assert_uint_eq(counter_get(&stats()->tx_bytes),
			  100 * ARRAY_SIZE(piece));
}
END_TEST

/* N10, virtio 1.2 §5.1.6.2; V12: too short and too long is used, counted, not
 * sent
 */
START_TEST(frame_sizes)
{
	static const struct {
		size_t len;
		bool sent;
	} row[] = {
		{ 0, false },
		{ 1, false },
		{ 13, false },
		{ 14, true },
		{ 1514, true },
		{ NET_MAX_FRAME - 1, true },
		{ NET_MAX_FRAME, true },
		{ NET_MAX_FRAME + 1, false },
	};
	unsigned int bad = 0;

	start(0);
	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		send_one(&plain, row[i].len);
		bad += !row[i].sent;
		if (row[i].sent)
			check_wire(row[i].len);
		check_wire_empty();
		ck_assert_uint_eq(counter_get(&stats()->tx_bad_size), bad);
	}
	ck_assert(!needs_reset());
}
END_TEST

/* N10, V8, V12, V16, virtio 1.2 §5.1.6.2: no whole header, no bytes at all, 4
 * GiB less one, memory that is not for us to read
 */
START_TEST(not_a_frame)
{
	uint64_t gpa = fd_alloc(&fd, 64);
	uint8_t *mem = fd_ptr(&fd, gpa, 64);
	struct fd_seg seg[256];
	unsigned int bad = 0;

	memset(mem, UNTOUCHED, 64);
	start(NET_ALL);
	for (uint32_t len = 0; len < HDR; len++) {
		seg[0] = (struct fd_seg){ gpa, len };
		fd_post(&fd, TX, seg, 1, 0, FD_DIRECT);
		fd_kick(&fd, TX);
		used_tx();
		ck_assert_uint_eq(counter_get(&stats()->tx_bad_size), ++bad);
	}
	seg[0] = (struct fd_seg){ gpa, 64 };
	fd_post(&fd, TX, seg, 0, 1, FD_DIRECT);
	for (unsigned int i = 0; i < 256; i++)
		seg[i] = (struct fd_seg){ 0, MIB(15) };
	fd_post(&fd, TX, seg, 256, 0, FD_INDIRECT);
	fd_kick(&fd, TX);
	used_tx();
	used_tx();
	ck_assert_uint_eq(counter_get(&stats()->tx_bad_size), bad + 2);
	for (int i = 0; i < 64; i++)
		ck_assert_uint_eq(mem[i], UNTOUCHED);
	check_wire_empty();
	ck_assert_uint_eq(wire.sends, 0);
	ck_assert(!needs_reset());
}
END_TEST

#define NEEDS VIRTIO_NET_HDR_F_NEEDS_CSUM
#define TSO4  VIRTIO_NET_HDR_GSO_TCPV4
#define TSO6  VIRTIO_NET_HDR_GSO_TCPV6
#define USO   VIRTIO_NET_HDR_GSO_UDP_L4
#define ECN   VIRTIO_NET_HDR_GSO_ECN

/* N4, N8, virtio 1.2 §5.1.6.2.1, §5.1.6.2.2: flags, segmentation, size, where
 * the checksum is; what has to be negotiated; whether it is sent.
 */
static const struct {
	uint8_t flags, gso;
	uint16_t gso_size, start, offset;
	uint64_t features;
	bool sent;
} header[] = {
	{ 0, 0, 0, 0, 0, 0, true },
	/* unknown flags are ignored, and so is what no flag announces */
	{ 0xfe, 0, 0, 0, 0, 0, true },
	{ 0xfe, 0, 7, 0xffff, 0xffff, 0, true },
	/* checksum */
	{ NEEDS, 0, 0, CSUM_AT, 16, NET(CSUM), true },
	{ NEEDS, 0, 0, CSUM_AT, 16, 0, false },
	{ NEEDS, 0, 0, CSUM_AT, 64, NET(CSUM), true },
	{ NEEDS, 0, 0, CSUM_AT, 65, NET(CSUM), false },
	{ NEEDS, 0, 0, 99, 0, NET(CSUM), false },
	{ NEEDS, 0, 0, 98, 0, NET(CSUM), true },
	{ NEEDS, 0, 0, 13, 0, NET(CSUM), false },
	{ NEEDS, 0, 0, 0xffff, 0xffff, NET(CSUM), false },
	{ NEEDS, 0, 0, 0, 0xffff, NET(CSUM), false },
	/* segmentation */
	{ NEEDS, TSO4, 50, CSUM_AT, 16, NET(CSUM) | NET(HOST_TSO4), true },
	{ NEEDS, TSO4, 50, CSUM_AT, 16, NET(CSUM) | NET(HOST_TSO6), false },
	{ NEEDS, TSO6, 50, CSUM_AT, 16, NET(CSUM) | NET(HOST_TSO6), true },
	{ NEEDS, TSO6, 50, CSUM_AT, 16, NET(CSUM) | NET(HOST_TSO4), false },
	{ NEEDS, TSO4, 0, CSUM_AT, 16, NET_TX_OFFLOADS, false },
	{ 0, TSO4, 50, CSUM_AT, 16, NET_TX_OFFLOADS, false },
	{ NEEDS, TSO4 | ECN, 50, CSUM_AT, 16, NET_TX_OFFLOADS, true },
	{ NEEDS, TSO6 | ECN, 50, CSUM_AT, 16, NET_TX_OFFLOADS, true },
	{ NEEDS, TSO4 | ECN, 50, CSUM_AT, 16, NET(CSUM) | NET(HOST_TSO4),
	  false },
	{ NEEDS, ECN, 50, CSUM_AT, 16, NET_TX_OFFLOADS, false },
	{ NEEDS, USO, 50, CSUM_AT, 6, NET(CSUM) | NET(HOST_USO), true },
	{ NEEDS, USO, 0, CSUM_AT, 6, NET_TX_OFFLOADS, false },
	{ 0, USO, 50, CSUM_AT, 6, NET_TX_OFFLOADS, false },
	{ NEEDS, USO | ECN, 50, CSUM_AT, 6, NET_TX_OFFLOADS, false },
	{ NEEDS, USO, 50, CSUM_AT, 6, NET_TX_OFFLOADS & ~NET(HOST_USO), false },
	/* kinds that are not offered: UFO, and what has no name */
	{ NEEDS, VIRTIO_NET_HDR_GSO_UDP, 50, CSUM_AT, 16, NET_TX_OFFLOADS,
	  false },
	{ NEEDS, 2, 50, CSUM_AT, 16, NET_TX_OFFLOADS, false },
	{ NEEDS, 0x7f, 50, CSUM_AT, 16, NET_TX_OFFLOADS, false },
	{ NEEDS, 0xff, 50, CSUM_AT, 16, NET_TX_OFFLOADS, false },
};

/* N4, virtio 1.2 §5.1.6.2.2: each row of the table */
START_TEST(headers)
{
	struct virtio_net_hdr_v1 hdr = {
		.flags = header[_i].flags,
		.gso_type = header[_i].gso,
		.hdr_len = 0xfff0, /* N4: not relied on */
		.gso_size = header[_i].gso_size,
		.csum_start = header[_i].start,
		.csum_offset = header[_i].offset,
		.num_buffers = 77,
	};
	bool needs = hdr.flags & NEEDS;
	struct virtio_net_hdr_v1 got, want = {
		.flags = hdr.flags & NEEDS,
		.gso_type = hdr.gso_type,
		.gso_size = hdr.gso_type ? hdr.gso_size : 0,
		.csum_start = needs ? hdr.csum_start : 0,
		.csum_offset = needs ? hdr.csum_offset : 0,
	};
	uint8_t frame[200];

	start(header[_i].features);
	send_one(&hdr, 100);
	ck_assert_uint_eq(counter_get(&stats()->tx_bad_header),
			  !header[_i].sent);
	ck_assert_uint_eq(counter_get(&stats()->tx_packets), header[_i].sent);
	if (header[_i].sent) {
		ck_assert_int_eq(wire_take(&got, frame, sizeof(frame)), 100);
		ck_assert_mem_eq(&got, &want, HDR);
		ck_assert_mem_eq(frame, pattern, 100);
	}
	check_wire_empty();
	ck_assert(!needs_reset());
}
END_TEST

/* A source address that is not ours, by any one bit; V9: what was checked is
 * sent from private memory
 */
START_TEST(spoofed)
{
	unsigned int bad = 0;

	start(0);
	for (unsigned int bit = 0; bit < 48; bit++) {
		pattern[6 + bit / 8] ^= (uint8_t)(1u << bit % 8);
		send_one(&plain, 60);
		ck_assert_uint_eq(counter_get(&stats()->tx_spoofed), ++bad);
		pattern[6 + bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	check_wire_empty();
	send_one(&plain, 60);
	check_wire(60);
	ck_assert_uint_eq(wire.first.iov_len, HDR + NET_MIN_FRAME);
	ck_assert((uint8_t *)wire.first.iov_base < fd.ram ||
		  (uint8_t *)wire.first.iov_base >= fd.ram + FD_RAM_SIZE);
}
END_TEST

/* V31: the back end is full.  One chain is held, the others are not looked at,
 * nothing turns; then all arrive, in order.
 */
START_TEST(back_end_full)
{
	unsigned int posted = 100, done = 0;

	start(0);
	for (unsigned int i = 0; i < posted; i++)
		post_tx(&plain, 20000 + i, 32768);
	fd_kick(&fd, TX);
	while (fd_used(&fd, TX, NULL, NULL))
		done++;
	ck_assert_uint_lt(done, posted - 2);
	ck_assert_uint_eq(fd.vdev->vq[TX].nr_in_flight, 1);
	ck_assert_uint_eq(counter_get(&stats()->tx_waits), 1);
	ck_assert_uint_eq(busy_turns(), 0);

	for (unsigned int i = 0; i < posted; i++) {
		check_wire(20000 + i);
		fd_run_loop(&fd);
	}
	while (fd_used(&fd, TX, NULL, NULL))
		done++;
	ck_assert_uint_eq(done, posted);
	ck_assert_uint_eq(fd.vdev->vq[TX].nr_in_flight, 0);
	ck_assert_uint_eq(counter_get(&stats()->tx_packets), posted);
	ck_assert_uint_eq(busy_turns(), 0);
}
END_TEST

/* V19: a reset while a frame is held; the next driver's are served */
START_TEST(reset_while_full)
{
	unsigned int sent;

	start(0);
	for (int round = 0; round < 50; round++) {
		wire.send_error = -EAGAIN;
		post_tx(&plain, 64, 4096);
		fd_kick(&fd, TX);
		ck_assert_uint_eq(fd.vdev->vq[TX].nr_in_flight, 1);
		sent = wire.sends;
		fd_reset(&fd);
		fd_run_loop(&fd);
		ck_assert_uint_eq(wire.sends, sent);
		wire.send_error = 0;
		start(0);
		ck_assert_uint_eq(busy_turns(), 0);
		send_one(&plain, 60);
		check_wire(60);
		check_wire_empty();
	}
}
END_TEST

/* V32: a frame that the back end refuses is lost, the next one is not */
START_TEST(back_end_refuses)
{
	static const int error[] = { -EIO, -EINVAL, -ENOBUFS, -ENOMEM };

	start(0);
	for (size_t i = 0; i < ARRAY_SIZE(error); i++) {
		wire.send_error = error[i];
		send_one(&plain, 60);
		wire.send_error = 0;
		ck_assert_uint_eq(counter_get(&stats()->tx_errors), i + 1);
		send_one(&plain, 60);
		check_wire(60);
	}
}
END_TEST

/* V31: a full ring of large frames takes turns with the other sources, and is
 * one interrupt a turn
 */
START_TEST(turns)
{
	uint64_t memory;
	unsigned int used = 0;

	start(0);
	wire.send_error = -EIO; /* done with at once */
	memory = fd.alloc;
	for (int i = 0; i < 256; i++) {
		fd.alloc = memory;
		post_tx(&plain, 60000, 65536);
	}
	fd.irq.pulses = 0;
	fd_want_irq(&fd, TX, true);
	fd_kick(&fd, TX);
	ck_assert_uint_ge(wire.sends, 17);
	ck_assert_uint_le(wire.sends, 18);
	ck_assert_uint_eq(fd.irq.pulses, 1);
	for (int i = 0; i < 4; i++)
		fd_run_loop(&fd);
	while (fd_used(&fd, TX, NULL, NULL))
		used++;
	ck_assert_uint_eq(used, 256);
	ck_assert_uint_eq(busy_turns(), 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("net_tx");
	TCase *tc = tcase_create("net_tx");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, any_framing);
	tcase_add_test(tc, frame_sizes);
	tcase_add_test(tc, not_a_frame);
	tcase_add_loop_test(tc, headers, 0, ARRAY_SIZE(header));
	tcase_add_test(tc, spoofed);
	tcase_add_test(tc, back_end_full);
	tcase_add_test(tc, reset_while_full);
	tcase_add_test(tc, back_end_refuses);
	tcase_add_test(tc, turns);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
