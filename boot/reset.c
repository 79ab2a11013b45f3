// SPDX-License-Identifier: Apache-2.0
/*
 * reset.c - the code at the reset vector, for kernels that reset through a BIOS
 *
 * On hardware-reduced ACPI a Linux kernel built with EFI support prefers EFI's
 * reset (reboot_init(): efi_reboot_required()), finds that there is none, and
 * falls back to the BIOS: it goes to real mode and jumps to ffff:0.  Here five
 * instructions stand there that write ACPI's reset register.  The alternative,
 * a reboot=a on every command line, would be one more word that an operator can
 * forget to repeat.
 */
#include "base/util.h"
#include "boot/layout.h"
#include "boot/reset.h"

int reset_write_vector(struct guest_memory *gm)
{
	static const uint8_t code[] = {
		0xba,
		LAYOUT_PORT_RESET & 0xff,
		LAYOUT_PORT_RESET >> 8,
		0xb0,
		LAYOUT_RESET_VALUE, /* mov dx, port; mov al, value */
		0xee,		    /* out dx, al */
		0xf4,		    /* hlt */
		0xeb,
		0xfd, /* jmp to the hlt */
	};

	static_assert(sizeof(code) <= 0x100000 - LAYOUT_RESET_VECTOR,
		      "what follows is the kernel's");
	return gmem_write(gm, LAYOUT_RESET_VECTOR, code, sizeof(code));
}
