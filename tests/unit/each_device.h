// SPDX-License-Identifier: Apache-2.0
/*
 * each_device.h - the devices that mote has, one at a time behind its registers
 *
 * For one test program each; everything is static.  A test that is run with
 * each device has it as number `_i` (tcase_add_loop_test) and calls set_up(_i);
 * tear_down() is a fixture's.
 */
#ifndef MOTE_TESTS_EACH_DEVICE_H
#define MOTE_TESTS_EACH_DEVICE_H

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/mman.h>

#include <linux/virtio_balloon.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_vsock.h>

#include "base/port.h"
#include "base/util.h"
#include "tests/unit/echo_device.h"
#include "tests/unit/fake_driver.h"
#include "tests/unit/fake_wire.h"
#include "tests/unit/unit.h"
#include "virtio/balloon.h"
#include "virtio/blk.h"
#include "virtio/console.h"
#include "virtio/net.h"
#include "virtio/rng.h"
#include "virtio/vsock_device.h"

#define SECTORS	 0x10203u
#define CID	 0x12345u
#define PATIENCE 10000000000u /* ns */

#define BLK(bit)     (1ull << VIRTIO_BLK_F_##bit)
#define CONSOLE(bit) (1ull << VIRTIO_CONSOLE_F_##bit)
#define BALLOON(bit) (1ull << VIRTIO_BALLOON_F_##bit)

#define DISK_FEATURES                                                          \
	(BLK(SEG_MAX) | BLK(BLK_SIZE) | BLK(FLUSH) | BLK(CONFIG_WCE))
#define BLK_FEATURES	 (FD_FEATURES | DISK_FEATURES)
#define BLK_CLEARING	 (BLK(DISCARD) | BLK(WRITE_ZEROES))
#define CONSOLE_FEATURES (FD_FEATURES | CONSOLE(SIZE) | CONSOLE(EMERG_WRITE))
#define BALLOON_FEATURES                                                       \
	(FD_FEATURES | BALLOON(STATS_VQ) | BALLOON(DEFLATE_ON_OOM) |           \
	 BALLOON(REPORTING))

#define NET_FEATURES                                                           \
	(FD_FEATURES | NET_RX_OFFLOADS | NET_TX_OFFLOADS | NET(MRG_RXBUF) |    \
	 NET(MAC) | NET(STATUS) | NET(MTU))

#define VSOCK_FEATURES                                                         \
	(FD_FEATURES | 1ull << VSOCK_F_STREAM |                                \
	 1ull << VSOCK_F_NO_IMPLIED_STREAM)

/* The devices; each test is run with each of them as number `_i`. */
enum subject {
	DISK,
	READ_ONLY_DISK,
	RING_DISK, /* behind an io_uring, where the host has it */
	TERMINAL,
	ENTROPY,
	BALLOONIST,
	NETWORK,
	SOCKETS,
	NR_SUBJECTS
};

static const struct {
	uint32_t id;
	uint64_t features;
	unsigned int queues;
	unsigned int work; /* the queue that serve() uses */
} expected[NR_SUBJECTS] = {
	[DISK] = { VIRTIO_ID_BLOCK, BLK_FEATURES | BLK_CLEARING, 1, 0 },
	[READ_ONLY_DISK] = { VIRTIO_ID_BLOCK, BLK_FEATURES | BLK(RO), 1, 0 },
	[RING_DISK] = { VIRTIO_ID_BLOCK, BLK_FEATURES | BLK_CLEARING, 1, 0 },
	[TERMINAL] = { VIRTIO_ID_CONSOLE, CONSOLE_FEATURES, 2, 1 },
	[ENTROPY] = { VIRTIO_ID_RNG, FD_FEATURES, 1, 0 },
	[BALLOONIST] = { VIRTIO_ID_BALLOON, BALLOON_FEATURES, 5, 1 },
	[NETWORK] = { VIRTIO_ID_NET, NET_FEATURES, 2, 1 },
	[SOCKETS] = { VIRTIO_ID_VSOCK, VSOCK_FEATURES, 3, 1 },
};

static struct fake_driver fd;
static struct fake_wire wire = { .host = -1 };
static struct disk_ring *disk_ring; /* NULL: none */

/* The terminal takes `room` more bytes. */
static struct {
	struct port port;
	size_t room, taken;
	unsigned int sum; /* of the bytes: all of them are looked at */
} out;

static inline size_t out_write(struct port *port, const void *data, size_t len)
{
	size_t n = MIN(len, out.room);

	(void)port;
	for (size_t i = 0; i < n; i++)
		out.sum += ((const uint8_t *)data)[i];
	out.room -= n;
	out.taken += n;
	return n;
}

static inline void out_readable(struct port *port)
{
	(void)port;
}

