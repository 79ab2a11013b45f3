// SPDX-License-Identifier: Apache-2.0
/*
 * test_conformance.c - what the specification demands of each device that mote
 * has: features, registers, configuration space
 *
 * docs/conformance.md says which rule is tested where.
 */
#include "base/bus.h"
#include "tests/unit/each_device.h"

#define REG_QUEUE_RESET 0x0c0 /* virtio 1.2 §4.2.2, not in the UAPI header */
#define CONFIG		96    /* bytes, more than any configuration space */
#define S_SUSPEND	0x10  /* virtio 1.4 §3.4.2, likewise */

/* C3, virtio 1.2 §4.2.2: there are no placeholders.  A device has an ID, and
 * where there is no device there is not even a magic value.
 */
START_TEST(no_placeholder)
{
	const uint64_t base = 0xd0000000, size = VIRTIO_MMIO_WINDOW;
	struct bus bus = { 0 };
	uint32_t value;

	set_up(_i);
	ck_assert_uint_ne(fd_reg(&fd, VIRTIO_MMIO_DEVICE_ID), 0);
	ck_assert_uint_eq(fd_reg(&fd, VIRTIO_MMIO_DEVICE_ID), expected[_i].id);
	start(_i);
	ck_assert_int_eq(bus_add(&bus, base, size, &fd.mmio.target), 0);
	ck_assert(bus_read(&bus, base, &value, 4));
	ck_assert_uint_eq(value, 0x74726976);
	for (uint64_t off = 0; off < size; off += 4) {
		const uint64_t empty[] = { base - size + off,
					   base + size + off };

		for (unsigned int i = 0; i < ARRAY_SIZE(empty); i++) {
			uint32_t zero = 0;

			value = 0;
			ck_assert(!bus_write(&bus, empty[i], &zero, 4));
			ck_assert(!bus_read(&bus, empty[i], &value, 4));
			ck_assert_uint_eq(value, UINT32_MAX);
		}
	}
	serve(_i);
}
END_TEST

/* C9, virtio 1.2 §2.2.2: what is offered is what is built, and nothing else */
START_TEST(offers_what_is_built)
{
	set_up(_i);
	ck_assert_uint_eq(fd_device_features(&fd), expected[_i].features);
	start(_i);
	serve(_i);
}
END_TEST

/* C6, virtio 1.2 §2.2.2: nothing is offered without what it requires ; B1 §5.2.5.2: FLUSH
 * is offered
 */
START_TEST(requirements_are_offered)
{
	static const struct {
		uint32_t id;
		unsigned int bit, requires;
	} row[] = {
		{ VIRTIO_ID_BLOCK, VIRTIO_BLK_F_CONFIG_WCE,
		  VIRTIO_BLK_F_FLUSH },
		/* virtio 1.2 §5.1.3.1 */
		{ VIRTIO_ID_NET, VIRTIO_NET_F_GUEST_TSO4,
		  VIRTIO_NET_F_GUEST_CSUM },
		{ VIRTIO_ID_NET, VIRTIO_NET_F_GUEST_TSO6,
		  VIRTIO_NET_F_GUEST_CSUM },
		{ VIRTIO_ID_NET, VIRTIO_NET_F_GUEST_ECN,
		  VIRTIO_NET_F_GUEST_TSO4 },
		{ VIRTIO_ID_NET, VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_F_CSUM },
		{ VIRTIO_ID_NET, VIRTIO_NET_F_HOST_TSO6, VIRTIO_NET_F_CSUM },
		{ VIRTIO_ID_NET, VIRTIO_NET_F_HOST_ECN,
		  VIRTIO_NET_F_HOST_TSO4 },
		{ VIRTIO_ID_NET, VIRTIO_NET_F_GUEST_USO4,
		  VIRTIO_NET_F_GUEST_CSUM },
		{ VIRTIO_ID_NET, VIRTIO_NET_F_GUEST_USO6,
		  VIRTIO_NET_F_GUEST_CSUM },
		{ VIRTIO_ID_NET, VIRTIO_NET_F_HOST_USO, VIRTIO_NET_F_CSUM },
	};
	uint64_t offered;

	set_up(_i);
	offered = fd_device_features(&fd);
	for (unsigned int i = 0; i < ARRAY_SIZE(row); i++) {
		if (row[i].id == expected[_i].id && offered >> row[i].bit & 1)
			ck_assert(offered >> row[i].requires & 1);
	}
	if (expected[_i].id == VIRTIO_ID_BLOCK)
		ck_assert(offered & BLK(FLUSH));
}
END_TEST

