// SPDX-License-Identifier: Apache-2.0
/*
 * test_held.c - what a device holds: chains that its back end did not take yet,
 * values that the driver has read half of, memory
 */
#include "tests/unit/each_device.h"

/* ASan's; called at each malloc and free of the program. */
int __sanitizer_install_malloc_and_free_hooks(
	void (*on_malloc)(const volatile void *, size_t),
	void (*on_free)(const volatile void *));

static struct {
	bool on;
	unsigned int calls;
} heap;

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

/* V12: the longest chains of the largest segments, and resets: nothing is
 * allocated for a driver
 */
START_TEST(nothing_is_allocated)
{
	unsigned int q = expected[_i].work;
	struct fd_seg seg[VIRTQ_MAX_SIZE];
	void *volatile proof;

	set_up(_i);
	for (unsigned int i = 0; i < VIRTQ_MAX_SIZE; i++)
		seg[i] = (struct fd_seg){ MIB(8), KIB(512) };
	seg[63] = (struct fd_seg){ MIB(4), 1 }; /* a disk's status */
	heap.calls = 0;
	heap.on = true;
	free(proof = malloc(1)); /* the hook works */
	for (int round = 0; round < 3; round++) {
		MUST(fd_start(&fd, expected[_i].features));
		memset(fd_ptr(&fd, MIB(8), 16), 0, 16); /* a disk's header */
		*(uint8_t *)fd_ptr(&fd, MIB(4), 1) = 0xff;
		fd_post(&fd, q, seg, 1, 63, FD_INDIRECT);
		fd_post(&fd, q, seg, 62, 1, FD_DIRECT);
		fd_kick(&fd, q);
		for (int turns = 0; turns < 40; turns++)
			fd_run_loop(&fd);
		MUST(fd_used(&fd, q, NULL, NULL));
		MUST(fd_used(&fd, q, NULL, NULL));
		MUST(expected[_i].id != VIRTIO_ID_BLOCK ||
		     *(uint8_t *)fd_ptr(&fd, MIB(4), 1) == 0);
	}
	heap.on = false;
	ck_assert_uint_eq(heap.calls, 1);
}
END_TEST

#define TX   1
#define LINE 100 /* bytes of a chain that is held */

/* The terminal takes 10 bytes of a chain and no more: the rest is held. */
static void hold(void)
{
	struct fd_seg seg = { fd_alloc(&fd, LINE), LINE };

	out.room = 10;
	out.taken = 0;
	fd_post(&fd, TX, &seg, 1, 0, FD_INDIRECT);
	fd_kick(&fd, TX);
	fd_run_loop(&fd);
	ck_assert_uint_eq(out.taken, 10);
	ck_assert(!fd_used(&fd, TX, NULL, NULL));
}

/* All that may still move once the work is forgotten: the port can take more,
 * doorbells ring, there is input, the window changes.
 */
static void stir(void)
{
	out.room = SIZE_MAX;
	out.port.user->writable(out.port.user);
	for (unsigned int q = 0; q < 2; q++)
		fd_kick(&fd, q);
	fd_run_loop(&fd);
	if (out.port.user->room(out.port.user) > 0)
		out.port.user->receive(out.port.user, "x", 1);
	out.port.user->resized(out.port.user, (uint16_t)out.taken,
			       (uint16_t)fd.alloc);
	fd_run_loop(&fd);
}

/* How a driver may come to its reset. */
enum way { RUNNING, UNREADY, FAILED, MALFORMED, NR_WAYS };

static void give_up(enum way way)
{
	const uint32_t failed = 15 | VIRTIO_CONFIG_S_FAILED;

	if (way == UNREADY) {
		fd_set_reg(&fd, VIRTIO_MMIO_QUEUE_SEL, TX);
		fd_set_reg(&fd, VIRTIO_MMIO_QUEUE_READY, 0);
	}
	if (way == FAILED)
		set_status(failed);
	if (way == MALFORMED) {
		fd_publish(&fd, 0, UINT16_MAX);
		out.port.user->receive(out.port.user, "x", 1);
		ck_assert(status() & VIRTIO_CONFIG_S_NEEDS_RESET);
	}
	set_status(0);
	ck_assert_uint_eq(status(), 0);
}

/* C13, virtio 1.2 §2.4.1; V19: again and again a reset while a chain is in
 * flight.  After it not a byte of memory changes, the line is still, the rest
 * of the chain is not sent; and the next driver is served from the beginning.
 */
