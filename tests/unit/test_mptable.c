// SPDX-License-Identifier: Apache-2.0
/*
 * test_mptable.c - MP 1.4 tables, read back as a kernel reads them
 */
#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "boot/layout.h"
#include "boot/mptable.h"
#include "tests/unit/unit.h"

static uint8_t area[LAYOUT_MPTABLE_END - LAYOUT_MPTABLE];

static uint8_t sum(const uint8_t *p, size_t len)
{
	uint8_t s = 0;

	while (len-- > 0)
		s = (uint8_t)(s + *p++);
	return s;
}

/* Walks the table; counts entries of each type. */
static void walk(unsigned int count[5])
{
	const uint8_t *header = area + 16;
	const uint8_t *end = header + get_le16(header + 4);
	const uint8_t *p = header + 44;
	unsigned int total = 0;

	memset(count, 0, 5 * sizeof(*count));
	while (p < end) {
		ck_assert_uint_lt(*p, 5);
		if (*p == 0) {
			ck_assert_uint_eq(p[1], count[0]);
			ck_assert_uint_eq(p[3], count[0] == 0 ? 3 : 1);
		}
		if (*p == 3) {
			/* edge, active high, pin n of the IOAPIC for IRQ n */
			ck_assert_uint_eq(p[1], 0);
			ck_assert_uint_eq(get_le16(p + 2), 5);
			ck_assert_uint_eq(p[5], count[3]);
			ck_assert_uint_eq(p[7], count[3]);
		}
		if (*p == 2)
			ck_assert_uint_eq(get_le32(p + 4), 0xfec00000);
		count[*p]++;
		total++;
		p += *p == 0 ? 20 : 8;
	}
	ck_assert_ptr_eq(p, end);
	ck_assert_uint_eq(get_le16(header + 34), total);
}

/* MP 1.4 §4.1, §4.2 */
START_TEST(test_pointer_and_header)
{
	const uint8_t *header = area + 16;

	ck_assert_int_eq(mptable_build(1, area, sizeof(area)), 0);
	ck_assert_int_eq(memcmp(area, "_MP_", 4), 0);
	ck_assert_uint_eq(get_le32(area + 4), LAYOUT_MPTABLE + 16);
	ck_assert_uint_eq(area[8], 1);
	ck_assert_uint_eq(area[9], 4);
	ck_assert_uint_eq(area[11], 0); /* not a default configuration */
	ck_assert_uint_eq(sum(area, 16), 0);
	ck_assert_int_eq(memcmp(header, "PCMP", 4), 0);
	ck_assert_uint_eq(header[6], 4);
	ck_assert_uint_eq(get_le32(header + 36), 0xfee00000);
	ck_assert_uint_eq(sum(header, get_le16(header + 4)), 0);
	/* where a kernel looks: 16-byte aligned in the last 64 KiB */
	ck_assert(IS_ALIGNED(LAYOUT_MPTABLE, 16) && LAYOUT_MPTABLE >= 0xf0000 &&
		  LAYOUT_MPTABLE < 0x100000);
}
END_TEST

START_TEST(test_entries)
{
	static const unsigned int cpus[] = { 1, 2, 64, 255, 300 };
	unsigned int count[5];

	for (unsigned int i = 0; i < ARRAY_SIZE(cpus); i++) {
		ck_assert_int_eq(mptable_build(cpus[i], area, sizeof(area)), 0);
		ck_assert_uint_eq(sum(area + 16, get_le16(area + 20)), 0);
		walk(count);
		ck_assert_uint_eq(count[0], MIN(cpus[i], 255));
		ck_assert_uint_eq(count[1], 1);
		ck_assert_uint_eq(count[2], 1);
		ck_assert_uint_eq(count[3], 24);
		ck_assert_uint_eq(count[4], 2);
	}
}
END_TEST

START_TEST(test_does_not_fit)
{
	static uint8_t small[16 + 44 + 20 + 8 + 8 + 24 * 8 + 2 * 8 + 1];

	/* to the byte, and nothing written past the end */
	small[sizeof(small) - 1] = 0x5a;
	ck_assert_int_eq(mptable_build(1, small, sizeof(small) - 1), 0);
	ck_assert_int_eq(mptable_build(1, small, sizeof(small) - 2), -ENOSPC);
	ck_assert_int_eq(mptable_build(2, small, sizeof(small) - 1), -ENOSPC);
	ck_assert_int_eq(mptable_build(64, small, sizeof(small) - 1), -ENOSPC);
	ck_assert_uint_eq(small[sizeof(small) - 1], 0x5a);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("mptable");
	TCase *tc = tcase_create("mptable");

	tcase_add_test(tc, test_pointer_and_header);
	tcase_add_test(tc, test_entries);
	tcase_add_test(tc, test_does_not_fit);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
