// SPDX-License-Identifier: Apache-2.0
/*
 * test_console_sink.c - the virtio console on a terminal whose reader is slow,
 * gone, or on a full disk
 *
 * What is promised: such a reader never makes a vCPU wait and never makes the
 * monitor hold more, and every byte that did not get through is counted.
 */
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include <linux/virtio_console.h>

#include "base/util.h"
#include "tests/unit/echo_device.h"
#include "tests/unit/fake_driver.h"
#include "tests/unit/unit.h"
#include "virtio/console.h"
#include "vmm/terminal.h"

#define TX	  1
#define OFF_EMERG (VIRTIO_MMIO_CONFIG + 8)
#define WRITES	  20000u
#define CHUNK	  1000u

enum reader { BLOCKED, CLOSED, FULL_DISK, NR_READERS };

/* ASan's; called at each malloc and free of the program. */
int __sanitizer_install_malloc_and_free_hooks(
	void (*on_malloc)(const volatile void *, size_t),
	void (*on_free)(const volatile void *));

static struct {
	_Atomic bool on;
	_Atomic unsigned int calls;
} heap;

static struct fake_driver fd;
static struct terminal term;
static int ends[2] = { -1, -1 };
static _Atomic bool done;

static void count_malloc(const volatile void *p, size_t len)
{
	(void)p;
	(void)len;
	heap.calls += heap.on;
}

static void count_free(const volatile void *p)
{
	(void)p;
}

static void quit(struct terminal *t)
{
	(void)t;
}

static void set_up(enum reader reader)
{
	struct virtio_device *vdev;

	if (reader == 0)
		__sanitizer_install_malloc_and_free_hooks(count_malloc,
							  count_free);
	memset(&term, 0, sizeof(term));
	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	if (reader == CLOSED) {
		close(ends[0]);
		ends[0] = -1;
	} else if (reader == FULL_DISK) {
		close(ends[1]);
		ends[1] = open("/dev/full", O_WRONLY | O_CLOEXEC);
	}
	fd_init(&fd);
	terminal_init(&term, &fd.loop, -1, ends[1], quit);
	ck_assert_int_eq(
		virtio_console_create(&fd.env, &term.console.port, &vdev), 0);
	fd_attach(&fd, vdev);
	ck_assert(fd_start(&fd, FD_FEATURES));
	fd_run_loop(&fd);
}

static void tear_down(void)
{
	fd_fini(&fd);
	terminal_fini(&term);
	close(ends[1]);
	if (ends[0] >= 0)
		close(ends[0]);
}

/* Emergency bytes, and looks at the registers that take the lock. */
static void *vcpu(void *arg)
{
	(void)arg;
	heap.on = true; /* the thread is there */
	for (uint32_t i = 0; i < WRITES; i++) {
		fd_mmio_write(&fd, OFF_EMERG, &i, sizeof(i));
		fd_reg(&fd, VIRTIO_MMIO_STATUS);
	}
	done = true;
	return NULL;
}

static size_t read_all(void)
{
	static char buf[65536];
	size_t n = 0;
	ssize_t got;

	if (ends[0] < 0)
		return 0;
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	for (int quiet = 0; quiet < 3; quiet++) {
		while ((got = read(ends[0], buf, sizeof(buf))) > 0) {
			n += (size_t)got;
			quiet = 0;
		}
		fd_run_loop(&fd);
	}
	return n;
}

START_TEST(reader_holds_up_nobody)
{
	const struct virtio_console_stats *st;
	struct fd_seg seg;
	size_t out, dropped, arrived;
	pthread_t thread;

	set_up(_i);
	st = virtio_console_stats(fd.vdev);
	seg = (struct fd_seg){ fd_alloc(&fd, CHUNK), CHUNK };
	done = false;
	heap.calls = 0;
	MUST(pthread_create(&thread, NULL, vcpu, NULL) == 0);
	while (!done) {
		if (fd.queue[TX].nr_free > 0)
			fd_post(&fd, TX, &seg, 1, 0, FD_DIRECT);
		fd_kick(&fd, TX);
		fd_run_loop(&fd);
		while (fd_used(&fd, TX, NULL, NULL))
			;
	}
	heap.on = false;
	pthread_join(thread, NULL);
	ck_assert_uint_eq(heap.calls, 0);

	/* A pipe takes 64 KiB, and as much is held; the rest waits in the
	 * driver's queue.
	 */
	if (_i == BLOCKED)
		ck_assert_uint_le(counter_get(&st->out_bytes) +
					  counter_get(&st->emerg_bytes),
				  2 * KIB(64));
	arrived = read_all();
	fd_run_loop(&fd);
	out = counter_get(&st->out_bytes) + counter_get(&st->emerg_bytes);
	dropped = counter_get(&term.sink.dropped);
	ck_assert_uint_eq(arrived + dropped, out);
	ck_assert_uint_eq(dropped, _i == BLOCKED ? 0 : out);
	ck_assert_uint_eq(counter_get(&st->emerg_bytes) +
				  counter_get(&st->emerg_dropped),
			  WRITES);
	tear_down();
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("console sink");
	TCase *tc = tcase_create("console sink");

	tcase_add_loop_test(tc, reader_holds_up_nobody, 0, NR_READERS);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
