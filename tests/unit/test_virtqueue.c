// SPDX-License-Identifier: Apache-2.0
/*
 * test_virtqueue.c - the device's side of a split virtqueue: set-up, positions,
 * notifications
 */
#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "tests/unit/ring_fixture.h"

static int enable(uint32_t num, uint64_t desc, uint64_t driver, uint64_t device)
{
	struct virtq_config config = { num, desc, driver, device };
	struct virtqueue fresh = { 0 };
	int ret = virtq_enable(&fresh, &fd.gm, &config, 128, 0);

	ck_assert_int_eq(fresh.live, ret == 0);
	ck_assert(ret < 0 || fresh.size == num);
	return ret;
}

/* V2, C20, virtio 1.2 §2.7: a power of two, at most QueueNumMax, in 32 bits */
START_TEST(test_enable_size)
{
	static const uint32_t bad[] = { 0,	 3,	   6,	     127,
					129,	 256,	   0x8000,   0x10000,
					0x10001, 0x10080,  0x800000, 0x80000000,
					~0u,	 ~0u - 127 };

	start(SIZE, PLAIN);
	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_int_eq(enable(bad[i], 0, 0, 0), -EINVAL);
	for (uint32_t num = 1; num <= 128; num *= 2)
		ck_assert_int_eq(enable(num, 0x1000, 0x4000, 0x8000), 0);
	stop();
}
END_TEST

/* C20, virtio 1.2 §2.7: alignments 16, 2, 4; sizes 16n, 6+2n, 6+8n; V7: region
 * edges, hole
 */
START_TEST(test_enable_place)
{
	const uint64_t end = FD_RAM_SIZE, high = FD_HIGH_BASE;
	const uint64_t top = FD_HIGH_BASE + FD_HIGH_SIZE;

	start(SIZE, PLAIN);
	for (uint64_t i = 1; i < 16; i++)
		ck_assert_int_eq(enable(8, i, 0, 0), -EINVAL);
	ck_assert_int_eq(enable(8, 0, 1, 0), -EINVAL);
	for (uint64_t i = 1; i < 4; i++)
		ck_assert_int_eq(enable(8, 0, 0, i), -EINVAL);

	ck_assert_int_eq(enable(8, end - 128, 0, 0), 0);
	ck_assert_int_eq(enable(8, end - 112, 0, 0), -EFAULT);
	ck_assert_int_eq(enable(8, 0, end - 22, 0), 0);
	ck_assert_int_eq(enable(8, 0, end - 20, 0), -EFAULT);
	ck_assert_int_eq(enable(8, 0, 0, end - 72), 0);
	ck_assert_int_eq(enable(8, 0, 0, end - 68), -EFAULT);
	ck_assert_int_eq(enable(8, end, 0, 0), -EFAULT);
	ck_assert_int_eq(enable(8, high - 16, 0, 0), -EFAULT);
	ck_assert_int_eq(enable(8, high, high, high), 0);
	ck_assert_int_eq(enable(8, top - 128, 0, 0), 0);
	ck_assert_int_eq(enable(8, top, 0, 0), -EFAULT);
	ck_assert_int_eq(enable(8, -16ull, 0, 0), -EFAULT);
	ck_assert_int_eq(enable(8, 0, -2ull, 0), -EFAULT);
	ck_assert_int_eq(enable(8, 0, 0, -4ull), -EFAULT);
	stop();
}
END_TEST

/* D5: a live queue is not configured again. */
START_TEST(test_enable_live)
{
	struct virtq_config config = { 1, 0, 0, 0 };

	start(SIZE, PLAIN);
	ck_assert_int_eq(virtq_enable(vq, &fd.gm, &config, 8, 0), -EBUSY);
	ck_assert_uint_eq(vq->size, SIZE);
	stop();
}
END_TEST

/* One chain there and back in each layout; C28, virtio 1.2 §2.7.5.1: no
 * descriptor and no readable byte changes; C31 §2.7.5.3.2: direct, then a table
 */
