// SPDX-License-Identifier: Apache-2.0
/*
 * vsock_fixture.h - a vsock device between a fake driver and real Unix sockets
 *
 * For one test program each; everything is static.
 */
#ifndef MOTE_TESTS_VSOCK_FIXTURE_H
#define MOTE_TESTS_VSOCK_FIXTURE_H

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <linux/virtio_vsock.h>

#include "base/util.h"
#include "tests/unit/fake_driver.h"
#include "tests/unit/unit.h"
#include "virtio/vsock.h"
#include "virtio/vsock_conn.h"
#include "virtio/vsock_table.h"

#define CID	   42u
#define GUEST_PORT 1024u
#define HOST_PORT  52u
#define RX_SIZE	   4096u
#define PAYLOAD	   KIB(64)

#define OP(name)  VIRTIO_VSOCK_OP_##name
#define SHUT_RECV VIRTIO_VSOCK_SHUTDOWN_RCV
#define SHUT_SEND VIRTIO_VSOCK_SHUTDOWN_SEND
#define SHUT_BOTH (SHUT_RECV | SHUT_SEND)
#define STREAM	  VIRTIO_VSOCK_TYPE_STREAM

enum { RX, TX, EVENT };

static struct fake_driver fd;
static char dir[32], path[64];
static uint64_t rx_gpa[VIRTQ_MAX_SIZE]; /* of the buffer at a head */
static uint64_t last_rx;		/* where the last packet was */
static uint64_t tx_gpa;
static uint8_t payload[PAYLOAD]; /* of the packet received last */

static inline void post_rx_at(uint64_t gpa)
{
	struct fd_seg seg = { gpa, RX_SIZE };

	rx_gpa[fd_post(&fd, RX, &seg, 0, 1, FD_DIRECT)] = gpa;
}

static inline void post_rx(unsigned int n)
{
	while (n-- > 0)
		post_rx_at(fd_alloc(&fd, RX_SIZE));
	fd_kick(&fd, RX);
}

static inline void restart(uint64_t features)
{
	ck_assert(fd_start(&fd, features));
	tx_gpa = fd_alloc(&fd, sizeof(struct virtio_vsock_hdr) + PAYLOAD);
	fd_run_loop(&fd);
}

static inline void set_up(void)
{
	struct virtio_device *vdev;

	signal(SIGPIPE, SIG_IGN);
	fd_init(&fd);
	strcpy(dir, "/tmp/mote-vsock-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/v", dir);
	ck_assert_int_eq(virtio_vsock_create(&fd.env, CID, path, &vdev), 0);
	fd_attach(&fd, vdev);
	restart(FD_FEATURES);
}

static inline void tear_down(void)
{
	char name[96];

	fd_fini(&fd);
	ck_assert_int_eq(access(path, F_OK), -1);
	snprintf(name, sizeof(name), "%s_%u", path, HOST_PORT);
	unlink(name);
	ck_assert_int_eq(rmdir(dir), 0);
}

static inline const struct virtio_vsock_stats *stats(void)
{
	return virtio_vsock_stats(fd.vdev);
}

/* A packet of the guest, as a driver that plays by the rules fills it. */
static inline struct virtio_vsock_hdr packet(uint16_t op, uint32_t guest_port,
					     uint32_t host_port)
{
	return (struct virtio_vsock_hdr){
		.src_cid = CID,
		.dst_cid = VSOCK_HOST_CID,
		.src_port = guest_port,
		.dst_port = host_port,
		.type = STREAM,
		.op = op,
		.buf_alloc = KIB(256),
	};
}

/* Sends HDR with the LEN bytes DATA, and gets the descriptor back. */
static inline void send_packet(const struct virtio_vsock_hdr *hdr,
			       const void *data, uint32_t len)
{
	struct fd_seg seg[2] = { { tx_gpa, sizeof(*hdr) },
				 { tx_gpa + sizeof(*hdr), len } };
	uint32_t used;

	memcpy(fd_ptr(&fd, tx_gpa, sizeof(*hdr)), hdr, sizeof(*hdr));
	if (len > 0)
		memcpy(fd_ptr(&fd, seg[1].gpa, len), data, len);
	fd_post(&fd, TX, seg, len > 0 ? 2 : 1, 0, FD_DIRECT);
	fd_kick(&fd, TX);
	ck_assert(fd_used(&fd, TX, NULL, &used));
	ck_assert_uint_eq(used, 0);
}

static inline void send_op(uint16_t op, uint32_t guest_port, uint32_t host_port)
{
	struct virtio_vsock_hdr hdr = packet(op, guest_port, host_port);

	send_packet(&hdr, NULL, 0);
}

