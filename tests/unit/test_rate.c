// SPDX-License-Identifier: Apache-2.0
/*
 * test_rate.c - token buckets: what goes through when, to the nanosecond
 */
#include "base/rate.h"
#include "base/util.h"
#include "tests/unit/unit.h"

#define SECOND 1000000000ull

static const struct rate_bucket_config kib = { 1000, SECOND, 0 };

static bool take(struct rate_limiter *r, uint64_t bytes, uint64_t now_ns)
{
	return rate_take(r, (struct rate_amount){ bytes, 1 }, now_ns);
}

static uint64_t ready(struct rate_limiter *r, uint64_t bytes, uint64_t now_ns)
{
	return rate_ready_ns(r, (struct rate_amount){ bytes, 1 }, now_ns);
}

static void begin(struct rate_limiter *r,
		  const struct rate_bucket_config *bytes,
		  const struct rate_bucket_config *ops, uint64_t now_ns)
{
	rate_init(r, &(struct rate_change){ bytes, ops }, now_ns);
}

static void change(struct rate_limiter *r,
		   const struct rate_bucket_config *bytes,
		   const struct rate_bucket_config *ops, uint64_t now_ns)
{
	rate_set(r, &(struct rate_change){ bytes, ops }, now_ns);
}

static struct rate_limiter limited(struct rate_bucket_config bytes,
				   struct rate_bucket_config ops,
				   uint64_t now_ns)
{
	struct rate_limiter r;

	begin(&r, &bytes, &ops, now_ns);
	return r;
}

/* Neither bucket, or one with a zero: all goes through. */
START_TEST(no_limit)
{
	static const struct rate_bucket_config none[] = {
		{ 0, 0, 0 }, { 0, SECOND, 0 }, { 1, 0, 0 }, { 0, SECOND, 9 }
	};
	struct rate_limiter r;

	begin(&r, NULL, NULL, 5);
	ck_assert(take(&r, UINT64_MAX, 0));
	ck_assert_uint_eq(ready(&r, UINT64_MAX, 7), 7);
	for (unsigned int i = 0; i < ARRAY_SIZE(none); i++) {
		r = limited(none[i], none[i], 0);
		for (int n = 0; n < 1000; n++)
			ck_assert(take(&r, UINT64_MAX, 0));
		ck_assert_uint_eq(ready(&r, 1, 3), 3);
	}
}
END_TEST

/* A bucket is full at first, empties, and fills evenly; refused takes nothing */
START_TEST(bytes)
{
	struct rate_limiter r;

	begin(&r, &kib, NULL, 77);
	ck_assert(take(&r, 600, 77));
	ck_assert(!take(&r, 401, 77));
	ck_assert(take(&r, 400, 77));
	ck_assert(!take(&r, 1, 77));
	ck_assert(take(&r, 0, 77));
	/* A byte is a millisecond. */
	ck_assert_uint_eq(ready(&r, 1, 77), 77 + 1000000);
	ck_assert_uint_eq(ready(&r, 1000, 77), 77 + SECOND);
	ck_assert(!take(&r, 1, 77 + 999999));
	ck_assert(take(&r, 1, 77 + 1000000));
	ck_assert(!take(&r, 1, 77 + 1000000));
	/* Never more than full. */
	ck_assert(take(&r, 1000, 100 * SECOND));
	ck_assert(!take(&r, 1, 100 * SECOND));
	/* A clock that stands still or is read out of order gives nothing. */
	ck_assert(!take(&r, 1, 99 * SECOND));
	ck_assert(!take(&r, 1, 100 * SECOND));
}
END_TEST

/* Each bucket can refuse, and then the other one has lost nothing. */
START_TEST(both)
{
	struct rate_limiter r =
		limited(kib, (struct rate_bucket_config){ 2, SECOND, 0 }, 0);

	ck_assert(take(&r, 990, 0));
	for (int i = 0; i < 5; i++)
		ck_assert(!take(&r, 11, 0)); /* no bytes */
	ck_assert(take(&r, 5, 0));
	for (int i = 0; i < 5; i++)
		ck_assert(!take(&r, 5, 0)); /* no operations */
	ck_assert_uint_eq(ready(&r, 5, 0), SECOND / 2);
	ck_assert_uint_eq(ready(&r, 905, 0), SECOND * 9 / 10);
	ck_assert(take(&r, 505, SECOND / 2));
	ck_assert(!take(&r, 0, SECOND / 2));
}
END_TEST

/* The burst comes first and once. */
START_TEST(burst)
{
	struct rate_limiter r =
		limited((struct rate_bucket_config){ 1000, SECOND, 500 },
			(struct rate_bucket_config){ 0 }, 0);

	ck_assert(take(&r, 300, 0));
	ck_assert_uint_eq(r.bytes.tokens, 1000);
	ck_assert(take(&r, 300, 0));
	ck_assert_uint_eq(r.bytes.burst, 0);
	ck_assert(take(&r, 900, 0));
	ck_assert(!take(&r, 1, 0));
	ck_assert(take(&r, 1000, 50 * SECOND));
	ck_assert(!take(&r, 1, 50 * SECOND));
	/* Both together let through what neither would. */
	r = limited((struct rate_bucket_config){ 1000, SECOND, 500 },
		    (struct rate_bucket_config){ 0 }, 0);
	ck_assert(take(&r, 700, 0));
	ck_assert(take(&r, 800, 0));
	ck_assert(!take(&r, 1, 0));
}
END_TEST

