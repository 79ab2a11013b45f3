// SPDX-License-Identifier: Apache-2.0
/*
 * test_vsock_stream.c - what flows through vsock connections, and how they end:
 * credit, half-close, stalled peers, limits (virtio 1.2 §5.10.6)
 */
#include <dirent.h>

#include <sys/epoll.h>
#include <sys/resource.h>

#include "tests/unit/vsock_fixture.h"

static int server;

static void set_up_server(void)
{
	set_up();
	server = serve_host();
}

static void tear_down_server(void)
{
	close(server);
	tear_down();
}

/* Nothing is ready although peers have work: the loop sleeps. */
static void expect_sleep(void)
{
	struct epoll_event event;

	fd_run_loop(&fd);
	ck_assert_int_eq(epoll_wait(fd.loop.epoll_fd, &event, 1, 0), 0);
}

static unsigned int open_files(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static uint8_t stream_byte(uint64_t at)
{
	return (uint8_t)(at * 31 + (at >> 8) * 7 + (at >> 16));
}

static void fill(uint8_t *p, uint64_t at, size_t len)
{
	for (size_t i = 0; i < len; i++)
		p[i] = stream_byte(at + i);
}

static void check(const uint8_t *p, uint64_t at, size_t len)
{
	static uint8_t want[KIB(64)];

	fill(want, at, len);
	if (len > 0)
		ck_assert_mem_eq(p, want, len);
}

/* S3, §5.10.6.3: RW only within the credit, whatever the guest says. */
START_TEST(S3_credit)
{
	static const struct {
		uint32_t alloc, fwd, sent, credit;
	} table[] = {
		{ 0, 0, 0, 0 },
		{ 1, 0, 0, 1 },
		{ 4096, 0, 4096, 0 },
		{ 4096, 4096, 4096, 4096 },
		{ 4096, 1, 4096, 1 },
		{ 10, 0, 4096, 0 },		  /* shrunk below what is out */
		{ 4096, 0xfffffff0, 0x10, 4064 }, /* wrapped */
		{ 4096, 0xfffff000, 0, 0 },
		{ 4096, 1, 0, 0 }, /* consumed what was never sent */
		{ 4096, 0x80000000, 0, 0 },
		{ UINT32_MAX, 1, 0, 0 },
		{ UINT32_MAX, 0, 0, VSOCK_PEER_MAX }, /* huge: ours is less */
		{ UINT32_MAX, 0, VSOCK_PEER_MAX, 0 },
		{ UINT32_MAX, 0, 0xfffffffe, 0 },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(table); i++) {
		struct vsock_conn conn = { .sent = table[i].sent };
		struct virtio_vsock_hdr hdr = {
			.buf_alloc = table[i].alloc,
			.fwd_cnt = table[i].fwd,
		};

		vsock_conn_heard(&conn, &hdr);
		ck_assert_uint_eq(vsock_conn_credit(&conn), table[i].credit);
	}
}
END_TEST

static void tell_credit(uint32_t alloc, uint32_t fwd)
{
	struct virtio_vsock_hdr hdr =
		packet(OP(CREDIT_UPDATE), GUEST_PORT, HOST_PORT);

	hdr.buf_alloc = alloc;
	hdr.fwd_cnt = fwd;
	send_packet(&hdr, NULL, 0);
}

START_TEST(S3_credit_runs_out)
{
	int s;

	post_rx(16);
	s = connect_guest(server, GUEST_PORT);
	tell_credit(0, 0);
	ck_assert_int_eq(write(s, "0123456789abcdef", 16), 16);
	expect(OP(CREDIT_REQUEST)); /* once */
	expect_nothing();
	tell_credit(0, 0);
	expect_nothing();
	expect_sleep();
	tell_credit(10, 0);
	ck_assert_uint_eq(expect(OP(RW)).len, 10);
	expect(OP(CREDIT_REQUEST));
	tell_credit(4, 0); /* shrinks while 10 are out */
	expect_nothing();
	tell_credit(4, 10);
	ck_assert_uint_eq(expect(OP(RW)).len, 4);
	ck_assert_mem_eq(payload, "abcd", 4);
	expect(OP(CREDIT_REQUEST));
	tell_credit(4, 15); /* more than was ever sent */
	expect_nothing();
	tell_credit(4, 14);
	ck_assert_uint_eq(expect(OP(RW)).len, 2);
	expect_nothing();
	close(s);
}
END_TEST

/* S3, §5.10.6.3: the driver asks, and is told; it is told unasked when much has gone. */
START_TEST(S3_credit_is_told)
{
	static uint8_t data[KIB(20)];
	struct virtio_vsock_hdr hdr;
	int s;

	post_rx(4);
	s = connect_guest(server, GUEST_PORT);
	send_data(GUEST_PORT, HOST_PORT, "abc", 3);
	expect_nothing();
	send_op(OP(CREDIT_REQUEST), GUEST_PORT, HOST_PORT);
	ck_assert_uint_eq(expect(OP(CREDIT_UPDATE)).fwd_cnt, 3);
	send_data(GUEST_PORT, HOST_PORT, data, sizeof(data));
	hdr = expect(OP(CREDIT_UPDATE));
	ck_assert_uint_eq(hdr.fwd_cnt, 3 + sizeof(data));
	expect_nothing();
	close(s);
}
END_TEST

/* S3, §5.10.6.3: our own counters wrap, too. */
START_TEST(S3_forwarded_wraps)
{
	uint8_t data[KIB(20)] = { 0 };
	struct vsock_table table;
	struct vsock_conn *conn;
	struct chain c;
	int pair[2];

	ck_assert_int_eq(vsock_table_init(&table), 0);
	ck_assert_int_eq(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	conn = vsock_table_take(&table, pair[0], VSOCK_OPEN);
	conn->loop = &fd.loop;
	conn->forwarded = conn->told_fwd = 0xfffffff0;
	chain_init(&c, 0);
	chain_add(&c, data, sizeof(data), false);
	ck_assert_int_eq(vsock_conn_receive(conn, &c, 0x0f), 0);
	ck_assert_uint_eq(conn->owed, 0);
	ck_assert_int_eq(vsock_conn_receive(conn, &c, KIB(19)), 0);
	ck_assert_uint_eq(conn->forwarded, KIB(19) - 1);
	ck_assert_uint_eq(conn->owed, VSOCK_OWE_CREDIT);
	vsock_table_fini(&table);
	close(pair[1]);
}
END_TEST

/* V13: what a guest sends without credit ends its connection; until then the
 * host's memory holds VSOCK_BUFFER of it.
 */
START_TEST(V13_guest_exceeds_credit)
{
	static uint8_t data[KIB(16)];
	struct virtio_vsock_hdr hdr = { .op = 0 };
	uint64_t sent = 0, told = 0;
	int s;

	post_rx(200);
	s = connect_guest(server, GUEST_PORT);
	for (int i = 0; i < 1000 && hdr.op != OP(RST); i++) {
		fill(data, sent, sizeof(data));
		send_data(GUEST_PORT, HOST_PORT, data, sizeof(data));
		sent += sizeof(data);
		while (next_packet(&hdr) && hdr.op != OP(RST))
			told = hdr.fwd_cnt;
	}
	ck_assert_uint_eq(hdr.op, OP(RST));
	/* It had been told how far it might go. */
	ck_assert_uint_gt(sent, told + VSOCK_BUFFER);
	ck_assert_uint_le(sent, told + VSOCK_BUFFER + KIB(32));
	close(s);
}
END_TEST

/* Bytes both ways by the rules, with readers that stall, are what was sent. */
START_TEST(bulk_both_ways)
{
	const uint64_t total = MIB(2);
	static uint8_t data[KIB(64)];
	uint64_t out = 0, out_read = 0, in = 0, in_read = 0;
	uint32_t told_fwd = 0;
	unsigned int rounds = 0;
	int s;

	post_rx(64);
	s = connect_guest(server, GUEST_PORT);
	for (; out_read < total || in_read < total; rounds++) {
		struct virtio_vsock_hdr hdr;
		uint64_t room = VSOCK_BUFFER - (out - told_fwd);
		ssize_t n;

		ck_assert_uint_lt(rounds, 100000);
		room = MIN(room, total - out);
		room = MIN(room, 1 + rounds * 977 % sizeof(data));
		fill(data, out, room);
		hdr = packet(OP(RW), GUEST_PORT, HOST_PORT);
		hdr.len = (uint32_t)room;
		hdr.buf_alloc = KIB(256);
		hdr.fwd_cnt = (uint32_t)in_read;
		if (room == 0)
			hdr.op = OP(CREDIT_UPDATE);
		send_packet(&hdr, data, (uint32_t)room);
		out += room;
		if (rounds % 3 == 0) {
			n = read(s, data, rounds * 1543 % sizeof(data));
			if (n > 0) {
				check(data, out_read, (size_t)n);
				out_read += (uint64_t)n;
			}
		}
		fill(data, in, rounds * 1999 % sizeof(data));
		n = write(s, data,
			  MIN(rounds * 1999 % sizeof(data), total - in));
		in += n > 0 ? (uint64_t)n : 0;
		fd_run_loop(&fd);
		while (next_packet(&hdr)) {
			ck_assert_uint_ne(hdr.op, OP(RST));
			told_fwd = hdr.fwd_cnt;
			check(payload, in_read, hdr.len);
			in_read += hdr.len;
			post_rx_at(last_rx);
		}
	}
	ck_assert_uint_eq(counter_get(&stats()->tx_bytes), total);
	ck_assert_uint_eq(counter_get(&stats()->rx_bytes), total);
	close(s);
}
END_TEST

/* Half-close, §5.10.6.5. */

START_TEST(S5_host_stops_sending)
{
	int s;

	post_rx(8);
	s = connect_guest(server, GUEST_PORT);
	ck_assert_int_eq(write(s, "last", 4), 4);
	shutdown(s, SHUT_WR);
	ck_assert_uint_eq(expect(OP(RW)).len, 4);
	ck_assert_uint_eq(expect(OP(SHUTDOWN)).flags, SHUT_SEND);
	expect_nothing();
	expect_sleep();
	send_data(GUEST_PORT, HOST_PORT, "answer", 6);
	expect_bytes(s, "answer");
	send_shutdown(GUEST_PORT, HOST_PORT, SHUT_BOTH);
	expect(OP(RST));
	expect_eof(s);
	close(s);
	expect_nothing();
}
END_TEST

START_TEST(S5_guest_stops_sending)
{
	int s;

	post_rx(8);
	s = connect_guest(server, GUEST_PORT);
	send_data(GUEST_PORT, HOST_PORT, "request", 7);
	send_shutdown(GUEST_PORT, HOST_PORT, SHUT_SEND);
	expect_bytes(s, "request");
	expect_eof(s);
	expect_nothing();
	ck_assert_int_eq(write(s, "reply", 5), 5);
	ck_assert_uint_eq(expect(OP(RW)).len, 5);
	close(s);
	ck_assert_uint_eq(expect(OP(SHUTDOWN)).flags, SHUT_BOTH);
	send_op(OP(RST), GUEST_PORT, HOST_PORT);
	expect_nothing();
}
END_TEST

START_TEST(S5_guest_stops_receiving)
{
	int s;

	post_rx(8);
	s = connect_guest(server, GUEST_PORT);
	send_shutdown(GUEST_PORT, HOST_PORT, SHUT_RECV);
	ck_assert_int_eq(send(s, "x", 1, MSG_NOSIGNAL), -1);
	ck_assert_int_eq(errno, EPIPE);
	expect_sleep();
	send_data(GUEST_PORT, HOST_PORT, "more", 4);
	expect_bytes(s, "more");
	/* The flags are permanent: both are set now. */
	send_shutdown(GUEST_PORT, HOST_PORT, SHUT_SEND);
	expect(OP(RST));
	close(s);
}
END_TEST

START_TEST(S5_host_stops_receiving)
{
	int s;

	post_rx(8);
	s = connect_guest(server, GUEST_PORT);
	shutdown(s, SHUT_RD);
	send_data(GUEST_PORT, HOST_PORT, "into the void", 13);
	ck_assert_uint_eq(expect(OP(SHUTDOWN)).flags, SHUT_RECV);
	ck_assert_int_eq(write(s, "still", 5), 5);
	ck_assert_uint_eq(expect(OP(RW)).len, 5);
	send_data(GUEST_PORT, HOST_PORT, "more", 4);
	expect_nothing();
	close(s);
	ck_assert_uint_eq(expect(OP(SHUTDOWN)).flags, SHUT_BOTH);
}
END_TEST

START_TEST(S5_no_data_after_shutdown)
{
	int s;

	post_rx(8);
	s = connect_guest(server, GUEST_PORT);
	send_shutdown(GUEST_PORT, HOST_PORT, SHUT_SEND);
	send_shutdown(GUEST_PORT, HOST_PORT, 0);
	send_data(GUEST_PORT, HOST_PORT, "x", 1);
	expect(OP(RST));
	expect_eof(s);
	close(s);
}
END_TEST

/* Sends until bytes wait in the device; returns how many were sent. */
static uint64_t fill_up(void)
{
	static uint8_t data[KIB(16)];
	struct virtio_vsock_hdr hdr;
	uint64_t sent = 0;
	uint32_t fwd = 0;

	while (sent - fwd <= KIB(32)) {
		fill(data, sent, sizeof(data));
		send_data(GUEST_PORT, HOST_PORT, data, sizeof(data));
		sent += sizeof(data);
		send_op(OP(CREDIT_REQUEST), GUEST_PORT, HOST_PORT);
		fd_run_loop(&fd);
		while (next_packet(&hdr)) {
			ck_assert_uint_eq(hdr.op, OP(CREDIT_UPDATE));
			fwd = hdr.fwd_cnt;
		}
	}
	return sent;
}

static void read_all(int s, uint64_t total)
{
	static uint8_t data[KIB(16)];
	uint64_t got = 0;

	while (got < total) {
		ssize_t n = read(s, data, sizeof(data));

		ck_assert_int_gt(n, 0);
		check(data, got, (size_t)n);
		got += (uint64_t)n;
		fd_run_loop(&fd);
	}
}

/* What waits in the device arrives before the end, and RST says so. */
START_TEST(S5_end_waits_for_data)
{
	uint64_t sent;
	int s;

	post_rx(128);
	s = connect_guest(server, GUEST_PORT);
	sent = fill_up();
	send_shutdown(GUEST_PORT, HOST_PORT, SHUT_BOTH);
	expect_nothing();
	expect_sleep();
	read_all(s, sent);
	expect_eof(s);
	expect(OP(RST));
	close(s);
}
END_TEST

/* A guest that loses patience, or is killed, has still sent its bytes; its
 * ports are free at once.
 */
START_TEST(S5_reset_keeps_data)
{
	uint64_t sent;
	int s, t;

	post_rx(128);
	s = connect_guest(server, GUEST_PORT);
	sent = fill_up();
	send_op(OP(RST), GUEST_PORT, HOST_PORT);
	expect_nothing();
	t = connect_guest(server, GUEST_PORT);
	read_all(s, sent);
	expect_eof(s);
	expect_nothing();
	send_data(GUEST_PORT, HOST_PORT, "new", 3);
	expect_bytes(t, "new");
	close(s);
	close(t);
}
END_TEST

/* S5, §5.10.6.5: the host closes; the guest gets all bytes, SHUTDOWN, and in the end RST.
 */
START_TEST(S5_host_closes)
{
	uint64_t start;
	unsigned int files = open_files();
	int s;

	post_rx(1);
	s = connect_guest(server, GUEST_PORT);
	ck_assert_int_eq(write(s, "parting", 7), 7);
	close(s);
	expect_sleep(); /* no buffer: a hang-up must not spin */
	send_data(GUEST_PORT, HOST_PORT, "too late", 8);
	post_rx(8);
	ck_assert_uint_eq(expect(OP(RW)).len, 7);
	ck_assert_mem_eq(payload, "parting", 7);
	ck_assert_uint_eq(expect(OP(SHUTDOWN)).flags, SHUT_BOTH);
	ck_assert_uint_eq(open_files(), files); /* ours is closed */
	/* Unread bytes are waited for ... */
	start = now_ns();
	while (now_ns() - start < 2300000000)
		loop_step(&fd.loop, 100);
	expect_nothing();
	/* ... and once read, the guest has 2 seconds. */
	tell_credit(KIB(64), 7);
	while (now_ns() - start < 4500000000)
		loop_step(&fd.loop, 100);
	expect(OP(RST));
	expect_nothing();
}
END_TEST

/* Many at once. */

/* V31: every connection gets its turn, whatever the others have to say. */
START_TEST(V31_round_robin)
{
	static uint8_t data[KIB(64)];
	unsigned int packets[4] = { 0 };
	struct virtio_vsock_hdr hdr;
	int s[4];

	post_rx(4);
	for (uint32_t i = 0; i < 4; i++)
		s[i] = connect_guest(server, i);
	for (unsigned int i = 0; i < 4; i++)
		ck_assert_int_gt(write(s[i], data, sizeof(data)), 0);
	fd_run_loop(&fd);
	for (int i = 0; i < 32; i++)
		post_rx(1);
	while (next_packet(&hdr))
		packets[hdr.dst_port]++;
	for (unsigned int i = 0; i < 4; i++) {
		ck_assert_uint_eq(packets[i], 8);
		close(s[i]);
	}
}
END_TEST

/* V31: peers that wait for the guest, or for whom the guest waits, neither wake
 * the loop nor hold up the others.
 */
START_TEST(V31_stalled_peers)
{
	uint64_t sent;
	int s[8], last;

	post_rx(64);
	s[0] = connect_guest(server, GUEST_PORT);
	sent = fill_up(); /* a reader that stalls */
	expect_sleep();
	for (uint32_t i = 1; i < 8; i++) {
		struct virtio_vsock_hdr hdr = packet(OP(REQUEST), i, HOST_PORT);

		hdr.buf_alloc = 0; /* guests that take nothing */
		send_packet(&hdr, NULL, 0);
		expect(OP(RESPONSE));
		s[i] = accept_one(server);
		ck_assert_int_eq(write(s[i], "wait", 4), 4);
		expect(OP(CREDIT_REQUEST));
	}
	expect_sleep();
	close(s[7]); /* a hang-up with unread bytes */
	expect_sleep();
	last = connect_guest(server, 99);
	ck_assert_int_eq(write(last, "swift", 5), 5);
	ck_assert_uint_eq(expect(OP(RW)).dst_port, 99);
	read_all(s[0], sent);
	for (unsigned int i = 0; i < 7; i++)
		close(s[i]);
	close(last);
}
END_TEST

static void allow_files(rlim_t n)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = n;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* V13: 65 536 ports ask; 1023 are served, and the host's objects are bounded. */
START_TEST(V13_every_port_connects)
{
	static int s[VSOCK_MAX_CONNS];
	unsigned int nr = 0, rst = 0, files;
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	allow_files(4096);
	files = open_files();
	for (uint32_t port = 0; port < 65536; port++) {
		struct virtio_vsock_hdr hdr;
		uint64_t memory = fd.alloc;

		post_rx(1);
		send_op(OP(REQUEST), port, HOST_PORT);
		ck_assert(next_packet(&hdr));
		if (hdr.op == OP(RESPONSE))
			s[nr++] = accept_one(server);
		else
			rst += hdr.op == OP(RST);
		fd.alloc = memory;
	}
	ck_assert_uint_eq(nr, VSOCK_MAX_CONNS);
	ck_assert_uint_eq(rst, 65536 - nr);
	ck_assert_uint_eq(open_files(), files + 2 * nr);
	/* A client of the host is turned away, too. */
	expect_eof(s[nr - 1] = (close(s[nr - 1]), call_guest("")));
	post_rx(8);
	ck_assert_uint_eq(expect(OP(SHUTDOWN)).dst_port, nr - 1);
	send_op(OP(RST), nr - 1, HOST_PORT);
	close(s[nr - 1]);
	s[nr - 1] = connect_guest(server, 70000);
	for (unsigned int i = 0; i < nr; i++)
		close(s[i]);
	fd_reset(&fd);
	fd_run_loop(&fd);
	ck_assert_uint_eq(open_files(), files);
	setrlimit(RLIMIT_NOFILE, &limit);
}
END_TEST

/* V13, V31: no descriptors left is a refusal, not an end and not a spin. */
START_TEST(V13_no_descriptors)
{
	struct rlimit limit;
	struct sockaddr_un addr;
	uint64_t start;
	int spare = dup(0), s = unix_socket(path, &addr);

	getrlimit(RLIMIT_NOFILE, &limit);
	post_rx(8);
	close(spare);
	allow_files((rlim_t)spare);
	send_op(OP(REQUEST), GUEST_PORT, HOST_PORT);
	expect(OP(RST));
	ck_assert_int_eq(connect(s, (struct sockaddr *)&addr, sizeof(addr)), 0);
	ck_assert_int_eq(write(s, "CONNECT 5\n", 10), 10);
	expect_sleep();
	setrlimit(RLIMIT_NOFILE, &limit);
	start = now_ns();
	while (now_ns() - start < 300000000)
		loop_step(&fd.loop, 50);
	expect(OP(REQUEST));
	close(s);
}
END_TEST

/* §2.4.1: after a reset the host's clients are hung up on; the listener stays.
 */
START_TEST(reset_closes_all)
{
	unsigned int files = open_files();
	uint32_t port;

	for (int i = 0; i < 50; i++) {
		uint64_t memory = fd.alloc;
		int s, t;

		post_rx(4);
		s = connect_guest(server, GUEST_PORT);
		t = connect_host(&port);
		ck_assert_int_eq(write(t, "lost", 4), 4);
		fd_reset(&fd);
		restart(FD_FEATURES);
		expect_eof(s);
		ck_assert_int_le(read(t, payload, 4), 0);
		close(s);
		close(t);
		post_rx(1);
		send_data(GUEST_PORT, HOST_PORT, "x", 1);
		expect(OP(RST));
		fd.alloc = memory;
	}
	ck_assert_uint_eq(open_files(), files);
}
END_TEST

/* A buffer's pages go back to the host with its connection. */
START_TEST(V13_buffers_are_given_back)
{
	struct vsock_table table;
	struct vsock_conn *conn;
	uint8_t *buf;
	int pair[2];

	ck_assert_int_eq(vsock_table_init(&table), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	conn = vsock_table_take(&table, pair[0], VSOCK_OPEN);
	conn->loop = &fd.loop;
	buf = conn->out.buf;
	fifo_put(&conn->out, "x", 1);
	conn->spilled = true;
	vsock_table_free(&table, conn);
	ck_assert_uint_eq(buf[0], 0);
	vsock_table_fini(&table);
	close(pair[1]);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("vsock_stream");
	TCase *tc = tcase_create("vsock_stream");

	tcase_add_checked_fixture(tc, set_up_server, tear_down_server);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, S3_credit);
	tcase_add_test(tc, S3_credit_runs_out);
	tcase_add_test(tc, S3_credit_is_told);
	tcase_add_test(tc, S3_forwarded_wraps);
	tcase_add_test(tc, V13_guest_exceeds_credit);
	tcase_add_test(tc, bulk_both_ways);
	tcase_add_test(tc, S5_host_stops_sending);
	tcase_add_test(tc, S5_guest_stops_sending);
	tcase_add_test(tc, S5_guest_stops_receiving);
	tcase_add_test(tc, S5_host_stops_receiving);
	tcase_add_test(tc, S5_no_data_after_shutdown);
	tcase_add_test(tc, S5_end_waits_for_data);
	tcase_add_test(tc, S5_reset_keeps_data);
	tcase_add_test(tc, S5_host_closes);
	tcase_add_test(tc, V31_round_robin);
	tcase_add_test(tc, V31_stalled_peers);
	tcase_add_test(tc, V13_every_port_connects);
	tcase_add_test(tc, V13_no_descriptors);
	tcase_add_test(tc, reset_closes_all);
	tcase_add_test(tc, V13_buffers_are_given_back);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
