// SPDX-License-Identifier: Apache-2.0
/*
 * halt.c - a guest that halts with interrupts off is idle, not ended
 */
#include "guest.h"

void guest_main(uintptr_t boot)
{
	(void)boot;
	say("halting\n");
	__asm__ volatile("cli");
	for (;;)
		halt();
}
