// SPDX-License-Identifier: Apache-2.0
/*
 * main.c - the generator: rule tables in, a C file with BPF programs out
 *
 * Runs when mote is built, with libseccomp, so that mote needs neither the
 * library nor the time.  tests/unit/test_seccomp.c interprets what comes out
 * and compares it with the tables: nothing here has to be believed.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/filter.h>
#include <seccomp.h>

#include "base/util.h"
#include "seccomp/rules.h"

#define MAX_LENGTH 4096u /* BPF_MAXINSNS */

static void fail(const char *what, int ret)
{
	fprintf(stderr, "generate: %s: %s\n", what, strerror(-ret));
	exit(1);
}

static void add_rule(scmp_filter_ctx ctx, const struct seccomp_rule *rule)
{
	struct scmp_arg_cmp arg[SECCOMP_MAX_TESTS];
	unsigned int nr = 0;
	int ret;

	for (; nr < SECCOMP_MAX_TESTS && rule->test[nr].text; nr++) {
		const struct seccomp_test *test = &rule->test[nr];

		arg[nr] = SCMP_CMP(test->index, SCMP_CMP_MASKED_EQ, test->mask,
				   test->value);
	}
	ret = seccomp_rule_add_exact_array(ctx, SCMP_ACT_ALLOW, rule->number,
					   nr, arg);
	if (ret < 0)
		fail(rule->name, ret);
}

/* The whole of what seccomp_export_bpf() writes, through a temporary file. */
static size_t export_bpf(scmp_filter_ctx ctx, struct sock_filter *program)
{
	FILE *f = tmpfile();
	size_t nr;
	int ret;

	if (!f)
		fail("tmpfile", -errno);
	ret = seccomp_export_bpf(ctx, fileno(f));
	if (ret < 0)
		fail("seccomp_export_bpf", ret);
	rewind(f);
	nr = fread(program, sizeof(*program), MAX_LENGTH, f);
	fclose(f);
	return nr;
}

static void set_attribute(scmp_filter_ctx ctx, enum scmp_filter_attr attribute,
			  uint32_t value)
{
	int ret = seccomp_attr_set(ctx, attribute, value);

	if (ret < 0)
		fail("seccomp_attr_set", ret);
}

static void generate(const struct seccomp_table *table)
{
	static struct sock_filter program[MAX_LENGTH];
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	const struct seccomp_rule *rule;
	size_t nr;

	if (!ctx)
		fail("seccomp_init", -ENOMEM);
	set_attribute(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	/* A binary tree of system calls. */
	set_attribute(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	for (size_t i = 0; (rule = seccomp_rule(table, i)) != NULL; i++)
		add_rule(ctx, rule);
	nr = export_bpf(ctx, program);
	seccomp_release(ctx);

	printf("\t{ %zu, (const struct sock_filter[]){\n", nr);
	for (size_t i = 0; i < nr; i++)
		printf("\t\t{ 0x%02x, %u, %u, 0x%08x },\n", program[i].code,
		       program[i].jt, program[i].jf, program[i].k);
	puts("\t} },");
}

int main(void)
{
	puts("/* Made by seccomp/generate/main.c out of seccomp/rules.c. */\n"
	     "#include \"seccomp/filter.h\"\n"
	     "\n"
	     "const struct seccomp_program\n"
	     "\tseccomp_programs[SECCOMP_NR_KINDS] = {");
	for (size_t i = 0; i < SECCOMP_NR_KINDS; i++)
		generate(&seccomp_tables[i]);
	puts("};");
	return fflush(stdout) == 0 ? 0 : 1;
}
