// SPDX-License-Identifier: Apache-2.0
/*
 * unit.h - what every unit test program shares: Check, and TAP on stdout
 *
 * A test program defines its cases with START_TEST, gathers them in suite(),
 * and ends with UNIT_MAIN(suite).  Cases run in one process (CK_FORK=no), so
 * that the sanitizers see everything and a crash ends the program loudly.
 */
#ifndef MOTE_TESTS_UNIT_H
#define MOTE_TESTS_UNIT_H

#include <check.h>
#include <stdlib.h>

static inline int unit_run(Suite *s)
{
	SRunner *runner = srunner_create(s);
	int failed;

	srunner_set_fork_status(runner, CK_NOFORK);
	srunner_set_tap(runner, "-");
	srunner_run_all(runner, CK_SILENT);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#define UNIT_MAIN(suite)                                                       \
	int main(void)                                                         \
	{                                                                      \
		return unit_run(suite());                                      \
	}

#endif