/* C7, C5, virtio 1.2 §2.2.2, §6.2: each subset of what is offered is accepted
 * if VERSION_1 is in it, and nothing with a bit that is not offered
 */
START_TEST(every_subset)
{
	uint64_t all = expected[_i].features;
	unsigned int n = 0;
	uint64_t subset = 0;

	set_up(_i);
	do {
		bool good = subset >> VIRTIO_F_VERSION_1 & 1;

		ck_assert_int_eq(fd_negotiate(&fd, subset), good);
		/* Of 2^17 a few hundred go all the way. */
		if (expected[_i].id == VIRTIO_ID_NET && n++ % 256 > 0)
			good = false;
		if (good && fd_start(&fd, subset))
			fd_run_loop(&fd);
		subset = (subset - all) & all;
	} while (subset != 0);
	for (unsigned int bit = 0; bit < 64; bit++) {
		if (all >> bit & 1)
			continue;
		ck_assert(!fd_negotiate(&fd, all | 1ull << bit));
		ck_assert_uint_eq(fd_reg(&fd, VIRTIO_MMIO_STATUS), 3);
	}
	start(_i);
	serve(_i);
}
END_TEST

#define ANY 0

/* Rules for those who offer something that we do not. */
START_TEST(not_offered)
{
	static const struct {
		uint32_t id;
		unsigned int bit;
	} row[] = {
		/* C37, virtio 1.2 §2.9, §6.2: ACCESS_PLATFORM, RING_PACKED,
		 * IN_ORDER, ORDER_PLATFORM, NOTIFICATION_DATA
		 */
		{ ANY, 33 },
		{ ANY, 34 },
		{ ANY, 35 },
		{ ANY, 36 },
		{ ANY, 38 },
		/* C38, §6.2: SR_IOV, of PCI alone */
		{ ANY, 37 },
		/* C22, C23, C24, §4.2.2.1, §2.6.1.1.1, §2.6.1.2.1: RING_RESET
		 */
		{ ANY, 40 },
		/* C43, virtio 1.4 §3.4.2: SUSPEND is among the later ones */
		{ ANY, 41 },
		{ ANY, 42 },
		{ ANY, 43 },
		{ ANY, 44 },
		/* B4, §5.2.6.2: SECURE_ERASE */
		{ VIRTIO_ID_BLOCK, 16 },
		/* B12, §5.2.6.2: LIFETIME; B7, §5.2.6.2: ZONED */
		{ VIRTIO_ID_BLOCK, 15 },
		{ VIRTIO_ID_BLOCK, 17 },
		/* L1, §5.5.3.2; L4, §5.5.6.5.2; L5, §5.5.6.7.2 */
		{ VIRTIO_ID_BALLOON, VIRTIO_BALLOON_F_MUST_TELL_HOST },
		{ VIRTIO_ID_BALLOON, VIRTIO_BALLOON_F_FREE_PAGE_HINT },
		{ VIRTIO_ID_BALLOON, VIRTIO_BALLOON_F_PAGE_POISON },
		/* K2, §5.3.6.2.1 */
		{ VIRTIO_ID_CONSOLE, VIRTIO_CONSOLE_F_MULTIPORT },
		/* N2, N3, §5.1.4.1: MQ, RSS, HASH_REPORT, SPEED_DUPLEX */
		{ VIRTIO_ID_NET, VIRTIO_NET_F_MQ },
		{ VIRTIO_ID_NET, VIRTIO_NET_F_RSS },
		{ VIRTIO_ID_NET, VIRTIO_NET_F_HASH_REPORT },
		{ VIRTIO_ID_NET, VIRTIO_NET_F_SPEED_DUPLEX },
		/* N9, §5.1.6.5: the control queue and what needs it */
		{ VIRTIO_ID_NET, VIRTIO_NET_F_CTRL_VQ },
		{ VIRTIO_ID_NET, VIRTIO_NET_F_CTRL_RX },
		{ VIRTIO_ID_NET, VIRTIO_NET_F_CTRL_VLAN },
		{ VIRTIO_ID_NET, VIRTIO_NET_F_CTRL_RX_EXTRA },
		{ VIRTIO_ID_NET, VIRTIO_NET_F_CTRL_MAC_ADDR },
		{ VIRTIO_ID_NET, VIRTIO_NET_F_CTRL_GUEST_OFFLOADS },
		{ VIRTIO_ID_NET, VIRTIO_NET_F_GUEST_ANNOUNCE },
		/* S7, §5.10.3 */
		{ VIRTIO_ID_VSOCK, VIRTIO_VSOCK_F_SEQPACKET },
	};
	uint64_t offered;

	set_up(_i);
	offered = fd_device_features(&fd);
	for (unsigned int i = 0; i < ARRAY_SIZE(row); i++) {
		if (row[i].id != ANY && row[i].id != expected[_i].id)
			continue;
		ck_assert_uint_eq(offered >> row[i].bit & 1, 0);
		ck_assert(!fd_negotiate(&fd, offered | 1ull << row[i].bit));
	}
}
END_TEST

