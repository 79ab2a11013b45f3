// SPDX-License-Identifier: Apache-2.0
/*
 * test_net_limits.c - rate limits of the network device, each way
 */
#include "tests/unit/fake_clock.h"
#include "tests/unit/net_fixture.h"

#define START (1000 * SECOND)

static const struct virtio_net_hdr_v1 plain;

static void set_up_clock(void)
{
	fake_now = START;
	set_up();
	start(FD_FEATURES);
}

static void tear_down_clock(void)
{
	tear_down();
	fake_now = 0;
}

/* SIZE bytes and OPS frames a second one way; 0: no limit. */
static void limit(unsigned int q, uint64_t size, uint64_t ops)
{
	const struct rate_bucket_config b = { size, SECOND, 0 };
	const struct rate_bucket_config o = { ops, SECOND, 0 };
	const struct rate_change change = { &b, &o };

	virtio_net_set_rates(fd.vdev, q == RX ? &change : NULL,
			     q == TX ? &change : NULL);
}

static void at(uint64_t ns)
{
	fake_now = START + ns;
	for (int i = 0; i < 8; i++)
		loop_step(&fd.loop, 0);
}

static unsigned int used(unsigned int q)
{
	unsigned int n = 0;

	while (fd_used(&fd, q, NULL, NULL))
		n++;
	return n;
}

/* Frames wait in the driver's queue, in order; the frame counts, its header
 * does not.
 */
START_TEST(transmit)
{
	limit(TX, 1000, 0);
	for (unsigned int i = 0; i < 6; i++)
		post_tx(&plain, 500 + i, 300);
	fd_kick(&fd, TX);
	ck_assert_uint_eq(used(TX), 1);
	check_wire(500);
	ck_assert_uint_eq(busy_turns(), 0);
	ck_assert_uint_eq(fd.vdev->vq[TX].nr_in_flight, 0);
	at(SECOND / 1000 - 1);
	check_wire_empty();
	at(SECOND / 1000); /* 500 are left and one came in */
	check_wire(501);
	check_wire_empty();
	for (unsigned int i = 2; i < 6; i++) {
		uint64_t bytes = 500 + i * 500 + i * (i + 1) / 2;

		at((bytes - 1000) * (SECOND / 1000) - 1);
		check_wire_empty();
		at((bytes - 1000) * (SECOND / 1000));
		check_wire(500 + i);
	}
	ck_assert_uint_eq(used(TX), 5);
	ck_assert_uint_eq(counter_get(&stats()->tx_packets), 6);
}
END_TEST

/* What is not sent costs nothing, and a full wire is paid for once. */
START_TEST(transmit_what_is_paid)
{
	struct virtio_net_hdr_v1 bad = { .gso_type = 77 };

	limit(TX, 0, 2);
	for (int i = 0; i < 10; i++)
		send_one(&bad, 60);
	wire.send_error = -EAGAIN;
	post_tx(&plain, 60, 100);
	fd_kick(&fd, TX);
	for (int i = 0; i < 5; i++)
		fd_kick(&fd, TX);
	ck_assert_uint_eq(used(TX), 0);
	wire.send_error = 0;
	at(0);
	ck_assert_uint_eq(used(TX), 1);
	post_tx(&plain, 60, 100);
	post_tx(&plain, 60, 100);
	fd_kick(&fd, TX);
	ck_assert_uint_eq(used(TX), 1);
	at(SECOND / 2);
	ck_assert_uint_eq(used(TX), 1);
}
END_TEST

/* Frames wait in the back end, which is not looked at; one that is larger than
 * the bucket comes through, and is paid for before the next.
 */
START_TEST(receive)
{
	unsigned int reads;

	for (int i = 0; i < 8; i++)
		post_rx(4096);
	fd_kick(&fd, RX);
	limit(RX, 1000, 0);
	for (int i = 0; i < 3; i++)
		wire_put(&plain, 3000);
	at(0);
	ck_assert_uint_eq(used(RX), 1);
	reads = wire.receives;
	ck_assert_uint_eq(busy_turns(), 0);
	for (int i = 0; i < 20; i++)
		fd_kick(&fd, RX);
	at(2 * SECOND - 1);
	ck_assert_uint_eq(wire.receives, reads);
	at(2 * SECOND);
	ck_assert_uint_eq(used(RX), 1);
	at(5 * SECOND - 1);
	ck_assert_uint_eq(used(RX), 0);
	/* A new rate: the third, and what is quiet stays quiet. */
	limit(RX, 0, 0);
	ck_assert_uint_eq(used(RX), 1);
	ck_assert_uint_eq(busy_turns(), 0);
	ck_assert_ptr_null(fd.loop.timers);
	ck_assert_uint_eq(counter_get(&stats()->rx_packets), 3);
	ck_assert_uint_eq(counter_get(&stats()->rx_no_buffers), 0);
}
END_TEST

START_TEST(receive_frames)
{
	for (int i = 0; i < 16; i++)
		post_rx(4096);
	fd_kick(&fd, RX);
	limit(RX, 0, 4);
	for (int i = 0; i < 10; i++)
		wire_put(&plain, 100);
	at(0);
	ck_assert_uint_eq(used(RX), 4);
	for (unsigned int i = 1; i <= 6; i++) {
		at(i * SECOND / 4 - 1);
		ck_assert_uint_eq(used(RX), 0);
		at(i * SECOND / 4);
		ck_assert_uint_eq(used(RX), 1);
	}
	/* Frames that the driver does not get cost it nothing. */
	at(9 * SECOND);
	for (int i = 0; i < 5; i++)
		wire_put(&plain, 10); /* too short */
	for (int i = 0; i < 4; i++)
		wire_put(&plain, 100);
	at(9 * SECOND);
	ck_assert_uint_eq(used(RX), 4);
}
END_TEST

/* One way does not hold up the other, a reset neither. */
START_TEST(ways_are_apart)
{
	limit(RX, 100, 0);
	limit(TX, 100, 0);
	post_rx(4096);
	post_rx(4096);
	fd_kick(&fd, RX);
	wire_put(&plain, 100000 % 60000);
	at(0);
	ck_assert_uint_eq(used(RX), 0); /* 40000 bytes: the buffers are small */
	fd_reset(&fd);
	start(FD_FEATURES | NET(MRG_RXBUF));
	for (int i = 0; i < 16; i++)
		post_rx(4096);
	fd_kick(&fd, RX);
	wire_put(&plain, 40000);
	at(0);
	ck_assert_uint_eq(used(RX), 10);
	wire_put(&plain, 100);
	post_tx(&plain, 100, 200);
	fd_kick(&fd, TX);
	at(SECOND);
	ck_assert_uint_eq(used(TX), 1);
	ck_assert_uint_eq(used(RX), 0);
	fd_reset(&fd);
	ck_assert_uint_eq(busy_turns(), 0);
	start(FD_FEATURES | NET(MRG_RXBUF));
	post_rx(4096);
	fd_kick(&fd, RX);
	at(399 * SECOND - 1);
	ck_assert_uint_eq(used(RX), 0);
	ck_assert_uint_eq(busy_turns(), 0);
	at(400 * SECOND);
	ck_assert_uint_eq(used(RX), 1);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("net limits");
	TCase *tc = tcase_create("net limits");

	tcase_add_checked_fixture(tc, set_up_clock, tear_down_clock);
	tcase_add_test(tc, transmit);
	tcase_add_test(tc, transmit_what_is_paid);
	tcase_add_test(tc, receive);
	tcase_add_test(tc, receive_frames);
	tcase_add_test(tc, ways_are_apart);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
