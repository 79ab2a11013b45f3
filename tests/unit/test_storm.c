// SPDX-License-Identifier: Apache-2.0
/*
 * test_storm.c - a driver that resets its device without end, with work in hand
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>

#include <sys/socket.h>
#include <sys/un.h>

#include "tests/unit/each_device.h"

#define RESETS	  100000u
#define HOST_PORT 1u
#define QUEUE	  16u /* entries: small rings are quickly made */

/* ASan's: bytes that malloc(3) has given out. */
size_t __sanitizer_get_current_allocated_bytes(void);

static unsigned int open_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* As fd_start(), with small queues. */
static void start_small(enum subject subject)
{
	MUST(fd_negotiate(&fd, expected[subject].features));
	for (unsigned int q = 0; q < expected[subject].queues; q++) {
		/* The balloon's queue that is not offered. */
		fd_set_reg(&fd, VIRTIO_MMIO_QUEUE_SEL, q);
		if (fd_reg(&fd, VIRTIO_MMIO_QUEUE_NUM_MAX))
			MUST(fd_setup_queue(&fd, q, QUEUE));
	}
	fd_add_status(&fd, VIRTIO_CONFIG_S_DRIVER_OK);
	MUST(status() == 15);
}

static void post(unsigned int q, const void *request, uint32_t len,
		 uint32_t room)
{
	struct fd_seg seg[2] = { { 0 }, { fd_alloc(&fd, room), room } };
	unsigned int nr_in = len > 0, nr_out = room > 0;

	if (fd.queue[q].nr_free < 2)
		return;
	if (len > 0)
		seg[0] = (struct fd_seg){ fd_put(&fd, request, len), len };
	fd_post(&fd, q, seg + !nr_in, nr_in, nr_out, FD_DIRECT);
	fd_kick(&fd, q);
}

static int server = -1;

static void host_listen(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	server = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/tmp/mote-each-%d_%u",
		 getpid(), HOST_PORT);
	unlink(addr.sun_path);
	ck_assert_int_eq(bind(server, (void *)&addr, sizeof(addr)), 0);
	ck_assert_int_eq(listen(server, 16), 0);
}

static void host_leaves(void)
{
	char path[48];

	close(server);
	snprintf(path, sizeof(path), "/tmp/mote-each-%d_%u", getpid(),
		 HOST_PORT);
	unlink(path);
}

/* Packets of one connection that has bytes on their way in both directions. */
static void talk(void)
{
	struct virtio_vsock_hdr packet[2] = { {
		.src_cid = CID,
		.dst_cid = VSOCK_HOST_CID,
		.src_port = 9,
		.dst_port = HOST_PORT,
		.type = VIRTIO_VSOCK_TYPE_STREAM,
		.op = VIRTIO_VSOCK_OP_REQUEST,
		.buf_alloc = KIB(64),
	} };
	int taken;

	post(1, packet, sizeof(packet[0]), 0);
	packet[0].op = VIRTIO_VSOCK_OP_RW;
	packet[0].len = 16;
	post(1, packet, sizeof(packet[0]) + 16, 0);
	taken = accept4(server, NULL, NULL, SOCK_CLOEXEC);
	ck_assert_int_ge(taken, 0);
	ck_assert_int_eq(send(taken, packet, 30, MSG_NOSIGNAL), 30);
	post(0, NULL, 0, 100);
	close(taken);
}

/* Gives the device work of each of its kinds, some of which it cannot do now. */
static void load(enum subject subject)
{
	const uint8_t disk[16] = { VIRTIO_BLK_T_IN };
	const uint32_t pages[] = { MIB(8) / PAGE_SIZE, MIB(9) / PAGE_SIZE };
	uint8_t bytes[100] = { [18] = 2, 3, 4, 5, 6, 7 }; /* our MAC */

	switch (subject) {
	case DISK:
	case READ_ONLY_DISK:
	case RING_DISK:
		for (int i = 0; i < 4; i++)
			post(0, disk, sizeof(disk), 4097);
		break;
	case TERMINAL:
		out.room = 10;
		post(1, bytes, sizeof(bytes), 0);
		post(0, NULL, 0, 10);
		out.port.user->receive(out.port.user, "input", 5);
		break;
	case ENTROPY:
		post(0, NULL, 0, 4096);
		break;
	case BALLOONIST:
		post(2, bytes, 20, 0); /* held until statistics are wanted */
		post(0, pages, sizeof(pages), 0);
		break;
	case NETWORK:
		wire.send_error = -EAGAIN;
		post(1, bytes, sizeof(bytes), 0);
		post(1, bytes, sizeof(bytes), 0);
		post(0, NULL, 0, 20); /* too small for the frame */
		ck_assert_int_ge(send(wire.host, bytes, 100, MSG_NOSIGNAL), -1);
		break;
	case SOCKETS:
		talk();
		break;
	case NR_SUBJECTS:
		break;
	}
}

/* V19, V12, virtio 1.2 §2.4.1: 100000 resets with work in hand, in every phase of it.  Files and
 * memory are as before, and the next driver is served.
 */
START_TEST(test_reset_storm)
{
	unsigned int files;
	uint64_t memory;
	size_t heap;

	set_up(_i);
	start(_i);
	start_small(_i);
	memory = fd.alloc;
	if (_i == SOCKETS)
		host_listen();
	fd_run_loop(&fd);
	files = open_files();
	heap = __sanitizer_get_current_allocated_bytes();
	for (uint32_t i = 0; i < RESETS; i++) {
		fd.alloc = memory;
		load(_i);
		for (uint32_t turns = i % 4; turns > 0; turns--)
			loop_step(&fd.loop, 0);
		set_status(0);
		/* Now and then the loop hears of it before the next driver. */
		if (i % 5 == 0)
			loop_step(&fd.loop, 0);
		start_small(_i);
	}
	fd_run_loop(&fd);
	ck_assert_uint_eq(open_files(), files);
	ck_assert_uint_eq(__sanitizer_get_current_allocated_bytes(), heap);
	wire.send_error = 0;
	out.room = SIZE_MAX;
	start(_i);
	serve(_i);
	if (_i == SOCKETS)
		host_leaves();
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("storm");
	TCase *tc = tcase_create("each device");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, NULL, tear_down); /* set_up() needs _i */
	tcase_add_loop_test(tc, test_reset_storm, 0, NR_SUBJECTS);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
