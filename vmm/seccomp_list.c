// SPDX-License-Identifier: Apache-2.0
/*
 * seccomp_list.c - `mote seccomp`: the rules that a running machine is under
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/log.h"
#include "base/util.h"
#include "seccomp/filter.h"
#include "vmm/seccomp_list.h"

#define STATUS_REFUSED 125

static const char help[] =
	"Usage: mote seccomp --dump [--json]\n"
	"Lists the system calls that each kind of thread may make once a guest "
	"runs,\n"
	"with the tests of their arguments and the reason for each.  Any other "
	"call\n"
	"ends the process with SIGSYS.\n"
	"\n"
	"  --dump   print the rules\n"
	"  --json   the same for programs\n"
	"  --help   this text\n";

/* "arg 1 = KVM_RUN (0xae80)", or with a mask. */
static int test_text(const struct seccomp_test *test, char *text, size_t len)
{
	if (test->mask == UINT32_MAX)
		return snprintf(text, len, "arg %u = %s (0x%x)", test->index,
				test->text, test->value);
	return snprintf(text, len, "arg %u & 0x%x = %s (0x%x)", test->index,
			test->mask, test->text, test->value);
}

static void print_rule(const struct seccomp_rule *rule)
{
	char text[160];

	printf("  %s", rule->name);
	for (int i = 0; i < SECCOMP_MAX_TESTS && rule->test[i].text; i++) {
		test_text(&rule->test[i], text, sizeof(text));
		printf("%s %s", i ? "," : "", text);
	}
	printf("\n      %s: %s\n", rule->user, rule->reason);
}

static void print_text(void)
{
	for (int k = 0; k < SECCOMP_NR_KINDS; k++) {
		const struct seccomp_table *table = &seccomp_tables[k];
		const struct seccomp_rule *rule;

		printf("%s%s: %u system calls, %u BPF instructions\n",
		       k ? "\n" : "", table->name, seccomp_count_calls(table),
		       seccomp_programs[k].length);
		for (size_t i = 0; (rule = seccomp_rule(table, i)); i++)
			print_rule(rule);
	}
}

static json_t *rule_json(const struct seccomp_rule *rule)
{
	json_t *args = json_array();

	for (int i = 0; i < SECCOMP_MAX_TESTS && rule->test[i].text; i++) {
		const struct seccomp_test *test = &rule->test[i];

		json_array_append_new(
			args,
			json_pack("{si sI sI ss}", "index", test->index, "mask",
				  (json_int_t)test->mask, "value",
				  (json_int_t)test->value, "text", test->text));
	}
	return json_pack("{ss si so ss ss}", "syscall", rule->name, "number",
			 rule->number, "args", args, "user", rule->user,
			 "reason", rule->reason);
}

static int print_json(void)
{
	json_t *threads = json_object();
	json_t *all =
		json_pack("{ss so}", "mote", MOTE_VERSION, "threads", threads);
	int ret;

	for (int k = 0; k < SECCOMP_NR_KINDS; k++) {
		const struct seccomp_table *table = &seccomp_tables[k];
		json_t *rules = json_array();
		const struct seccomp_rule *rule;

		for (size_t i = 0; (rule = seccomp_rule(table, i)); i++)
			json_array_append_new(rules, rule_json(rule));
		json_object_set_new(threads, table->name,
				    json_pack("{si si so}", "syscalls",
					      (int)seccomp_count_calls(table),
					      "instructions",
					      (int)seccomp_programs[k].length,
					      "rules", rules));
	}
	ret = all ? json_dumpf(all, stdout, JSON_INDENT(1)) : -1;
	putchar('\n');
	json_decref(all);
	return ret;
}

int seccomp_main(int argc, char **argv)
{
	bool dump = false, json = false;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--dump") == 0) {
			dump = true;
		} else if (strcmp(argv[i], "--json") == 0) {
			json = true;
		} else if (strcmp(argv[i], "--help") == 0 ||
			   strcmp(argv[i], "-h") == 0) {
			fputs(help, stdout);
			return 0;
		} else {
			log_error("%s: no such option; see mote seccomp --help",
				  argv[i]);
			return STATUS_REFUSED;
		}
	}
	if (!dump) {
		log_error("say --dump; see mote seccomp --help");
		return STATUS_REFUSED;
	}
	if (!json) {
		print_text();
		return 0;
	}
	if (print_json() == 0)
		return 0;
	log_error("--json: out of memory");
	return STATUS_REFUSED;
}
