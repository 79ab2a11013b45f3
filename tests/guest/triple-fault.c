// SPDX-License-Identifier: Apache-2.0
/*
 * triple-fault.c - a CPU that shuts down is reported as a crash
 */
#include "guest.h"

void guest_main(uintptr_t boot)
{
	(void)boot;
	say("falling\n");
	triple_fault();
}
