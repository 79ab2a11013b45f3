// SPDX-License-Identifier: Apache-2.0
/*
 * ring3.h - down to ring 3 in long mode, with every port and page open to it
 */
#ifndef MOTE_TESTS_GUEST_RING3_H
#define MOTE_TESTS_GUEST_RING3_H

#include "guest.h"

#define RING3_PAGE_FLAGS 0x7ull	 /* present, writable, user */
#define RING3_LARGE_PAGE 0x80ull /* SDM 3A §4.5.4: PS, 2 MiB */

/* ring3-asm.S; never returns, goes on in user_main(). */
_Noreturn void enter_ring3(uint64_t cr3);
_Noreturn void user_main(void);

/* SDM 3A §6.14.1: the gate of #UD; its handler gets a stack of its own. */
struct ring3_gate {
	uint16_t low, selector, type, middle;
	uint64_t high;
};
extern struct ring3_gate ud_gate;

/* Maps the first 4 GiB as they are, into TABLES (a PML4, a PDPT, four PDs), and
 * goes down.
 */
static inline _Noreturn void ring3(uint64_t tables[6][512])
{
	tables[0][0] = (uintptr_t)tables[1] | RING3_PAGE_FLAGS;
	for (unsigned int i = 0; i < 4; i++) {
		tables[1][i] = (uintptr_t)tables[2 + i] | RING3_PAGE_FLAGS;
		for (uint64_t j = 0; j < 512; j++)
			tables[2 + i][j] = (i * 512ull + j) << 21 |
					   RING3_LARGE_PAGE | RING3_PAGE_FLAGS;
	}
	enter_ring3((uintptr_t)tables[0]);
}

#endif
