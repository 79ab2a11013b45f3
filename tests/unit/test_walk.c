// SPDX-License-Identifier: Apache-2.0
/*
 * test_walk.c - descriptor chains exhaustively in a small scope
 *
 * The scope: queues of 1, 2 and 4, descriptors and an indirect table of two
 * entries whose fields take edge values in all combinations.  A descriptor gets
 * its values when the model first looks at it, so that those that no walk
 * reaches are not enumerated.  What is valid is used, too.
 */
#include <stdio.h>
#include <string.h>

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "base/util.h"
#include "tests/unit/echo_device.h"
#include "tests/unit/unit.h"
#include "virtio/virtqueue.h"

#define RAM_SIZE (16u * PAGE_SIZE)
#define AVAIL	 0x1000u
#define USED	 0x2000u
#define TABLE	 0x3000u /* of TABLE_NR entries */
#define TABLE_NR 2
#define BUFFER	 0x4000u
#define MAX_SIZE 4

/* Address and length, and whether they fit in memory. */
static const struct {
	uint64_t addr;
	uint32_t len;
	bool inside;
} places[] = {
	{ BUFFER, 16, true },	       { TABLE, 16 * TABLE_NR, true },
	{ BUFFER, 0, true },	       { RAM_SIZE - 16, 16, true },
	{ RAM_SIZE - 16, 32, false },  { -16ull, 16, false },
	{ BUFFER, 1u << 31, false },   { RAM_SIZE, 0, true },
	{ RAM_SIZE - 1, 1, true },     { RAM_SIZE, 1, false },
	{ BUFFER, UINT32_MAX, false },
};

static const uint16_t nexts[] = { 0, 1, 2, 3, 4, 0xffff };

#define NR_VALUES (ARRAY_SIZE(places) * 8 * ARRAY_SIZE(nexts))

/* Place 2 and nothing else: what a descriptor of zeros amounts to. */
#define ZERO_VALUE 2

/* Cells: the queue's descriptors, then the table's. */
struct scope {
	struct guest_memory gm;
	uint8_t *ram;
	struct virtqueue vq;
	struct virtq_config config;
	uint64_t features;
	unsigned int known; /* bit for each cell with a value */
	unsigned int value[MAX_SIZE + TABLE_NR];
	unsigned long valid, invalid;
};

/* What the model says of a chain. */
struct verdict {
	int need; /* a cell without value, or -1 */
	bool valid;
	uint64_t bytes[2]; /* readable, writable */
};

static void scope_init(struct scope *s, uint32_t size, uint64_t features)
{
	memset(s, 0, sizeof(*s));
	s->ram = aligned_alloc(PAGE_SIZE, RAM_SIZE);
	memset(s->ram, 0, RAM_SIZE);
	gmem_add(&s->gm, 0, RAM_SIZE, s->ram);
	s->config = (struct virtq_config){ size, 0, AVAIL, USED };
	s->features = features;
	ck_assert_int_eq(virtq_enable(&s->vq, &s->gm, &s->config,
				      VIRTQ_MAX_SIZE, features),
			 0);
}

static void scope_fini(struct scope *s)
{
	free(s->ram);
}

static struct vring_desc decode(unsigned int value)
{
	unsigned int place = value % ARRAY_SIZE(places);

	value /= ARRAY_SIZE(places);
	return (struct vring_desc){ .addr = places[place].addr,
				    .len = places[place].len,
				    .flags = value % 8,
				    .next = nexts[value / 8] };
}

static void set_cell(struct scope *s, unsigned int cell, unsigned int value)
{
	struct vring_desc d = decode(value);
	uint64_t at = cell < s->vq.size ? 16u * cell
					: TABLE + 16u * (cell - s->vq.size);

	s->value[cell] = value;
	s->known |= 1u << cell;
	memcpy(s->ram + at, &d, sizeof(d));
}

/* Lists the data descriptors of the chain at 0 in LIST, as values.  Returns
 * their number, -1 for a chain that breaks a rule of its links, or -2 when
 * *NEED must be known first.
 */
