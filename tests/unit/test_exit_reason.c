// SPDX-License-Identifier: Apache-2.0
/*
 * test_exit_reason.c - KVM's exits in words, from made-up kvm_run contents
 */
#include <stdio.h>
#include <string.h>

#include <linux/kvm.h>

#include "base/util.h"
#include "tests/unit/unit.h"
#include "vmm/exit_reason.h"

/* Compares the line for RUN, in a buffer that ends where 200 bytes end. */
static void expect(const struct kvm_run *run, const char *line)
{
	char *buf = malloc(200);

	ck_assert_ptr_nonnull(buf);
	memset(buf, 'x', 200);
	exit_describe(run, buf, 200);
	ck_assert_str_eq(buf, line);
	free(buf);
}

START_TEST(names)
{
	ck_assert_str_eq(exit_reason_name(KVM_EXIT_UNKNOWN), "unknown");
	ck_assert_str_eq(exit_reason_name(KVM_EXIT_IO), "io");
	ck_assert_str_eq(exit_reason_name(KVM_EXIT_MMIO), "mmio");
	ck_assert_str_eq(exit_reason_name(KVM_EXIT_INTERNAL_ERROR),
			 "internal_error");
	ck_assert_str_eq(exit_reason_name(39), "memory_fault");
	ck_assert_str_eq(exit_reason_name(EXIT_REASON_MAX - 1), "other");
	ck_assert_str_eq(exit_reason_name(EXIT_REASON_MAX), "other");
	ck_assert_str_eq(exit_reason_name(UINT32_MAX), "other");
	/* Names are metric labels: each is its own, and a plain word. */
	for (uint32_t i = 0; i <= KVM_EXIT_NOTIFY; i++) {
		const char *name = exit_reason_name(i);

		ck_assert_uint_eq(strspn(name, "abcdefghijklmnopqrstuvwxyz_"
					       "0123456789"),
				  strlen(name));
		ck_assert_str_ne(name, "other");
		for (uint32_t j = 0; j < i; j++)
			ck_assert_str_ne(name, exit_reason_name(j));
	}
}
END_TEST

START_TEST(emulation_with_bytes)
{
	struct kvm_run run = {
		.exit_reason = KVM_EXIT_INTERNAL_ERROR,
		.emulation_failure = {
			.suberror = KVM_INTERNAL_ERROR_EMULATION,
			.ndata = 3,
			.flags = 1,
			.insn_size = 4,
			.insn_bytes = { 0x0f, 0xc7, 0x0e, 0x48 },
		},
	};

	expect(&run, "KVM internal error 1: it cannot emulate an instruction: "
		     "bytes 0f c7 0e 48");
}
END_TEST

START_TEST(emulation_without_bytes)
{
	struct kvm_run run = {
		.exit_reason = KVM_EXIT_INTERNAL_ERROR,
		.emulation_failure = {
			.suberror = KVM_INTERNAL_ERROR_EMULATION,
			.ndata = 3,
			.insn_size = 4,
			.insn_bytes = { 0xcc },
		},
	};

	/* The flag says whether the bytes are there ... */
	expect(&run, "KVM internal error 1: it cannot emulate an instruction");
	/* ... and so does the count of words. */
	run.emulation_failure.flags = 1;
	run.emulation_failure.ndata = 2;
	expect(&run, "KVM internal error 1: it cannot emulate an instruction");
}
END_TEST

START_TEST(emulation_with_too_many_bytes)
{
	struct kvm_run run = {
		.exit_reason = KVM_EXIT_INTERNAL_ERROR,
		.emulation_failure = {
			.suberror = KVM_INTERNAL_ERROR_EMULATION,
			.ndata = UINT32_MAX,
			.flags = 1,
			.insn_size = 255,
		},
	};

	memset(run.emulation_failure.insn_bytes, 0x90, 15);
	expect(&run, "KVM internal error 1: it cannot emulate an instruction: "
		     "bytes 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90");
}
END_TEST

START_TEST(other_internal_errors)
{
	struct kvm_run run = {
		.exit_reason = KVM_EXIT_INTERNAL_ERROR,
		.internal = { .suberror = KVM_INTERNAL_ERROR_DELIVERY_EV,
			      .ndata = 2,
			      .data = { 0x80000b0e, 0x30 } },
	};

	expect(&run, "KVM internal error 3: an exit while it delivered an "
		     "event: data 0x80000b0e 0x30");
	run.internal.suberror = 99;
	run.internal.ndata = 0;
	expect(&run, "KVM internal error 99");
	run.internal.suberror = UINT32_MAX;
	run.internal.ndata = UINT32_MAX;
	memset(run.internal.data, 0xff, sizeof(run.internal.data));
	expect(&run, "KVM internal error 4294967295: data "
		     "0xffffffffffffffff 0xffffffffffffffff "
		     "0xffffffffffffffff 0xffffffffffffffff "
		     "0xffffffffffffffff 0xffffffffffffffff");
}
END_TEST

