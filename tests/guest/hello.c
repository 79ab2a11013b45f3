// SPDX-License-Identifier: Apache-2.0
/*
 * hello.c - the first instruction is reached, the console speaks, S5 ends it
 */
#include "guest.h"

void guest_main(uintptr_t boot)
{
	(void)boot;
	say("hello\n");
	power_off();
}