START_TEST(test_round_trip)
{
	static const enum fd_layout layouts[] = { FD_DIRECT, FD_INDIRECT,
						  FD_MIXED };

	start(SIZE, ALL_OK);
	for (unsigned int i = 0; i < ARRAY_SIZE(layouts); i++) {
		struct vring_desc before[SIZE];
		struct fd_seg seg[4];
		uint16_t head, used_head;
		uint32_t len;
		char buf[8];

		seg[0] = (struct fd_seg){ fd_put(&fd, "abc", 3), 3 };
		seg[1] = (struct fd_seg){ fd_put(&fd, "de", 2), 2 };
		seg[2] = (struct fd_seg){ fd_alloc(&fd, 1), 1 };
		seg[3] = (struct fd_seg){ FD_HIGH_BASE, 4 };
		head = fd_post(&fd, Q, seg, 2, 2, layouts[i]);
		ck_assert_uint_eq(virtq_depth(vq), 1);
		memcpy(before, fd_desc(&fd, Q), sizeof(before));

		ck_assert_int_eq(virtq_pop(vq, &c), 1);
		ck_assert_uint_eq(virtq_depth(vq), 0);
		ck_assert_uint_eq(c.head, head);
		ck_assert_uint_eq(c.nr_readable, 2);
		ck_assert_uint_eq(c.nr_writable, 2);
		ck_assert_uint_eq(chain_read(&c, buf, 8), 5);
		ck_assert_mem_eq(buf, "abcde", 5);
		ck_assert_uint_eq(chain_write(&c, "vwxyz", 5), 5);
		ck_assert(!fd_used(&fd, Q, NULL, NULL));
		ck_assert_int_eq(virtq_push(vq, &c, 5), 0);
		ck_assert_int_eq(virtq_pop(vq, &c), 0);

		ck_assert(fd_used(&fd, Q, &used_head, &len));
		ck_assert_uint_eq(used_head, head);
		ck_assert_uint_eq(len, 5);
		ck_assert_mem_eq(fd_ptr(&fd, seg[2].gpa, 1), "v", 1);
		ck_assert_mem_eq(fd_ptr(&fd, FD_HIGH_BASE, 4), "wxyz", 4);
		ck_assert_mem_eq(fd_ptr(&fd, seg[0].gpa, 3), "abc", 3);
		ck_assert_mem_eq(before, fd_desc(&fd, Q), sizeof(before));
	}
	stop();
}
END_TEST

/* V3, virtio 1.2 §2.7.6.1: every distance of idx from where we are */
START_TEST(test_avail_runaway)
{
	start(SIZE, PLAIN);
	for (uint32_t delta = 0; delta < 65536; delta++) {
		int want = delta == 0 ? 0 : delta <= SIZE ? 1 : -EBADMSG;

		vq->next_avail = (uint16_t)(delta * 7);
		vq->nr_seen = 0;
		fd_avail_ring(&fd, Q)->idx = (uint16_t)(delta * 7 + delta);
		MUST(virtq_depth(vq) == (want == 1 ? delta : 0));
		MUST(virtq_pop(vq, &c) == want);
		if (want == 1)
			virtq_unpop(vq, &c);
	}
	stop();
}
END_TEST

/* V3: what idx has shown is taken as it was shown; what it says meanwhile is
 * looked at, and judged, after that
 */
START_TEST(test_avail_seen)
{
	start(SIZE, PLAIN);
	fd_publish(&fd, Q, 0);
	fd_publish(&fd, Q, 1);
	ck_assert_int_eq(virtq_pop(vq, &c), 1);
	fd_avail_ring(&fd, Q)->idx += SIZE + 1;
	ck_assert_int_eq(virtq_pop(vq, &c), 1);
	virtq_unpop(vq, &c);
	ck_assert_int_eq(virtq_pop(vq, &c), 1);
	ck_assert_uint_eq(c.head, 1);
	ck_assert_int_eq(virtq_pop(vq, &c), -EBADMSG);
	fd_avail_ring(&fd, Q)->ring[2] = 2;
	fd_avail_ring(&fd, Q)->idx = 3;
	ck_assert_int_eq(virtq_pop(vq, &c), 1);
	ck_assert_int_eq(virtq_pop(vq, &c), 0);
	stop();
}
END_TEST

/* V4: a head that is in flight is not taken again; after its push it is */
START_TEST(test_head_twice)
{
	struct chain second;

	start(SIZE, PLAIN);
	for (uint16_t head = 0; head < SIZE; head++) {
		fd_publish(&fd, Q, head);
		ck_assert_int_eq(virtq_pop(vq, &c), 1);
		fd_publish(&fd, Q, head);
		ck_assert_int_eq(virtq_pop(vq, &second), -EBADMSG);
		ck_assert_int_eq(virtq_push(vq, &c, 0), 0);
		ck_assert_int_eq(virtq_pop(vq, &second), 1);
		ck_assert_int_eq(virtq_push(vq, &second, 0), 0);
		/* What is not in flight is not pushed. */
		ck_assert_int_eq(virtq_push(vq, &second, 0), 0);
		ck_assert_uint_eq(fd_used_ring(&fd, Q)->idx, 2 * (head + 1));
	}
	stop();
}
END_TEST

