// SPDX-License-Identifier: Apache-2.0
/*
 * test_seccomp.c - the compiled filters allow what the tables say, nothing else
 *
 * The tables are the specification; the programs are what libseccomp made of
 * them.  An interpreter of our own runs each program over every system call
 * number, every architecture, and all values around those that are tested.
 */
#include <string.h>
#include <unistd.h>

#include <linux/audit.h>
#include <sys/syscall.h>

#include "base/fd.h"
#include "base/util.h"
#include "seccomp/filter.h"
#include "tests/unit/bpf.h"
#include "tests/unit/unit.h"

#define NUMBERS	   1024
#define X32	   0x40000000u
#define MAX_VALUES 1024

static struct sock_filter code[SECCOMP_MAX_LENGTH];
static const struct seccomp_table *table;

static void choose(int kind)
{
	table = &seccomp_tables[kind];
	ck_assert(bpf_valid(code,
			    seccomp_resolve((enum seccomp_kind)kind, code)));
}

/* The table's answer. */
static bool test_holds(const struct seccomp_test *test,
		       const struct seccomp_data *data)
{
	uint32_t value = test->value;

	if (value == SECCOMP_OWN_PID)
		value = (uint32_t)getpid();
	return ((uint32_t)data->args[test->index] & test->mask) == value;
}

static bool table_allows(const struct seccomp_data *data)
{
	const struct seccomp_rule *rule;

	if (data->arch != AUDIT_ARCH_X86_64)
		return false;
	for (size_t i = 0; (rule = seccomp_rule(table, i)) != NULL; i++) {
		bool all = rule->number == data->nr;

		for (int t = 0; t < SECCOMP_MAX_TESTS && all; t++)
			all = !rule->test[t].text ||
			      test_holds(&rule->test[t], data);
		if (all)
			return true;
	}
	return false;
}

static bool agree(const struct seccomp_data *data)
{
	uint32_t wanted = table_allows(data) ? SECCOMP_RET_ALLOW
					     : SECCOMP_RET_KILL_PROCESS;

	return bpf_run(code, data) == wanted;
}

static void check(const struct seccomp_data *data)
{
	ck_assert_msg(agree(data),
		      "%s: call %d, arch 0x%x, arguments 0x%llx 0x%llx 0x%llx "
		      "0x%llx 0x%llx",
		      table->name, data->nr, data->arch,
		      (unsigned long long)data->args[0],
		      (unsigned long long)data->args[1],
		      (unsigned long long)data->args[2],
		      (unsigned long long)data->args[3],
		      (unsigned long long)data->args[4]);
}

/* Arguments of the same value, of which the first few may be descriptors. */
static void check_filled(int nr, uint32_t arch, uint64_t value)
{
	struct seccomp_data data = { .nr = nr, .arch = arch };

	for (int i = 0; i < 6; i++)
		data.args[i] = value;
	check(&data);
}

START_TEST(every_number_and_architecture)
{
	static const uint32_t archs[] = {
		AUDIT_ARCH_X86_64,
		AUDIT_ARCH_I386,
		AUDIT_ARCH_AARCH64,
		AUDIT_ARCH_ARM,
		AUDIT_ARCH_RISCV64,
		AUDIT_ARCH_X86_64 & ~__AUDIT_ARCH_64BIT,
		AUDIT_ARCH_X86_64 & ~__AUDIT_ARCH_LE,
		AUDIT_ARCH_X86_64 - 1,
		AUDIT_ARCH_X86_64 + 1,
		0,
		UINT32_MAX,
	};
	static const uint64_t fills[] = { 0,	 1,	     2,
					  0x100, UINT64_MAX, UINT64_MAX << 32 };

	choose(_i);
	for (size_t a = 0; a < ARRAY_SIZE(archs); a++) {
		for (int n = 0; n < NUMBERS; n++) {
			for (size_t f = 0; f < ARRAY_SIZE(fills); f++) {
				check_filled(n, archs[a], fills[f]);
				check_filled(n | (int)X32, archs[a], fills[f]);
			}
		}
		for (unsigned int bit = 10; bit < 32; bit++)
			check_filled((int)(1u << bit), archs[a], 0);
		check_filled(-1, archs[a], 0);
		check_filled(INT32_MAX, archs[a], 0);
	}
}
END_TEST

