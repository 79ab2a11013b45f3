// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_rate.c - token buckets against a model, and against what they promise
 *
 * The input is a kind and a list of actions: time passes (or is read out of
 * order), something is asked for, something is charged, limits change.  The
 * model keeps one signed number a bucket, tokens times the time to fill it, and
 * must agree on every answer and on the instant of the next.  Apart from it,
 * between any two moments no more goes through than a bucket, the burst, what
 * flowed in, and one thing that was too large.  Numbers are below 2^48, so that
 * 128 bits hold everything; in the other kind of input they are any 64 bits, and
 * the answers have to agree with each other alone.
 */
#include <stdlib.h>
#include <string.h>

#include "base/rate.h"
#include "base/util.h"

#define NUMBER_MASK ((1ull << 48) - 1)
#define MOST_CHARGE 4096u /* actions, so that sums stay in bounds */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct model {
	uint64_t size, refill;
	__int128 level; /* tokens times refill; below 0: owed */
	uint64_t burst;
	uint64_t at; /* level is of this time */

	/* The promise. */
	__int128 gone;	/* times refill, less what flowed in */
	__int128 least; /* that gone has been */
	uint64_t first_burst, largest;
};

struct fuzz {
	struct rate_limiter rate;
	struct model bytes, ops;
	uint64_t now;
	bool any; /* 64-bit numbers, no model */
	const uint8_t *data;
	size_t len;
};

static void must(bool cond)
{
	if (!cond)
		abort();
}

static uint64_t take_bytes(struct fuzz *f, size_t n)
{
	uint64_t value = 0;

	n = MIN(n, f->len);
	memcpy(&value, f->data, n);
	f->data += n;
	f->len -= n;
	return value;
}

/* Small numbers meet more often than large ones. */
static uint64_t number(struct fuzz *f)
{
	static const size_t width[] = { 1, 1, 2, 4, 6, 8 };
	uint64_t value = take_bytes(f, width[take_bytes(f, 1) % 6]);

	return f->any ? value : value & NUMBER_MASK;
}

static bool limits(const struct model *m)
{
	return m->size > 0 && m->refill > 0;
}

static void model_set(struct model *m, const struct rate_bucket_config *c,
		      uint64_t now)
{
	*m = (struct model){
		.size = c->size,
		.refill = c->refill_ns,
		.level = (__int128)c->size * c->refill_ns,
		.burst = c->burst,
		.first_burst = c->burst,
		.at = now,
	};
}

static void model_flow(struct model *m, uint64_t now)
{
	__int128 full = (__int128)m->size * m->refill;
	__int128 in;

	if (!limits(m) || now <= m->at)
		return;
	in = (__int128)(now - m->at) * m->size;
	m->at = now;
	m->level = MIN(m->level + in, full);
	m->gone -= in;
	m->least = MIN(m->least, m->gone);
}

static bool model_may(const struct model *m, uint64_t n)
{
	__int128 want = (__int128)n * m->refill;
	__int128 burst = (__int128)m->burst * m->refill;

	if (!limits(m))
		return true;
	if (m->level < 0)
		return false;
	return n > m->size || want <= m->level ||
	       (__int128)n - m->level / m->refill <= m->burst ||
	       want - m->level <= burst;
}

static void model_take(struct model *m, uint64_t n)
{
	uint64_t from_burst = MIN(n, m->burst);
	__int128 bound;

	if (!limits(m))
		return;
	m->burst -= from_burst;
	m->level -= (__int128)(n - from_burst) * m->refill;
	m->gone += (__int128)n * m->refill;
	m->largest = MAX(m->largest, n);
	bound = (__int128)m->size + m->first_burst + m->largest + 1;
	must(m->gone - m->least <= bound * m->refill);
}

static bool both_may(const struct fuzz *f, struct rate_amount want)
{
	return model_may(&f->bytes, want.bytes) && model_may(&f->ops, want.ops);
}

static void flow(struct fuzz *f, uint64_t now)
{
	if (f->any)
		return;
	model_flow(&f->bytes, now);
	model_flow(&f->ops, now);
}

/* The instant that is promised is the first one. */
static void check_ready(struct fuzz *f, struct rate_amount want)
{
	struct rate_limiter copy = f->rate;
	struct fuzz later = *f;
	uint64_t at = rate_ready_ns(&copy, want, f->now);

	must(at >= f->now);
	if (at == UINT64_MAX)
		return;
	if (at > f->now) {
		copy = f->rate;
		must(!rate_take(&copy, want, at - 1));
	}
	copy = f->rate;
	must(rate_take(&copy, want, at));
	if (f->any)
		return;
	if (at > f->now) {
		flow(&later, at - 1);
		must(!both_may(&later, want));
	}
	flow(&later, at);
	must(both_may(&later, want));
}

static void ask(struct fuzz *f)
{
	struct rate_amount want = { number(f), take_bytes(f, 1) % 4 };
	bool taken;

	check_ready(f, want);
	flow(f, f->now);
	taken = rate_take(&f->rate, want, f->now);
	if (f->any)
		return;
	must(taken == both_may(f, want));
	if (taken) {
		model_take(&f->bytes, want.bytes);
		model_take(&f->ops, want.ops);
	}
}

/* What has gone through when nothing was owed. */
static void charge(struct fuzz *f)
{
	const struct rate_amount one = { 0, 1 };
	struct rate_amount gone = { number(f), 1 };

	flow(f, f->now);
	if (rate_ready_ns(&f->rate, one, f->now) > f->now)
		return;
	rate_charge(&f->rate, gone, f->now);
	if (!f->any) {
		model_take(&f->bytes, gone.bytes);
		model_take(&f->ops, gone.ops);
	}
}

static void change(struct fuzz *f)
{
	uint8_t which = (uint8_t)take_bytes(f, 1);
	struct rate_bucket_config bytes = { number(f), number(f), number(f) };
	struct rate_bucket_config ops = { take_bytes(f, 1), number(f),
					  take_bytes(f, 1) };

	if (which & 4)
		bytes = rate_bucket_of(bytes.size, bytes.burst);
	rate_set(&f->rate,
		 &(struct rate_change){ which & 1 ? &bytes : NULL,
					which & 2 ? &ops : NULL },
		 f->now);
	if (f->any)
		return;
	if (which & 1)
		model_set(&f->bytes, &bytes, f->now);
	if (which & 2)
		model_set(&f->ops, &ops, f->now);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct rate_change none;
	struct fuzz f = { .data = data, .len = len };

	f.any = take_bytes(&f, 1) & 1;
	rate_init(&f.rate, &none, f.now);
	for (unsigned int i = 0; f.len > 0 && i < MOST_CHARGE; i++) {
		switch (take_bytes(&f, 1) % 6) {
		case 0:
			change(&f);
			break;
		case 1:
			charge(&f);
			break;
		case 2: /* out of order: changes nothing */
			must(rate_ready_ns(&f.rate, (struct rate_amount){ 0 },
					   f.now / 2) >= f.now / 2);
			break;
		case 3:
			f.now += MIN(number(&f), UINT64_MAX - f.now);
			break;
		default:
			ask(&f);
		}
		must(f.rate.bytes.tokens <= f.rate.bytes.config.size);
		must(f.rate.bytes.debt == 0 || f.rate.bytes.tokens == 0);
	}
	return 0;
}
