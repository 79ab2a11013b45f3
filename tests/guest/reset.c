// SPDX-License-Identifier: Apache-2.0
/*
 * reset.c - the reset register ends the machine, and only its own value does
 */
#include "guest.h"

void guest_main(uintptr_t boot)
{
	(void)boot;
	out8(LAYOUT_PORT_RESET, 0);
	say("still here\n");
	out8(LAYOUT_PORT_RESET, LAYOUT_RESET_VALUE);
	fail("alive after reset");
}
