// SPDX-License-Identifier: Apache-2.0
/*
 * spin.c - a guest that spins for ever is ended by --timeout and by signals
 */
#include "guest.h"

void guest_main(uintptr_t boot)
{
	(void)boot;
	say("spinning\n");
	for (;;)
		__asm__ volatile("" ::: "memory");
}
