// SPDX-License-Identifier: Apache-2.0
/*
 * test_vm.c - parking, ending and exits of real vCPUs
 *
 * Needs a /dev/kvm of any kind; without one there is nothing to run and most cases
 * pass empty.  The
 * guest is a few bytes of real-mode code at 0x1000.
 */
#include <stdio.h>
#include <unistd.h>

#include <sys/ioctl.h>

#include "base/log.h"
#include "tests/unit/unit.h"
#include "vmm/boot_timer.h"
#include "vmm/power.h"
#include "vmm/vm.h"

#define CODE 0x1000u

/* A machine ends with its process: the parked threads of earlier cases still
 * look at theirs, so each case has its own.
 */
static struct loop loops[16];
static struct vm vms[16];
static unsigned int nr_machines;
#define loop loops[nr_machines]
#define vm   vms[nr_machines]
static int kvm_fd;
static struct kvm_error err;

/* What the guest does at port 0x10, counted. */
static struct {
	struct bus_target target;
	_Atomic unsigned int writes;
	_Atomic unsigned int last;
} port;

static void port_read(struct bus_target *t, uint64_t off, void *data,
		      unsigned int len)
{
	(void)t;
	(void)off;
	memset(data, 0x42, len);
}

static void port_write(struct bus_target *t, uint64_t off, const void *data,
		       unsigned int len)
{
	(void)t;
	(void)off;
	(void)len;
	port.last = *(const uint8_t *)data;
	port.writes++;
}

/* Real mode at CODE, flat from 0. */
static void set_real_mode(struct vcpu *vcpu)
{
	struct kvm_regs regs = { .rip = CODE, .rsp = 0x800, .rflags = 2 };
	struct kvm_mp_state runnable = { KVM_MP_STATE_RUNNABLE };
	struct kvm_sregs sregs;

	ck_assert_int_eq(ioctl(vcpu->fd, KVM_SET_MP_STATE, &runnable), 0);
	ck_assert_int_eq(ioctl(vcpu->fd, KVM_GET_SREGS, &sregs), 0);
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	ck_assert_int_eq(ioctl(vcpu->fd, KVM_SET_SREGS, &sregs), 0);
	ck_assert_int_eq(ioctl(vcpu->fd, KVM_SET_REGS, &regs), 0);
}

/* False: there is no KVM here. */
static bool boot(const void *code, size_t len, unsigned int nr_vcpus)
{
	nr_machines++;
	kvm_fd = kvm_open(&err);
	if (kvm_fd < 0)
		return false;
	port.target.read = port_read;
	port.target.write = port_write;
	port.writes = 0;
	ck_assert_int_eq(loop_init(&loop), 0);
	ck_assert_int_eq(vm_init(&vm, MIB(16), &loop, &err), 0);
	ck_assert_int_eq(bus_add(&vm.pio, 0x10, 1, &port.target), 0);
	ck_assert_int_eq(gmem_write(&vm.mem, CODE, code, len), 0);
	ck_assert_msg(vm_create(&vm, kvm_fd, nr_vcpus, &err) == 0, "%s",
		      err.text);
	for (unsigned int i = 0; i < nr_vcpus; i++)
		set_real_mode(&vm.vcpu[i]);
	return true;
}

static void leave(void)
{
	if (!vm_ended(&vm))
		vm_end(&vm, VM_END_OPERATOR, NULL);
	vm_park(&vm);
	close(kvm_fd);
	loop_fini(&loop);
}

static void wait_for_writes(unsigned int n)
{
	uint64_t deadline = now_ns() + 20000000000u;

	while (port.writes < n) {
		ck_assert_uint_lt(now_ns(), deadline);
		usleep(100);
	}
}

/* inc al; out 0x10, al; jmp back */
static const uint8_t counting[] = { 0xfe, 0xc0, 0xe6, 0x10, 0xeb, 0xfa };

/* A parked vCPU does not run, its last access is complete (rip is behind the
 * `out`, al is what the port saw), and it goes on where it was.
 */
