// SPDX-License-Identifier: Apache-2.0
/*
 * button.c - the power button reaches the guest, which then powers off
 */
#include "irq.h"

void guest_main(uintptr_t boot)
{
	(void)boot;
	irq_init();
	irq_route(LAYOUT_GSI_POWER_BUTTON, 0);
	say("waiting\n");
	irq_wait(0);
	say("pressed\n");
	pass();
}
