// SPDX-License-Identifier: Apache-2.0
/*
 * test_host.c - the facts about the host that runs the test
 */
#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/util.h"
#include "tests/unit/unit.h"
#include "vmm/host.h"

START_TEST(brackets)
{
	static const struct {
		const char *line;
		const char *word;
	} cases[] = {
		{ "always [madvise] never\n", "madvise" },
		{ "[always] madvise never\n", "always" },
		{ "always madvise [never]", "never" },
		{ "no choice\n", "" },
		{ "[open", "" },
		{ "]closed[", "" },
		{ "[]", "" },
		{ "[1234567]", "1234567" },
		{ "[12345678]", "" }, /* does not fit */
		{ "", "" },
	};
	char word[8];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		memset(word, 'x', sizeof(word));
		host_bracketed(cases[i].line, word, sizeof(word));
		ck_assert_str_eq(word, cases[i].word);
	}
}
END_TEST

START_TEST(this_host)
{
	int before = dup(0), after;
	struct host host;
	int status;

	close(before);
	host_look(&host);
	after = dup(0);
	close(after);
	ck_assert_int_eq(before, after);
	ck_assert_int_eq(waitpid(-1, &status, WNOHANG), -1);
	ck_assert_int_eq(errno, ECHILD);

	ck_assert_ptr_nonnull(host.module);
	ck_assert_ptr_nonnull(host.paging);
	ck_assert_uint_ge(host.cpus, 1);
	ck_assert_uint_gt(host.available_mib, 0);
	ck_assert_uint_ge(host.memory_mib, host.available_mib);
	ck_assert_int_le(host.kvm, 0);
	if (host.kvm == 0 && host.speed == 0)
		ck_assert_double_gt(host.minstr_per_s, 0.01);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("host");
	TCase *tc = tcase_create("host");

	tcase_add_test(tc, brackets);
	tcase_add_test(tc, this_host);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
