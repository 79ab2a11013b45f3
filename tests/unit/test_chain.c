// SPDX-License-Identifier: Apache-2.0
/*
 * test_chain.c - chains as byte streams, however they are cut into segments
 */
#include <string.h>

#include "base/util.h"
#include "tests/unit/unit.h"
#include "virtio/chain.h"

#define BYTES 7 /* cut in all 2^6 ways */

/* A chain over READABLE and WRITABLE, cut where the bits of CUTS say. */
static void make_chain(struct chain *c, uint8_t *readable, uint8_t *writable,
		       unsigned int cuts)
{
	uint8_t *part[2] = { readable, writable };

	chain_init(c, 3);
	for (int p = 0; p < 2; p++) {
		size_t start = 0;

		for (size_t i = 1; i <= BYTES; i++) {
			if (i < BYTES && !(cuts >> (i - 1) & 1))
				continue;
			chain_add(c, part[p] + start, i - start, p == 1);
			start = i;
		}
	}
}

/* virtio 1.2 §2.7.4.1 (C29): no assumption on how a request is cut */
START_TEST(test_every_cut_and_step)
{
	uint8_t *in = malloc(BYTES);
	uint8_t *out = malloc(BYTES);

	memcpy(in, "abcdefg", BYTES);
	for (unsigned int cuts = 0; cuts < 1u << (BYTES - 1); cuts++) {
		for (size_t step = 1; step <= BYTES + 1; step++) {
			uint8_t got[BYTES + 1] = { 0 };
			struct chain c;
			size_t n, done = 0;

			memset(out, 0, BYTES);
			make_chain(&c, in, out, cuts);
			ck_assert_uint_eq(c.head, 3);
			ck_assert_uint_eq(chain_readable(&c), BYTES);
			ck_assert_uint_eq(chain_writable(&c), BYTES);
			while ((n = chain_read(&c, got + done, step)) > 0) {
				done += n;
				ck_assert_uint_eq(chain_readable(&c),
						  BYTES - done);
			}
			ck_assert_uint_eq(done, BYTES);
			ck_assert_mem_eq(got, "abcdefg", BYTES);

			for (done = 0; done < BYTES; done += n) {
				n = chain_write(&c, &"tuvwxyz"[done],
						MIN(step, BYTES - done));
				ck_assert_uint_eq(n, MIN(step, BYTES - done));
			}
			ck_assert_mem_eq(out, "tuvwxyz", BYTES);
			ck_assert_uint_eq(chain_writable(&c), 0);
			/* virtio 1.2 §2.7.5.1 (C28) */
			ck_assert_mem_eq(in, "abcdefg", BYTES);
		}
	}
	free(in);
	free(out);
}
END_TEST

/* Asking for more than there is gives what there is. */
START_TEST(test_short)
{
	uint8_t in[BYTES] = { 1 }, out[BYTES];
	uint8_t buf[64];
	struct chain c;

	make_chain(&c, in, out, 0x15);
	ck_assert_uint_eq(chain_read(&c, buf, 0), 0);
	ck_assert_uint_eq(chain_read(&c, buf, sizeof(buf)), BYTES);
	ck_assert_uint_eq(chain_read(&c, buf, 1), 0);
	ck_assert_uint_eq(chain_write(&c, buf, 0), 0);
	ck_assert_uint_eq(chain_write(&c, buf, sizeof(buf)), BYTES);
	ck_assert_uint_eq(chain_write(&c, buf, 1), 0);
	ck_assert_uint_eq(chain_write_zeros(&c, 1), 0);
}
END_TEST

START_TEST(test_zeros)
{
	uint8_t in[BYTES] = { 0 }, out[BYTES];
	struct chain c;

	memset(out, 0xff, sizeof(out));
	make_chain(&c, in, out, 0x2a);
	ck_assert_uint_eq(chain_write(&c, "a", 1), 1);
	ck_assert_uint_eq(chain_write_zeros(&c, 4), 4);
	ck_assert_uint_eq(chain_writable(&c), 2);
	ck_assert_mem_eq(out, "a\0\0\0\0\xff\xff", BYTES);
	ck_assert_uint_eq(chain_write_zeros(&c, 100), 2);
	ck_assert_mem_eq(out, "a\0\0\0\0\0\0", BYTES);
}
END_TEST

typedef unsigned int (*iov_fn)(struct chain *, struct iovec *, unsigned int,
			       size_t, size_t *);

/* Every cut, limit of bytes and limit of entries: the runs are in order, inside
 * the part, and the rest is still there.
 */
static void check_iov(iov_fn next, bool writable)
{
	uint8_t buf[2][BYTES];

	for (unsigned int cuts = 0; cuts < 1u << (BYTES - 1); cuts++) {
		unsigned int limits = (BYTES + 2) * 4;

		for (unsigned int i = 0; i < limits; i++) {
			size_t len = i / 4;
			unsigned int max = i % 4;
			uint8_t *at = buf[writable];
			struct iovec iov[4];
			size_t got, sum = 0;
			struct chain c;
			unsigned int nr;

			make_chain(&c, buf[0], buf[1], cuts);
			nr = next(&c, iov, max, len, &got);
			ck_assert_uint_le(nr, max);
			for (unsigned int k = 0; k < nr; k++) {
				ck_assert_ptr_eq(iov[k].iov_base, at + sum);
				ck_assert_uint_gt(iov[k].iov_len, 0);
				sum += iov[k].iov_len;
			}
			ck_assert_uint_eq(sum, got);
			ck_assert_uint_le(got, MIN(len, BYTES));
			if (nr < max)
				ck_assert_uint_eq(got, MIN(len, BYTES));
			ck_assert_uint_eq(writable ? chain_writable(&c)
						   : chain_readable(&c),
					  BYTES - got);
			ck_assert_uint_eq(writable ? chain_readable(&c)
						   : chain_writable(&c),
					  BYTES);
		}
	}
}

START_TEST(test_iov)
{
	check_iov(chain_read_iov, false);
	check_iov(chain_write_iov, true);
}
END_TEST

/* A chain without bytes (all descriptors were empty) is a chain. */
START_TEST(test_empty)
{
	struct iovec iov[1];
	struct chain c;
	size_t got = 9;

	chain_init(&c, 0);
	ck_assert_uint_eq(chain_readable(&c), 0);
	ck_assert_uint_eq(chain_read_iov(&c, iov, 1, 5, &got), 0);
	ck_assert_uint_eq(got, 0);
	ck_assert_uint_eq(chain_write(&c, "x", 1), 0);
}
END_TEST

/* As many segments as a chain can have. */
START_TEST(test_full)
{
	uint8_t byte[CHAIN_MAX_SEGMENTS];
	uint8_t got[CHAIN_MAX_SEGMENTS];
	struct chain c;

	chain_init(&c, 0);
	for (unsigned int i = 0; i < CHAIN_MAX_SEGMENTS; i++) {
		byte[i] = (uint8_t)(i * 7);
		chain_add(&c, &byte[i], 1, false);
	}
	ck_assert_uint_eq(chain_read(&c, got, sizeof(got)), sizeof(got));
	ck_assert_mem_eq(got, byte, sizeof(got));
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("chain");
	TCase *tc = tcase_create("chain");

	tcase_add_test(tc, test_every_cut_and_step);
	tcase_add_test(tc, test_short);
	tcase_add_test(tc, test_zeros);
	tcase_add_test(tc, test_iov);
	tcase_add_test(tc, test_empty);
	tcase_add_test(tc, test_full);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
