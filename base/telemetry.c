// SPDX-License-Identifier: Apache-2.0
/*
 * telemetry.c - log2 histograms
 */
#include "base/telemetry.h"
#include "base/util.h"

/* One writer: a load and a store are enough, no locked instruction. */
static void bump(uint64_t *p, uint64_t n)
{
	__atomic_store_n(p, __atomic_load_n(p, __ATOMIC_RELAXED) + n,
			 __ATOMIC_RELAXED);
}

void histogram_add(struct histogram *h, uint64_t value)
{
	unsigned int n = 63 - (unsigned int)__builtin_clzll(value | 1);

	bump(&h->bucket[MIN(n, HISTOGRAM_BUCKETS - 1u)], 1);
	bump(&h->sum, value);
	bump(&h->count, 1);
	if (value > __atomic_load_n(&h->max, __ATOMIC_RELAXED))
		__atomic_store_n(&h->max, value, __ATOMIC_RELAXED);
}

uint64_t histogram_percentile(const struct histogram *h, unsigned int percent)
{
	uint64_t count = __atomic_load_n(&h->count, __ATOMIC_RELAXED);
	uint64_t wanted = (count * MIN(percent, 100u) + 99) / 100;
	uint64_t seen = 0;

	if (count == 0)
		return 0;
	for (unsigned int n = 0; n < HISTOGRAM_BUCKETS - 1u; n++) {
		seen += __atomic_load_n(&h->bucket[n], __ATOMIC_RELAXED);
		if (seen >= wanted)
			return (2ull << n) - 1;
	}
	return __atomic_load_n(&h->max, __ATOMIC_RELAXED);
}
