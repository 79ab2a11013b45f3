// SPDX-License-Identifier: Apache-2.0
/*
 * test_console.c - virtio console: ports that fill up, drivers that come late
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include <sys/resource.h>

#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>

#include "base/util.h"
#include "tests/unit/fake_driver.h"
#include "tests/unit/unit.h"
#include "virtio/console.h"

#define RX	   0
#define TX	   1
#define FIFO	   4096
#define UNTOUCHED  0xee
#define OFF_EMERG  (VIRTIO_MMIO_CONFIG + 8)
#define MOST_BYTES MIB(2)

/* A back end that takes as much as a test lets it. */
static struct fake_port {
	struct port port;
	uint8_t out[MOST_BYTES];
	size_t used;
	size_t limit; /* of used */
	unsigned int writes, readables;
} fp;

static struct fake_driver fd;
static uint8_t pattern[MOST_BYTES];

static size_t fake_write(struct port *port, const void *data, size_t len)
{
	size_t n = MIN(len, fp.limit - fp.used);

	ck_assert_ptr_eq(port, &fp.port);
	ck_assert_uint_gt(len, 0);
	memcpy(fp.out + fp.used, data, n);
	fp.used += n;
	fp.writes++;
	return n;
}

static void fake_readable(struct port *port)
{
	ck_assert_ptr_eq(port, &fp.port);
	fp.readables++;
}

static void set_up(void)
{
	struct virtio_device *vdev;

	memset(&fp, 0, sizeof(fp));
	fp.port.write = fake_write;
	fp.port.readable = fake_readable;
	fp.limit = MOST_BYTES;
	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = (uint8_t)(i * 7 + (i >> 8) * 3);
	fd_init(&fd);
	ck_assert_int_eq(virtio_console_create(&fd.env, &fp.port, &vdev), 0);
	fd_attach(&fd, vdev);
}

static void tear_down(void)
{
	fd_fini(&fd);
	ck_assert_ptr_null(fp.port.user);
}

static void start(void)
{
	ck_assert(fd_start(&fd, FD_FEATURES | 1 << VIRTIO_CONSOLE_F_SIZE));
	fd_run_loop(&fd);
}

