// SPDX-License-Identifier: Apache-2.0
/*
 * rate.h - token buckets: so many bytes and so many operations a second
 *
 * A bucket holds up to `size` tokens and fills evenly, from empty to full in
 * `refill_ns`; besides it may start with a burst that is used first and never
 * comes again.  A limiter is two buckets, bytes and operations; something goes
 * through when both have tokens.
 *
 * What is larger than a bucket would never go through.  So it does whenever
 * nothing is owed, empties the bucket, and owes the rest: nothing more goes
 * through until that is paid, and the rate holds.
 *
 * Pure arithmetic on the times that it is given, which are CLOCK_MONOTONIC and
 * may stand still, but do not go back.
 */
#ifndef MOTE_BASE_RATE_H
#define MOTE_BASE_RATE_H

#include <stdbool.h>
#include <stdint.h>

/* What the operator asks for; SIZE or REFILL_NS 0: no limit. */
struct rate_bucket_config {
	uint64_t size;	    /* tokens */
	uint64_t refill_ns; /* from empty to full */
	uint64_t burst;	    /* tokens once, besides */
};

struct rate_bucket {
	struct rate_bucket_config config;
	uint64_t tokens; /* at most config.size */
	uint64_t debt;	 /* tokens owed; only while `tokens` is 0 */
	uint64_t burst;	 /* left of config.burst */
	uint64_t part;	 /* of a token, in config.refill_ns-ths */
	uint64_t filled_ns;
};

struct rate_limiter {
	struct rate_bucket bytes, ops;
};

/* Both buckets as the operator wants them from the start. */
struct rate_config {
	struct rate_bucket_config bytes, ops;
};

/* A change of a limiter that is in use: a bucket with a configuration is new
 * and full, one without (NULL) stays as it is.
 */
struct rate_change {
	const struct rate_bucket_config *bytes, *ops;
};

/* What is to go through. */
struct rate_amount {
	uint64_t bytes, ops;
};

/* The bucket of PER_SECOND tokens a second (0: no limit) that is as small as a
 * fifth of a second's worth, so that any second looks like any other; but it
 * holds a token.
 */
struct rate_bucket_config rate_bucket_of(uint64_t per_second, uint64_t burst);

/* Full buckets at NOW_NS; NULL in CHANGE is no limit. */
void rate_init(struct rate_limiter *r, const struct rate_change *change,
	       uint64_t now_ns);

void rate_set(struct rate_limiter *r, const struct rate_change *change,
	      uint64_t now_ns);

/* Whether R limits anything. */
bool rate_limits(const struct rate_limiter *r);

/* The most bytes that go through without being owed, at the best of times. */
uint64_t rate_most_bytes(const struct rate_limiter *r);

/* Takes WANT.  True when it may go through now; otherwise nothing is taken. */
bool rate_take(struct rate_limiter *r, struct rate_amount want,
	       uint64_t now_ns);

/* Takes GONE, which went through already and whose size was not known before;
 * what is missing is owed.
 */
void rate_charge(struct rate_limiter *r, struct rate_amount gone,
		 uint64_t now_ns);

/* When rate_take() of WANT may be worth another try: the first instant, not
 * before NOW_NS, at which it says true if nobody else takes.
 */
uint64_t rate_ready_ns(struct rate_limiter *r, struct rate_amount want,
		       uint64_t now_ns);

#endif
