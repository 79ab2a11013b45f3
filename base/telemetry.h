// SPDX-License-Identifier: Apache-2.0
/*
 * telemetry.h - counters and log2 histograms, always on
 *
 * Each has one writer at a time (its vCPU, or the loop) and any number of
 * readers: relaxed loads and stores of 64-bit words.  A reader may see a
 * sum one event ahead of its buckets; nobody sees a torn value.
 */
#ifndef MOTE_BASE_TELEMETRY_H
#define MOTE_BASE_TELEMETRY_H

#include <stddef.h>
#include <stdint.h>

#define HISTOGRAM_BUCKETS 40

struct counter {
	uint64_t value;
};

/* Bucket n holds values of [2^n, 2^(n+1)); 0 goes into bucket 0, the last one
 * holds everything above (with nanoseconds: 9 minutes).
 */
struct histogram {
	uint64_t count;
	uint64_t sum;
	uint64_t max;
	uint64_t bucket[HISTOGRAM_BUCKETS];
};

/* One counter or histogram of a larger struct and its name in reports, which
 * lists it once for all who report: lower case, underscores, a unit at the end.
 */
struct telemetry_field {
	const char *name;
	size_t offset;
	enum { TELEMETRY_COUNTER, TELEMETRY_HISTOGRAM } kind;
};

static inline void counter_add(struct counter *c, uint64_t n)
{
	uint64_t v = __atomic_load_n(&c->value, __ATOMIC_RELAXED);

	__atomic_store_n(&c->value, v + n, __ATOMIC_RELAXED);
}

/* Makes C at least N: a peak. */
static inline void counter_raise(struct counter *c, uint64_t n)
{
	if (n > __atomic_load_n(&c->value, __ATOMIC_RELAXED))
		__atomic_store_n(&c->value, n, __ATOMIC_RELAXED);
}

static inline uint64_t counter_get(const struct counter *c)
{
	return __atomic_load_n(&c->value, __ATOMIC_RELAXED);
}

void histogram_add(struct histogram *h, uint64_t value);

/* The upper bound of the bucket that holds the PERCENT-th value; 0 if empty. */
uint64_t histogram_percentile(const struct histogram *h, unsigned int percent);

#endif
