// SPDX-License-Identifier: Apache-2.0
/*
 * rate.c - token buckets
 *
 * Theory of operation.  A bucket is brought up to date when somebody looks at
 * it: elapsed * size / refill_ns tokens, with the remainder of the division
 * carried in `part`, so that looking often makes no difference.  What arrives
 * pays the debt first and then fills the bucket; a full bucket keeps no part.
 * Products are 128 bits wide, so that nothing wraps.
 */
#include <stddef.h>

#include "base/rate.h"
#include "base/util.h"

/* 146 years: a debt of 2^65 tokens times this still fits 128 bits. */
#define REFILL_MOST_NS (1ull << 62)

#define SECOND_NS	 1000000000u
#define BUCKETS_A_SECOND 5u

static bool bucket_limits(const struct rate_bucket *b)
{
	return b->config.size > 0 && b->config.refill_ns > 0;
}

static void bucket_init(struct rate_bucket *b,
			const struct rate_bucket_config *config,
			uint64_t now_ns)
{
	*b = (struct rate_bucket){ .filled_ns = now_ns };
	if (!config)
		return;
	b->config = *config;
	b->config.refill_ns = MIN(config->refill_ns, REFILL_MOST_NS);
	b->tokens = config->size;
	b->burst = config->burst;
}

static void bucket_fill(struct rate_bucket *b, uint64_t now_ns)
{
	unsigned __int128 parts, tokens;
	uint64_t elapsed;

	if (now_ns <= b->filled_ns)
		return;
	elapsed = now_ns - b->filled_ns;
	b->filled_ns = now_ns;
	parts = (unsigned __int128)elapsed * b->config.size + b->part;
	tokens = parts / b->config.refill_ns;
	b->part = (uint64_t)(parts % b->config.refill_ns);
	if (tokens < b->debt) {
		b->debt -= (uint64_t)tokens;
		return;
	}
	tokens -= b->debt;
	b->debt = 0;
	if (tokens >= b->config.size - b->tokens) {
		b->tokens = b->config.size;
		b->part = 0;
	} else {
		b->tokens += (uint64_t)tokens;
	}
}

/* Whether N tokens are there, or may be owed. */
static bool bucket_has(const struct rate_bucket *b, uint64_t n)
{
	if (b->debt > 0)
		return false;
	/* More than there can ever be: let through, and paid for later. */
	if (n > b->config.size)
		return true;
	return n <= b->tokens || n - b->tokens <= b->burst;
}

/* Takes N; what is not there is owed, besides what is owed already. */
static void bucket_take(struct rate_bucket *b, uint64_t n)
{
	uint64_t from_burst = MIN(n, b->burst);
	uint64_t from_tokens = MIN(n - from_burst, b->tokens);
	uint64_t missing = n - from_burst - from_tokens;

	b->burst -= from_burst;
	b->tokens -= from_tokens;
	b->debt += MIN(missing, UINT64_MAX - b->debt);
}

/* The instant at which bucket_has() N tokens, after bucket_fill(); 0: it has.
 */
static uint64_t bucket_ready(const struct rate_bucket *b, uint64_t n)
{
	unsigned __int128 missing = b->debt, wait;

	if (bucket_has(b, n))
		return 0;
	if (n <= b->config.size && n > b->tokens)
		missing += n - b->tokens - MIN(b->burst, n - b->tokens);
	wait = missing * b->config.refill_ns - b->part;
	wait = (wait + b->config.size - 1) / b->config.size;
	if (wait > UINT64_MAX - b->filled_ns)
		return UINT64_MAX;
	return b->filled_ns + (uint64_t)wait;
}

struct rate_bucket_config rate_bucket_of(uint64_t per_second, uint64_t burst)
{
	struct rate_bucket_config config = { .burst = burst };

	if (per_second == 0)
		return (struct rate_bucket_config){ 0 };
	config.size = MAX(per_second / BUCKETS_A_SECOND, 1u);
	config.refill_ns = (uint64_t)((unsigned __int128)config.size *
				      SECOND_NS / per_second);
	/* Faster than a token a nanosecond is no limit. */
	config.refill_ns = MAX(config.refill_ns, 1u);
	return config;
}

void rate_init(struct rate_limiter *r, const struct rate_change *change,
	       uint64_t now_ns)
{
	bucket_init(&r->bytes, change->bytes, now_ns);
	bucket_init(&r->ops, change->ops, now_ns);
}

void rate_set(struct rate_limiter *r, const struct rate_change *change,
	      uint64_t now_ns)
{
	if (change->bytes)
		bucket_init(&r->bytes, change->bytes, now_ns);
	if (change->ops)
		bucket_init(&r->ops, change->ops, now_ns);
}

bool rate_limits(const struct rate_limiter *r)
{
	return bucket_limits(&r->bytes) || bucket_limits(&r->ops);
}

uint64_t rate_most_bytes(const struct rate_limiter *r)
{
	return bucket_limits(&r->bytes) ? r->bytes.config.size : UINT64_MAX;
}

bool rate_take(struct rate_limiter *r, struct rate_amount want, uint64_t now_ns)
{
	if (rate_ready_ns(r, want, now_ns) > now_ns)
		return false;
	rate_charge(r, want, now_ns);
	return true;
}

void rate_charge(struct rate_limiter *r, struct rate_amount gone,
		 uint64_t now_ns)
{
	struct rate_bucket *bucket[] = { &r->bytes, &r->ops };
	const uint64_t n[] = { gone.bytes, gone.ops };

	for (unsigned int i = 0; i < ARRAY_SIZE(bucket); i++) {
		if (!bucket_limits(bucket[i]))
			continue;
		bucket_fill(bucket[i], now_ns);
		bucket_take(bucket[i], n[i]);
	}
}

uint64_t rate_ready_ns(struct rate_limiter *r, struct rate_amount want,
		       uint64_t now_ns)
{
	struct rate_bucket *bucket[] = { &r->bytes, &r->ops };
	const uint64_t n[] = { want.bytes, want.ops };
	uint64_t ready = now_ns;

	for (unsigned int i = 0; i < ARRAY_SIZE(bucket); i++) {
		uint64_t at;

		if (!bucket_limits(bucket[i]))
			continue;
		bucket_fill(bucket[i], now_ns);
		at = bucket_ready(bucket[i], n[i]);
		ready = MAX(ready, at);
	}
	return ready;
}
