// SPDX-License-Identifier: Apache-2.0
/*
 * irq.c - descriptor tables and interrupt controllers of a tiny guest
 */
#include "irq.h"

#define IOAPIC_SELECT LAYOUT_IOAPIC
#define IOAPIC_WINDOW (LAYOUT_IOAPIC + 0x10)
#define IOAPIC_ROUTE  0x10 /* two registers for each pin */

#define CODE_SELECTOR  0x08
#define INTERRUPT_GATE 0x8e00

struct gate {
	uint16_t low, selector, type, high;
};

struct pointer {
	uint16_t limit;
	uint32_t base;
} __attribute__((packed));

/* irq-asm.S: the eight entry points, and the load of the GDT. */
extern const uint32_t irq_entry[8];
void irq_load_gdt(void);

volatile uint32_t irq_count[8];

static struct gate idt[IRQ_VECTOR + 8];

void irq_init(void)
{
	struct pointer ptr = { sizeof(idt) - 1, (uint32_t)(uintptr_t)idt };

	irq_load_gdt();
	for (unsigned int i = 0; i < 8; i++)
		idt[IRQ_VECTOR + i] = (struct gate){
			.low = (uint16_t)irq_entry[i],
			.selector = CODE_SELECTOR,
			.type = INTERRUPT_GATE,
			.high = (uint16_t)(irq_entry[i] >> 16),
		};
	__asm__ volatile("lidt %0" ::"m"(ptr), "m"(idt));
	/* SDM 3A §11.9: bit 8 enables the local APIC. */
	apic_write(APIC_SPURIOUS, 0x1ff);
}

void irq_route(unsigned int gsi, unsigned int line)
{
	write32(IOAPIC_SELECT, IOAPIC_ROUTE + 2 * gsi + 1);
	write32(IOAPIC_WINDOW, apic_read(APIC_ID) & 0xff000000);
	write32(IOAPIC_SELECT, IOAPIC_ROUTE + 2 * gsi);
	write32(IOAPIC_WINDOW, IRQ_VECTOR + line);
}

void irq_wait(unsigned int line)
{
	/* STI lets one more instruction run first: no wake-up is lost. */
	while (!irq_count[line])
		__asm__ volatile("sti; hlt; cli" ::: "memory");
}
