// SPDX-License-Identifier: Apache-2.0
/*
 * test_net.c - virtio net: features, configuration space, the link, offloads
 */
#include "tests/unit/net_fixture.h"

static const struct virtio_net_hdr_v1 plain;

static uint16_t status_field(void)
{
	uint8_t field[2];

	fd_config_read(&fd, 6, field, 2);
	return get_le16(field);
}

static void set_up_features(uint64_t features, uint16_t mtu)
{
	struct virtio_net_params params = { .mtu = mtu };
	struct virtio_device *vdev;

	fd_fini(&fd);
	wire_fini(&wire);
	fd_init(&fd);
	wire_init(&wire);
	wire.backend.features = features;
	ck_assert_int_eq(
		virtio_net_create(&fd.env, &params, &wire.backend, &vdev), 0);
	fd_attach(&fd, vdev);
}

/* C9, virtio 1.2 §5.1.3: what the back end can do, and nothing else.  N2
 * §5.1.4.1, N3 §5.1.4.1, N9 §5.1.6.5: no MQ, RSS, HASH_REPORT, SPEED_DUPLEX,
 * CTRL_*, GUEST_ANNOUNCE; no UFO, RSC_EXT, GUEST_HDRLEN, STANDBY either
 */
START_TEST(features)
{
	static const unsigned int absent[] = {
		VIRTIO_NET_F_CTRL_GUEST_OFFLOADS,
		VIRTIO_NET_F_GUEST_UFO,
		VIRTIO_NET_F_HOST_UFO,
		VIRTIO_NET_F_CTRL_VQ,
		VIRTIO_NET_F_CTRL_RX,
		VIRTIO_NET_F_CTRL_VLAN,
		VIRTIO_NET_F_CTRL_RX_EXTRA,
		VIRTIO_NET_F_GUEST_ANNOUNCE,
		VIRTIO_NET_F_MQ,
		VIRTIO_NET_F_CTRL_MAC_ADDR,
		VIRTIO_NET_F_HASH_REPORT,
		VIRTIO_NET_F_RSS,
		VIRTIO_NET_F_RSC_EXT,
		VIRTIO_NET_F_STANDBY,
		VIRTIO_NET_F_SPEED_DUPLEX,
		59, /* GUEST_HDRLEN */
	};
	uint64_t offered = fd_device_features(&fd);

	ck_assert_uint_eq(fd_reg(&fd, VIRTIO_MMIO_DEVICE_ID), VIRTIO_ID_NET);
	ck_assert_uint_eq(offered, NET_ALL);
	for (unsigned int i = 0; i < ARRAY_SIZE(absent); i++)
		ck_assert(!(offered >> absent[i] & 1));
	for (unsigned int q = 0; q < 3; q++) {
		fd_set_reg(&fd, VIRTIO_MMIO_QUEUE_SEL, q);
		ck_assert_uint_eq(fd_reg(&fd, VIRTIO_MMIO_QUEUE_NUM_MAX),
				  q < 2 ? 256 : 0);
	}
	set_up_features(0, 0);
	ck_assert_uint_eq(fd_device_features(&fd),
			  FD_FEATURES | NET(MRG_RXBUF) | NET(MAC) |
				  NET(STATUS));
	/* USO is the newest, and not every host has it. */
	set_up_features(NET_TX_OFFLOADS & ~NET(HOST_USO), 0);
	ck_assert_uint_eq(fd_device_features(&fd) & NET_TX_OFFLOADS,
			  NET_TX_OFFLOADS & ~NET(HOST_USO));
	set_up_features(NET_TX_OFFLOADS | NET(GUEST_CSUM), 1400);
	ck_assert_uint_eq(fd_device_features(&fd),
			  FD_FEATURES | NET(MRG_RXBUF) | NET(MAC) |
				  NET(STATUS) | NET(MTU) | NET_TX_OFFLOADS |
				  NET(GUEST_CSUM));
}
END_TEST

/* N1, N2, virtio 1.2 §5.1.4: mac, status, max_virtqueue_pairs (not offered: 0),
 * mtu, which never changes; the driver writes nothing
 */
START_TEST(config)
{
	static const uint8_t ones[4] = { 255, 255, 255, 255 };
	uint8_t got[16], all[16] = { 2, 1, 2, 3, 4, 5, 1, 0, 0, 0 };

	put_le16(all + 10, 1400);
	fd_fini(&fd);
	wire_fini(&wire);
	set_up_mtu(1400);
	for (int round = 0; round < 2; round++) {
		fd_config_read(&fd, 0, got, sizeof(got));
		ck_assert_mem_eq(got, all, sizeof(all));
		for (unsigned int off = 0; off < 12; off++)
			fd_mmio_write(&fd, VIRTIO_MMIO_CONFIG + off, ones, 1);
		start(NET_ALL | NET(MTU));
	}
}
END_TEST

