// SPDX-License-Identifier: Apache-2.0
/*
 * test_race.c - a driver on another processor: rewrites what we look at, and
 * publishes chains at the worst moment
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <ucontext.h>

#include <sys/mman.h>

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "base/util.h"
#include "tests/unit/echo_device.h"
#include "tests/unit/unit.h"
#include "virtio/virtqueue.h"

#define RAM_SIZE (16u * PAGE_SIZE)
#define AVAIL	 0x1000u
#define USED	 0x2000u
#define TABLE	 0x3000u
#define BUFFER	 0x4000u
#define SIZE	 8
#define ROUNDS	 100000
#define STEPPED	 12	     /* passes, each with other changes */
#define PATIENCE 2000000000u /* ns without progress: a notification is lost */

struct race {
	struct guest_memory gm;
	uint8_t *ram;
	struct vring_desc *desc, *table;
	uint16_t *avail; /* flags, idx, ring, used_event */
	uint16_t *used;
	struct virtqueue vq;
	struct virtq_config config;
	pthread_t thread;
	_Atomic bool stop;
	_Atomic unsigned int kicks, interrupts;
	_Atomic unsigned long rounds; /* of the driver */
};

static const uint64_t features = 1ull << VIRTIO_RING_F_INDIRECT_DESC |
				 1ull << VIRTIO_RING_F_EVENT_IDX;

static void race_enable(struct race *r)
{
	MUST(virtq_enable(&r->vq, &r->gm, &r->config, SIZE, features) == 0);
}

static void race_init(struct race *r, void *(*driver)(void *))
{
	memset(r, 0, sizeof(*r));
	r->ram = aligned_alloc(PAGE_SIZE, RAM_SIZE);
	memset(r->ram, 0, RAM_SIZE);
	r->desc = (struct vring_desc *)(void *)r->ram;
	r->table = (struct vring_desc *)(void *)(r->ram + TABLE);
	r->avail = (uint16_t *)(void *)(r->ram + AVAIL);
	r->used = (uint16_t *)(void *)(r->ram + USED);
	gmem_add(&r->gm, 0, RAM_SIZE, r->ram);
	r->config = (struct virtq_config){ SIZE, 0, AVAIL, USED };
	race_enable(r);
	ck_assert_int_eq(pthread_create(&r->thread, NULL, driver, r), 0);
}

static void race_fini(struct race *r)
{
	r->stop = true;
	pthread_join(r->thread, NULL);
	free(r->ram);
}

static uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

/* Breaks and mends one descriptor again and again. */
static void flicker(volatile struct vring_desc *d, uint32_t rnd)
{
	for (int i = 0; i < 100; i++) {
		switch (rnd & 3) {
		case 0:
			d->len = i & 1 ? 16 : 0xfffffff0u;
			break;
		case 1:
			d->addr = i & 1 ? BUFFER : -8ull;
			break;
		case 2:
			d->next = i & 1 ? 1 : 0xffff;
			break;
		case 3:
			d->flags = (uint16_t)(i & 1 ? VRING_DESC_F_WRITE
						    : rnd >> 2 & 7);
			break;
		}
	}
}

static void *rewriting_driver(void *arg)
{
	struct race *r = arg;
	uint32_t rnd = 1;

	while (!r->stop) {
		uint32_t n = next_random(&rnd);
		volatile struct vring_desc *d = n & 1 ? r->table : r->desc;
		volatile uint16_t *ring = r->avail + 2;

		d += n >> 1 & (SIZE - 1);
		d->addr = n & 16 ? BUFFER : TABLE;
		d->len = 16;
		d->flags = n & 16 ? VRING_DESC_F_WRITE : VRING_DESC_F_INDIRECT;
		d->next = 1;
		ring[n >> 5 & (SIZE - 1)] = (n >> 8 & 63) % (SIZE + 1);
		flicker(d, n >> 14);
		r->rounds++;
	}
	return NULL;
}

static void check_inside(const struct race *r, const struct chain *c)
{
	unsigned int nr = c->nr_readable + c->nr_writable;
	uint64_t sum = 0;

	MUST(nr <= r->vq.size && c->head < r->vq.size);
	for (unsigned int i = 0; i < nr; i++) {
		const uint8_t *p = c->seg[i].iov_base;

		MUST(p >= r->ram && p < r->ram + RAM_SIZE);
		MUST(c->seg[i].iov_len <= (size_t)(r->ram + RAM_SIZE - p));
		sum += c->seg[i].iov_len;
	}
	MUST(sum == chain_readable(c) + chain_writable(c));
}