/* C22, C23, C24, virtio 1.2 §4.2.2.1, §2.6.1.1.1, §2.6.1.2.1: no RING_RESET, so
 * QueueReset reads 0 and a write to it changes nothing
 */
START_TEST(queue_reset_is_nothing)
{
	static const uint32_t value[] = { 0, 1, 2, UINT32_MAX };

	set_up(_i);
	start(_i);
	for (uint32_t q = 0; q < expected[_i].queues; q++) {
		fd_set_reg(&fd, VIRTIO_MMIO_QUEUE_SEL, q);
		for (unsigned int i = 0; i < ARRAY_SIZE(value); i++) {
			fd_set_reg(&fd, REG_QUEUE_RESET, value[i]);
			ck_assert_uint_eq(fd_reg(&fd, REG_QUEUE_RESET), 0);
			ck_assert_uint_eq(fd_reg(&fd, VIRTIO_MMIO_QUEUE_READY),
					  1);
		}
	}
	serve(_i);
}
END_TEST

/* C39, virtio 1.2 §2.10.2; C25, §4.2.2: no shared memory that could expose
 * anything: each id has length -1 and base -1, at any time
 */
START_TEST(no_shared_memory)
{
	set_up(_i);
	for (int started = 0; started < 2; started++) {
		for (uint32_t id = 0; id < 257; id++) {
			fd_set_reg(&fd, VIRTIO_MMIO_SHM_SEL, id);
			for (uint32_t r = VIRTIO_MMIO_SHM_LEN_LOW;
			     r <= VIRTIO_MMIO_SHM_BASE_HIGH; r += 4)
				ck_assert_uint_eq(fd_reg(&fd, r), UINT32_MAX);
		}
		start(_i);
	}
	serve(_i);
}
END_TEST

