// SPDX-License-Identifier: Apache-2.0
/*
 * unemulated.c - what KVM cannot emulate for ring 3 is that program's trouble
 *
 * POPCNT of a device register: the CPU runs the instruction, KVM must emulate
 * the access, and its interpreter does not know POPCNT.  The guest gets #UD and
 * goes on; no program in a guest may end the machine.
 */
#include "ring3.h"

static uint64_t tables[6][512] __attribute__((aligned(4096)));

static _Noreturn void undefined(void)
{
	say("undefined\n");
	pass();
}

_Noreturn void user_main(void)
{
	uintptr_t handler = (uintptr_t)undefined;
	uint32_t bits;

	ud_gate.low = (uint16_t)handler;
	ud_gate.middle = (uint16_t)(handler >> 16);
	say("ring 3\n");
	__asm__ volatile("popcntl (%1), %0"
			 : "=r"(bits)
			 : "r"(WINDOW(1) + REG_MAGIC)
			 : "memory", "cc");
	/* A KVM that knows it: as good. */
	say_value("emulated", bits);
	pass();
}

void guest_main(uintptr_t boot)
{
	(void)boot;
	ring3(tables);
}
