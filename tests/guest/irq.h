// SPDX-License-Identifier: Apache-2.0
/*
 * irq.h - interrupts for a tiny guest: eight vectors that count themselves
 *
 * 32-bit guests only.  Line N of the eight is vector IRQ_VECTOR + N.
 */
#ifndef MOTE_TESTS_GUEST_IRQ_H
#define MOTE_TESTS_GUEST_IRQ_H

#include "guest.h"

#define IRQ_VECTOR 0x40

#define APIC_ID		  0x020
#define APIC_SPURIOUS	  0x0f0
#define APIC_ICR	  0x300
#define APIC_ICR_HI	  0x310
#define APIC_LVT_TIMER	  0x320
#define APIC_TIMER_COUNT  0x380
#define APIC_TIMER_DIVIDE 0x3e0

/* How often line N has fired. */
extern volatile uint32_t irq_count[8];

/* Loads a GDT and an IDT, enables the local APIC; interrupts stay off. */
void irq_init(void);

/* Routes GSI to line LINE of this CPU, edge triggered. */
void irq_route(unsigned int gsi, unsigned int line);

/* Halts until line LINE has fired; interrupts are off again on return. */
void irq_wait(unsigned int line);

static inline void apic_write(unsigned int reg, uint32_t value)
{
	write32(LAYOUT_LOCAL_APIC + reg, value);
}

static inline uint32_t apic_read(unsigned int reg)
{
	return read32(LAYOUT_LOCAL_APIC + reg);
}

#endif
