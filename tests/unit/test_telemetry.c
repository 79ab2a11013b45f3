// SPDX-License-Identifier: Apache-2.0
/*
 * test_telemetry.c - D15: what each device says of itself in reports
 */
#include <ctype.h>

#include "tests/unit/each_device.h"

static uint64_t value(unsigned int i)
{
	const struct telemetry_field *f = &fd.vdev->ops->fields[i];
	const void *at = (const char *)fd.vdev + f->offset;

	return f->kind == TELEMETRY_COUNTER
		       ? counter_get(at)
		       : ((const struct histogram *)at)->count;
}

/* The field NAME; the test fails when there is none. */
static uint64_t named(const char *name)
{
	for (unsigned int i = 0; i < fd.vdev->ops->nr_fields; i++) {
		if (strcmp(fd.vdev->ops->fields[i].name, name) == 0)
			return value(i);
	}
	ck_abort_msg("no field %s", name);
	return 0;
}

/* Names are plain and say one thing each; no two fields are the same place; all
 * begin at 0.
 */
START_TEST(fields_are_sound)
{
	const struct virtio_device_ops *ops;

	set_up(_i);
	ops = fd.vdev->ops;
	ck_assert_uint_gt(ops->nr_fields, 0);
	for (unsigned int i = 0; i < ops->nr_fields; i++) {
		const struct telemetry_field *f = &ops->fields[i];
		size_t len = strlen(f->name);

		ck_assert_uint_gt(len, 0);
		for (size_t c = 0; c < len; c++)
			ck_assert(islower(f->name[c]) || f->name[c] == '_');
		ck_assert_uint_ge(f->offset, sizeof(struct virtio_device));
		ck_assert_uint_eq(value(i), 0);
		/* Histograms are of times. */
		ck_assert(f->kind == TELEMETRY_COUNTER ||
			  strcmp(f->name + len - 3, "_ns") == 0);
		for (unsigned int k = 0; k < i; k++) {
			ck_assert_str_ne(ops->fields[k].name, f->name);
			ck_assert_uint_ne(ops->fields[k].offset, f->offset);
		}
	}
}
END_TEST

/* One request is seen where it belongs, and only there. */
START_TEST(a_request_is_counted)
{
	static const char *const counted[NR_SUBJECTS][4] = {
		[DISK] = { "reads", "read_bytes", "read_ns", "in_hand_peak" },
		[READ_ONLY_DISK] = { "reads", "read_bytes", "read_ns",
				     "in_hand_peak" },
		[RING_DISK] = { "reads", "read_bytes", "read_ns",
				"in_hand_peak" },
		[TERMINAL] = { "out_bytes" },
		[ENTROPY] = { "requests", "bytes" },
		[BALLOONIST] = { "deflated_pages" },
		[NETWORK] = { "tx_bad_size" },
		[SOCKETS] = { "dropped" },
	};
	unsigned int seen = 0, wanted = 0;

	set_up(_i);
	start(_i);
	serve(_i);
	while (wanted < 4 && counted[_i][wanted])
		ck_assert_uint_gt(named(counted[_i][wanted++]), 0);
	for (unsigned int i = 0; i < fd.vdev->ops->nr_fields; i++)
		seen += value(i) > 0;
	ck_assert_uint_eq(seen, wanted);
	ck_assert_uint_eq(
		counter_get(&fd.vdev->queue_stats[expected[_i].work].used), 1);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("telemetry");
	TCase *tc = tcase_create("telemetry");

	tcase_add_checked_fixture(tc, NULL, tear_down);
	tcase_add_loop_test(tc, fields_are_sound, 0, NR_SUBJECTS);
	tcase_add_loop_test(tc, a_request_is_counted, 0, NR_SUBJECTS);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
