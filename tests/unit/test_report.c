// SPDX-License-Identifier: Apache-2.0
/*
 * test_report.c - a report as text and as JSON
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "base/util.h"
#include "tests/unit/unit.h"
#include "vmm/report.h"

static const struct report sample = {
	.row = { { .prefix = "",
		   .name = "short",
		   .purpose = "one",
		   .value = "v" },
		 { .prefix = "KVM_CAP_",
		   .name = "a longer name",
		   .purpose = "two",
		   .state = CHECK_MISSING,
		   .value = "a value",
		   .remedy = "buy it" },
		 { .prefix = "KVM_CAP_",
		   .name = "hidden",
		   .purpose = "three",
		   .state = CHECK_UNKNOWN },
		 { .prefix = "",
		   .name = "last",
		   .purpose = "four",
		   .state = CHECK_LIMITED,
		   .value = "w" } },
	.nr_rows = 4,
	.verdict = "No.",
};

/* What report_text() or report_json() print; the caller frees it. */
static char *printed(const struct report *r, bool json, bool colour)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	ck_assert_ptr_nonnull(f);
	if (json)
		ck_assert_int_eq(report_json(r, f), 0);
	else
		report_text(r, f, colour);
	fclose(f);
	return text;
}

START_TEST(text_is_aligned)
{
	char *text = printed(&sample, false, false);

	ck_assert_str_eq(text, "ok       short  v  one\n"
			       "\n"
			       "KVM_CAP_*:\n"
			       "missing  a longer name  a value  two\n"
			       "         -> buy it\n"
			       "\n"
			       "limited  last  w  four\n"
			       "1 more checks need what is missing first\n"
			       "\n"
			       "No.\n");
	free(text);
}
END_TEST

START_TEST(text_is_wrapped)
{
	static const struct report wide = {
		.row = { { .prefix = "",
			   .name = "a name of twenty-four ch",
			   .value = "a value of twenty-four c",
			   .purpose =
				   "what nobody needs, but everybody wants it",
			   .state = CHECK_LIMITED,
			   .remedy =
				   "say the word, or better, run `one command "
				   "that is kept in one piece`, and wait" } },
		.nr_rows = 1,
		.verdict = "This sentence is longer than a line of a terminal, "
			   "so that it has to go on in the next.",
	};
	char *text = printed(&wide, false, false);

	ck_assert_str_eq(
		text, "limited  a name of twenty-four ch  a value of "
		      "twenty-four c  what nobody needs,\n"
		      "                                                      "
		      "       but everybody wants\n"
		      "                                                      "
		      "       it\n"
		      "         -> say the word, or better, run\n"
		      "            `one command that is kept in one piece`, "
		      "and wait\n"
		      "\n"
		      "This sentence is longer than a line of a terminal, so "
		      "that it has to go on in\n"
		      "the next.\n");
	free(text);
}
END_TEST

/* What is not shown does not part two sections that look like one. */
START_TEST(text_without_a_section)
{
	static const struct report gap = {
		.row = { { .prefix = "",
			   .name = "one",
			   .value = "1",
			   .purpose = "p" },
			 { .prefix = "KVM_CAP_",
			   .name = "hidden and long",
			   .state = CHECK_UNKNOWN },
			 { .prefix = "",
			   .name = "longer",
			   .value = "22",
			   .purpose = "q" } },
		.nr_rows = 3,
		.verdict = "No.",
	};
	char *text = printed(&gap, false, false);

	ck_assert_str_eq(text, "ok       one     1   p\n"
			       "ok       longer  22  q\n"
			       "1 more checks need what is missing first\n"
			       "\n"
			       "No.\n");
	free(text);
}
END_TEST

START_TEST(colour_only_when_asked)
{
	char *plain = printed(&sample, false, false);
	char *coloured = printed(&sample, false, true);
	ck_assert_ptr_null(strchr(plain, '\033'));
	ck_assert_ptr_nonnull(strstr(coloured, "\033[32mok     \033[0m  "));
	free(plain);
	free(coloured);
}
END_TEST

/* Programs read this: a change of it is a change of the interface. */
static const char sample_json[] =
	"{\"ok\": false, \"verdict\": \"No.\", \"checks\": ["
	"{\"name\": \"short\", \"state\": \"ok\", \"value\": \"v\","
	" \"purpose\": \"one\", \"remedy\": null},"
	"{\"name\": \"KVM_CAP_a longer name\", \"state\": \"missing\","
	" \"value\": \"a value\", \"purpose\": \"two\","
	" \"remedy\": \"buy it\"},"
	"{\"name\": \"KVM_CAP_hidden\", \"state\": \"unknown\","
	" \"value\": \"\", \"purpose\": \"three\", \"remedy\": null},"
	"{\"name\": \"last\", \"state\": \"limited\", \"value\": \"w\","
	" \"purpose\": \"four\", \"remedy\": null}]}";

START_TEST(json_schema)
{
	char *text = printed(&sample, true, false);
	json_t *got = json_loads(text, 0, NULL);
	json_t *expected = json_loads(sample_json, 0, NULL);

	ck_assert_ptr_nonnull(got);
	ck_assert_ptr_nonnull(expected);
	ck_assert_msg(json_equal(got, expected), "%s", text);
	json_decref(expected);
	json_decref(got);
	free(text);
}
END_TEST

START_TEST(json_says_yes)
{
	static const struct report yes = { .ok = true, .verdict = "Yes." };
	char *text = printed(&yes, true, false);
	json_t *got = json_loads(text, 0, NULL);

	ck_assert(json_is_true(json_object_get(got, "ok")));
	ck_assert_uint_eq(json_array_size(json_object_get(got, "checks")), 0);
	json_decref(got);
	free(text);
}
END_TEST

START_TEST(fields_are_cut_to_size)
{
	struct check_row row = { .name = "row" };
	char word[400];

	memset(word, 'w', sizeof(word) - 1);
	word[sizeof(word) - 1] = '\0';
	row_value(&row, "%s", word);
	row_remedy(&row, "%s", word);
	ck_assert_uint_eq(strlen(row.value), sizeof(row.value) - 1);
	ck_assert_uint_eq(strlen(row.remedy), sizeof(row.remedy) - 1);
}
END_TEST

START_TEST(json_to_a_full_disk)
{
	FILE *full = fopen("/dev/full", "we");

	ck_assert_ptr_nonnull(full);
	setvbuf(full, NULL, _IONBF, 0);
	ck_assert_int_eq(report_json(&sample, full), -EIO);
	fclose(full);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("report");
	TCase *tc = tcase_create("report");

	tcase_add_test(tc, text_is_aligned);
	tcase_add_test(tc, text_is_wrapped);
	tcase_add_test(tc, text_without_a_section);
	tcase_add_test(tc, colour_only_when_asked);
	tcase_add_test(tc, json_schema);
	tcase_add_test(tc, json_says_yes);
	tcase_add_test(tc, fields_are_cut_to_size);
	tcase_add_test(tc, json_to_a_full_disk);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