/* V9, V11: everything is rewritten while chains are popped, filled and pushed.
 * What was checked is what is used.
 */
START_TEST(test_rewriting_driver)
{
	unsigned long good = 0, bad = 0;
	struct race r;

	race_init(&r, rewriting_driver);
	for (unsigned long i = 0;
	     i < ROUNDS || r.rounds < ROUNDS || !good || !bad; i++) {
		uint16_t at = r.vq.next_avail;
		struct chain c;
		int ret;

		__atomic_store_n(&r.avail[1], (uint16_t)(at + 4),
				 __ATOMIC_RELAXED);
		ret = virtq_pop(&r.vq, &c);
		MUST(ret != 0);
		if (ret < 0) {
			bad++;
			virtq_disable(&r.vq);
			race_enable(&r);
			r.vq.next_avail = (uint16_t)(at + 1);
			continue;
		}
		good++;
		check_inside(&r, &c);
		chain_write_zeros(&c, 8);
		MUST(virtq_push(&r.vq, &c, 8) == 0);
		virtq_should_notify(&r.vq);
	}
	race_fini(&r);
}
END_TEST

/* Waits for COUNTER to differ from SEEN; false when nothing happens. */
static bool wait_beyond(_Atomic unsigned int *counter, unsigned int seen)
{
	uint64_t start = now_ns();

	for (unsigned int i = 0; *counter == seen; i++) {
		if (i < 1000)
			continue; /* stays close to the other side */
		if (now_ns() - start > PATIENCE)
			return false;
		sched_yield();
	}
	return true;
}

/* Shifts one side against the other by a few instructions. */
static void dawdle(uint32_t *state)
{
	for (volatile uint32_t n = next_random(state) & 127; n > 0; n--)
		;
}

/* virtio 1.2 §2.7.13, §2.7.14: publishes a chain, kicks when the device wants
 * it to, and sleeps until the interrupt when nothing has been used.
 */
static void *polite_driver(void *arg)
{
	struct race *r = arg;
	uint32_t rnd = 1;
	uint16_t idx = 0;

	while (!r->stop) {
		unsigned int seen;

		r->avail[2 + (idx & (SIZE - 1))] = idx & (SIZE - 1);
		idx++;
		dawdle(&rnd);
		__atomic_store_n(&r->avail[1], idx, __ATOMIC_RELEASE);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		if (vring_need_event(__atomic_load_n(&r->used[2 + 4 * SIZE],
						     __ATOMIC_RELAXED),
				     idx, (uint16_t)(idx - 1)))
			r->kicks++;

		/* Asks for an interrupt, then looks once more. */
		dawdle(&rnd);
		seen = r->interrupts;
		__atomic_store_n(&r->avail[2 + SIZE], (uint16_t)(idx - 1),
				 __ATOMIC_RELAXED);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		while (__atomic_load_n(&r->used[1], __ATOMIC_ACQUIRE) != idx &&
		       !r->stop) {
			if (!wait_beyond(&r->interrupts, seen))
				return (void *)1; /* lost */
			seen = r->interrupts;
		}
	}
	return NULL;
}

/* virtio 1.2 §2.7.10, §2.7.7.2: both sides sleep, and neither sleeps for ever:
 * the fences and second looks of virtq_pop() and virtq_should_notify()
 */
START_TEST(test_no_lost_notification)
{
	void *lost = NULL;
	struct race r;

	race_init(&r, polite_driver);
	for (uint32_t done = 0; done < 200000 && !lost; done++) {
		unsigned int seen = r.kicks;
		struct chain c;
		int ret;

		while ((ret = virtq_pop(&r.vq, &c)) == 0) {
			MUST(wait_beyond(&r.kicks, seen));
			seen = r.kicks;
		}
		MUST(ret == 1);
		MUST(virtq_push(&r.vq, &c, 0) == 0);
		if (virtq_should_notify(&r.vq))
			r.interrupts++;
	}
	r.stop = true;
	r.interrupts++;
	pthread_join(r.thread, &lost);
	ck_assert_ptr_null(lost);
	free(r.ram);
}
END_TEST