START_TEST(reset_with_held_work)
{
	uint8_t *before = malloc(FD_RAM_SIZE);
	uint64_t memory;

	set_up(TERMINAL);
	start(TERMINAL);
	memory = fd.alloc;
	for (int round = 0; round < 20; round++) {
		start(TERMINAL);
		fd.alloc = memory;
		hold();
		give_up(_i);
		memcpy(before, fd.ram, FD_RAM_SIZE);
		fd.irq.pulses = 0;
		stir();
		MUST(memcmp(before, fd.ram, FD_RAM_SIZE) == 0);
		ck_assert_uint_eq(fd.irq.pulses, 0);
		ck_assert_uint_eq(fd_reg(&fd, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
		/* The next driver's work is its own. */
		start(TERMINAL);
		stir();
		ck_assert_uint_eq(out.taken, 10);
		serve(TERMINAL);
		ck_assert_uint_eq(out.taken, 26);
	}
	free(before);
}
END_TEST

/* C17, virtio 1.2 §4.2.2.1: a field that changes between two reads shows in
 * ConfigGeneration; C42, §3.2.1: and is announced; K3, §5.3.4: the window size
 */
START_TEST(resize_between_two_reads)
{
	uint16_t cols, rows;
	uint32_t generation;

	set_up(TERMINAL);
	start(TERMINAL);
	out.port.user->resized(out.port.user, 80, 25);
	fd_set_reg(&fd, VIRTIO_MMIO_INTERRUPT_ACK, ~0u);
	for (uint16_t i = 1; i <= 300; i++) {
		fd.irq.pulses = 0;
		generation = fd_reg(&fd, VIRTIO_MMIO_CONFIG_GENERATION);
		fd_mmio_read(&fd, VIRTIO_MMIO_CONFIG, &cols, 2);
		out.port.user->resized(out.port.user, cols + 1, 25 + i);
		fd_mmio_read(&fd, VIRTIO_MMIO_CONFIG + 2, &rows, 2);
		ck_assert_uint_eq(cols, 79 + i);
		ck_assert_uint_eq(rows, 25 + i);
		ck_assert_uint_ne(fd_reg(&fd, VIRTIO_MMIO_CONFIG_GENERATION),
				  generation);
		ck_assert_uint_eq(fd.irq.pulses, 1);
		ck_assert_uint_eq(fd_reg(&fd, VIRTIO_MMIO_INTERRUPT_STATUS),
				  VIRTIO_MMIO_INT_CONFIG);
		fd_set_reg(&fd, VIRTIO_MMIO_INTERRUPT_ACK, ~0u);
	}
}
END_TEST

#define BAD_KICKS 1000000

static unsigned int lines_in(int file)
{
	off_t size = lseek(file, 0, SEEK_END);
	char *text = calloc(1, (size_t)size + 1);
	unsigned int lines = 0;

	ck_assert_int_eq(pread(file, text, (size_t)size, 0), size);
	for (char *c = text; *c; c++)
		lines += *c == '\n';
	free(text);
	return lines;
}

/* V25: a million queues that cannot be, and rings that are malformed: a few
 * lines of log.
 */
START_TEST(log_of_a_flood)
{
	int file = memfd_create("log", MFD_CLOEXEC), saved = dup(STDERR_FILENO);
	unsigned int lines;

	ck_assert_int_eq(dup2(file, STDERR_FILENO), STDERR_FILENO);
	set_up(_i);
	ck_assert(fd_negotiate(&fd, expected[_i].features));
	fd_set_reg(&fd, VIRTIO_MMIO_QUEUE_NUM, 3);
	for (unsigned int i = 0; i < BAD_KICKS; i++) {
		fd_set_reg(&fd, VIRTIO_MMIO_QUEUE_READY, 1);
		fd_set_reg(&fd, VIRTIO_MMIO_QUEUE_NOTIFY, i);
	}
	for (unsigned int i = 0; i < 100; i++) {
		start(_i);
		fd_publish(&fd, expected[_i].work, UINT16_MAX);
		fd_kick(&fd, expected[_i].work);
		MUST(status() & VIRTIO_CONFIG_S_NEEDS_RESET);
	}
	ck_assert_int_eq(dup2(saved, STDERR_FILENO), STDERR_FILENO);
	close(saved);
	lines = lines_in(file);
	close(file);
	/* The first device has them; ten in five seconds of each kind. */
	ck_assert_uint_le(lines, 80);
	ck_assert(lines > 0 || _i > 0);
	start(_i);
	serve(_i);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("held");
	TCase *tc = tcase_create("held");

	if (!__sanitizer_install_malloc_and_free_hooks(count_malloc,
						       count_free))
		abort();
	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, NULL, tear_down); /* set_up() needs _i */
	tcase_add_loop_test(tc, nothing_is_allocated, 0, NR_SUBJECTS);
	tcase_add_loop_test(tc, reset_with_held_work, 0, NR_WAYS);
	tcase_add_test(tc, resize_between_two_reads);
	tcase_add_loop_test(tc, log_of_a_flood, 0, NR_SUBJECTS);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
