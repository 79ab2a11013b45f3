// SPDX-License-Identifier: Apache-2.0
/*
 * report.h - rows of checks and a verdict, for people and for programs
 */
#ifndef MOTE_VMM_REPORT_H
#define MOTE_VMM_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/util.h"

#define REPORT_MAX_ROWS 72

enum check_state {
	CHECK_OK,      /* all there */
	CHECK_LIMITED, /* mote runs, but without what the row is for */
	CHECK_MISSING, /* no stock Linux guest runs without it */
	CHECK_UNKNOWN, /* cannot be asked, because something else is missing */
};

struct check_row {
	const char *prefix; /* of the name; people read it once, above */
	const char *name;
	const char *purpose;
	enum check_state state;
	char value[48];
	char remedy[320]; /* "" for nothing to be done */
};

struct report {
	struct check_row row[REPORT_MAX_ROWS];
	size_t nr_rows;
	bool ok;
	char verdict[384]; /* one sentence, with its full stop */
};

/* Fill one field, cut to its size. */
void row_value(struct check_row *row, const char *fmt, ...) PRINTF_LIKE(2, 3);
void row_remedy(struct check_row *row, const char *fmt, ...) PRINTF_LIKE(2, 3);

const char *check_state_name(enum check_state state);

/* An aligned table, the remedy under each lack, the verdict last.  COLOUR:
 * escape sequences around the states.
 */
void report_text(const struct report *report, FILE *out, bool colour);

/* {"ok", "verdict", "checks": [{"name", "state", "value", "purpose",
 * "remedy"}]}, all strings but ok; remedy is null where there is none.  0, or
 * -ENOMEM, or -EIO when OUT does not take it.
 */
int report_json(const struct report *report, FILE *out);

#endif
