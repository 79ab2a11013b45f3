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
#define COLUMNS	    80

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

/* Up to the next blank; a command in backticks is kept in one piece, so that
 * it can be copied.
 */
static int word_length(const char *text)
{
	bool command = false;
	int n = 0;

	for (; text[n] && (command || text[n] != ' '); n++)
		command ^= text[n] == '`';
	return n;
}

/* Prints TEXT where COLUMN characters stand already, in lines that begin there,
 * too.
 */
static void put_wrapped(FILE *out, const char *text, int column)
{
	int at = column;

	while (*text) {
		int n = word_length(text);

		if (at > column && at + 1 + n > COLUMNS) {
			fprintf(out, "\n%*s", column, "");
			at = column;
		} else if (at > column) {
			fputc(' ', out);
			at++;
		}
		fprintf(out, "%.*s", n, text);
		at += n;
		text += n + (text[n] == ' ');
	}
	fputc('\n', out);
}

struct widths {
	int name;
	int value;
};

static void text_row(const struct check_row *row, FILE *out, bool colour,
		     const struct widths *width)
{
	const char *on = colour ? states[row->state].colour : "";
	const char *off = colour ? "\033[0m" : "";

	fprintf(out, "%s%-*s%s  %-*s  %-*s  ", on, STATE_WIDTH,
		states[row->state].name, off, width->name, row->name,
		width->value, row->value);
	put_wrapped(out, row->purpose,
		    STATE_WIDTH + width->name + width->value + 6);
	if (row->remedy[0]) {
		fprintf(out, "%*s  -> ", STATE_WIDTH, "");
		put_wrapped(out, row->remedy, STATE_WIDTH + 5);
	}
}

/* Of the rows from FIRST on, up to one that has another prefix; those that are
 * not shown do not count.
 */
static struct widths section_widths(const struct report *report, size_t first)
{
	const char *prefix = report->row[first].prefix;
	struct widths width = { 0 };

	for (size_t i = first; i < report->nr_rows; i++) {
		const struct check_row *row = &report->row[i];

		if (row->state == CHECK_UNKNOWN)
			continue;
		if (strcmp(row->prefix, prefix) != 0)
			break;
		width.name = MAX(width.name, (int)strlen(row->name));
		width.value = MAX(width.value, (int)strlen(row->value));
	}
	return width;
}

void report_text(const struct report *report, FILE *out, bool colour)
{
	struct widths width = { 0 };
	const char *prefix = NULL;
	size_t unknown = 0;

	for (size_t i = 0; i < report->nr_rows; i++) {
		const struct check_row *row = &report->row[i];

		if (row->state == CHECK_UNKNOWN) {
			unknown++;
			continue;
		}
		if (!prefix || strcmp(row->prefix, prefix) != 0) {
			if (prefix)
				fputc('\n', out);
			prefix = row->prefix;
			fprintf(out, "%s%s", prefix, *prefix ? "*:\n" : "");
			width = section_widths(report, i);
		}
		text_row(row, out, colour, &width);
	}
	if (unknown)
		fprintf(out, "%zu more checks need what is missing first\n",
			unknown);
	fputc('\n', out);
	put_wrapped(out, report->verdict, 0);
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