static inline void send_data(uint32_t guest_port, uint32_t host_port,
			     const void *data, uint32_t len)
{
	struct virtio_vsock_hdr hdr = packet(OP(RW), guest_port, host_port);

	hdr.len = len;
	send_packet(&hdr, data, len);
}

static inline void send_shutdown(uint32_t guest_port, uint32_t host_port,
				 uint32_t flags)
{
	struct virtio_vsock_hdr hdr =
		packet(OP(SHUTDOWN), guest_port, host_port);

	hdr.flags = flags;
	send_packet(&hdr, NULL, 0);
}

/* The next packet to the guest, its payload in payload[].  False when none. */
static inline bool next_packet(struct virtio_vsock_hdr *hdr)
{
	uint16_t head;
	uint32_t len;
	uint8_t *p;

	if (!fd_used(&fd, RX, &head, &len))
		return false;
	ck_assert_uint_ge(len, sizeof(*hdr));
	p = fd_ptr(&fd, rx_gpa[head], len);
	last_rx = rx_gpa[head];
	memcpy(hdr, p, sizeof(*hdr));
	memcpy(payload, p + sizeof(*hdr), len - sizeof(*hdr));
	ck_assert_uint_eq(hdr->len, len - sizeof(*hdr));
	ck_assert_uint_eq(hdr->dst_cid, CID);
	return true;
}

static inline struct virtio_vsock_hdr expect(uint16_t op)
{
	struct virtio_vsock_hdr hdr;

	fd_run_loop(&fd);
	ck_assert_msg(next_packet(&hdr), "no packet where op %u is due", op);
	ck_assert_uint_eq(hdr.op, op);
	if (op != OP(RST)) {
		ck_assert_uint_eq(hdr.src_cid, VSOCK_HOST_CID);
		ck_assert_uint_eq(hdr.type, STREAM);
		ck_assert_uint_eq(hdr.buf_alloc, VSOCK_BUFFER);
	}
	return hdr;
}

static inline void expect_nothing(void)
{
	struct virtio_vsock_hdr hdr;

	fd_run_loop(&fd);
	ck_assert_msg(!next_packet(&hdr), "op %u", hdr.op);
}

/* Host sockets do not wait: what is not there is a failure. */
static inline int unix_socket(const char *name, struct sockaddr_un *addr)
{
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(s, 0);
	*addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(addr->sun_path, sizeof(addr->sun_path), "%s", name);
	return s;
}

/* A server of the host behind HOST_PORT. */
static inline int serve_host(void)
{
	struct sockaddr_un addr;
	char name[96];
	int s;

	snprintf(name, sizeof(name), "%s_%u", path, HOST_PORT);
	s = unix_socket(name, &addr);
	ck_assert_int_eq(bind(s, (struct sockaddr *)&addr, sizeof(addr)), 0);
	ck_assert_int_eq(listen(s, 2048), 0);
	return s;
}

static inline int accept_one(int server)
{
	int s = accept4(server, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	ck_assert_int_ge(s, 0);
	return s;
}

/* A client of the host that has said LINE. */
static inline int call_guest(const char *line)
{
	struct sockaddr_un addr;
	int s = unix_socket(path, &addr);

	ck_assert_int_eq(connect(s, (struct sockaddr *)&addr, sizeof(addr)), 0);
	if (*line)
		ck_assert_int_eq(write(s, line, strlen(line)), strlen(line));
	fd_run_loop(&fd);
	return s;
}

static inline void expect_bytes(int s, const char *want)
{
	char got[128];
	ssize_t n = read(s, got, sizeof(got) - 1);

	ck_assert_int_ge(n, 0);
	got[n] = '\0';
	ck_assert_str_eq(got, want);
}

static inline void expect_eof(int s)
{
	char c;

	ck_assert_int_eq(read(s, &c, 1), 0);
}

/* A connection from the guest's PORT; the host's end. */
static inline int connect_guest(int server, uint32_t port)
{
	send_op(OP(REQUEST), port, HOST_PORT);
	expect(OP(RESPONSE));
	return accept_one(server);
}

/* A connection to GUEST_PORT; the client's end, and the port it was given. */
static inline int connect_host(uint32_t *host_port)
{
	struct virtio_vsock_hdr hdr;
	char ok[32];
	int s = call_guest("CONNECT 1024\n");

	hdr = expect(OP(REQUEST));
	ck_assert_uint_eq(hdr.dst_port, GUEST_PORT);
	*host_port = hdr.src_port;
	send_op(OP(RESPONSE), GUEST_PORT, *host_port);
	snprintf(ok, sizeof(ok), "OK %u\n", *host_port);
	expect_bytes(s, ok);
	return s;
}

#endif
