// SPDX-License-Identifier: Apache-2.0
/*
 * net_fixture.h - a network device, its driver, and the wire behind it
 *
 * For the test programs of the network device; everything is static.
 */
#ifndef MOTE_TESTS_NET_FIXTURE_H
#define MOTE_TESTS_NET_FIXTURE_H

#include <string.h>

#include <sys/epoll.h>

#include <linux/virtio_ids.h>

#include "tests/unit/fake_driver.h"
#include "tests/unit/fake_wire.h"
#include "tests/unit/unit.h"
#include "virtio/net.h"

#define RX	  0
#define TX	  1
#define HDR	  NET_HDR_BYTES
#define UNTOUCHED 0xee
#define NET_ALL                                                                \
	(FD_FEATURES | NET_RX_OFFLOADS | NET_TX_OFFLOADS | NET(MRG_RXBUF) |    \
	 NET(MAC) | NET(STATUS))

static const uint8_t our_mac[6] = { 2, 1, 2, 3, 4, 5 };
static struct fake_driver fd;
static struct fake_wire wire;
static uint8_t pattern[NET_MAX_FRAME + 64];

static inline void set_up_mtu(uint16_t mtu)
{
	struct virtio_net_params params = { .mtu = mtu };
	struct virtio_device *vdev;

	memcpy(params.mac, our_mac, 6);
	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = (uint8_t)(i * 7 + (i >> 8) * 3);
	memcpy(pattern + 6, our_mac, 6);
	pattern[12] = 0x08; /* IPv4 */
	pattern[13] = 0x00;
	fd_init(&fd);
	wire_init(&wire);
	ck_assert_int_eq(
		virtio_net_create(&fd.env, &params, &wire.backend, &vdev), 0);
	fd_attach(&fd, vdev);
}

static inline void set_up(void)
{
	set_up_mtu(0);
}

static inline void tear_down(void)
{
	fd_fini(&fd);
	ck_assert_uint_eq(wire.closes, 1);
	wire_fini(&wire);
}

static inline void start(uint64_t features)
{
	ck_assert(fd_start(&fd, features | FD_FEATURES));
	fd_run_loop(&fd);
}

static inline bool needs_reset(void)
{
	return fd_reg(&fd, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET;
}

static inline const struct virtio_net_stats *stats(void)
{
	return virtio_net_stats(fd.vdev);
}

/* Makes header and the first LEN bytes of the pattern available to send, in
 * segments of PIECE bytes; no doorbell.
 */
static inline uint16_t post_tx(const struct virtio_net_hdr_v1 *hdr, size_t len,
			       size_t piece)
{
	uint64_t gpa = fd_alloc(&fd, HDR + len);
	size_t total = HDR + len;
	struct fd_seg seg[256];
	unsigned int n = 0;

	memcpy(fd_ptr(&fd, gpa, HDR), hdr, HDR);
	memcpy(fd_ptr(&fd, gpa + HDR, len), pattern, len);
	for (size_t done = 0; done < total; done += piece) {
		ck_assert_uint_lt(n, 256);
		seg[n++] =
			(struct fd_seg){ gpa + done,
					 (uint32_t)MIN(piece, total - done) };
	}
	return fd_post(&fd, TX, seg, n, 0, n > 1 ? FD_INDIRECT : FD_DIRECT);
}

static inline void used_tx(void)
{
	uint32_t len;

	ck_assert(fd_used(&fd, TX, NULL, &len));
	ck_assert_uint_eq(len, 0); /* §2.7.8.2: nothing was written to it */
}

static inline void send_one(const struct virtio_net_hdr_v1 *hdr, size_t len)
{
	uint64_t memory = fd.alloc;

	post_tx(hdr, len, 4096);
	fd_kick(&fd, TX);
	fd.alloc = memory;
	used_tx();
}

/* The next frame on the wire: its length without the header, or -1. */
static inline ssize_t wire_take(struct virtio_net_hdr_v1 *hdr, uint8_t *frame,
				size_t len)
{
	struct iovec iov[2] = { { hdr, HDR }, { frame, len } };
	ssize_t n = readv(wire.host, iov, 2);

	return n < 0 ? -1 : n - HDR;
}

static inline void check_wire(size_t len)
{
	static uint8_t got[sizeof(pattern)];
	struct virtio_net_hdr_v1 hdr;

	ck_assert_int_eq(wire_take(&hdr, got, sizeof(got)), (ssize_t)len);
	ck_assert_mem_eq(got, pattern, len);
}

static inline void check_wire_empty(void)
{
	struct virtio_net_hdr_v1 hdr;
	uint8_t byte;

	ck_assert_int_eq(wire_take(&hdr, &byte, 1), -1);
}

/* The host sends the first LEN bytes of the pattern. */
static inline void wire_put(const struct virtio_net_hdr_v1 *hdr, size_t len)
{
	struct iovec iov[2] = { { (void *)(uintptr_t)hdr, HDR },
				{ pattern, len } };

	ck_assert_int_eq(writev(wire.host, iov, 2), (ssize_t)(HDR + len));
}

/* A receive buffer of LEN bytes in two segments; no doorbell. */
static inline uint64_t post_rx(uint32_t len)
{
	uint64_t gpa = fd_alloc(&fd, len + 16);
	struct fd_seg seg[2] = { { gpa, len / 2 },
				 { gpa + len / 2, len - len / 2 } };

	memset(fd_ptr(&fd, gpa, len + 16), UNTOUCHED, len + 16);
	fd_post(&fd, RX, seg, 0, 2, FD_INDIRECT);
	return gpa;
}

/* The next used buffer, at GPA, holds the LEN bytes of WANT and no more. */
static inline void used_rx(uint64_t gpa, const uint8_t *want, uint32_t len)
{
	const uint8_t *got = fd_ptr(&fd, gpa, len + 1);
	uint32_t used_len;

	ck_assert(fd_used(&fd, RX, NULL, &used_len));
	ck_assert_uint_eq(used_len, len);
	ck_assert_mem_eq(got, want, len);
	ck_assert_uint_eq(got[len], UNTOUCHED);
}

/* The turns that the loop takes of its own, now: 0 unless something spins. */
static inline unsigned int busy_turns(void)
{
	unsigned int reads = wire.receives, sends = wire.sends;
	unsigned int turns = 0;

	for (int i = 0; i < 32; i++) {
		struct epoll_event event;

		turns += epoll_wait(fd.loop.epoll_fd, &event, 1, 0) > 0;
		loop_step(&fd.loop, 0);
	}
	return turns + wire.receives - reads + wire.sends - sends;
}

#endif
