// SPDX-License-Identifier: Apache-2.0
/*
 * widths.c - every width and alignment, inside windows and across their ends
 *
 * virtio 1.2 §4.2.2.2 wants 32-bit aligned accesses; anything else must be
 * harmless.  Long mode, for the 64-bit ones.
 */
#include "guest.h"

static uint64_t read64(uintptr_t addr)
{
	uint64_t value;

	__asm__ volatile("movq (%1), %0" : "=r"(value) : "r"(addr) : "memory");
	return value;
}

static void write64(uintptr_t addr, uint64_t value)
{
	__asm__ volatile("movq %0, (%1)" ::"r"(value), "r"(addr) : "memory");
}

static void copy_bytes(uintptr_t to, uintptr_t from, uint64_t len)
{
	__asm__ volatile("rep movsb"
			 : "+D"(to), "+S"(from), "+c"(len)::"memory");
}

static void all_widths(uintptr_t addr)
{
	(void)read8(addr);
	(void)read16(addr);
	(void)read32(addr);
	(void)read64(addr);
}

/* Writes of nothing but zeros: no status bit, no doorbell that matters. */
static void write_widths(uintptr_t addr)
{
	write8(addr, 0);
	write16(addr, 0);
	write32(addr, 0);
	write64(addr, 0);
}

static void check_alive(void)
{
	CHECK(read32(WINDOW(0) + REG_MAGIC) == VIRTIO_MAGIC, "console magic");
	CHECK(read32(WINDOW(1) + REG_MAGIC) == VIRTIO_MAGIC, "entropy magic");
	CHECK(read32(WINDOW(1) + REG_DEVICE_ID) == ID_RNG, "entropy id");
}

void guest_main(uintptr_t boot)
{
	static uint8_t buffer[64];

	(void)boot;
	for (uintptr_t off = 0; off < 0x120; off++)
		all_widths(WINDOW(1) + off);
	check_alive();
	say("reads\n");
	for (uintptr_t off = 0; off < 0x120; off++)
		write_widths(WINDOW(1) + off);
	check_alive();
	say("writes\n");
	/* From before the first window to past its end, and off the last. */
	for (uintptr_t off = 1; off < 8; off++) {
		all_widths(WINDOW(0) - off);
		all_widths(WINDOW(1) - off);
		all_widths(WINDOW(2) - off);
		write_widths(WINDOW(2) - off);
	}
	check_alive();
	say("ends\n");
	copy_bytes((uintptr_t)buffer, WINDOW(1), sizeof(buffer));
	copy_bytes(WINDOW(1) + REG_CONFIG, (uintptr_t)buffer, sizeof(buffer));
	CHECK(read64(WINDOW(LAYOUT_MAX_DEVICES)) == ~0ull,
	      "64 bits of nothing");
	check_alive();
	say("strings\n");
	/* The bus beyond 4 GiB and the end of what can be addressed below. */
	all_widths(0xfffffff0);
	check_alive();
	pass();
}
