// SPDX-License-Identifier: Apache-2.0
/*
 * io.c - registers that are there, and what is read where nothing is
 */
#include "irq.h"

#define APIC_LVT_LINT0 0x350
#define LVT_MASKED     0x10000

static void check_window(unsigned int n, uint32_t id)
{
	uintptr_t window = WINDOW(n);

	CHECK(read32(window + REG_MAGIC) == VIRTIO_MAGIC, "magic");
	CHECK(read32(window + REG_VERSION) == 2, "version");
	CHECK(read32(window + REG_DEVICE_ID) == id, "device id");
	/* A register that keeps what it is told: §2.1, bits are only added. */
	write32(window + REG_STATUS, STATUS_ACKNOWLEDGE);
	CHECK(read32(window + REG_STATUS) == 1, "status");
	write32(window + REG_STATUS, 0);
	CHECK(read32(window + REG_STATUS) == 0, "status after reset");
	/* §4.2.2: QueueNumMax is 0 for a queue that is not there. */
	write32(window + REG_QUEUE_SEL, 77);
	CHECK(read32(window + REG_QUEUE_MAX) == 0, "queue 77 exists");
}

/* No device: all ones, whatever the width. */
static void check_empty_memory(uintptr_t addr)
{
	write32(addr, 0x12345678);
	CHECK(read8(addr) == 0xff, "8 bits of nothing");
	CHECK(read16(addr) == 0xffff, "16 bits of nothing");
	CHECK(read32(addr) == 0xffffffff, "32 bits of nothing");
}

static void check_empty_port(uint16_t port)
{
	out8(port, 0x12);
	CHECK(in8(port) == 0xff, "8-bit port of nothing");
	CHECK(in16(port) == 0xffff, "16-bit port of nothing");
	CHECK(in32(port) == 0xffffffff, "32-bit port of nothing");
}

void guest_main(uintptr_t boot)
{
	(void)boot;
	check_window(0, ID_CONSOLE);
	check_window(1, ID_RNG);
	check_empty_memory(WINDOW(LAYOUT_MAX_DEVICES));
	check_empty_memory(WINDOW(LAYOUT_MAX_DEVICES) + 0xffc);
	check_empty_memory(0xd0000000);
	say("memory\n");
	check_empty_port(0x70);	  /* clock */
	check_empty_port(0xcf8);  /* PCI */
	check_empty_port(0x3f8);  /* 16550, not asked for */
	check_empty_port(0x1f0);  /* disk */
	check_empty_port(0xfffc); /* the last ones */
	say("ports\n");
	/* SDM 3A §11.4.7.1: masked after reset.  KVM's irqchip has a PIC behind
	 * it that no table lists, and that would send vectors of its own.
	 */
	CHECK(apic_read(APIC_LVT_LINT0) & LVT_MASKED, "LINT0 is open");
	pass();
}
