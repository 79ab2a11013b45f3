// SPDX-License-Identifier: Apache-2.0
/*
 * test_irq.c - every pulse of an interrupt line is an edge
 *
 * This program's own ioctl is the interrupt controller: it has a level for each
 * line and counts how often that rises.
 */
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <unistd.h>

#include <sys/ioctl.h>

#include <linux/kvm.h>

#include "tests/unit/unit.h"
#include "vmm/vm.h"

#define GSI 5

static struct {
	_Atomic unsigned int level, edges, calls;
	_Atomic bool stall; /* the next rise takes a while */
	pthread_barrier_t high;
} pic;

static struct vm vm = { .fd = -1 };
static struct vm_irq irq;

int ioctl(int fd, unsigned long request, ...)
{
	const struct kvm_irq_level *level;
	va_list args;

	va_start(args, request);
	level = va_arg(args, const struct kvm_irq_level *);
	va_end(args);
	ck_assert_int_eq(fd, vm.fd);
	ck_assert_uint_eq(request, KVM_IRQ_LINE);
	ck_assert_uint_eq(level->irq, GSI);
	pic.calls++;
	if (atomic_exchange(&pic.level, level->level) == 0 && level->level)
		pic.edges++;
	if (level->level && atomic_exchange(&pic.stall, false)) {
		pthread_barrier_wait(&pic.high);
		usleep(50000);
	}
	return 0;
}

static void *other_thread(void *arg)
{
	(void)arg;
	/* The line is high by the hand of another thread. */
	pthread_barrier_wait(&pic.high);
	irq_pulse(&irq.line);
	return NULL;
}

START_TEST(pulse)
{
	pic.calls = 0;
	pic.edges = 0;
	vm_irq_init(&irq, &vm, GSI);
	for (unsigned int i = 1; i <= 3; i++) {
		irq_pulse(&irq.line);
		ck_assert_uint_eq(pic.edges, i);
		ck_assert_uint_eq(pic.level, 0);
	}
	ck_assert_uint_eq(pic.calls, 6);
}
END_TEST

/* A vCPU that acknowledges and the loop pulse the same line.  A rise of a line
 * that is high already is no edge: the guest may have handled the first one by
 * then, and would never hear of the second.
 */
START_TEST(two_threads)
{
	pthread_t thread;

	vm_irq_init(&irq, &vm, GSI);
	pthread_barrier_init(&pic.high, NULL, 2);
	for (int i = 0; i < 3; i++) {
		pic.edges = 0;
		pic.stall = true;
		pthread_create(&thread, NULL, other_thread, NULL);
		irq_pulse(&irq.line);
		pthread_join(thread, NULL);
		ck_assert_uint_eq(pic.edges, 2);
		ck_assert_uint_eq(pic.level, 0);
	}
	pthread_barrier_destroy(&pic.high);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("irq");
	TCase *tc = tcase_create("irq");

	tcase_add_test(tc, pulse);
	tcase_add_test(tc, two_threads);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
