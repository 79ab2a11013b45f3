// SPDX-License-Identifier: Apache-2.0
/*
 * ring3.c - the load for measurements: ring 3, where every KVM runs natively
 *
 * With IOPL 3 and every page open to it, ring 3 reaches ports and device
 * registers itself.  Each phase begins and ends with a mark at port 0x80 (no
 * device: an exit that the monitor sees) and says how many TSC cycles one
 * round took.
 */
#include "ring3.h"

#define PORT_MARK 0x80
#define LOOPS	  20000000u
#define ROUNDS	  2000u

static uint64_t tables[6][512] __attribute__((aligned(4096)));

static void say_phase(const char *name, uint64_t cycles, uint32_t rounds)
{
	out8(PORT_MARK, 0);
	say_value(name, (uint32_t)(cycles / rounds));
}

static uint64_t begin(uint8_t phase)
{
	out8(PORT_MARK, phase);
	return __builtin_ia32_rdtsc();
}

void user_main(void)
{
	uint64_t start;
	uint16_t cs;

	__asm__("mov %%cs, %0" : "=r"(cs));
	CHECK((cs & 3) == 3, "not in ring 3");
	say("ring 3\n");

	start = begin(1);
	for (uint32_t i = LOOPS; i; i--)
		__asm__ volatile("");
	say_phase("loop", __builtin_ia32_rdtsc() - start, LOOPS / 1000);

	start = begin(2);
	for (uint32_t i = 0; i < ROUNDS; i++)
		out8(PORT_MARK, 2);
	say_phase("port", __builtin_ia32_rdtsc() - start, ROUNDS);

	start = begin(3);
	for (uint32_t i = 0; i < ROUNDS; i++)
		(void)read32(WINDOW(1) + REG_MAGIC);
	say_phase("mmio", __builtin_ia32_rdtsc() - start, ROUNDS);

	/* The queue is not live: the device ignores it (§2.7.10.2). */
	start = begin(4);
	for (uint32_t i = 0; i < ROUNDS; i++)
		write32(WINDOW(1) + REG_QUEUE_NOTIFY, 0);
	say_phase("doorbell", __builtin_ia32_rdtsc() - start, ROUNDS);
	pass();
}

void guest_main(uintptr_t boot)
{
	(void)boot;
	ring3(tables);
}
