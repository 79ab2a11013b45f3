// SPDX-License-Identifier: Apache-2.0
/*
 * bios-reset.c - real mode and a jump to ffff:0 reset the machine
 *
 * That is how a PC's BIOS is started again, and where Linux goes when EFI's
 * reset, which it prefers on hardware-reduced ACPI, is not there.
 */
#include "guest.h"

#define TRAMPOLINE 0x10000u /* bios-reset-asm.S knows it, too */

extern const uint8_t trampoline[], trampoline_end[];
_Noreturn void enter_trampoline(void);

void guest_main(uintptr_t boot)
{
	volatile uint8_t *to = (volatile uint8_t *)TRAMPOLINE;

	(void)boot;
	for (const uint8_t *from = trampoline; from < trampoline_end;)
		*to++ = *from++;
	say("jumping\n");
	enter_trampoline();
}