/* The configuration space byte by byte, little-endian; returns its size. */
static size_t expected_config(enum subject subject, uint8_t *config)
{
	/* virtio 1.2 §5.2.4, §5.3.4, §5.5.4 */
	static const uint8_t disk[] = { 0x03, 0x02, 0x01, [12] = 254 };
	static const uint8_t terminal[] = { 0x34, 0x12, 0x78, 0x56, 1 };
	/* §5.1.4: mac, link up, no pairs, mtu */
	static const uint8_t net[] = { 2, 3, 4, 5, 6, 7, 1, 0, 0, 0, 0x78, 5 };

	memset(config, 0, CONFIG);
	if (subject == ENTROPY)
		return 0;
	if (subject == SOCKETS) {
		put_le64(config, CID); /* §5.10.4 */
		return 8;
	}
	if (subject == BALLOONIST) {
		config[1] = 1; /* 256 pages */
		return 8;
	}
	if (subject == NETWORK) {
		memcpy(config, net, sizeof(net));
		return sizeof(net);
	}
	if (subject == TERMINAL) {
		out.port.user->resized(out.port.user, 0x1234, 0x5678);
		memcpy(config, terminal, sizeof(terminal));
		return sizeof(struct virtio_console_config);
	}
	memcpy(config, disk, sizeof(disk));
	config[0x15] = SECTOR_SIZE >> 8; /* blk_size */
	config[0x20] = 1;		 /* writeback */
	if (subject != READ_ONLY_DISK) {
		config[0x26] = 1 << 21 >> 16; /* max_discard_sectors */
		config[0x28] = 64;	      /* max_discard_seg */
		config[0x2c] = 8;	      /* discard_sector_alignment */
		config[0x32] = 1 << 21 >> 16; /* max_write_zeroes_sectors */
		config[0x34] = 64;	      /* max_write_zeroes_seg */
		config[0x38] = 1;	      /* write_zeroes_may_unmap */
	}
	return sizeof(struct virtio_blk_config);
}

/* C26, virtio 1.2 §2.5.2: every field, those of features too, before anything
 * is negotiated; C27, §2.5: little-endian, at any offset and width; V14: zeros
 * beyond the end
 */
START_TEST(config_at_any_time)
{
	const uint8_t step[] = { 0, 1, 3, 11, 15 };
	uint8_t want[CONFIG], got[8];
	size_t size;

	set_up(_i);
	size = expected_config(_i, want);
	ck_assert_uint_le(size, sizeof(want));
	for (unsigned int s = 0; s < ARRAY_SIZE(step); s++) {
		if (step[s] == 15)
			start(_i);
		else if (step[s] == 11)
			ck_assert(fd_negotiate(&fd, expected[_i].features));
		else
			set_status(step[s]);
		ck_assert_uint_eq(status(), step[s]);
		for (unsigned int len = 1; len <= 8; len++) {
			for (size_t off = 0; off + len <= CONFIG; off++) {
				memset(got, 0xcc, len);
				fd_mmio_read(&fd, VIRTIO_MMIO_CONFIG + off, got,
					     len);
				ck_assert_mem_eq(got, want + off, len);
			}
		}
	}
}
END_TEST

/* C43, virtio 1.4 §3.4.2: SUSPEND is not offered: the bit does not stick, and
 * nothing is suspended
 */
START_TEST(no_suspend)
{
	set_up(_i);
	start(_i);
	set_status(15 | S_SUSPEND);
	ck_assert_uint_eq(status(), 15);
	serve(_i);
	set_status(15);
	serve(_i);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("conformance");
	TCase *tc = tcase_create("each device");

	tcase_add_checked_fixture(tc, NULL, tear_down); /* set_up() needs _i */
	tcase_add_loop_test(tc, no_placeholder, 0, NR_SUBJECTS);
	tcase_add_loop_test(tc, offers_what_is_built, 0, NR_SUBJECTS);
	tcase_add_loop_test(tc, requirements_are_offered, 0, NR_SUBJECTS);
	tcase_add_loop_test(tc, every_subset, 0, NR_SUBJECTS);
	tcase_add_loop_test(tc, not_offered, 0, NR_SUBJECTS);
	tcase_add_loop_test(tc, queue_reset_is_nothing, 0, NR_SUBJECTS);
	tcase_add_loop_test(tc, no_shared_memory, 0, NR_SUBJECTS);
	tcase_add_loop_test(tc, config_at_any_time, 0, NR_SUBJECTS);
	tcase_add_loop_test(tc, no_suspend, 0, NR_SUBJECTS);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