/* V11: what the driver writes over our positions and events changes nothing */
START_TEST(test_scribbled_used_ring)
{
	start(SIZE, ALL_OK);
	for (uint16_t i = 0; i < 100; i++) {
		struct vring_used *used = fd_used_ring(&fd, Q);

		memset(used, i, sizeof(*used) + 8 * SIZE + 2);
		fd_publish(&fd, Q, i % SIZE);
		ck_assert_int_eq(virtq_pop(vq, &c), 1);
		ck_assert_int_eq(virtq_push(vq, &c, i), 0);
		ck_assert_uint_eq(used->idx, i + 1);
		ck_assert_uint_eq(used->ring[i % SIZE].id, i % SIZE);
		ck_assert_uint_eq(used->ring[i % SIZE].len, i);
	}
	stop();
}
END_TEST

/* C36, virtio 1.2 §2.7.6, §2.7.8: positions are free running modulo 2^16 */
START_TEST(test_wrap)
{
	struct fd_seg seg = { 16, 4 };

	start(4, ALL_OK);
	for (uint32_t i = 0; i < 3 * 65536 + 5; i++) {
		uint16_t head = fd_post(&fd, Q, &seg, 1, 0, FD_DIRECT), back;

		MUST(virtq_pop(vq, &c) == 1);
		MUST(virtq_push(vq, &c, 0) == 0);
		MUST(fd_used(&fd, Q, &back, NULL) && back == head);
		MUST(!fd_used(&fd, Q, NULL, NULL));
		MUST(virtq_pop(vq, &c) == 0);
	}
	stop();
}
END_TEST

/* C32, virtio 1.2 §2.7.7.2: without EVENT_IDX flags decide, used_event not */
START_TEST(test_notify_flags)
{
	start(SIZE, PLAIN);
	ck_assert(!virtq_should_notify(vq)); /* nothing was pushed */
	for (uint16_t i = 0; i < 20; i++) {
		bool want = i % 3;

		*fd_used_event(&fd, Q) = i % 2 ? i : (uint16_t)(i + 100);
		fd_want_irq(&fd, Q, want);
		fd_publish(&fd, Q, 0);
		ck_assert_int_eq(virtq_pop(vq, &c), 1);
		ck_assert_int_eq(virtq_push(vq, &c, 0), 0);
		ck_assert_int_eq(virtq_should_notify(vq), want);
		ck_assert(!virtq_should_notify(vq));
	}
	stop();
}
END_TEST

/* C33, virtio 1.2 §2.7.7.2: all 65536 positions of used_event, batches of every
 * size, around the wrap of idx.  The model: the entry at used_event was among
 * those that were pushed.  The flags' low bit is ignored.
 */
START_TEST(test_notify_event)
{
	start(SIZE, ALL_OK);
	fd_avail_ring(&fd, Q)->flags = VRING_AVAIL_F_NO_INTERRUPT;
	for (uint32_t event = 0; event < 65536; event++) {
		*fd_used_event(&fd, Q) = (uint16_t)event;
		for (uint16_t batch = 1; batch <= SIZE; batch++) {
			uint16_t old = (uint16_t)(0xfffb + event % 3);
			bool among = false;

			for (uint16_t i = 0; i < batch; i++)
				among |= (uint16_t)(old + i) == event;
			vq->notified_used = old;
			vq->next_used = (uint16_t)(old + batch);
			MUST(virtq_should_notify(vq) == among);
			MUST(vq->notified_used == vq->next_used);
		}
	}
	stop();
}
END_TEST

/* C35, virtio 1.2 §2.7.10.2: used.flags is 0 whatever was there; an empty ring
 * leaves avail_event at the next position, a ring that is not empty does not
 */
START_TEST(test_asks_for_kicks)
{
	static const uint64_t features[] = { PLAIN, ALL_OK };

	for (unsigned int f = 0; f < ARRAY_SIZE(features); f++) {
		start(SIZE, features[f]);
		fd_used_ring(&fd, Q)->flags = 0xffff;
		renew();
		ck_assert_uint_eq(fd_used_ring(&fd, Q)->flags, 0);
		for (uint16_t i = 0; i < 100; i++) {
			ck_assert_int_eq(virtq_pop(vq, &c), 0);
			fd_publish(&fd, Q, i % SIZE);
			ck_assert(fd_kick_wanted(&fd, Q, 1));
			ck_assert_int_eq(virtq_pop(vq, &c), 1);
			ck_assert_int_eq(virtq_push(vq, &c, 0), 0);
			ck_assert_uint_eq(*fd_avail_event(&fd, Q),
					  features[f] == ALL_OK ? i : 0);
		}
		stop();
	}
}
END_TEST

