// SPDX-License-Identifier: Apache-2.0
/*
 * test_vsock.c - the vsock device: a driver that plays the guest on one side,
 * Unix sockets on the other (virtio 1.2 §5.10)
 */
#include <dirent.h>

#include <sys/resource.h>

#include "tests/unit/vsock_fixture.h"

/* The device. */

START_TEST(presents_itself)
{
	uint64_t cid = 0;

	ck_assert_uint_eq(fd_reg(&fd, VIRTIO_MMIO_DEVICE_ID), 19);
	fd_config_read(&fd, 0, &cid, sizeof(cid));
	ck_assert_uint_eq(cid, CID); /* S1, §5.10.4: upper half zero */
	/* S7, virtio 1.3 §5.10.3.2: STREAM, NO_IMPLIED_STREAM, no SEQPACKET */
	ck_assert_uint_eq(fd_device_features(&fd), FD_FEATURES | 1 | 4);
}
END_TEST

static void check_mode(mode_t mask)
{
	struct virtio_device *vdev;
	mode_t before = umask(mask);
	char name[80];
	struct stat st;

	snprintf(name, sizeof(name), "%s.mode", path);
	ck_assert_int_eq(virtio_vsock_create(&fd.env, 3, name, &vdev), 0);
	ck_assert_uint_eq(umask(before), mask); /* put back */
	ck_assert_int_eq(stat(name, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	virtio_device_destroy(vdev);
	ck_assert_int_eq(access(name, F_OK), -1);
}

START_TEST(socket_is_its_owners)
{
	check_mode(0);
	check_mode(022);
}
END_TEST

START_TEST(refuses_paths)
{
	char name[VSOCK_BUFFER / 512];
	struct virtio_device *vdev;
	struct stat st;

	ck_assert_int_eq(virtio_vsock_create(&fd.env, 3, path, &vdev),
			 -EADDRINUSE);
	ck_assert_int_eq(stat(path, &st), 0); /* the first one's, still there */
	ck_assert_int_eq(virtio_vsock_create(&fd.env, 3, "/nowhere/v", &vdev),
			 -ENOENT);
	/* With _4294967295 and a NUL, 97 bytes are one too many. */
	memset(name, 'a', sizeof(name));
	memcpy(name, dir, strlen(dir));
	name[strlen(dir)] = '/';
	name[97] = '\0';
	ck_assert_int_eq(virtio_vsock_create(&fd.env, 3, name, &vdev),
			 -ENAMETOOLONG);
	name[96] = '\0';
	ck_assert_int_eq(virtio_vsock_create(&fd.env, 3, name, &vdev), 0);
	virtio_device_destroy(vdev);
}
END_TEST

START_TEST(removes_only_its_own)
{
	struct virtio_device *vdev;
	char name[80];
	FILE *file;

	snprintf(name, sizeof(name), "%s.own", path);
	ck_assert_int_eq(virtio_vsock_create(&fd.env, 3, name, &vdev), 0);
	unlink(name);
	file = fopen(name, "w");
	ck_assert_ptr_nonnull(file);
	fclose(file);
	virtio_device_destroy(vdev);
	ck_assert_int_eq(unlink(name), 0);
}
END_TEST

/* S7, virtio 1.3 §5.10.3.2: no feature bit is STREAM; a driver that takes NO_IMPLIED_STREAM alone has
 * no type at all.
 */
START_TEST(implied_stream)
{
	static const struct {
		uint64_t features;
		uint16_t op;
	} table[] = {
		{ 0, OP(RESPONSE) },
		{ 1, OP(RESPONSE) },
		{ 4, OP(RST) },
		{ 1 | 4, OP(RESPONSE) },
	};
	int server = serve_host();

	for (unsigned int i = 0; i < ARRAY_SIZE(table); i++) {
		restart(FD_FEATURES | table[i].features);
		post_rx(1);
		send_op(OP(REQUEST), GUEST_PORT, HOST_PORT);
		expect(table[i].op);
	}
	close(server);
}
END_TEST

/* Connections. */

START_TEST(guest_to_host)
{
	int server = serve_host(), s;
	struct virtio_vsock_hdr hdr;

	post_rx(4);
	send_op(OP(REQUEST), GUEST_PORT, HOST_PORT);
	hdr = expect(OP(RESPONSE));
	ck_assert_uint_eq(hdr.src_port, HOST_PORT);
	ck_assert_uint_eq(hdr.dst_port, GUEST_PORT);
	s = accept_one(server);
	send_data(GUEST_PORT, HOST_PORT, "hello", 5);
	expect_bytes(s, "hello");
	ck_assert_int_eq(write(s, "world!", 6), 6);
	hdr = expect(OP(RW));
	ck_assert_uint_eq(hdr.len, 6);
	ck_assert_uint_eq(hdr.fwd_cnt, 5);
	ck_assert_mem_eq(payload, "world!", 6);
	expect_nothing();
	close(s);
	close(server);
}
END_TEST

START_TEST(host_to_guest)
{
	uint32_t first, second;
	int s, t;

	post_rx(4);
	s = connect_host(&first);
	t = connect_host(&second);
	ck_assert_uint_ge(first, 1u << 30);
	ck_assert_uint_eq(second, first + 1);
	ck_assert_int_eq(write(s, "abc", 3), 3);
	expect(OP(RW));
	send_data(GUEST_PORT, second, "def", 3);
	expect_bytes(t, "def");
	close(s);
	close(t);
}
END_TEST

/* What follows the line in the same write is the guest's, and not read before
 * the guest has answered.
 */
START_TEST(early_data)
{
	struct virtio_vsock_hdr hdr;
	int s = call_guest("CONNECT 1024\nearly");

	post_rx(4);
	hdr = expect(OP(REQUEST));
	expect_nothing();
	send_op(OP(RESPONSE), GUEST_PORT, hdr.src_port);
	hdr = expect(OP(RW));
	ck_assert_uint_eq(hdr.len, 5);
	ck_assert_mem_eq(payload, "early", 5);
	close(s);
}
END_TEST

START_TEST(line_in_pieces)
{
	int s = call_guest("conn");

	post_rx(1);
	expect_nothing();
	ck_assert_int_eq(write(s, "ect 7", 5), 5);
	expect_nothing();
	ck_assert_int_eq(write(s, "7\n", 2), 2);
	ck_assert_uint_eq(expect(OP(REQUEST)).dst_port, 77);
	close(s);
}
END_TEST

START_TEST(bad_lines)
{
	static const char *const bad[] = {
		"\n",
		"CONNECT\n",
		"CONNECT \n",
		"CONNECT x\n",
		"CONNECT -1\n",
		"CONNECT 4294967296\n",
		"CONNECT 99999999999999999999\n",
		"CONNECT 1 2\n",
		"CONNECTED 1\n",
		"GET / HTTP/1.1\r\n",
		"CONNECT 0000000000000000000000000000001\n",
	};

	post_rx(1);
	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
		int s = call_guest(bad[i]);
		char c;

		/* End of file, or a reset when not all of it was read. */
		ck_assert_msg(read(s, &c, 1) == 0 || errno == ECONNRESET, "%s",
			      bad[i]);
		close(s);
	}
	expect_nothing();
	ck_assert_uint_eq(counter_get(&stats()->refused), ARRAY_SIZE(bad));
}
END_TEST

START_TEST(nobody_listens)
{
	struct virtio_vsock_hdr hdr;
	int s;

	post_rx(4);
	/* §5.10.6.5: RST for a REQUEST that is refused */
	send_op(OP(REQUEST), GUEST_PORT, HOST_PORT);
	hdr = expect(OP(RST));
	ck_assert_uint_eq(hdr.src_port, HOST_PORT);
	ck_assert_uint_eq(hdr.dst_port, GUEST_PORT);
	/* The other way: closed without a word. */
	s = call_guest("CONNECT 9\n");
	hdr = expect(OP(REQUEST));
	send_op(OP(RST), 9, hdr.src_port);
	expect_eof(s);
	expect_nothing();
	close(s);
}
END_TEST

/* S5, §5.10.6.5: the guest's answer does not come: RST, and the client is hung up on. */
START_TEST(request_times_out)
{
	uint64_t start = now_ns();
	int s;

	post_rx(2);
	s = call_guest("CONNECT 9\n");
	expect(OP(REQUEST));
	while (recv(s, dir, 1, MSG_PEEK) < 0 && now_ns() - start < GIB(4))
		loop_step(&fd.loop, 100);
	expect_eof(s);
	expect(OP(RST));
	ck_assert_uint_ge(now_ns() - start, 1900000000);
	close(s);
}
END_TEST

/* S5, §5.10.6.5: a host client that leaves before the guest has answered. */
START_TEST(client_leaves)
{
	int s = call_guest("CONNECT 9\n");

	/* The guest has heard nothing, so it hears nothing. */
	close(s);
	fd_run_loop(&fd);
	post_rx(3);
	expect_nothing();
	s = call_guest("CONNECT 9\n");
	expect(OP(REQUEST));
	close(s);
	expect(OP(RST));
	s = call_guest("CONN");
	close(s);
	expect_nothing();
}
END_TEST

/* S2, §5.10.6.1: tx is processed even when rx is full, to a stated bound, and
 * goes on when rx has room.
 */
START_TEST(S2_rx_is_full)
{
	struct virtio_vsock_hdr hdr = packet(OP(RW), 1, 9);
	struct fd_seg seg = { tx_gpa, sizeof(hdr) };
	unsigned int taken = 0, answered = 0;
	int server = serve_host(), s;

	send_op(OP(REQUEST), GUEST_PORT, HOST_PORT);
	s = accept_one(server);
	send_data(GUEST_PORT, HOST_PORT, "through", 7);
	expect_bytes(s, "through");

	memcpy(fd_ptr(&fd, tx_gpa, sizeof(hdr)), &hdr, sizeof(hdr));
	for (int i = 0; i < 1000 && fd.queue[TX].nr_free > 0; i++) {
		fd_post(&fd, TX, &seg, 1, 0, FD_DIRECT);
		fd_kick(&fd, TX);
		while (fd_used(&fd, TX, NULL, NULL))
			taken++;
	}
	ck_assert_uint_eq(taken, 256); /* VSOCK_MAX_RST */
	/* One doorbell is enough to go on: the driver owes no second one. */
	post_rx(100);
	while (next_packet(&hdr))
		answered += hdr.op == OP(RST);
	while (fd_used(&fd, TX, NULL, NULL))
		taken++;
	ck_assert_uint_eq(taken, 356);
	for (int i = 0; i < 400; i++) {
		post_rx(1);
		fd_run_loop(&fd);
		while (next_packet(&hdr))
			answered += hdr.op == OP(RST);
		while (fd_used(&fd, TX, NULL, NULL))
			taken++;
	}
	ck_assert_uint_eq(fd.queue[TX].nr_free, fd.queue[TX].size);
	ck_assert_uint_gt(taken, 256);
	ck_assert_uint_ge(answered, 300);
	close(s);
	close(server);
}
END_TEST

/* S4, §5.10.6.4.2: RST to an unknown type, every one of them. */
START_TEST(S4_unknown_types)
{
	int server = serve_host();
	unsigned int rst = 0;
	int s;

	post_rx(1);
	s = connect_guest(server, GUEST_PORT);
	for (uint32_t type = 0; type <= UINT16_MAX; type++) {
		struct virtio_vsock_hdr hdr =
			packet(OP(RW), GUEST_PORT, HOST_PORT);
		uint64_t memory = fd.alloc;

		if (type == STREAM)
			continue;
		hdr.type = (uint16_t)type;
		post_rx(1);
		send_packet(&hdr, NULL, 0);
		hdr = expect(OP(RST));
		ck_assert_uint_eq(hdr.type, type);
		rst++;
		fd.alloc = memory;
	}
	ck_assert_uint_eq(rst, 65535);
	/* The stream between the same ports has not noticed. */
	send_data(GUEST_PORT, HOST_PORT, "alive", 5);
	expect_bytes(s, "alive");
	close(s);
	close(server);
}
END_TEST

START_TEST(S4_unknown_ops)
{
	int server = serve_host();

	for (uint32_t op = 0; op < 300; op++) {
		uint64_t memory = fd.alloc;
		bool known = op >= OP(REQUEST) && op <= OP(CREDIT_REQUEST);
		int s;

		if (known)
			continue;
		post_rx(2);
		s = connect_guest(server, GUEST_PORT);
		send_op((uint16_t)op, GUEST_PORT, HOST_PORT);
		expect(OP(RST));
		expect_eof(s);
		close(s);
		fd.alloc = memory;
	}
	close(server);
}
END_TEST

/* S4, §5.10.6.4.2: a flow that is not there gets RST, but for RST itself. */
START_TEST(S4_unknown_flows)
{
	post_rx(8);
	for (uint16_t op = OP(RESPONSE); op <= OP(CREDIT_REQUEST); op++) {
		send_op(op, 5, 6);
		if (op == OP(RST))
			expect_nothing();
		else
			expect(OP(RST));
	}
}
END_TEST

/* S5, §5.10.6.5: packets that do not fit the state end the connection. */
START_TEST(S5_wrong_state)
{
	static const uint16_t early[] = { OP(REQUEST), OP(SHUTDOWN), OP(RW),
					  OP(CREDIT_UPDATE),
					  OP(CREDIT_REQUEST) };
	int server = serve_host(), s;

	post_rx(2 * ARRAY_SIZE(early) + 4);
	for (unsigned int i = 0; i < ARRAY_SIZE(early); i++) {
		s = call_guest("CONNECT 9\n");
		send_op(early[i], 9, expect(OP(REQUEST)).src_port);
		expect(OP(RST));
		expect_eof(s);
		close(s);
	}
	for (uint16_t op = OP(REQUEST); op <= OP(RESPONSE); op++) {
		s = connect_guest(server, GUEST_PORT);
		send_op(op, GUEST_PORT, HOST_PORT);
		expect(OP(RST));
		expect_eof(s);
		close(s);
	}
	expect_nothing();
	close(server);
}
END_TEST

/* S6, §5.10.6.2: nobody but this guest speaks here, and to the host alone. */
START_TEST(S6_spoofed_cids)
{
	static const uint64_t cid[] = {
		0, 1, 2, 3, 41, 43, UINT32_MAX, CID | 1ull << 32, UINT64_MAX
	};
	struct virtio_vsock_hdr hdr;
	int server = serve_host();

	post_rx(16);
	for (unsigned int i = 0; i < ARRAY_SIZE(cid); i++) {
		hdr = packet(OP(REQUEST), GUEST_PORT, HOST_PORT);
		hdr.src_cid = cid[i];
		send_packet(&hdr, NULL, 0);
		expect_nothing();
		if (cid[i] == VSOCK_HOST_CID)
			continue;
		hdr = packet(OP(REQUEST), GUEST_PORT, HOST_PORT);
		hdr.dst_cid = cid[i];
		send_packet(&hdr, NULL, 0);
		hdr = expect(OP(RST));
		ck_assert_uint_eq(hdr.src_cid, cid[i]);
	}
	ck_assert_uint_eq(counter_get(&stats()->dropped), ARRAY_SIZE(cid));
	ck_assert_int_eq(accept(server, NULL, NULL), -1);
	close(server);
}
END_TEST

/* S8, §5.10.6.7: nothing happens on the event queue by itself. */
START_TEST(S8_event_queue_is_idle)
{
	struct fd_seg seg = { fd_alloc(&fd, 4), 4 };

	fd_post(&fd, EVENT, &seg, 0, 1, FD_DIRECT);
	fd_kick(&fd, EVENT);
	fd_run_loop(&fd);
	ck_assert(!fd_used(&fd, EVENT, NULL, NULL));
	ck_assert_uint_eq(fd_reg(&fd, VIRTIO_MMIO_STATUS), 15);
}
END_TEST

/* S9, C29, §5.10.6.4, §2.7.4.1: header and payload in pieces of every size, merged and split. */
START_TEST(S9_any_descriptors)
{
	static const char text[] = "0123456789abcdefghijklmnopqrst";
	struct virtio_vsock_hdr hdr = packet(OP(RW), GUEST_PORT, HOST_PORT);
	const uint32_t len = sizeof(hdr) + sizeof(text) - 1;
	int server = serve_host(), s;

	post_rx(1);
	s = connect_guest(server, GUEST_PORT);
	hdr.len = sizeof(text) - 1;
	memcpy(fd_ptr(&fd, tx_gpa, sizeof(hdr)), &hdr, sizeof(hdr));
	memcpy(fd_ptr(&fd, tx_gpa + sizeof(hdr), hdr.len), text, hdr.len);
	for (uint32_t piece = 1; piece <= len; piece++) {
		struct fd_seg in[96], out[96];
		uint64_t gpa = fd_alloc(&fd, len);
		unsigned int nr = 0;
		uint16_t head;

		for (uint32_t at = 0; at < len; at += piece, nr++) {
			uint32_t n = MIN(piece, len - at);

			out[nr] = (struct fd_seg){ tx_gpa + at, n };
			in[nr] = (struct fd_seg){ gpa + at, n };
		}
		fd_post(&fd, TX, out, nr, 0, FD_DIRECT);
		fd_kick(&fd, TX);
		ck_assert(fd_used(&fd, TX, NULL, NULL));
		expect_bytes(s, text);
		head = fd_post(&fd, RX, in, 0, nr, FD_DIRECT);
		rx_gpa[head] = gpa;
		fd_kick(&fd, RX);
		ck_assert_int_eq(write(s, text, hdr.len), hdr.len);
		ck_assert_uint_eq(expect(OP(RW)).len, hdr.len);
		ck_assert_mem_eq(payload, text, hdr.len);
	}
	close(s);
	close(server);
}
END_TEST

static void expect_needs_reset(void)
{
	ck_assert_uint_eq(fd_reg(&fd, VIRTIO_MMIO_STATUS),
			  15 | VIRTIO_CONFIG_S_NEEDS_RESET);
	restart(FD_FEATURES);
	ck_assert_uint_eq(fd_reg(&fd, VIRTIO_MMIO_STATUS), 15);
}

/* S9, §5.10.6.4: a header that is cut off, and a len beyond the chain. */
START_TEST(S9_short_chains)
{
	for (uint32_t len = 1; len < sizeof(struct virtio_vsock_hdr); len++) {
		struct fd_seg seg = { fd_alloc(&fd, len), len };
		uint64_t memory = fd.alloc;

		fd_post(&fd, TX, &seg, 1, 0, FD_DIRECT);
		fd_kick(&fd, TX);
		expect_needs_reset();
		fd.alloc = memory;
	}
	for (uint64_t claim = 11; claim <= UINT32_MAX; claim *= 3) {
		struct virtio_vsock_hdr hdr = packet(OP(RW), 1, 2);
		struct fd_seg seg = { tx_gpa, sizeof(hdr) + 10 };
		uint64_t memory = fd.alloc;

		hdr.len = (uint32_t)claim;
		memcpy(fd_ptr(&fd, tx_gpa, sizeof(hdr)), &hdr, sizeof(hdr));
		fd_post(&fd, TX, &seg, 1, 0, FD_DIRECT);
		fd_kick(&fd, TX);
		expect_needs_reset();
		fd.alloc = memory;
	}
}
END_TEST

START_TEST(S9_short_rx_buffer)
{
	struct fd_seg seg = { fd_alloc(&fd, 44), 44 };

	fd_post(&fd, RX, &seg, 0, 1, FD_DIRECT);
	fd_kick(&fd, RX);
	ck_assert_uint_eq(fd_reg(&fd, VIRTIO_MMIO_STATUS), 15);
	send_op(OP(RW), 1, 2);
	expect_needs_reset();
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("vsock");
	TCase *tc = tcase_create("vsock");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, presents_itself);
	tcase_add_test(tc, socket_is_its_owners);
	tcase_add_test(tc, refuses_paths);
	tcase_add_test(tc, removes_only_its_own);
	tcase_add_test(tc, implied_stream);
	tcase_add_test(tc, guest_to_host);
	tcase_add_test(tc, host_to_guest);
	tcase_add_test(tc, early_data);
	tcase_add_test(tc, line_in_pieces);
	tcase_add_test(tc, bad_lines);
	tcase_add_test(tc, nobody_listens);
	tcase_add_test(tc, request_times_out);
	tcase_add_test(tc, client_leaves);
	tcase_add_test(tc, S2_rx_is_full);
	tcase_add_test(tc, S4_unknown_types);
	tcase_add_test(tc, S4_unknown_ops);
	tcase_add_test(tc, S4_unknown_flows);
	tcase_add_test(tc, S5_wrong_state);
	tcase_add_test(tc, S6_spoofed_cids);
	tcase_add_test(tc, S8_event_queue_is_idle);
	tcase_add_test(tc, S9_any_descriptors);
	tcase_add_test(tc, S9_short_chains);
	tcase_add_test(tc, S9_short_rx_buffer);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
