// SPDX-License-Identifier: Apache-2.0
/*
 * test_descriptors.c - descriptor chains that break the rules, and the edges of
 * those that do not
 */
#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "tests/unit/ring_fixture.h"

/* V5, virtio 1.2 §2.7.5: an index outside the table, as head and as next, in
 * either table
 */
START_TEST(test_bad_index)
{
	static const uint16_t bad[] = { SIZE, SIZE + 1, 0x7fff, 0x8000,
					0xffff };

	start(SIZE, ALL_OK);
	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
		expect_pop(bad[i], -EBADMSG);
		put_desc(0, 0, 16, VRING_DESC_F_NEXT, bad[i]);
		expect_pop(0, -EBADMSG);
		*fd_table(&fd, Q, 0) = (struct vring_desc){
			.len = 1, .flags = VRING_DESC_F_NEXT, .next = bad[i]
		};
		put_desc(0, fd.queue[Q].tables, 16 * SIZE,
			 VRING_DESC_F_INDIRECT, 0);
		expect_pop(0, -EBADMSG);
	}
	/* The table's length counts, not the queue's. */
	fd_table(&fd, Q, 0)[0].next = 1;
	put_desc(0, fd.queue[Q].tables, 16, VRING_DESC_F_INDIRECT, 0);
	expect_pop(0, -EBADMSG);
	stop();
}
END_TEST

/* V5, virtio 1.2 §2.7.5.2: loops of every length, in either table */
START_TEST(test_loops)
{
	start(SIZE, ALL_OK);
	for (uint16_t len = 1; len <= SIZE; len++) {
		struct vring_desc *table = fd_table(&fd, Q, 0);

		for (uint16_t i = 0; i < len; i++) {
			uint16_t next = (uint16_t)((i + 1) % len);

			put_desc(i, 0, i % 2, VRING_DESC_F_NEXT, next);
			table[i] = fd_desc(&fd, Q)[i];
		}
		expect_pop(0, -EBADMSG);
		put_desc(0, fd.queue[Q].tables, 16u * len,
			 VRING_DESC_F_INDIRECT, 0);
		expect_pop(0, -EBADMSG);
	}
	stop();
}
END_TEST

/* virtio 1.2 §2.7.5.3.1: as long as the queue is fine, one more is not */
START_TEST(test_longest)
{
	struct vring_desc *table;

	start(SIZE, ALL_OK);
	for (uint16_t i = 0; i < SIZE; i++)
		put_desc(i, 16, 1, i + 1 < SIZE ? VRING_DESC_F_NEXT : 0,
			 (uint16_t)(i + 1));
	expect_pop(0, 1);
	ck_assert_uint_eq(c.nr_readable, SIZE);
	table = fd_table(&fd, Q, 0);
	memcpy(table, fd_desc(&fd, Q), 16 * SIZE);
	put_desc(0, fd.queue[Q].tables, 16 * SIZE, VRING_DESC_F_INDIRECT, 0);
	expect_pop(0, 1);
	ck_assert_uint_eq(c.nr_readable, SIZE);

	/* One direct, then a full table. */
	put_desc(0, 16, 1, VRING_DESC_F_NEXT, 1);
	put_desc(1, fd.queue[Q].tables, 16 * SIZE, VRING_DESC_F_INDIRECT, 0);
	expect_pop(0, -EBADMSG);
	stop();
}
END_TEST

/* V6, virtio 1.2 §2.7.5.3.1: what an INDIRECT descriptor must not be */
START_TEST(test_bad_indirect)
{
	static const uint32_t lens[] = { 0,	  1,	15,
					 17,	  31,	16 * (SIZE + 1),
					 0x10000, ~15u, ~0u };
	uint64_t table;

	start(SIZE, ALL_OK);
	table = fd.queue[Q].tables;
	for (unsigned int i = 0; i < ARRAY_SIZE(lens); i++) {
		put_desc(0, table, lens[i], VRING_DESC_F_INDIRECT, 0);
		expect_pop(0, -EBADMSG);
	}
	put_desc(0, table, 16, VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT, 1);
	expect_pop(0, -EBADMSG);
	/* nested */
	*fd_table(&fd, Q, 0) = (struct vring_desc){
		.addr = table, .len = 16, .flags = VRING_DESC_F_INDIRECT
	};
	put_desc(0, table, 16, VRING_DESC_F_INDIRECT, 0);
	expect_pop(0, -EBADMSG);
	/* outside memory, the last bytes of it, and over its end */
	fd_table(&fd, Q, 0)->flags = 0;
	put_desc(0, FD_RAM_SIZE - 16, 32, VRING_DESC_F_INDIRECT, 0);
	expect_pop(0, -EFAULT);
	put_desc(0, -16ull, 16, VRING_DESC_F_INDIRECT, 0);
	expect_pop(0, -EFAULT);
	memset(fd_ptr(&fd, FD_RAM_SIZE - 16, 16), 0, 16);
	put_desc(0, FD_RAM_SIZE - 16, 16, VRING_DESC_F_INDIRECT, 0);
	expect_pop(0, 1);
	/* over the rings themselves: harmless, whatever it says */
	put_desc(0, fd.queue[Q].desc, 16, VRING_DESC_F_INDIRECT, 0);
	expect_pop(0, -EBADMSG);
	stop();
}
END_TEST