/* What is given back is popped again, and is in flight in between. */
START_TEST(test_unpop)
{
	struct fd_seg seg = { 16, 4 };
	uint16_t first, second;

	start(SIZE, ALL_OK);
	first = fd_post(&fd, Q, &seg, 1, 0, FD_DIRECT);
	second = fd_post(&fd, Q, &seg, 1, 0, FD_INDIRECT);
	for (int i = 0; i < 10; i++) {
		ck_assert_int_eq(virtq_pop(vq, &c), 1);
		ck_assert_uint_eq(c.head, first);
		virtq_unpop(vq, &c);
		virtq_unpop(vq, &c); /* once is enough */
		ck_assert_uint_eq(virtq_depth(vq), 2);
		ck_assert_uint_eq(vq->nr_in_flight, 0);
	}
	ck_assert_int_eq(virtq_pop(vq, &c), 1);
	ck_assert_int_eq(virtq_pop(vq, &c), 1);
	ck_assert_uint_eq(c.head, second);
	ck_assert_uint_eq(vq->nr_in_flight, 2);
	stop();
}
END_TEST

/* C18, virtio 1.2 §4.2.2.1: a queue that is not live is not touched */
START_TEST(test_disabled)
{
	struct fd_seg seg = { 16, 4 };
	struct vring_used *used;
	struct chain other;

	start(SIZE, ALL_OK);
	used = fd_used_ring(&fd, Q);
	fd_post(&fd, Q, &seg, 1, 0, FD_DIRECT);
	fd_post(&fd, Q, &seg, 1, 0, FD_DIRECT);
	ck_assert_int_eq(virtq_pop(vq, &c), 1);
	ck_assert_int_eq(virtq_push(vq, &c, 0), 0);
	ck_assert_int_eq(virtq_pop(vq, &c), 1);
	virtq_disable(vq);
	memset(used, 0x5a, sizeof(*used) + 8 * SIZE + 2);
	ck_assert_int_eq(virtq_push(vq, &c, 1), 0);
	virtq_unpop(vq, &c);
	ck_assert_int_eq(virtq_pop(vq, &other), 0);
	ck_assert_uint_eq(virtq_depth(vq), 0);
	ck_assert(!virtq_should_notify(vq));
	for (size_t i = 0; i < sizeof(*used) + 8 * SIZE + 2; i++)
		ck_assert_uint_eq(((uint8_t *)used)[i], 0x5a);
	ck_assert_uint_eq(vq->nr_in_flight, 0);
	stop();
}
END_TEST

/* V31: a budget ends a batch, and what is given back does not count */
START_TEST(test_budget)
{
	struct fd_seg seg = { 16, 4 };

	start(SIZE, ALL_OK);
	for (int i = 0; i < SIZE; i++)
		fd_post(&fd, Q, &seg, 1, 0, FD_DIRECT);
	vq->budget = 3;
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(virtq_pop(vq, &c), 1);
	ck_assert_int_eq(virtq_pop(vq, &c), 0);
	virtq_unpop(vq, &c);
	ck_assert_int_eq(virtq_pop(vq, &c), 1);
	ck_assert_int_eq(virtq_pop(vq, &c), 0);
	vq->budget = VIRTQ_NO_BUDGET;
	for (int i = 3; i < SIZE; i++)
		ck_assert_int_eq(virtq_pop(vq, &c), 1);
	ck_assert_uint_eq(vq->budget, VIRTQ_NO_BUDGET);
	stop();
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("virtqueue");
	TCase *tc = tcase_create("virtqueue");

	tcase_add_test(tc, test_enable_size);
	tcase_add_test(tc, test_enable_place);
	tcase_add_test(tc, test_enable_live);
	tcase_add_test(tc, test_round_trip);
	tcase_add_test(tc, test_avail_runaway);
	tcase_add_test(tc, test_avail_seen);
	tcase_add_test(tc, test_head_twice);
	tcase_add_test(tc, test_scribbled_used_ring);
	tcase_add_test(tc, test_wrap);
	tcase_add_test(tc, test_notify_flags);
	tcase_add_test(tc, test_notify_event);
	tcase_add_test(tc, test_asks_for_kicks);
	tcase_add_test(tc, test_unpop);
	tcase_add_test(tc, test_disabled);
	tcase_add_test(tc, test_budget);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
