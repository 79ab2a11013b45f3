// SPDX-License-Identifier: Apache-2.0
/*
 * test_tail.c - the last lines of guest output
 */
#include <stdio.h>

#include "base/util.h"
#include "tests/unit/unit.h"
#include "vmm/tail.h"

static struct tail tail;

static void add(const char *text)
{
	tail_add(&tail, text, strlen(text));
}

/* What TEXT leaves behind must be the lines of WANT, each ended by '|'. */
static void check_lines(const char *text, size_t len, const char *want)
{
	/* In one piece, then byte by byte. */
	for (int piecewise = 0; piecewise < 2; piecewise++) {
		char got[2048] = "";

		tail_init(&tail);
		if (piecewise)
			for (size_t i = 0; i < len; i++)
				tail_add(&tail, text + i, 1);
		else
			tail_add(&tail, text, len);
		for (unsigned int i = 0; i < tail_count(&tail); i++) {
			strcat(got, tail_line(&tail, i));
			strcat(got, "|");
		}
		ck_assert_str_eq(got, want);
	}
}

#define CHECK_LINES(text, want) check_lines(text, sizeof(text) - 1, want)

START_TEST(lines)
{
	CHECK_LINES("", "");
	CHECK_LINES("a", "a|");
	CHECK_LINES("a\n", "a|");
	CHECK_LINES("\n", "|");
	CHECK_LINES("a\r\nb\r\n\r\nlogin: ", "a|b||login: |");
	CHECK_LINES(" 10%\r 20%\r100%\n", "100%|");
	CHECK_LINES(" 10%\r", " 10%|");
	CHECK_LINES("a\tb\n", "a b|");
}
END_TEST

START_TEST(only_printable_ascii_is_kept)
{
	CHECK_LINES("a\0b\7c\x7f\b", "abc|");
	CHECK_LINES("\33[1;31mred\33[0m\n", "red|");
	CHECK_LINES("\33[?25l\33[2J\33[Htop", "top|");
	CHECK_LINES("\33]0;title\7x\33]52;c;AAAA\33\\y", "xy|");
	CHECK_LINES("\33P1$r0m\33\\z\33^p\33\\\33_a\33\\.", "z.|");
	CHECK_LINES("\33(Bx\33=y\33cz", "xyz|");
	CHECK_LINES("\33]never ends\nback", "|back|");
	CHECK_LINES("\33\nx", "|x|");
	/* a C1 CSI, bare and as UTF-8; a euro sign; a stray continuation */
	CHECK_LINES("\x9b"
		    "2Ja\xc2\x9b"
		    "b\xe2\x82\xac \x80.",
		    "2Ja?b? .|");

	/* Every byte value there is, after every kind of introducer. */
	for (unsigned int c = 0; c < 256; c++) {
		static const char *const lead[] = { "", "\33", "\33[", "\33]" };

		for (unsigned int k = 0; k < ARRAY_SIZE(lead); k++) {
			unsigned char byte = (unsigned char)c;

			tail_init(&tail);
			add(lead[k]);
			tail_add(&tail, &byte, 1);
			add("x\nend");
			for (unsigned int i = 0; i < tail_count(&tail); i++)
				for (const char *p = tail_line(&tail, i); *p;
				     p++)
					ck_assert(*p >= 0x20 && *p < 0x7f);
		}
	}
}
END_TEST

START_TEST(keeps_the_last_forty)
{
	char text[32];

	tail_init(&tail);
	for (int i = 0; i < 1000; i++) {
		snprintf(text, sizeof(text), "line %d\r\n", i);
		add(text);
		ck_assert_uint_eq(tail_count(&tail), MIN(i + 1, TAIL_LINES));
		ck_assert_str_eq(tail_line(&tail, 0),
				 i < TAIL_LINES ? "line 0"
						: (snprintf(text, sizeof(text),
							    "line %d",
							    i - TAIL_LINES + 1),
						   text));
	}
	ck_assert_str_eq(tail_line(&tail, TAIL_LINES - 1), "line 999");
	add("unfinished");
	ck_assert_uint_eq(tail_count(&tail), TAIL_LINES);
	ck_assert_str_eq(tail_line(&tail, 0), "line 961");
	ck_assert_str_eq(tail_line(&tail, TAIL_LINES - 1), "unfinished");
	/* A line that is used again is empty. */
	add("\n\nx");
	ck_assert_str_eq(tail_line(&tail, TAIL_LINES - 3), "unfinished");
	ck_assert_str_eq(tail_line(&tail, TAIL_LINES - 2), "");
}
END_TEST

START_TEST(long_lines_are_cut)
{
	char want[TAIL_WIDTH];

	tail_init(&tail);
	for (int i = 0; i < 100000; i++)
		add("y");
	memset(want, 'y', sizeof(want) - 1);
	want[sizeof(want) - 1] = '\0';
	ck_assert_uint_eq(tail_count(&tail), 1);
	ck_assert_str_eq(tail_line(&tail, 0), want);
	add("\nnext");
	ck_assert_uint_eq(tail_count(&tail), 2);
	ck_assert_str_eq(tail_line(&tail, 1), "next");
}
END_TEST

START_TEST(panic)
{
	static const struct {
		const char *text;
		bool panic;
	} row[] = {
		{ "Kernel panic - not syncing: VFS: Unable to mount", true },
		{ "[    1.0] Kernel panic - not syncing: x\r\n", true },
		{ "[    1.0][    T1] Kernel panic - not syncing", true },
		{ "hello\r\nKernel panic - not syncing", true },
		{ "/ # [   12.5] Kernel panic - not syncing: sysrq", true },
		{ "\33[0mKernel panic - not syncing", true },
		{ " 10%\rKernel panic - not syncing", true },
		{ "KKernel panic - not syncing", false },
		{ "KernelKernel panic - not syncing", false },
		{ "x Kernel panic - not syncing", false },
		{ "grep 'Kernel panic - not syncing' log", false },
		{ "Kernel panic - not syncin\n", false },
		{ "Kernel panic\n - not syncing", false },
		{ "Kernel panik - not syncing", false },
		{ "[1]Kernel panic - not syncing", false },
		{ "", false },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(row); i++) {
		tail_init(&tail);
		add(row[i].text);
		ck_assert_msg(tail_saw_panic(&tail) == row[i].panic, "%s",
			      row[i].text);
		tail_init(&tail);
		for (const char *p = row[i].text; *p; p++)
			tail_add(&tail, p, 1);
		ck_assert_msg(tail_saw_panic(&tail) == row[i].panic,
			      "piecewise: %s", row[i].text);
	}

	/* It is seen beyond the width of a line, and it is remembered. */
	tail_init(&tail);
	for (int i = 0; i < 2 * TAIL_WIDTH; i++)
		add(".");
	add("[ 1] Kernel panic - not syncing");
	for (int i = 0; i < 2 * TAIL_LINES; i++)
		add("more\n");
	ck_assert(tail_saw_panic(&tail));
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("tail");
	TCase *tc = tcase_create("tail");

	tcase_add_test(tc, lines);
	tcase_add_test(tc, only_printable_ascii_is_kept);
	tcase_add_test(tc, keeps_the_last_forty);
	tcase_add_test(tc, long_lines_are_cut);
	tcase_add_test(tc, panic);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
