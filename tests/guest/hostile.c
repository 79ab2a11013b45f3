// SPDX-License-Identifier: Apache-2.0
/*
 * hostile.c - a guest that breaks every rule gets nothing, and loses nothing
 *
 * First thousands of random accesses to all registers of all windows.  Then
 * rings that are malformed, each in one way: the console must say
 * DEVICE_NEEDS_RESET, the entropy device must go on, and a reset must bring the
 * console back.
 */
#include "driver.h"

#define POKES	   4000
#define NR_WINDOWS 3 /* the last one is empty */
#define NR_ABUSES  7
#define TX_QUEUE   1
#define EMERGENCY  (REG_CONFIG + 8)
#define NOT_RAM	   0xd0000000u
#define PATIENCE   200000u

static volatile struct ring tx, entropy;
static volatile uint8_t random_bytes[16];
static const char greeting[] = "console is back\n";

static uint32_t next_random(void)
{
	static uint32_t x = 2463534242u;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return x;
}

static void poke(void)
{
	uint32_t r = next_random(), value = next_random();
	uint32_t offset = r & 0x1ff;
	uintptr_t addr = WINDOW((r >> 10) % NR_WINDOWS) + offset;

	/* Half of all values are small, as real ones are. */
	if (r >> 30 & 1)
		value &= 0xff;
	/* What we say is compared: the voice is left alone. */
	if (offset + 4 > EMERGENCY && offset < EMERGENCY + 4)
		return;
	switch (r >> 27 & 7) {
	case 0:
		write8(addr, (uint8_t)value);
		break;
	case 1:
		write16(addr, (uint16_t)value);
		break;
	case 2:
		(void)read8(addr);
		break;
	case 3:
		(void)read16(addr);
		break;
	case 4:
		(void)read32(addr);
		break;
	default:
		/* Aligned, or nothing would ever be reached. */
		write32(addr & ~(uintptr_t)3, value);
		break;
	}
}

static void check_entropy(void)
{
	driver_reset(WINDOW(1));
	driver_queue(WINDOW(1), 0, &entropy);
	driver_ok(WINDOW(1));
	entropy.desc[0].addr = (uint32_t)(uintptr_t)random_bytes;
	entropy.desc[0].len = sizeof(random_bytes);
	entropy.desc[0].flags = DESC_WRITE;
	driver_post(WINDOW(1), 0, &entropy);
	CHECK(driver_used(&entropy, 1), "the entropy device is silent");
}

/* Makes the console's ring wrong in one way (virtio 1.2 §2.7). */
static void abuse_ring(unsigned int how)
{
	tx.desc[0].addr = (uint32_t)(uintptr_t)greeting;
	tx.desc[0].len = 4;
	switch (how) {
	case 0: /* §2.7.5: an address outside memory */
		tx.desc[0].addr = NOT_RAM;
		break;
	case 1: /* an address that wraps */
		tx.desc[0].addr = ~0ull - 1;
		break;
	case 2: /* a length that leaves memory */
		tx.desc[0].len = 0xffffffff;
		break;
	case 3: /* a chain that is a loop */
		tx.desc[0].flags = DESC_NEXT;
		tx.desc[0].next = 0;
		break;
	case 4: /* a chain that leaves the table */
		tx.desc[0].flags = DESC_NEXT;
		tx.desc[0].next = RING_SIZE;
		break;
	case 5: /* more available than the ring holds */
		tx.avail.idx = 1000;
		break;
	case 6: /* a head outside the table */
		tx.avail.idx = 1;
		tx.avail.ring[0] = 0xffff;
		break;
	}
}

static void check_needs_reset(void)
{
	for (uint32_t i = 0; i < PATIENCE; i++)
		if (read32(WINDOW(0) + REG_STATUS) & STATUS_NEEDS_RESET)
			return;
	fail("no DEVICE_NEEDS_RESET");
}

static void abuse_console(unsigned int how)
{
	driver_reset(WINDOW(0));
	driver_queue(WINDOW(0), TX_QUEUE, &tx);
	driver_ok(WINDOW(0));
	abuse_ring(how);
	if (how < 5)
		driver_post(WINDOW(0), TX_QUEUE, &tx);
	else
		write32(WINDOW(0) + REG_QUEUE_NOTIFY, TX_QUEUE);
	check_needs_reset();
	CHECK(tx.used.idx == 0, "a malformed chain was used");
}

/* Queues that cannot go live: §2.7, §4.2.3.2. */
static void bad_queues(void)
{
	static const uint32_t bad[][2] = {
		{ REG_QUEUE_NUM, 0 },	       { REG_QUEUE_NUM, 3 },
		{ REG_QUEUE_NUM, 0x10000 },    { REG_QUEUE_DESC, NOT_RAM },
		{ REG_QUEUE_DESC, 1 },	       { REG_QUEUE_DESC_HI, ~0u },
		{ REG_QUEUE_DRIVER, NOT_RAM }, { REG_QUEUE_DEVICE, NOT_RAM },
		{ REG_QUEUE_DEVICE_HI, 1 },
	};

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		driver_reset(WINDOW(0));
		driver_describe(WINDOW(0), TX_QUEUE, &tx);
		write32(WINDOW(0) + bad[i][0], bad[i][1]);
		write32(WINDOW(0) + REG_QUEUE_READY, 1);
		driver_ok(WINDOW(0));
		write32(WINDOW(0) + REG_QUEUE_NOTIFY, TX_QUEUE);
	}
	check_entropy();
}

void guest_main(uintptr_t boot)
{
	(void)boot;
	for (unsigned int i = 0; i < POKES; i++)
		poke();
	check_entropy();
	say("pokes\n");
	for (uint32_t q = 0; q < 300; q++)
		write32(WINDOW(q % NR_WINDOWS) + REG_QUEUE_NOTIFY, q * 977);
	bad_queues();
	say("queues\n");
	for (unsigned int how = 0; how < NR_ABUSES; how++) {
		abuse_console(how);
		check_entropy();
		say_value("ring", how);
	}
	driver_reset(WINDOW(0));
	driver_queue(WINDOW(0), TX_QUEUE, &tx);
	driver_ok(WINDOW(0));
	tx.desc[0].addr = (uint32_t)(uintptr_t)greeting;
	tx.desc[0].len = sizeof(greeting) - 1;
	driver_post(WINDOW(0), TX_QUEUE, &tx);
	CHECK(driver_used(&tx, 1), "the console is silent");
	pass();
}
