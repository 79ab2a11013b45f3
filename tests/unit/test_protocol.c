// SPDX-License-Identifier: Apache-2.0
/*
 * test_protocol.c - what driver and device do in turn: initialisation in every
 * order, stores in the order that the other side relies on, positions that go
 * round, errors at every point
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>

#include <sys/mman.h>

#include "base/util.h"
#include "tests/unit/echo_fixture.h"

#define Q1 1 /* the echo device does not pop from it */

/* The steps of virtio 1.2 §3.1.1, and a doorbell. */
enum step { RESET, SEE, DRIVE, NEGOTIATE, AGREE, QUEUE, START, KICK, NR_STEPS };

static void take_step(enum step step)
{
	switch (step) {
	case RESET:
		set_status(0);
		break;
	case SEE:
		set_status(status() | ACK);
		break;
	case DRIVE:
		set_status(status() | DRIVER);
		break;
	case NEGOTIATE:
		fd.features = FD_FEATURES;
		fd_set_reg(&fd, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
		fd_set_reg(&fd, VIRTIO_MMIO_DRIVER_FEATURES,
			   (uint32_t)FD_FEATURES);
		fd_set_reg(&fd, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
		fd_set_reg(&fd, VIRTIO_MMIO_DRIVER_FEATURES, FD_FEATURES >> 32);
		break;
	case AGREE:
		set_status(status() | FEATURES_OK);
		break;
	case QUEUE:
		fd_setup_queue(&fd, 0, SIZE);
		post_echo(FD_INDIRECT);
		break;
	case START:
		set_status(status() | DRIVER_OK);
		break;
	default:
		fd_kick(&fd, 0);
	}
	loop_step(&fd.loop, 0);
}

/* Whether a device that begins in reset may serve the queue in ORDER: each step
 * wants the one before, and a reset undoes what came before it.
 */
static bool in_order(const uint8_t *order)
{
	uint8_t at[NR_STEPS];

	for (uint8_t i = 0; i < NR_STEPS; i++)
		at[order[i]] = i;
	if (at[RESET] < at[START] &&
	    (at[RESET] > at[SEE] || at[RESET] > at[NEGOTIATE]))
		return false;
	return at[SEE] < at[DRIVE] && at[DRIVE] < at[AGREE] &&
	       at[NEGOTIATE] < at[AGREE] && at[AGREE] < at[QUEUE] &&
	       at[QUEUE] < at[START];
}

/* The next permutation in lexical order; false after the last. */
static bool permute(uint8_t *p, int n)
{
	int i = n - 2, k = n - 1;
	uint8_t swap;

	while (i >= 0 && p[i] > p[i + 1])
		i--;
	if (i < 0)
		return false;
	while (p[k] < p[i])
		k--;
	swap = p[i], p[i] = p[k], p[k] = swap;
	for (i++, k = n - 1; i < k; i++, k--)
		swap = p[i], p[i] = p[k], p[k] = swap;
	return true;
}

/* C40, virtio 1.2 §3.1.1: the steps of initialisation in all 40320 orders; the
 * queue is served in those that keep the rules, and in no other
 */
START_TEST(test_initialisation_in_any_order)
{
	uint8_t order[NR_STEPS] = { 0, 1, 2, 3, 4, 5, 6, 7 };
	unsigned int served = 0;

	do {
		uint64_t memory = fd.alloc;
		bool good = in_order(order);

		set_status(0);
		fd.irq.pulses = 0;
		for (unsigned int i = 0; i < NR_STEPS; i++)
			take_step(order[i]);
		loop_step(&fd.loop, 0);
		MUST(fd_used(&fd, 0, NULL, NULL) == good);
		MUST(fd.irq.pulses == good);
		MUST(!(status() & NEEDS_RESET));
		served += good;
		if (fd.rings_of[0] && memory > fd.rings[0])
			fd.alloc = memory;
	} while (permute(order, NR_STEPS));
	/* RESET first or after START, NEGOTIATE in 3 places, KICK in 8 */
	ck_assert_uint_eq(served, 2 * 3 * 8);
}
END_TEST

/* C16, virtio 1.2 §4.2.3.4: what happens between the driver's look at
 * InterruptStatus and its ACK is announced by an edge of its own; C15 §4.2.2.1:
 * a bit that was ACKed comes back with the next event
 */
START_TEST(test_event_between_read_and_ack)
{
	ck_assert(fd_start(&fd, FD_FEATURES));
	fd_run_loop(&fd);
	for (int second = 0; second < 2; second++) {
		fd_want_irq(&fd, 0, true);
		post_echo(FD_DIRECT);
		fd_kick(&fd, 0);
		fd.irq.pulses = 0;
		ck_assert_uint_eq(fd_reg(&fd, VIRTIO_MMIO_INTERRUPT_STATUS), 1);
		ck_assert(fd_used(&fd, 0, NULL, NULL));
		if (second) {
			pthread_mutex_lock(&fd.vdev->lock);
			virtio_config_changed_locked(fd.vdev);
			pthread_mutex_unlock(&fd.vdev->lock);
		} else {
			fd_want_irq(&fd, 0, true);
			post_echo(FD_DIRECT);
			fd_kick(&fd, 0);
		}
		ck_assert_uint_eq(fd.irq.pulses, 1);
		/* The other bit stays, and is asserted anew. */
		fd_set_reg(&fd, VIRTIO_MMIO_INTERRUPT_ACK, 1);
		ck_assert_uint_eq(fd_reg(&fd, VIRTIO_MMIO_INTERRUPT_STATUS),
				  second ? 2 : 0);
		ck_assert_uint_eq(fd.irq.pulses, second ? 2 : 1);
		fd_set_reg(&fd, VIRTIO_MMIO_INTERRUPT_ACK, 3);
		ck_assert_int_eq(fd_used(&fd, 0, NULL, NULL), !second);
	}
}
END_TEST

/* What a driver can get wrong on a ring, as number WRONG of them. */
#define NR_WRONGS 9
static void publish_wrong(unsigned int wrong)
{
	const struct vring_desc d[NR_WRONGS] = {
		{ .len = 1, .flags = VRING_DESC_F_NEXT, .next = SIZE },
		{ .len = 1, .flags = VRING_DESC_F_NEXT, .next = 7 },
		{ .addr = FD_RAM_SIZE, .len = 1 },
		{ .addr = -1ull, .len = 2, .flags = VRING_DESC_F_WRITE },
		{ .len = 15, .flags = VRING_DESC_F_INDIRECT },
		{ .len = 16,
		  .flags = VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT },
		{ .addr = FD_RAM_SIZE, .len = 16, .flags = 4 },
	};

	fd_desc(&fd, 0)[7] = d[wrong];
	fd_publish(&fd, 0, wrong == 7 ? SIZE : 7);
	if (wrong == 8)
		fd_avail_ring(&fd, 0)->idx = SIZE * 2;
}

/* C11, virtio 1.2 §2.1.2: each error sets NEEDS_RESET and says so by a
 * configuration change notification; C33 §2.7.7.2: what was used before it is
 * announced, too
 */
START_TEST(test_each_error)
{
	for (unsigned int wrong = 0; wrong < NR_WRONGS; wrong++) {
		for (unsigned int before = 0; before < 3; before++) {
			ck_assert(fd_start(&fd, FD_FEATURES));
			fd_run_loop(&fd);
			fd.irq.pulses = 0;
			for (unsigned int i = 0; i < before; i++)
				post_echo(FD_INDIRECT);
			publish_wrong(wrong);
			fd_kick(&fd, 0);
			ck_assert_uint_eq(status(), 15 | NEEDS_RESET);
			if (wrong == 8) /* not even the good ones */
				ck_assert(!fd_used(&fd, 0, NULL, NULL));
			else
				for (unsigned int i = 0; i < before; i++)
					ck_assert(fd_used(&fd, 0, NULL, NULL));
			ck_assert(!fd_used(&fd, 0, NULL, NULL));
			ck_assert_uint_eq(fd_reg(&fd,
						 VIRTIO_MMIO_INTERRUPT_STATUS),
					  before && wrong != 8 ? 3 : 2);
			ck_assert_uint_gt(fd.irq.pulses, 0);
		}
	}
}
END_TEST

/* C31, virtio 1.2 §2.7.5.3.2: zero or more direct descriptors, then a table */
START_TEST(test_direct_then_table)
{
	struct vring_desc *desc, *table;
	uint64_t in, back;

	for (uint16_t direct = 0; direct < SIZE - 1; direct++) {
		uint32_t len;

		ck_assert(fd_start(&fd, FD_FEATURES));
		desc = fd_desc(&fd, 0);
		table = fd_table(&fd, 0, 0);
		in = fd_put(&fd, "abcdefgh", 8);
		back = fd_alloc(&fd, 16);
		for (uint16_t i = 0; i < direct; i++)
			desc[i] = (struct vring_desc){ in + i, 1,
						       VRING_DESC_F_NEXT,
						       i + 1 };
		desc[direct] = (struct vring_desc){ fd.queue[0].tables, 32,
						    VRING_DESC_F_INDIRECT, 0 };
		table[0] = (struct vring_desc){ in + direct, 1,
						VRING_DESC_F_NEXT, 1 };
		table[1] =
			(struct vring_desc){ back, 16, VRING_DESC_F_WRITE, 0 };
		fd_publish(&fd, 0, 0);
		fd_kick(&fd, 0);
		ck_assert(fd_used(&fd, 0, NULL, &len));
		ck_assert_uint_eq(len, direct + 1u);
		ck_assert_mem_eq(fd_ptr(&fd, back, 8), "abcdefgh", len);
	}
}
END_TEST

/* C36, virtio 1.2 §2.7.6, §2.7.8: positions are free running modulo 2^16, the
 * whole way from doorbell to interrupt, in batches that do not divide it
 */
START_TEST(test_positions_go_round)
{
	static const enum fd_layout layout[] = { FD_DIRECT, FD_INDIRECT };
	struct fd_seg seg[2] = { { fd_put(&fd, "hi", 2), 2 },
				 { fd_alloc(&fd, 2), 2 } };
	uint32_t done = 0;

	ck_assert(fd_start(&fd, FD_FEATURES));
	fd_run_loop(&fd);
	while (done < 3 * 65536 + 9) {
		uint32_t len, batch = done % 3 + 1;
		uint16_t head[3], used;

		fd_want_irq(&fd, 0, true);
		for (uint32_t i = 0; i < batch; i++)
			head[i] = fd_post(&fd, 0, seg, 1, 1,
					  layout[(done + i) / 7 % 2]);
		MUST(fd_kick_wanted(&fd, 0, (uint16_t)batch));
		fd.irq.pulses = 0;
		fd_kick(&fd, 0);
		MUST(fd.irq.pulses == 1);
		for (uint32_t i = 0; i < batch; i++)
			MUST(fd_used(&fd, 0, &used, &len) && len == 2 &&
			     used == head[i]);
		MUST(!fd_used(&fd, 0, NULL, NULL));
		done += batch;
	}
	ck_assert_uint_eq(fd_used_ring(&fd, 0)->idx, (uint16_t)done);
}
END_TEST

/* A queue whose used ring begins four bytes before a page: flags and idx on one
 * page, the elements on the next.
 */
#define RINGS	 (4u << 20)
#define USED_GPA (RINGS + PAGE_SIZE - 4)

static struct {
	struct virtqueue vq;
	uint64_t data; /* gpa of a byte that each chain writes */
	struct vring_used *used;
	/* What there was when the page of idx was written. */
	struct vring_used_elem seen;
	uint16_t idx;
	uint8_t byte;
	unsigned int traps;
} ordered;

static void on_idx_store(int sig)
{
	(void)sig;
	ordered.seen = ordered.used->ring[0];
	ordered.idx = ordered.used->idx;
	ordered.byte = fd.ram[ordered.data];
	ordered.traps++;
	if (mprotect(fd.ram + RINGS, PAGE_SIZE, PROT_READ | PROT_WRITE) < 0)
		abort();
}

static void ordered_init(void)
{
	struct virtq_config config = { SIZE, RINGS + 2 * PAGE_SIZE,
				       RINGS + 3 * PAGE_SIZE, USED_GPA };

	memset(&ordered, 0, sizeof(ordered));
	memset(fd.ram + RINGS, 0, 4 * PAGE_SIZE);
	ordered.used = fd_ptr(&fd, USED_GPA, 8);
	ordered.data = fd_alloc(&fd, SIZE);
	ck_assert_int_eq(virtq_enable(&ordered.vq, &fd.gm, &config, SIZE, 0),
			 0);
	for (uint16_t i = 0; i < SIZE; i++) {
		struct vring_desc *d =
			fd_ptr(&fd, config.desc + 16u * i, sizeof(*d));
		uint16_t *ring = fd_ptr(&fd, config.driver + 4 + 2u * i, 2);

		*d = (struct vring_desc){ ordered.data + i, 1,
					  VRING_DESC_F_WRITE, 0 };
		*ring = i;
	}
}

/* Pops the next chain and uses it, with POSITION written all over. */
static void use_next(uint16_t position)
{
	uint16_t *idx = fd_ptr(&fd, RINGS + 3 * PAGE_SIZE + 2, 2);
	struct chain c;

	*idx = (uint16_t)(position + 1);
	MUST(virtq_pop(&ordered.vq, &c) == 1);
	MUST(chain_write(&c, &position, 1) == 1);
	MUST(virtq_push(&ordered.vq, &c, position) == 0);
}

/* C34, virtio 1.2 §2.7.8.2: when idx is stored (its page is read-only: the
 * store traps), the element and the data are there, and idx was not before
 */
START_TEST(test_idx_is_stored_last)
{
	struct sigaction on_fault = { .sa_handler = on_idx_store }, old;

	ordered_init();
	for (uint16_t i = 0; i < SIZE; i++)
		use_next(i);
	ck_assert_uint_eq(ordered.used->ring[0].len, 0);
	sigaction(SIGSEGV, &on_fault, &old);
	ck_assert_int_eq(mprotect(fd.ram + RINGS, PAGE_SIZE, PROT_READ), 0);
	use_next(SIZE);
	sigaction(SIGSEGV, &old, NULL);
	ck_assert_uint_eq(ordered.traps, 1);
	ck_assert_uint_eq(ordered.idx, SIZE);
	ck_assert_uint_eq(ordered.seen.id, 0);
	ck_assert_uint_eq(ordered.seen.len, SIZE);
	ck_assert_uint_eq(ordered.byte, SIZE);
	ck_assert_uint_eq(ordered.used->idx, SIZE + 1);
}
END_TEST

#define WATCHED 100000u
static _Atomic uint32_t watched; /* positions that were seen and right */

/* Looks at each used element as soon as idx says that it is there. */
static void *watcher(void *arg)
{
	struct vring_used *used = ordered.used;
	const uint8_t *data = fd_ptr(&fd, ordered.data, SIZE);

	(void)arg;
	for (uint32_t n = 0; n < WATCHED; n++) {
		const struct vring_used_elem *e = &used->ring[n % SIZE];
		uint16_t next = (uint16_t)(n + 1), idx;

		for (uint32_t spins = 1;; spins++) {
			idx = __atomic_load_n(&used->idx, __ATOMIC_ACQUIRE);
			if (idx == next)
				break;
			if (idx != (uint16_t)n)
				return (void *)1; /* torn, or wrong */
			if (spins % 1000 == 0)
				sched_yield();
		}
		if (e->id != n % SIZE || e->len != (uint16_t)n ||
		    data[n % SIZE] != (uint8_t)n)
			return (void *)2; /* idx came before them */
		watched = n + 1;
	}
	return NULL;
}

/* C34, virtio 1.2 §2.7.8.2; V10: the same, watched from another processor; idx
 * is never seen half written
 */
START_TEST(test_used_ring_is_watched)
{
	void *wrong = NULL;
	pthread_t thread;

	ordered_init();
	watched = 0;
	ck_assert_int_eq(pthread_create(&thread, NULL, watcher, NULL), 0);
	for (uint32_t n = 0; n < WATCHED; n++) {
		use_next((uint16_t)n);
		for (uint32_t spins = 1; watched == n; spins++) {
			if (spins % 1000 == 0)
				sched_yield();
			if (spins > 100000000) {
				n = WATCHED;
				break;
			}
		}
	}
	pthread_join(thread, &wrong);
	ck_assert_ptr_null(wrong);
}
END_TEST

static _Atomic bool storm_over;

/* A vCPU that reads and writes registers at random, resets among them. */
static void *storm(void *arg)
{
	uint32_t rnd = 1;

	(void)arg;
	for (unsigned int i = 0; i < 300000; i++) {
		rnd = rnd * 1664525u + 1013904223u;
		if (rnd >> 31)
			fd_reg(&fd, rnd >> 8 & 0x1fc);
		else
			fd_set_reg(&fd, rnd >> 8 & 0xfc,
				   edges[(rnd >> 16) % ARRAY_SIZE(edges)]);
	}
	storm_over = true;
	return NULL;
}

/* V20, V1: registers on one thread, queues on another: neither waits for ever,
 * and the device is as good as new after a reset
 */
START_TEST(test_register_storm)
{
	pthread_t thread;
	uint64_t gpa;

	ck_assert(fd_start(&fd, FD_FEATURES));
	for (uint16_t i = 0; i < SIZE; i++)
		fd_desc(&fd, 0)[i] =
			(struct vring_desc){ .addr = 16, .len = 4 };
	storm_over = false;
	ck_assert_int_eq(pthread_create(&thread, NULL, storm, NULL), 0);
	while (!storm_over) {
		fd_avail_ring(&fd, 0)->idx++;
		fd_kick(&fd, 0);
		fd_kick(&fd, Q1);
		loop_step(&fd.loop, 0);
	}
	pthread_join(thread, NULL);
	ck_assert(fd_start(&fd, FD_FEATURES));
	gpa = post_echo(FD_MIXED);
	fd_kick(&fd, 0);
	expect_echo(gpa);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("protocol");
	TCase *tc = tcase_create("protocol");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_initialisation_in_any_order);
	tcase_add_test(tc, test_event_between_read_and_ack);
	tcase_add_test(tc, test_each_error);
	tcase_add_test(tc, test_direct_then_table);
	tcase_add_test(tc, test_positions_go_round);
	tcase_add_test(tc, test_idx_is_stored_last);
	tcase_add_test(tc, test_used_ring_is_watched);
	tcase_add_test(tc, test_register_storm);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