START_TEST(fail_entry)
{
	struct kvm_run run = {
		.exit_reason = KVM_EXIT_FAIL_ENTRY,
		.fail_entry = { .hardware_entry_failure_reason = 0x80000021,
				.cpu = 3 },
	};

	expect(&run, "the CPU refused to enter the guest: hardware reason "
		     "0x80000021 (invalid guest state), CPU 3");
	run.fail_entry.hardware_entry_failure_reason = UINT64_MAX;
	expect(&run, "the CPU refused to enter the guest: hardware reason "
		     "0xffffffffffffffff (invalid guest state), CPU 3");
	run.fail_entry.hardware_entry_failure_reason = 7;
	expect(&run, "the CPU refused to enter the guest: hardware reason "
		     "0x7 (invalid control fields), CPU 3");
	run.fail_entry.hardware_entry_failure_reason = 0x55;
	expect(&run, "the CPU refused to enter the guest: hardware reason "
		     "0x55, CPU 3");
}
END_TEST

START_TEST(system_event)
{
	struct kvm_run run = {
		.exit_reason = KVM_EXIT_SYSTEM_EVENT,
		.system_event = { .type = KVM_SYSTEM_EVENT_CRASH },
	};

	expect(&run, "system event 3 (crash)");
	run.system_event.type = 77;
	run.system_event.ndata = UINT32_MAX;
	expect(&run, "system event 77: data 0x0 0x0 0x0 0x0");
}
END_TEST

START_TEST(plain_exits)
{
	struct kvm_run run = { .exit_reason = KVM_EXIT_SHUTDOWN };

	expect(&run, "triple fault");
	run.exit_reason = KVM_EXIT_UNKNOWN;
	run.hw.hardware_exit_reason = 0x42;
	expect(&run, "KVM does not know the hardware exit 0x42");
	run.exit_reason = KVM_EXIT_HLT;
	expect(&run, "KVM exit 5 (hlt)");
	run.exit_reason = 4000000000u;
	expect(&run, "KVM exit 4000000000 (other)");
}
END_TEST

START_TEST(accesses)
{
	struct kvm_run run = { .exit_reason = KVM_EXIT_IO };

	run.io.direction = KVM_EXIT_IO_OUT;
	run.io.port = 0x3f8;
	run.io.size = 1;
	run.io.count = 1;
	expect(&run, "port write to 0x3f8, 1 bytes, 1 times");
	run.io.direction = KVM_EXIT_IO_IN;
	expect(&run, "port read from 0x3f8, 1 bytes, 1 times");

	run = (struct kvm_run){ .exit_reason = KVM_EXIT_MMIO };
	run.mmio.phys_addr = 0xd0000000;
	run.mmio.len = 4;
	run.mmio.is_write = 1;
	expect(&run, "memory-mapped write to 0xd0000000, 4 bytes");

	run = (struct kvm_run){ .exit_reason = KVM_EXIT_X86_WRMSR };
	run.msr.index = 0x10a;
	run.msr.data = 0x77;
	expect(&run, "write of 0x77 to MSR 0x10a");
	run.exit_reason = KVM_EXIT_X86_RDMSR;
	expect(&run, "read of MSR 0x10a");

	run = (struct kvm_run){ .exit_reason = 39 };
	put_le64(run.padding + 8, 0x100000);
	put_le64(run.padding + 16, 0x1000);
	expect(&run, "KVM cannot back guest memory at 0x100000, 0x1000 bytes");
}
END_TEST

START_TEST(short_buffers)
{
	struct kvm_run run = { .exit_reason = KVM_EXIT_SHUTDOWN };
	char buf[8];

	memset(buf, 'x', sizeof(buf));
	exit_describe(&run, buf, 1);
	ck_assert_str_eq(buf, "");
	ck_assert_int_eq(buf[1], 'x');
	exit_describe(&run, buf, 7);
	ck_assert_str_eq(buf, "triple");
	ck_assert_int_eq(buf[7], 'x');

	/* Many pieces after the buffer is full. */
	run.exit_reason = KVM_EXIT_INTERNAL_ERROR;
	run.internal.suberror = KVM_INTERNAL_ERROR_DELIVERY_EV;
	run.internal.ndata = 16;
	exit_describe(&run, buf, 7);
	ck_assert_str_eq(buf, "KVM in");
	ck_assert_int_eq(buf[7], 'x');
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("exit_reason");
	TCase *tc = tcase_create("exit_reason");

	tcase_add_test(tc, names);
	tcase_add_test(tc, emulation_with_bytes);
	tcase_add_test(tc, emulation_without_bytes);
	tcase_add_test(tc, emulation_with_too_many_bytes);
	tcase_add_test(tc, other_internal_errors);
	tcase_add_test(tc, fail_entry);
	tcase_add_test(tc, system_event);
	tcase_add_test(tc, plain_exits);
	tcase_add_test(tc, accesses);
	tcase_add_test(tc, short_buffers);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