/* The values that say something about argument INDEX of call NR: those of its
 * rules, both ends of their bands, one beside, and one bit apart.
 */
static size_t values_of(int nr, int index, uint64_t value[MAX_VALUES])
{
	const struct seccomp_rule *rule;
	size_t n = 0;

	for (size_t i = 0; (rule = seccomp_rule(table, i)) != NULL; i++) {
		for (int t = 0; t < SECCOMP_MAX_TESTS; t++) {
			const struct seccomp_test *test = &rule->test[t];
			uint32_t v = test->value == SECCOMP_OWN_PID
					     ? (uint32_t)getpid()
					     : test->value;
			uint32_t top = v | ~test->mask;

			if (rule->number != nr || !test->text ||
			    test->index != index)
				continue;
			ck_assert_uint_lt(n + 7, MAX_VALUES);
			value[n++] = v;
			value[n++] = v - 1u;
			value[n++] = top;
			value[n++] = (uint64_t)top + 1;
			value[n++] = v | 1ull << 63;
			value[n++] = v | 1ull << 32;
			value[n++] = SECCOMP_OWN_PID;
		}
	}
	if (n == 0)
		value[n++] = 0;
	return n;
}

/* All combinations of what says something. */
START_TEST(every_tested_argument)
{
	static uint64_t v[4][MAX_VALUES];

	choose(_i);
	for (int nr = 0; nr < NUMBERS; nr++) {
		struct seccomp_data d = { .nr = nr, .arch = AUDIT_ARCH_X86_64 };
		size_t n[4];

		for (int i = 0; i < 3; i++)
			n[i] = values_of(nr, i, v[i]);
		n[3] = values_of(nr, 3, v[3]);
		for (size_t a = 0; a < n[0]; a++)
			for (size_t b = 0; b < n[1]; b++)
				for (size_t c = 0; c < n[2] * n[3]; c++) {
					d.args[0] = v[0][a];
					d.args[1] = v[1][b];
					d.args[2] = v[2][c % n[2]];
					d.args[3] = v[3][c / n[2]];
					d.args[4] = UINT64_MAX;
					check(&d);
					d.args[4] = 3;
					check(&d);
				}
	}
}
END_TEST

/* Each rule on its own: it allows, and no bit of a tested argument may differ
 * unless another rule allows that.
 */
START_TEST(every_bit)
{
	const struct seccomp_rule *rule;

	choose(_i);
	for (size_t i = 0; (rule = seccomp_rule(table, i)) != NULL; i++) {
		struct seccomp_data d = { .nr = rule->number,
					  .arch = AUDIT_ARCH_X86_64 };

		for (int t = 0; t < SECCOMP_MAX_TESTS; t++)
			if (rule->test[t].text)
				d.args[rule->test[t].index] =
					rule->test[t].value == SECCOMP_OWN_PID
						? (uint32_t)getpid()
						: rule->test[t].value;
		ck_assert_uint_eq(bpf_run(code, &d), SECCOMP_RET_ALLOW);
		for (int arg = 0; arg < 6; arg++) {
			for (int bit = 0; bit < 64; bit++) {
				d.args[arg] ^= 1ull << bit;
				check(&d);
				d.args[arg] ^= 1ull << bit;
			}
		}
	}
}
END_TEST

/* Every request on every descriptor that there may be. */
START_TEST(every_ioctl_on_every_descriptor)
{
	static uint64_t request[MAX_VALUES];
	size_t n;

	choose(_i);
	n = values_of(SYS_ioctl, 1, request);
	for (size_t r = 0; r < n; r++) {
		for (uint64_t fd = 0; fd < 2 * FD_END; fd++) {
			const struct seccomp_data d = {
				.nr = SYS_ioctl,
				.arch = AUDIT_ARCH_X86_64,
				.args = { fd, request[r] },
			};

			check(&d);
		}
	}
}
END_TEST

/* What the tables themselves promise. */
START_TEST(tables_are_in_order)
{
	const struct seccomp_rule *rule;

	choose(_i);
	ck_assert_uint_le(seccomp_count_calls(table),
			  _i == SECCOMP_VCPU ? 10 : 30);
	for (size_t i = 0; (rule = seccomp_rule(table, i)) != NULL; i++) {
		bool end = false;

		ck_assert_ptr_nonnull(rule->user);
		ck_assert_ptr_nonnull(rule->reason);
		ck_assert_uint_gt(strlen(rule->reason), 5);
		for (int t = 0; t < SECCOMP_MAX_TESTS; t++) {
			const struct seccomp_test *test = &rule->test[t];

			/* Tests come first, and can hold. */
			ck_assert(!end || !test->text);
			end = !test->text;
			ck_assert_uint_eq(test->value & ~test->mask, 0);
			ck_assert_uint_lt(test->index, 6);
		}
	}
}
END_TEST