/* What is larger than the bucket goes through, and is paid for afterwards. */
START_TEST(larger_than_the_bucket)
{
	struct rate_limiter r;
	uint64_t at;

	begin(&r, &kib, NULL, 0);
	ck_assert(take(&r, 5000, 0));
	at = ready(&r, 1, 0);
	ck_assert_uint_eq(at, 4 * SECOND + 1000000);
	ck_assert(!take(&r, 1, at - 1));
	ck_assert(take(&r, 1, at));
	/* And the next large one has not to wait for a full bucket. */
	begin(&r, &kib, NULL, 0);
	ck_assert(take(&r, 5000, 0));
	ck_assert_uint_eq(ready(&r, 5000, 0), 4 * SECOND);
	ck_assert(!take(&r, 5000, 4 * SECOND - 1));
	ck_assert(take(&r, 5000, 4 * SECOND));
	ck_assert_uint_eq(ready(&r, 5000, 4 * SECOND), 9 * SECOND);
}
END_TEST

/* A change at run time: new buckets are full, absent ones go on, and a zero
 * ends the limit.
 */
START_TEST(changed)
{
	const struct rate_bucket_config one = { 1, SECOND, 0 }, none = { 0 };
	struct rate_limiter r = limited(kib, one, 0);

	ck_assert(take(&r, 1000, 0));
	change(&r, NULL, &one, 0);
	ck_assert(!take(&r, 1, 0));
	change(&r, &kib, NULL, 0);
	ck_assert(take(&r, 1000, 0));
	ck_assert(!take(&r, 0, 0));
	change(&r, &none, &none, 0);
	for (int i = 0; i < 10; i++)
		ck_assert(take(&r, 1 << 20, 0));
}
END_TEST

/* The widest numbers there are: nothing wraps. */
START_TEST(edges)
{
	static const uint64_t value[] = { 1,
					  2,
					  3,
					  SECOND - 1,
					  SECOND,
					  1ull << 32,
					  (1ull << 63) - 1,
					  1ull << 63,
					  UINT64_MAX - 1,
					  UINT64_MAX };
	const unsigned int n = ARRAY_SIZE(value);

	for (unsigned int i = 0; i < n * n * n; i++) {
		uint64_t size = value[i % n], ns = value[i / n % n];
		uint64_t want = value[i / n / n];
		const struct rate_bucket_config c = { size, ns, 0 };
		struct rate_limiter r;
		uint64_t at;

		begin(&r, &c, NULL, 0);
		ck_assert(take(&r, want, 0));
		at = ready(&r, want, 0);
		if (at == UINT64_MAX)
			continue; /* not in this life */
		if (at > 0)
			ck_assert(!take(&r, want, at - 1));
		ck_assert(take(&r, want, at));
		ready(&r, UINT64_MAX, UINT64_MAX);
		ck_assert_uint_le(r.bytes.tokens, size);
	}
}
END_TEST

/* splitmix64 */
static uint64_t random_word(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

/* Whoever asks, how often, for how much: between any two moments no more goes
 * through than a bucket, the burst, what flowed in, and one that was too large;
 * and who always takes when it is time gets all that flows in.
 */
START_TEST(property)
{
	uint64_t seed = (uint64_t)_i + 1;
	const struct rate_bucket_config c = {
		1 + random_word(&seed) % 100000,
		1 + random_word(&seed) % (10 * SECOND),
		random_word(&seed) % 3 * 1000,
	};
	bool greedy = _i % 2;
	uint64_t now = random_word(&seed) % SECOND, start = now;
	unsigned __int128 flow, taken = 0;
	uint64_t largest = 0;
	struct rate_limiter r;

	begin(&r, &c, NULL, now);
	for (int i = 0; i < 2000; i++) {
		uint64_t want = random_word(&seed) % (c.size + c.size / 4 + 1);
		uint64_t at = ready(&r, want, now);
		uint64_t step = random_word(&seed) % (c.refill_ns / 8 + 2);

		ck_assert_uint_ge(at, now);
		if (greedy && at > now) {
			ck_assert(!take(&r, want, at - 1));
			now = at;
		} else if (!greedy) {
			now += step;
		}
		if (take(&r, want, now)) {
			taken += want;
			largest = MAX(largest, want);
		} else {
			ck_assert(!greedy && now < at);
		}
		ck_assert_uint_le(r.bytes.tokens, c.size);
		flow = (unsigned __int128)(now - start) * c.size / c.refill_ns;
		ck_assert(taken <= flow + c.size + c.burst + largest);
		/* Greedy never meets a full bucket after the first: it loses
		 * nothing.
		 */
		if (greedy)
			ck_assert(taken + c.size >= flow);
	}
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("rate");
	TCase *tc = tcase_create("rate");

	tcase_add_test(tc, no_limit);
	tcase_add_test(tc, bytes);
	tcase_add_test(tc, both);
	tcase_add_test(tc, burst);
	tcase_add_test(tc, larger_than_the_bucket);
	tcase_add_test(tc, changed);
	tcase_add_test(tc, edges);
	tcase_add_loop_test(tc, property, 0, 100);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