/* virtio 1.2 §2.7.5.3.1: INDIRECT that was not negotiated */
START_TEST(test_indirect_not_negotiated)
{
	start(SIZE, PLAIN);
	put_desc(0, fd.queue[Q].tables, 16, VRING_DESC_F_INDIRECT, 0);
	expect_pop(0, -EBADMSG);
	stop();
}
END_TEST

/* C30, virtio 1.2 §2.7.5.3.2: WRITE on the INDIRECT descriptor is ignored */
START_TEST(test_indirect_write_flag)
{
	start(SIZE, ALL_OK);
	*fd_table(&fd, Q, 0) = (struct vring_desc){ .addr = 16, .len = 5 };
	put_desc(0, fd.queue[Q].tables, 16,
		 VRING_DESC_F_INDIRECT | VRING_DESC_F_WRITE, 0);
	expect_pop(0, 1);
	ck_assert_uint_eq(chain_readable(&c), 5);
	ck_assert_uint_eq(chain_writable(&c), 0);
	stop();
}
END_TEST

/* virtio 1.2 §2.7.4.2: readable ones come first, empty ones too */
START_TEST(test_order)
{
	start(SIZE, ALL_OK);
	for (uint32_t len = 0; len < 2; len++) {
		put_desc(0, 16, len, VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, 1);
		put_desc(1, 16, len, 0, 0);
		expect_pop(0, -EBADMSG);
	}
	stop();
}
END_TEST

/* V7, V18: every edge of both regions, wrap-around, the hole, huge lengths */
START_TEST(test_segment_edges)
{
	const uint64_t top = FD_HIGH_BASE + FD_HIGH_SIZE;
	const struct {
		uint64_t addr;
		uint32_t len;
		int ret;
	} t[] = {
		{ 0, 1, 1 },
		{ 0, FD_RAM_SIZE, 1 },
		{ 0, FD_RAM_SIZE + 1, -EFAULT },
		{ 1, FD_RAM_SIZE, -EFAULT },
		{ FD_RAM_SIZE - 1, 1, 1 },
		{ FD_RAM_SIZE - 1, 2, -EFAULT },
		{ FD_RAM_SIZE, 1, -EFAULT },
		{ FD_HIGH_BASE - 1, 1, -EFAULT },
		{ FD_HIGH_BASE - 1, 2, -EFAULT },
		{ FD_HIGH_BASE, FD_HIGH_SIZE, 1 },
		{ FD_HIGH_BASE, FD_HIGH_SIZE + 1, -EFAULT },
		{ top - 1, 1, 1 },
		{ top - 1, 2, -EFAULT },
		{ top, 1, -EFAULT },
		{ -1ull, 1, -EFAULT },
		{ -1ull, 2, -EFAULT },
		{ -8ull, ~0u, -EFAULT },
		{ 0, ~0u, -EFAULT },
	};

	start(SIZE, PLAIN);
	for (unsigned int i = 0; i < ARRAY_SIZE(t); i++) {
		put_desc(0, t[i].addr, t[i].len, 0, 0);
		expect_pop(0, t[i].ret);
		if (t[i].ret == 1)
			ck_assert_ptr_eq(c.seg[0].iov_base,
					 fd_ptr(&fd, t[i].addr, t[i].len));
	}
	stop();
}
END_TEST

/* virtio 1.2 §2.7.5.2: the bytes of a chain fit in 32 bits */
START_TEST(test_total)
{
	uint16_t nr = 256; /* times 16 MiB is 2^32 */

	start(256, PLAIN);
	for (uint16_t i = 0; i < nr; i++)
		put_desc(i, 0, FD_RAM_SIZE, i + 1 < nr ? VRING_DESC_F_NEXT : 0,
			 (uint16_t)(i + 1));
	expect_pop(0, -EBADMSG);
	fd_desc(&fd, Q)[7].len--;
	expect_pop(0, 1);
	ck_assert_uint_eq(chain_readable(&c), UINT32_MAX);
	stop();
}
END_TEST

/* V8: empty descriptors in each position, at any address */
START_TEST(test_empty_descriptors)
{
	start(SIZE, PLAIN);
	for (unsigned int empty = 0; empty < 16; empty++) {
		uint32_t readable = 0, writable = 0;

		for (uint16_t i = 0; i < 4; i++) {
			bool none = empty >> i & 1;
			uint32_t len = none ? 0 : i + 1u;

			put_desc(i, none ? -1ull : 64, len,
				 (i < 2 ? 0 : VRING_DESC_F_WRITE) |
					 (i < 3 ? VRING_DESC_F_NEXT : 0),
				 (uint16_t)(i + 1));
			*(i < 2 ? &readable : &writable) += len;
		}
		expect_pop(0, 1);
		ck_assert_uint_eq(chain_readable(&c), readable);
		ck_assert_uint_eq(chain_writable(&c), writable);
	}
	stop();
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("descriptors");
	TCase *tc = tcase_create("descriptors");

	tcase_add_test(tc, test_bad_index);
	tcase_add_test(tc, test_loops);
	tcase_add_test(tc, test_longest);
	tcase_add_test(tc, test_bad_indirect);
	tcase_add_test(tc, test_indirect_not_negotiated);
	tcase_add_test(tc, test_indirect_write_flag);
	tcase_add_test(tc, test_order);
	tcase_add_test(tc, test_segment_edges);
	tcase_add_test(tc, test_total);
	tcase_add_test(tc, test_empty_descriptors);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
