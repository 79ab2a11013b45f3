// SPDX-License-Identifier: Apache-2.0
/*
 * poweroff.c - S5 in the sleep control register ends the machine
 *
 * Other sleep types, and S5 without sleep enable, do not.
 */
#include "guest.h"

void guest_main(uintptr_t boot)
{
	(void)boot;
	out8(LAYOUT_PORT_SLEEP_CONTROL, LAYOUT_SLEEP_TYPE_S5 << 2);
	out8(LAYOUT_PORT_SLEEP_CONTROL, 1 << 2 | 0x20);
	say("still here\n");
	out8(LAYOUT_PORT_SLEEP_CONTROL, LAYOUT_SLEEP_TYPE_S5 << 2 | 0x20);
	fail("alive after S5");
}
