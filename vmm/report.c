// SPDX-License-Identifier: Apache-2.0
/*
 * report.c - rows of checks and a verdict, for people and for programs
 */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include <jansson.h>

#include "vmm/report.h"

static const struct {
	const char *name;
	const char *colour;
} states[] = {
	[CHECK_OK] = { "ok", "\033[32m" },
	[CHECK_LIMITED] = { "limited", "\033[33m" },
	[CHECK_MISSING] = { "missing", "\033[31m" },
	[CHECK_UNKNOWN] = { "unknown", "\033[2m" },
};
#define STATE_WIDTH 7

const char *check_state_name(enum check_state state)
{
	return states[state].name;
}

void row_value(struct check_row *row, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(row->value, sizeof(row->value), fmt, ap);
	va_end(ap);
}

void row_remedy(struct check_row *row, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(row->remedy, sizeof(row->remedy), fmt, ap);
	va_end(ap);
}

static void text_row(const struct check_row *row, FILE *out, bool colour,
		     const int width[2])
{
	const char *on = colour ? states[row->state].colour : "";
	const char *off = colour ? "\033[0m" : "";

	fprintf(out, "%s%-*s%s  %-*s  %-*s  %s\n", on, STATE_WIDTH,
		states[row->state].name, off, width[0], row->name, width[1],
		row->value, row->purpose);
	if (row->remedy[0])
		fprintf(out, "%*s  -> %s\n", STATE_WIDTH, "", row->remedy);
}

void report_text(const struct report *report, FILE *out, bool colour)
{
	const char *prefix = "";
	size_t unknown = 0;
	int width[2] = { 0, 0 };

	for (size_t i = 0; i < report->nr_rows; i++) {
		const struct check_row *row = &report->row[i];

		width[0] = MAX(width[0], (int)strlen(row->name));
		width[1] = MAX(width[1], (int)strlen(row->value));
	}
	for (size_t i = 0; i < report->nr_rows; i++) {
		const struct check_row *row = &report->row[i];

		if (row->state == CHECK_UNKNOWN) {
			unknown++;
			continue;
		}
		if (strcmp(row->prefix, prefix) != 0) {
			prefix = row->prefix;
			fprintf(out, "\n%s%s", prefix, *prefix ? "*:\n" : "");
		}
		text_row(row, out, colour, width);
	}
	if (unknown)
		fprintf(out, "%zu more checks need what is missing first\n",
			unknown);
	fprintf(out, "\n%s\n", report->verdict);
}

/* A new reference, or NULL. */
static json_t *json_row(const struct check_row *row)
{
	char name[64];

	snprintf(name, sizeof(name), "%s%s", row->prefix, row->name);
	return json_pack("{s:s, s:s, s:s, s:s, s:s?}", "name", name, "state",
			 states[row->state].name, "value", row->value,
			 "purpose", row->purpose, "remedy",
			 row->remedy[0] ? row->remedy : NULL);
}

int report_json(const struct report *report, FILE *out)
{
	json_t *checks = json_array();
	json_t *root;
	int ret = 0;

	for (size_t i = 0; i < report->nr_rows; i++) {
		if (json_array_append_new(checks, json_row(&report->row[i])))
			ret = -ENOMEM;
	}
	/* Takes the reference to CHECKS, also when it fails. */
	root = json_pack("{s:b, s:s, s:o}", "ok", (int)report->ok, "verdict",
			 report->verdict, "checks", checks);
	if (!root)
		return -ENOMEM;
	if (ret == 0 && (json_dumpf(root, out, JSON_INDENT(2)) < 0 ||
			 fputc('\n', out) == EOF))
		ret = -EIO;
	json_decref(root);
	return ret;
}