START_TEST(park)
{
	if (!boot(counting, sizeof(counting), 2))
		return;
	ck_assert_int_eq(vm_start(&vm), 0);
	vm_unpark(&vm);
	for (unsigned int round = 1; round <= 20; round++) {
		unsigned int seen;

		wait_for_writes(port.writes + 10);
		vm_park(&vm);
		seen = port.writes;
		for (unsigned int i = 0; i < vm.nr_vcpus; i++) {
			struct kvm_regs regs;

			ck_assert_int_eq(
				ioctl(vm.vcpu[i].fd, KVM_GET_REGS, &regs), 0);
			/* Never on the out: it has been served and completed,
			 * or it has not been reached.
			 */
			ck_assert(regs.rip == CODE || regs.rip == CODE + 2 ||
				  regs.rip == CODE + 4);
		}
		usleep(2000);
		ck_assert_uint_eq(port.writes, seen);
		vm_unpark(&vm);
	}
	wait_for_writes(port.writes + 10);
	leave();
}
END_TEST

/* in al, 0x10; out 0x10, al; jmp back: what the port gave must arrive, also when
 * parking came between the two halves of the `in`.
 */
START_TEST(park_completes_reads)
{
	static const uint8_t code[] = { 0xb0, 0,    0xe4, 0x10,
					0xe6, 0x10, 0xeb, 0xf8 };

	if (!boot(code, sizeof(code), 1))
		return;
	ck_assert_int_eq(vm_start(&vm), 0);
	vm_unpark(&vm);
	for (unsigned int round = 0; round < 200; round++) {
		wait_for_writes(port.writes + 1);
		vm_park(&vm);
		ck_assert_uint_eq(port.last, 0x42);
		vm_unpark(&vm);
	}
	leave();
}
END_TEST

/* mov dx, PORT; mov al, VALUE; out dx, al; hlt */
static void end_by_port(uint16_t number, uint8_t value, int kind)
{
	uint8_t code[] = { 0xba, (uint8_t)number, (uint8_t)(number >> 8),
			   0xb0, value,		  0xee,
			   0xf4 };
	static struct power power;

	if (!boot(code, sizeof(code), 1))
		return;
	ck_assert_int_eq(power_init(&power, &vm), 0);
	ck_assert_int_eq(vm_start(&vm), 0);
	vm_unpark(&vm);
	ck_assert_int_eq(loop_run(&loop), 0);
	ck_assert_int_eq(vm.end_kind, kind);
	leave();
}

START_TEST(poweroff)
{
	end_by_port(0x600, 5 << 2 | 0x20, VM_END_POWEROFF);
}
END_TEST

START_TEST(reset)
{
	end_by_port(0x602, 1, VM_END_RESET);
}
END_TEST

/* The first reason stands, whoever comes later. */
START_TEST(first_end_wins)
{
	if (!boot(counting, sizeof(counting), 1))
		return;
	ck_assert_int_eq(vm_start(&vm), 0);
	vm_unpark(&vm);
	vm_end(&vm, VM_END_TIMEOUT, "first %d", 1);
	vm_end(&vm, VM_END_FAILED, "second");
	ck_assert_int_eq(loop_run(&loop), 0);
	ck_assert_int_eq(vm.end_kind, VM_END_TIMEOUT);
	ck_assert_str_eq(vm.end_text, "first 1");
	leave();
}
END_TEST

START_TEST(boot_timer)
{
	struct boot_timer timer = { 0 };
	struct bus mmio = { 0 };
	uint8_t no = 1, yes = 123;
	uint64_t first, value = 7;

	ck_assert_int_eq(boot_timer_init(&timer, &mmio), 0);
	bus_write(&mmio, 0xc0000000, &no, 1);
	bus_write(&mmio, 0xc0000001, &yes, 1);
	ck_assert_uint_eq(timer.ready_ns, 0);
	bus_write(&mmio, 0xc0000000, &yes, 1);
	first = timer.ready_ns;
	ck_assert_uint_ne(first, 0);
	bus_write(&mmio, 0xc0000000, &yes, 1);
	ck_assert_uint_eq(timer.ready_ns, first);
	bus_read(&mmio, 0xc0000ff8, &value, 8);
	ck_assert_uint_eq(value, 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("vm");
	TCase *tc = tcase_create("vm");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, park);
	tcase_add_test(tc, park_completes_reads);
	tcase_add_test(tc, poweroff);
	tcase_add_test(tc, reset);
	tcase_add_test(tc, first_end_wins);
	tcase_add_test(tc, boot_timer);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