static inline struct virtio_device *create_disk(enum subject subject)
{
	int file = memfd_create("disk", MFD_CLOEXEC);
	struct virtio_device *vdev;
	struct disk *disk;
	char path[32];

	ck_assert_int_eq(ftruncate(file, (off_t)SECTORS * SECTOR_SIZE), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	ck_assert_int_eq(
		disk_open(path, subject == READ_ONLY_DISK, false, &disk), 0);
	close(file);
	if (subject == RING_DISK && disk_ring_create(&fd.loop, &disk_ring) == 0)
		ck_assert_int_eq(disk_set_ring(disk, disk_ring), 0);
	ck_assert_int_eq(virtio_blk_create(&fd.env, disk, &vdev), 0);
	return vdev;
}

static inline struct virtio_device *create_net(void)
{
	const struct virtio_net_params params = { { 2, 3, 4, 5, 6, 7 }, 1400 };
	struct virtio_device *vdev;

	wire_init(&wire);
	ck_assert_int_eq(
		virtio_net_create(&fd.env, &params, &wire.backend, &vdev), 0);
	return vdev;
}

static inline struct virtio_device *create_vsock(void)
{
	struct virtio_device *vdev;
	char path[48];

	snprintf(path, sizeof(path), "/tmp/mote-each-%d", getpid());
	unlink(path); /* of a run that was killed */
	ck_assert_int_eq(virtio_vsock_create(&fd.env, CID, path, &vdev), 0);
	return vdev;
}

static inline void set_up(enum subject subject)
{
	struct virtio_device *vdev = NULL;

	/* As in mote: a host that hangs up is an error of the write. */
	signal(SIGPIPE, SIG_IGN);
	fd_init(&fd);
	memset(&out, 0, sizeof(out));
	out.port.write = out_write;
	out.port.readable = out_readable;
	out.room = SIZE_MAX;
	switch (subject) {
	case TERMINAL:
		ck_assert_int_eq(
			virtio_console_create(&fd.env, &out.port, &vdev), 0);
		break;
	case ENTROPY:
		ck_assert_int_eq(virtio_rng_create(&fd.env, &vdev), 0);
		break;
	case BALLOONIST:
		ck_assert_int_eq(virtio_balloon_create(&fd.env, &vdev), 0);
		ck_assert_int_eq(virtio_balloon_set_target(vdev, MIB(1)), 0);
		break;
	case NETWORK:
		vdev = create_net();
		break;
	case SOCKETS:
		vdev = create_vsock();
		break;
	default:
		vdev = create_disk(subject);
	}
	fd_attach(&fd, vdev);
}

static inline void tear_down(void)
{
	if (disk_ring) {
		virtio_device_destroy(fd.vdev);
		fd.vdev = NULL;
		disk_ring_destroy(disk_ring);
		disk_ring = NULL;
	}
	fd_fini(&fd);
	wire_fini(&wire);
}

static inline void start(enum subject subject)
{
	ck_assert(fd_start(&fd, expected[subject].features));
	fd_run_loop(&fd);
}

static inline uint32_t status(void)
{
	return fd_reg(&fd, VIRTIO_MMIO_STATUS);
}

static inline void set_status(uint32_t value)
{
	fd_set_reg(&fd, VIRTIO_MMIO_STATUS, value);
}

/* One request that the device completes: whoever can do this is alive. */
static inline void serve(enum subject subject)
{
	/* Reads the first sector; a frame that is too short; no page; a packet
	 * of somebody else; a line for the terminal.
	 */
	const uint8_t request[sizeof(struct virtio_vsock_hdr)] = { 0 };
	bool disk = expected[subject].id == VIRTIO_ID_BLOCK;
	uint32_t room = subject == ENTROPY ? 16 : disk ? 513 : 0;
	uint32_t asks = subject == SOCKETS ? sizeof(request) : 16;
	unsigned int q = expected[subject].work;
	uint64_t memory = fd.alloc;
	struct fd_seg seg[2] = { { fd_put(&fd, request, asks), asks },
				 { fd_alloc(&fd, 513), room } };
	uint32_t len;

	fd_post(&fd, q, subject == ENTROPY ? seg + 1 : seg, subject != ENTROPY,
		room > 0, disk ? FD_INDIRECT : FD_DIRECT);
	fd_kick(&fd, q);
	fd_run_loop(&fd);
	/* What the kernel does beside us takes its time. */
	for (uint64_t end = now_ns() + PATIENCE;
	     !fd_used(&fd, q, NULL, &len);) {
		ck_assert_uint_lt(now_ns(), end);
		loop_step(&fd.loop, 1);
	}
	ck_assert_uint_eq(len, room);
	fd.alloc = memory;
}

#endif