/* What must not be there, or not without a test of its arguments. */
START_TEST(nothing_broad)
{
	static const int never[] = {
		SYS_open,
		SYS_openat,
		SYS_openat2,
		SYS_creat,
		SYS_io_uring_setup,
		SYS_execve,
		SYS_execveat,
		SYS_io_uring_register,
		SYS_mprotect,
		SYS_pkey_mprotect,
		SYS_mremap,
		SYS_fork,
		SYS_vfork,
		SYS_clone,
		SYS_clone3,
		SYS_ptrace,
		SYS_kill,
		SYS_tkill,
		SYS_process_vm_readv,
		SYS_process_vm_writev,
		SYS_sendmsg,
		SYS_recvmsg,
		SYS_bind,
		SYS_listen,
		SYS_memfd_create,
		SYS_dup,
		SYS_dup2,
		SYS_dup3,
		SYS_fcntl,
		SYS_prctl,
		SYS_seccomp,
		SYS_bpf,
		SYS_mount,
		SYS_unshare,
		SYS_setns,
		SYS_chroot,
		SYS_chdir,
		SYS_rt_sigaction,
		SYS_rt_sigprocmask,
	};
	static const int tested[] = { SYS_mmap,	   SYS_ioctl,	 SYS_socket,
				      SYS_connect, SYS_tgkill,	 SYS_madvise,
				      SYS_futex,   SYS_fallocate };
	const struct seccomp_rule *rule;

	choose(_i);
	for (size_t i = 0; (rule = seccomp_rule(table, i)) != NULL; i++) {
		for (size_t n = 0; n < ARRAY_SIZE(never); n++)
			ck_assert_int_ne(rule->number, never[n]);
		for (size_t n = 0; n < ARRAY_SIZE(tested); n++)
			ck_assert(rule->number != tested[n] ||
				  rule->test[0].text);
		if (rule->number == SYS_ioctl) {
			ck_assert_uint_eq(rule->test[0].index, 0);
			ck_assert_uint_eq(rule->test[1].index, 1);
			ck_assert_uint_eq(rule->test[1].mask, UINT32_MAX);
		}
	}
}
END_TEST

/* The interpreter itself, on a program that is easy to follow. */
START_TEST(interpreter)
{
	static const struct sock_filter program[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 10, 0, 4),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 20, 3, 0),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 5),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 4, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 1),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 2, 0, 1),
		BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0),
		BPF_STMT(BPF_RET | BPF_K, 2),
		BPF_STMT(BPF_RET | BPF_K, 3),
	};
	const unsigned int length = ARRAY_SIZE(program);

	ck_assert(bpf_valid(program, length));
	for (int nr = 0; nr < 64; nr++) {
		const struct seccomp_data data = { .nr = nr };
		uint32_t wanted = 2, a = (uint32_t)nr;

		if (nr >= 10 && nr <= 20)
			a &= 5;
		if (nr >= 10 && nr <= 20 && a == 4)
			wanted = 1;
		else if (a & 2)
			wanted = 3;
		ck_assert_uint_eq(bpf_run(program, &data), wanted);
	}
	for (unsigned int n = 1; n < length; n++)
		ck_assert(!bpf_valid(program, n) || n == 9);
	ck_assert(!bpf_valid(program, 0));
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("seccomp");
	TCase *tc = tcase_create("seccomp");
	const int n = SECCOMP_NR_KINDS;

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, interpreter);
	tcase_add_loop_test(tc, tables_are_in_order, 0, n);
	tcase_add_loop_test(tc, nothing_broad, 0, n);
	tcase_add_loop_test(tc, every_number_and_architecture, 0, n);
	tcase_add_loop_test(tc, every_bit, 0, n);
	tcase_add_loop_test(tc, every_tested_argument, 0, n);
	tcase_add_loop_test(tc, every_ioctl_on_every_descriptor, 0, n);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