/* N7, virtio 1.2 §5.1.6.4.1: the back end's offloads are those that were
 * negotiated, from the first doorbell on, and none before there is a driver;
 * it is told by the loop, not by a vCPU
 */
START_TEST(offloads)
{
	static const uint64_t set[] = {
		0,
		NET(GUEST_CSUM),
		NET(GUEST_CSUM) | NET(GUEST_TSO4),
		NET_RX_OFFLOADS,
		NET(GUEST_CSUM) | NET(GUEST_TSO6) | NET(GUEST_ECN),
		0,
	};
	unsigned int calls = 1;

	ck_assert_uint_eq(wire.set_offloads, calls);
	ck_assert_uint_eq(wire.offloads, 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(set); i++) {
		ck_assert(
			fd_start(&fd, FD_FEATURES | NET_TX_OFFLOADS | set[i]));
		ck_assert_uint_eq(wire.set_offloads, calls);
		fd_run_loop(&fd);
		ck_assert_uint_eq(wire.set_offloads, ++calls);
		ck_assert_uint_eq(wire.offloads, set[i]);
		fd_kick(&fd, TX);
		fd_kick(&fd, RX);
		ck_assert_uint_eq(wire.set_offloads, calls);
	}
}
END_TEST

/* virtio 1.2 §5.1.4.2: the link goes down with the back end; the driver is told
 * once, what it sends is used, and nothing turns
 */
enum end { HANG_UP, RECEIVE_FAILS, SEND_FAILS, HELD_SEND_FAILS, NR_ENDS };

START_TEST(link_down)
{
	uint32_t generation;

	start(NET_ALL);
	ck_assert_uint_eq(status_field(), VIRTIO_NET_S_LINK_UP);
	generation = fd_reg(&fd, VIRTIO_MMIO_CONFIG_GENERATION);
	post_rx(100);
	fd_kick(&fd, RX);
	wire_put(&plain, 5000); /* will wait */
	fd_run_loop(&fd);
	fd.irq.pulses = 0;
	switch ((enum end)_i) {
	case HANG_UP:
		wire_fini(&wire);
		break;
	case RECEIVE_FAILS:
		wire.receive_error = -ENODEV;
		for (int i = 0; i < 60; i++)
			post_rx(100);
		fd_kick(&fd, RX);
		break;
	case HELD_SEND_FAILS:
		wire.send_error = -EAGAIN;
		post_tx(&plain, 60, 100);
		fd_kick(&fd, TX);
		wire.send_error = -ENODEV;
		break;
	default:
		wire.send_error = -ENODEV;
		send_one(&plain, 60);
	}
	fd_run_loop(&fd);
	ck_assert_uint_eq(status_field(), 0);
	ck_assert_uint_eq(fd_reg(&fd, VIRTIO_MMIO_CONFIG_GENERATION),
			  generation + 1);
	ck_assert(fd_reg(&fd, VIRTIO_MMIO_INTERRUPT_STATUS) &
		  VIRTIO_MMIO_INT_CONFIG);
	ck_assert_uint_ge(fd.irq.pulses, 1);
	ck_assert_uint_eq(busy_turns(), 0);
	ck_assert_ptr_null(fd.loop.timers);
	if (_i == HELD_SEND_FAILS)
		used_tx();

	wire.send_error = 0;
	for (int i = 0; i < 600; i++)
		send_one(&plain, 60);
	ck_assert_uint_ge(counter_get(&stats()->tx_no_link), 600);
	ck_assert_uint_eq(fd_reg(&fd, VIRTIO_MMIO_CONFIG_GENERATION),
			  generation + 1);
	ck_assert(!needs_reset());

	/* The next driver sees it from the start. */
	start(NET_ALL);
	ck_assert_uint_eq(status_field(), 0);
	post_rx(2000);
	fd_kick(&fd, RX);
	send_one(&plain, 60);
	ck_assert_uint_eq(busy_turns(), 0);
}
END_TEST

/* Nobody is there to hear it. */
START_TEST(link_down_early)
{
	wire_fini(&wire);
	ck_assert_uint_le(busy_turns(), 1);
	ck_assert_uint_eq(busy_turns(), 0);
	ck_assert_uint_eq(fd.irq.pulses, 0);
	ck_assert_uint_eq(status_field(), 0);
	start(NET_ALL);
	send_one(&plain, 60);
	ck_assert_uint_eq(wire.sends, 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("net");
	TCase *tc = tcase_create("net");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, features);
	tcase_add_test(tc, config);
	tcase_add_test(tc, offloads);
	tcase_add_loop_test(tc, link_down, 0, NR_ENDS);
	tcase_add_test(tc, link_down_early);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
