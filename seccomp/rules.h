// SPDX-License-Identifier: Apache-2.0
/*
 * rules.h - what each kind of thread may ask of the kernel once a guest runs
 *
 * Theory of operation.  One table for each kind of thread, one row for each
 * rule: a system call, tests of its arguments, which function needs it and what
 * for.  Whatever no row allows ends the process (SECCOMP_RET_KILL_PROCESS).  A
 * generator turns the tables into BPF when mote is built
 * (seccomp/generate/main.c); the program embeds the result and this table,
 * which `mote seccomp --dump` prints.
 *
 * A test compares the low 32 bits of an argument, under a mask, with one value.
 * That is all that the kernel looks at in the arguments tested here, and larger
 * comparisons are where generators have been wrong.  Rows of one system call
 * are alternatives; the tests of one row must all hold.
 */
#ifndef MOTE_SECCOMP_RULES_H
#define MOTE_SECCOMP_RULES_H

#include <stddef.h>
#include <stdint.h>

#define SECCOMP_MAX_TESTS 4

/* Stands for the process's own number, which is known only when it runs. */
#define SECCOMP_OWN_PID 0x4d4f5445u

/* Argument INDEX, under MASK, is VALUE. */
struct seccomp_test {
	uint8_t index;
	uint32_t mask; /* never 0 */
	uint32_t value;
	const char *text; /* VALUE in words; NULL behind the last test */
};

struct seccomp_rule {
	const char *name; /* of the system call */
	int number;
	struct seccomp_test test[SECCOMP_MAX_TESTS];
	const char *user;   /* the function that needs it */
	const char *reason; /* what for */
};

/* The kinds of threads; the loop's has more with --vsock. */
enum seccomp_kind {
	SECCOMP_VCPU,
	SECCOMP_LOOP,
	SECCOMP_LOOP_VSOCK,
	SECCOMP_NR_KINDS,
};

#define SECCOMP_MAX_LISTS 3

/* A kind's rules are a few lists, one behind the other. */
struct seccomp_table {
	const char *name;
	const struct seccomp_rule *list[SECCOMP_MAX_LISTS];
	size_t nr[SECCOMP_MAX_LISTS];
};

extern const struct seccomp_table seccomp_tables[SECCOMP_NR_KINDS];

/* Rule I of TABLE, in order; NULL behind the last one. */
const struct seccomp_rule *seccomp_rule(const struct seccomp_table *table,
					size_t i);

/* How many different system calls TABLE's rules name. */
unsigned int seccomp_count_calls(const struct seccomp_table *table);

#endif