static bool needs_reset(void)
{
	return fd_reg(&fd, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET;
}

static size_t room(void)
{
	return fp.port.user->room(fp.port.user);
}

static void type(const void *data, size_t len)
{
	fp.port.user->receive(fp.port.user, data, len);
}

static void port_writable(size_t limit)
{
	fp.limit = limit;
	fp.port.user->writable(fp.port.user);
}

static const struct virtio_console_stats *stats(void)
{
	return virtio_console_stats(fd.vdev);
}

/* Makes the first LEN bytes of the pattern from OFF available for output, in
 * segments of PIECE bytes; no doorbell.
 */
static uint16_t post_out(size_t off, size_t len, size_t piece)
{
	struct fd_seg seg[128];
	uint64_t gpa = fd_put(&fd, pattern + off, len);
	unsigned int n = 0;

	for (size_t done = 0; done < len; done += piece) {
		ck_assert_uint_lt(n, 128);
		seg[n++] = (struct fd_seg){ gpa + done,
					    (uint32_t)MIN(piece, len - done) };
	}
	return fd_post(&fd, TX, seg, n, 0, n > 1 ? FD_INDIRECT : FD_DIRECT);
}

/* A receive buffer of LEN bytes in two segments; no doorbell. */
static uint64_t post_in(uint32_t len)
{
	uint64_t gpa = fd_alloc(&fd, len + 16);
	struct fd_seg seg[2] = { { gpa, len / 2 },
				 { gpa + len / 2, len - len / 2 } };

	memset(fd_ptr(&fd, gpa, len + 16), UNTOUCHED, len + 16);
	fd_post(&fd, RX, seg, 0, 2, FD_DIRECT);
	return gpa;
}

/* The next used receive buffer, which is at GPA, holds just WANT. */
static void check_in(uint64_t gpa, const void *want, uint32_t len)
{
	uint8_t *got = fd_ptr(&fd, gpa, len + 1);
	uint32_t used_len;

	ck_assert(fd_used(&fd, RX, NULL, &used_len));
	ck_assert_uint_eq(used_len, len);
	ck_assert_mem_eq(got, want, len);
	ck_assert_uint_eq(got[len], UNTOUCHED);
}

static void check_used_out(uint16_t head)
{
	uint16_t used_head;
	uint32_t len;

	ck_assert(fd_used(&fd, TX, &used_head, &len));
	ck_assert_uint_eq(used_head, head);
	ck_assert_uint_eq(len, 0); /* §2.7.8.2: nothing was written to it */
}

/* K2, virtio 1.2 §5.3.6.2.1: MULTIPORT is not offered */
START_TEST(features_and_config)
{
	struct virtio_console_config want = { .max_nr_ports = 1 };
	uint8_t got[16], all[16] = { 0 };

	ck_assert_uint_eq(fd_reg(&fd, VIRTIO_MMIO_DEVICE_ID),
			  VIRTIO_ID_CONSOLE);
	ck_assert_uint_eq(fd_device_features(&fd),
			  FD_FEATURES | 1 << VIRTIO_CONSOLE_F_SIZE |
				  1 << VIRTIO_CONSOLE_F_EMERG_WRITE);
	fp.port.user->resized(fp.port.user, 80, 25);
	want.cols = 80;
	want.rows = 25;
	memcpy(all, &want, sizeof(want));
	fd_config_read(&fd, 0, got, sizeof(got));
	ck_assert_mem_eq(got, all, sizeof(all));
}
END_TEST

START_TEST(output_in_any_pieces)
{
	static const size_t piece[] = { 1, 2, 7, 64, 100 };
	size_t want = 0;

	start();
	for (size_t i = 0; i < ARRAY_SIZE(piece); i++) {
		uint16_t head = post_out(want, 60, piece[i]);

		fd_kick(&fd, TX);
		check_used_out(head);
		want += 60;
		ck_assert_uint_eq(fp.used, want);
	}
	ck_assert_mem_eq(fp.out, pattern, want);
	ck_assert_uint_eq(counter_get(&stats()->out_bytes), want);
	ck_assert_uint_gt(fd.irq.pulses, 0);
}
END_TEST

/* V8, V16: no byte to write, or only room that is not ours to fill */
START_TEST(output_of_nothing)
{
	uint64_t gpa = fd_alloc(&fd, 64);
	struct fd_seg empty = { gpa, 0 }, room_only = { gpa, 64 };
	uint8_t *mem = fd_ptr(&fd, gpa, 64);
	uint16_t head;

	memset(mem, UNTOUCHED, 64);
	start();
	head = fd_post(&fd, TX, &empty, 1, 0, FD_DIRECT);
	fd_kick(&fd, TX);
	check_used_out(head);
	head = fd_post(&fd, TX, &room_only, 0, 1, FD_DIRECT);
	fd_kick(&fd, TX);
	check_used_out(head);
	for (int i = 0; i < 64; i++)
		ck_assert_uint_eq(mem[i], UNTOUCHED);
	ck_assert_uint_eq(fp.used, 0);
	ck_assert(!needs_reset());
}
END_TEST

/* The port fills up at every byte of a batch of chains. */
START_TEST(output_waits_for_the_port)
{
	for (size_t full = 0; full <= 90; full++) {
		uint16_t head[3];

		fp.used = 0;
		fp.limit = full;
		start();
		for (size_t i = 0; i < 3; i++)
			head[i] = post_out(30 * i, 30, 7);
		fd_kick(&fd, TX);
		ck_assert_uint_eq(fp.used, full);
		for (size_t i = 0; i < full / 30; i++)
			check_used_out(head[i]);
		ck_assert(!fd_used(&fd, TX, NULL, NULL));
		/* One chain is held, the others were not looked at. */
		ck_assert_uint_eq(fd.vdev->vq[TX].nr_in_flight, full < 90);

		/* More doorbells make no difference. */
		fd_kick(&fd, TX);
		fd_run_loop(&fd);
		ck_assert(!fd_used(&fd, TX, NULL, NULL));

		for (size_t more = full + 1; more <= 90; more++) {
			port_writable(more);
			ck_assert_uint_eq(fp.used, more);
			if (more % 30 == 0)
				check_used_out(head[more / 30 - 1]);
			ck_assert(!fd_used(&fd, TX, NULL, NULL));
		}
		ck_assert_mem_eq(fp.out, pattern, 90);
		port_writable(MOST_BYTES);
		ck_assert_uint_eq(fp.used, 90);
	}
}
END_TEST

/* C13, virtio 1.2 §2.4.1: the chain in flight is forgotten, and the next
 * driver's is not
 */
START_TEST(reset_drops_the_chain_in_flight)
{
	unsigned int pulses;
	uint16_t head;

	start();
	fp.limit = 10;
	post_out(0, 30, 7);
	fd_kick(&fd, TX);
	ck_assert_uint_eq(fp.used, 10);
	pulses = fd.irq.pulses;
	fd_reset(&fd);
	port_writable(MOST_BYTES);
	fd_run_loop(&fd);
	ck_assert_uint_eq(fp.used, 10);
	ck_assert_uint_eq(fd.irq.pulses, pulses);

	start();
	port_writable(MOST_BYTES);
	ck_assert_uint_eq(fp.used, 10);
	head = post_out(10, 20, 20);
	fd_kick(&fd, TX);
	check_used_out(head);
	ck_assert_uint_eq(fp.used, 30);
	ck_assert_mem_eq(fp.out, pattern, 30);
}
END_TEST

/* C18, virtio 1.2 §4.2.2.1: nothing is taken from a queue that is not ready */
START_TEST(queue_is_taken_away)
{
	start();
	fp.limit = 10;
	post_out(0, 30, 7);
	fd_kick(&fd, TX);
	fd_set_reg(&fd, VIRTIO_MMIO_QUEUE_SEL, TX);
	fd_set_reg(&fd, VIRTIO_MMIO_QUEUE_READY, 0);
	port_writable(MOST_BYTES);
	ck_assert_uint_eq(fp.used, 10);
	ck_assert(!fd_used(&fd, TX, NULL, NULL));
}
END_TEST

/* V31: a chain of any size lets the loop have its turns */
START_TEST(large_output_takes_turns)
{
	const size_t len = MIB(1) + 5;
	uint16_t head;

	start();
	head = post_out(0, len, 100000);
	fd_kick(&fd, TX);
	ck_assert_uint_ge(fp.used, KIB(256));
	ck_assert_uint_lt(fp.used, KIB(272));
	ck_assert(!fd_used(&fd, TX, NULL, NULL));
	fd_run_loop(&fd);
	check_used_out(head);
	ck_assert_uint_eq(fp.used, len);
	ck_assert_mem_eq(fp.out, pattern, len);
}
END_TEST

/* What is piped in before the driver is up waits outside. */
START_TEST(input_waits_for_the_driver)
{
	ck_assert_uint_eq(room(), 0);
	ck_assert(fd_negotiate(&fd, FD_FEATURES));
	ck_assert_uint_eq(room(), 0);
	ck_assert(fd_setup_queue(&fd, RX, 64));
	ck_assert(fd_setup_queue(&fd, TX, 64));
	fd_run_loop(&fd);
	ck_assert_uint_eq(room(), 0);
	ck_assert_uint_eq(fp.readables, 0);
	fd_add_status(&fd, VIRTIO_CONFIG_S_DRIVER_OK);
	ck_assert_uint_eq(fp.readables, 0); /* that was a vCPU thread */
	fd_run_loop(&fd);
	ck_assert_uint_eq(fp.readables, 1);
	ck_assert_uint_eq(room(), FIFO);
	fd_kick(&fd, RX);
	ck_assert_uint_eq(fp.readables, 1);
	fd_reset(&fd);
	ck_assert_uint_eq(room(), 0);
}
END_TEST

START_TEST(no_room_without_a_receive_queue)
{
	ck_assert(fd_negotiate(&fd, FD_FEATURES));
	ck_assert(fd_setup_queue(&fd, TX, 64));
	fd_add_status(&fd, VIRTIO_CONFIG_S_DRIVER_OK);
	fd_run_loop(&fd);
	ck_assert_uint_eq(room(), 0);
	ck_assert_uint_eq(fp.readables, 0);
}
END_TEST

START_TEST(input_fills_buffers)
{
	uint64_t a, b, c;

	start();
	a = post_in(10);
	b = post_in(10);
	c = post_in(10);
	fd_kick(&fd, RX);
	ck_assert(!fd_used(&fd, RX, NULL, NULL));

	fd.irq.pulses = 0;
	type("hello", 5);
	check_in(a, "hello", 5);
	ck_assert(!fd_used(&fd, RX, NULL, NULL));
	ck_assert_uint_eq(fd.irq.pulses, 1);
	type("0123456789abcdefghij!", 21);
	check_in(b, "0123456789", 10);
	check_in(c, "abcdefghij", 10);
	ck_assert_uint_eq(room(), FIFO - 1);

	a = post_in(10);
	fd_kick(&fd, RX);
	check_in(a, "!", 1);
	ck_assert_uint_eq(room(), FIFO);
	ck_assert_uint_eq(counter_get(&stats()->in_bytes), 26);
}
END_TEST

/* The fifo fills, the back end stops, the driver comes, the back end goes on:
 * nothing is lost, and the fifo goes round its end.
 */
START_TEST(input_flow)
{
	size_t typed = 0, got = 0;

	start();
	while (got < 20000) {
		uint64_t start_of_memory = fd.alloc;
		unsigned int before = fp.readables;
		uint64_t buf[30];

		for (size_t n; (n = room()) > 0; typed += MIN(n, 999))
			type(pattern + typed, MIN(n, 999));
		ck_assert_uint_eq(typed - got, FIFO);
		for (unsigned int i = 0; i < 30; i++)
			buf[i] = post_in(33);
		fd_kick(&fd, RX);
		ck_assert_uint_eq(fp.readables, before + 1);
		for (unsigned int i = 0; i < 30; i++) {
			check_in(buf[i], pattern + got, 33);
			got += 33;
		}
		fd.alloc = start_of_memory;
	}
}
END_TEST

/* With EVENT_IDX the driver is only heard of when we ran out of buffers. */
START_TEST(input_asks_to_be_notified)
{
	start();
	post_in(8);
	fd_kick(&fd, RX);
	type("0123456789", 10); /* two bytes wait */
	post_in(8);
	ck_assert(fd_kick_wanted(&fd, RX, 1));
}
END_TEST

/* C11, virtio 1.2 §2.1.2: a receive buffer with no room, a broken driver */
START_TEST(input_buffer_without_room)
{
	struct fd_seg seg = { fd_alloc(&fd, 16), 16 };

	start();
	fd_post(&fd, RX, &seg, 1, 0, FD_DIRECT);
	fd_kick(&fd, RX);
	fd.irq.pulses = 0;
	type("x", 1);
	ck_assert(needs_reset());
	ck_assert_uint_eq(fd.irq.pulses, 1);
	ck_assert(fd_reg(&fd, VIRTIO_MMIO_INTERRUPT_STATUS) &
		  VIRTIO_MMIO_INT_CONFIG);
	ck_assert_uint_eq(room(), 0);
	ck_assert(!fd_used(&fd, RX, NULL, NULL));

	start();
	ck_assert_uint_eq(room(), FIFO);
}
END_TEST

/* C13, virtio 1.2 §2.4.1: no byte and no interrupt for a driver that is gone */
START_TEST(reset_drops_input)
{
	uint64_t gpa;

	start();
	type("old", 3);
	ck_assert_uint_eq(room(), FIFO - 3);
	fd_reset(&fd);
	start();
	ck_assert_uint_eq(room(), FIFO);
	gpa = post_in(8);
	fd_kick(&fd, RX);
	ck_assert(!fd_used(&fd, RX, NULL, NULL));
	type("new", 3);
	check_in(gpa, "new", 3);
	ck_assert_uint_eq(fp.readables, 2); /* once each driver */
}
END_TEST

/* K3, virtio 1.2 §5.3.4: a new size, its notification and generation */
START_TEST(window_size)
{
	struct port_user *user = fp.port.user;
	uint32_t before = fd_reg(&fd, VIRTIO_MMIO_CONFIG_GENERATION);
	uint16_t size[2];

	/* Before DRIVER_OK it is just there. */
	user->resized(user, 80, 25);
	ck_assert_uint_eq(fd.irq.pulses, 0);
	start();
	fd.irq.pulses = 0;
	user->resized(user, 80, 25);
	ck_assert_uint_eq(fd.irq.pulses, 0);

	user->resized(user, 132, 25);
	ck_assert_uint_eq(fd.irq.pulses, 1);
	user->resized(user, 132, 43);
	ck_assert_uint_eq(fd.irq.pulses, 2);
	ck_assert_uint_eq(fd_reg(&fd, VIRTIO_MMIO_INTERRUPT_STATUS),
			  VIRTIO_MMIO_INT_CONFIG);
	ck_assert_uint_eq(fd_reg(&fd, VIRTIO_MMIO_CONFIG_GENERATION),
			  before + 3);
	fd_config_read(&fd, 0, size, sizeof(size));
	ck_assert_uint_eq(size[0], 132);
	ck_assert_uint_eq(size[1], 43);
}
END_TEST

static void emergency(uint32_t value)
{
	fd_mmio_write(&fd, OFF_EMERG, &value, sizeof(value));
}

/* K1, virtio 1.2 §5.3.5.1: at any status, the low byte, and never on the vCPU's
 * thread
 */
START_TEST(emergency_write)
{
	const char *want = "abcd";
	uint8_t byte = 'd';
	uint32_t zero;

	emergency('a'); /* status 0 */
	ck_assert_uint_eq(fp.writes, 0);
	fd_run_loop(&fd);
	ck_assert_uint_eq(fp.used, 1);
	start();
	emergency(0x12345600 | 'b');
	fd_run_loop(&fd);
	ck_assert_uint_eq(fp.used, 2);
	fd_reset(&fd);
	emergency('c');
	fd_mmio_write(&fd, OFF_EMERG, &byte, 1);
	fd_run_loop(&fd);
	ck_assert_uint_eq(fp.used, 4);
	ck_assert_mem_eq(fp.out, want, 4);
	ck_assert_uint_eq(counter_get(&stats()->emerg_bytes), 4);

	/* A wide write that covers the low byte from below. */
	fd_mmio_write(&fd, OFF_EMERG - 4, "....e...", 8);
	fd_run_loop(&fd);
	ck_assert_uint_eq(fp.used, 5);
	ck_assert_uint_eq(fp.out[4], 'e');

	/* The other fields are not written, emerg_wr is not read. */
	for (uint32_t off = 0; off < 8; off++)
		fd_mmio_write(&fd, VIRTIO_MMIO_CONFIG + off, &byte, 1);
	for (uint32_t off = 9; off < 16; off++)
		fd_mmio_write(&fd, VIRTIO_MMIO_CONFIG + off, &byte, 1);
	fd_run_loop(&fd);
	ck_assert_uint_eq(fp.used, 5);
	fd_config_read(&fd, 0, &zero, 4);
	ck_assert_uint_eq(zero, 0);
	fd_config_read(&fd, 8, &zero, 4);
	ck_assert_uint_eq(zero, 0);
}
END_TEST

/* V13, V25: bounded, and what does not fit is counted */
START_TEST(emergency_write_with_the_port_full)
{
	fp.limit = 3;
	for (unsigned int i = 0; i < 10; i++)
		emergency('0' + i);
	fd_run_loop(&fd);
	ck_assert_uint_eq(fp.used, 3);
	for (unsigned int i = 0; i < 1000; i++)
		emergency('x');
	fd_run_loop(&fd);
	ck_assert_uint_eq(fp.used, 3);
	ck_assert_uint_eq(counter_get(&stats()->emerg_dropped),
			  10 + 1000 - 3 - 256);
	port_writable(100);
	ck_assert_uint_eq(fp.used, 100);
	port_writable(MOST_BYTES);
	ck_assert_uint_eq(fp.used, 3 + 256);
	ck_assert_mem_eq(fp.out, "0123456789xxx", 13);
	emergency('!');
	fd_run_loop(&fd);
	ck_assert_uint_eq(fp.out[fp.used - 1], '!');
}
END_TEST

static _Atomic bool vcpu_done;

static void *vcpu(void *arg)
{
	(void)arg;
	for (unsigned int i = 0; i < 20000; i++)
		emergency(i);
	vcpu_done = true;
	return NULL;
}

/* Register writes on one thread, the port and the queues on another. */
START_TEST(emergency_write_from_another_thread)
{
	const struct virtio_console_stats *st = stats();
	pthread_t thread;

	start();
	vcpu_done = false;
	ck_assert_int_eq(pthread_create(&thread, NULL, vcpu, NULL), 0);
	while (!vcpu_done) {
		post_out(0, 1, 1);
		fd_kick(&fd, TX);
		fd_run_loop(&fd);
		while (fd_used(&fd, TX, NULL, NULL))
			fd.alloc -= 16;
	}
	pthread_join(thread, NULL);
	fd_run_loop(&fd);
	ck_assert_uint_eq(counter_get(&st->emerg_bytes) +
				  counter_get(&st->emerg_dropped),
			  20000);
	ck_assert_uint_gt(counter_get(&st->emerg_bytes), 0);
	ck_assert_uint_eq(counter_get(&st->emerg_bytes) +
				  counter_get(&st->out_bytes),
			  fp.used);
}
END_TEST

/* C35, virtio 1.2 §2.7.10.2: doorbells that mean nothing */
START_TEST(spurious_doorbells)
{
	start();
	fd.irq.pulses = 0;
	for (unsigned int i = 0; i < 100000; i++)
		fd_kick(&fd, i % 3);
	ck_assert_uint_eq(fd.irq.pulses, 0);
	ck_assert_uint_eq(fp.writes, 0);
	ck_assert(!needs_reset());
}
END_TEST

/* No descriptors left: nothing is made and nothing is kept. */
START_TEST(create_fails)
{
	struct rlimit old, none;
	struct virtio_device *vdev;
	struct port port = { .write = fake_write, .readable = fake_readable };
	int ret;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = old;
	none.rlim_cur = 0;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	ret = virtio_console_create(&fd.env, &port, &vdev);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
	ck_assert_int_eq(ret, -EMFILE);
	ck_assert_ptr_null(port.user);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("console");
	TCase *tc = tcase_create("console");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, features_and_config);
	tcase_add_test(tc, output_in_any_pieces);
	tcase_add_test(tc, output_of_nothing);
	tcase_add_test(tc, output_waits_for_the_port);
	tcase_add_test(tc, reset_drops_the_chain_in_flight);
	tcase_add_test(tc, queue_is_taken_away);
	tcase_add_test(tc, large_output_takes_turns);
	tcase_add_test(tc, input_waits_for_the_driver);
	tcase_add_test(tc, no_room_without_a_receive_queue);
	tcase_add_test(tc, input_fills_buffers);
	tcase_add_test(tc, input_flow);
	tcase_add_test(tc, input_asks_to_be_notified);
	tcase_add_test(tc, input_buffer_without_room);
	tcase_add_test(tc, reset_drops_input);
	tcase_add_test(tc, window_size);
	tcase_add_test(tc, emergency_write);
	tcase_add_test(tc, emergency_write_with_the_port_full);
	tcase_add_test(tc, emergency_write_from_another_thread);
	tcase_add_test(tc, spurious_doorbells);
	tcase_add_test(tc, create_fails);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