static int model_path(const struct scope *s, unsigned int *list, int *need)
{
	unsigned int base = 0, n = s->vq.size, i = 0;
	int nr = 0;

	for (;;) {
		struct vring_desc d;

		if (i >= n)
			return -1;
		if (!(s->known >> (base + i) & 1)) {
			*need = (int)(base + i);
			return -2;
		}
		d = decode(s->value[base + i]);
		if (!(d.flags & VRING_DESC_F_INDIRECT)) {
			if (nr == s->vq.size)
				return -1;
			list[nr++] = s->value[base + i];
			if (!(d.flags & VRING_DESC_F_NEXT))
				return nr;
			i = d.next;
			continue;
		}
		if (base || !s->vq.indirect || d.flags & VRING_DESC_F_NEXT ||
		    d.len % 16 || d.len < 16 || d.len / 16 > s->vq.size ||
		    !places[s->value[i] % ARRAY_SIZE(places)].inside)
			return -1;
		if (d.addr != TABLE) {
			if (nr == s->vq.size)
				return -1;
			list[nr++] = ZERO_VALUE;
			return nr;
		}
		base = s->vq.size;
		n = TABLE_NR;
		i = 0;
	}
}

static struct verdict model(const struct scope *s)
{
	struct verdict v = { .need = -1 };
	unsigned int list[MAX_SIZE];
	int nr = model_path(s, list, &v.need);
	bool writing = false;

	for (int i = 0; i < nr; i++) {
		struct vring_desc d = decode(list[i]);
		bool w = d.flags & VRING_DESC_F_WRITE;

		if (writing && !w)
			return v;
		writing = w;
		if (d.len && !places[list[i] % ARRAY_SIZE(places)].inside)
			return v;
		v.bytes[w] += d.len;
	}
	v.valid = nr >= 0;
	return v;
}

/* The chain is inside memory, is written to its end and returned: used once,
 * with as many bytes as were written, and no sooner than it was available.
 */
static void use(struct scope *s, struct chain *c)
{
	const struct vring_used *used = (void *)(s->ram + USED);
	uint64_t room = chain_writable(c);
	unsigned int known = s->known;

	MUST(c->nr_readable + c->nr_writable <= s->vq.size);
	for (int i = 0; i < c->nr_readable + c->nr_writable; i++) {
		const uint8_t *p = c->seg[i].iov_base;

		MUST(c->seg[i].iov_len > 0 && p >= s->ram);
		MUST(c->seg[i].iov_len <= (size_t)(s->ram + RAM_SIZE - p));
	}
	MUST(used->idx == 0 && s->vq.nr_in_flight == 1);
	MUST(chain_write_zeros(c, RAM_SIZE) == room);
	MUST(virtq_push(&s->vq, c, (uint32_t)room) == 0);
	MUST(used->idx == 1 && used->ring[0].id == 0);
	MUST(used->ring[0].len == room && s->vq.nr_in_flight == 0);
	MUST(virtq_pop(&s->vq, c) == 0);
	MUST(virtq_push(&s->vq, c, 0) == 0 && used->idx == 1);
	/* What was written may have been the table. */
	for (unsigned int cell = 0; known; cell++, known >>= 1) {
		if (known & 1)
			set_cell(s, cell, s->value[cell]);
	}
}

static void compare(struct scope *s, struct verdict v)
{
	struct chain c;
	int ret;

	s->vq.next_avail = s->vq.next_used = 0;
	s->ram[AVAIL + 2] = 1;
	s->ram[USED + 2] = 0;
	ret = virtq_pop(&s->vq, &c);
	MUST((ret == 1) == v.valid);
	if (ret != 1) {
		s->invalid++;
		return;
	}
	s->valid++;
	MUST(chain_readable(&c) == v.bytes[0]);
	MUST(chain_writable(&c) == v.bytes[1]);
	use(s, &c);
}

/* Gives the next cell that is needed each value of every STEP-th. */
static void explore(struct scope *s, unsigned int depth)
{
	struct verdict v = model(s);
	unsigned int step = depth < 3 ? 1 : 23;

	if (v.need < 0) {
		compare(s, v);
		return;
	}
	for (unsigned int value = 0; value < NR_VALUES; value += step) {
		set_cell(s, (unsigned int)v.need, value);
		explore(s, depth + 1);
	}
	s->known &= ~(1u << v.need);
}

/* V5, V6, virtio 1.2 §2.7.5, §2.7.5.2, §2.7.5.3.1: chains up to the whole scope
 */
START_TEST(test_small_scope)
{
	const uint64_t indirect = 1ull << VIRTIO_RING_F_INDIRECT_DESC;

	for (uint32_t size = 1; size <= MAX_SIZE; size *= 2) {
		for (int i = 0; i < 2; i++) {
			struct scope s;

			scope_init(&s, size, i ? indirect : 0);
			explore(&s, 0);
			printf("# %u %d valid %lu invalid %lu\n", size, i,
			       s.valid, s.invalid);
			ck_assert_uint_gt(s.valid, 0);
			ck_assert_uint_gt(s.invalid, s.valid);
			scope_fini(&s);
		}
	}
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("walk");
	TCase *tc = tcase_create("walk");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_small_scope);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