/* What fault() does, once: the driver publishes a chain. */
static struct race *faulting;

static void fault(int sig)
{
	(void)sig;
	faulting->avail[1]++;
	if (mprotect(faulting->ram + USED, PAGE_SIZE, PROT_READ | PROT_WRITE) <
	    0)
		abort();
}

static void *absent_driver(void *arg)
{
	return arg;
}

/* virtio 1.2 §2.7.10: a chain that is published after we saw an empty ring and
 * before our avail_event is written (the page is read-only: the store traps) is
 * found by the second look, since the driver need not kick.
 */
START_TEST(test_second_look)
{
	struct sigaction on_fault = { .sa_handler = fault }, old;
	struct chain c;
	struct race r;

	race_init(&r, absent_driver);
	faulting = &r;
	sigaction(SIGSEGV, &on_fault, &old);
	ck_assert_int_eq(mprotect(r.ram + USED, PAGE_SIZE, PROT_READ), 0);
	ck_assert_int_eq(virtq_pop(&r.vq, &c), 1);
	sigaction(SIGSEGV, &old, NULL);
	ck_assert_uint_eq(r.avail[1], 1);
	race_fini(&r);
}
END_TEST

/* While virtq_pop() is stepped, one descriptor is good or bad at random after
 * each of its instructions.
 */
static struct {
	volatile struct vring_desc *target;
	struct vring_desc good, bad;
	uint32_t rnd;
	unsigned long steps;
	bool on;
} stepper;

#define TRAP_FLAG 0x100 /* SDM 3A §2.3, EFLAGS.TF */

static void step(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	(void)sig;
	(void)info;
	uc->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
	if (!stepper.on)
		return;
	uc->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
	stepper.steps++;
	*stepper.target = next_random(&stepper.rnd) & 64 ? stepper.good
							 : stepper.bad;
}

static void pop_stepped(struct race *r)
{
	struct chain c;
	int ret;

	*stepper.target = stepper.good;
	r->avail[1] = (uint16_t)(r->vq.next_avail + 1);
	stepper.on = true;
	raise(SIGTRAP);
	ret = virtq_pop(&r->vq, &c);
	stepper.on = false;
	MUST(ret != 0);
	if (ret < 0)
		return;
	check_inside(r, &c);
	virtq_unpop(&r->vq, &c);
}

/* V9: descriptors that change between any two instructions of virtq_pop(); what
 * was checked is what is used.
 */
START_TEST(test_change_at_each_instruction)
{
	const struct vring_desc good = { BUFFER, 16, VRING_DESC_F_WRITE, 0 };
	const struct vring_desc bad[] = {
		{ BUFFER, 0xfffffff0u, VRING_DESC_F_WRITE, 0 },
		{ -8ull, 16, VRING_DESC_F_WRITE, 0 },
		{ BUFFER, 16, VRING_DESC_F_NEXT, 0xffff },
	};
	struct sigaction on_step = { .sa_sigaction = step,
				     .sa_flags = SA_SIGINFO },
			 old;
	struct race r;

	race_init(&r, absent_driver);
	sigaction(SIGTRAP, &on_step, &old);
	r.desc[0] = (struct vring_desc){ TABLE, 16, VRING_DESC_F_INDIRECT, 0 };
	stepper.good = good;
	for (unsigned int i = 0; i < 2 * ARRAY_SIZE(bad) * STEPPED; i++) {
		bool direct = i >= ARRAY_SIZE(bad) * STEPPED;

		stepper.target = direct ? r.desc : r.table;
		stepper.bad = bad[i % ARRAY_SIZE(bad)];
		pop_stepped(&r);
	}
	/* It was stepped indeed. */
	ck_assert_uint_gt(stepper.steps, 100ul * STEPPED);
	sigaction(SIGTRAP, &old, NULL);
	race_fini(&r);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("race");
	TCase *tc = tcase_create("race");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_rewriting_driver);
	tcase_add_test(tc, test_second_look);
	tcase_add_test(tc, test_change_at_each_instruction);
	tcase_add_test(tc, test_no_lost_notification);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
