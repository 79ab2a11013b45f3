// SPDX-License-Identifier: Apache-2.0
/*
 * fake_wire.h - a network device's back end for tests: one end of a socket pair
 * that keeps frames apart, as a tap does; the test has the other end
 */
#ifndef MOTE_TESTS_FAKE_WIRE_H
#define MOTE_TESTS_FAKE_WIRE_H

#include <assert.h>
#include <errno.h>
#include <unistd.h>

#include <sys/socket.h>

#include "base/util.h"
#include "virtio/net.h"

#define NET(bit) (1ull << VIRTIO_NET_F_##bit)

#define NET_RX_OFFLOADS                                                        \
	(NET(GUEST_CSUM) | NET(GUEST_TSO4) | NET(GUEST_TSO6) |                 \
	 NET(GUEST_ECN) | NET(GUEST_USO4) | NET(GUEST_USO6))
#define NET_TX_OFFLOADS                                                        \
	(NET(CSUM) | NET(HOST_TSO4) | NET(HOST_TSO6) | NET(HOST_ECN) |         \
	 NET(HOST_USO))

struct fake_wire {
	struct net_backend backend;
	int host; /* the test's end */
	uint64_t offloads;
	unsigned int set_offloads, receives, sends, closes;
	int send_error, receive_error; /* -errno to give instead, or 0 */
	struct iovec first;	       /* of the last frame sent */
	int pieces;		       /* of the place for the last received */
};

static inline ssize_t wire_receive(struct net_backend *backend,
				   const struct iovec *iov, int nr)
{
	struct fake_wire *wire =
		container_of(backend, struct fake_wire, backend);
	ssize_t ret;

	wire->receives++;
	if (wire->receive_error)
		return wire->receive_error;
	ret = readv(backend->fd, iov, nr);
	if (ret < 0)
		return -errno;
	wire->pieces = nr;
	return ret;
}

static inline ssize_t wire_send(struct net_backend *backend,
				const struct iovec *iov, int nr)
{
	struct fake_wire *wire =
		container_of(backend, struct fake_wire, backend);
	struct msghdr msg = {
		.msg_iov = (struct iovec *)(uintptr_t)iov,
		.msg_iovlen = (size_t)nr,
	};
	ssize_t ret;

	wire->sends++;
	wire->first = iov[0];
	if (wire->send_error)
		return wire->send_error;
	ret = sendmsg(backend->fd, &msg, MSG_NOSIGNAL);
	return ret < 0 ? -errno : ret;
}

static inline void wire_set_offloads(struct net_backend *backend,
				     uint64_t features)
{
	struct fake_wire *wire =
		container_of(backend, struct fake_wire, backend);

	wire->offloads = features;
	wire->set_offloads++;
}

static inline void wire_close(struct net_backend *backend)
{
	struct fake_wire *wire =
		container_of(backend, struct fake_wire, backend);

	close(backend->fd);
	wire->closes++;
}

static inline void wire_init(struct fake_wire *wire)
{
	int pair[2];
	int ret = socketpair(AF_UNIX,
			     SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
			     pair);

	assert(ret == 0);
	memset(wire, 0, sizeof(*wire));
	wire->host = pair[1];
	wire->backend = (struct net_backend){
		.name = "the wire",
		.fd = pair[0],
		.features = NET_RX_OFFLOADS | NET_TX_OFFLOADS,
		.receive = wire_receive,
		.send = wire_send,
		.set_offloads = wire_set_offloads,
		.close = wire_close,
	};
}

/* After the device has closed its end. */
static inline void wire_fini(struct fake_wire *wire)
{
	if (wire->host >= 0)
		close(wire->host);
	wire->host = -1;
}

#endif
