// SPDX-License-Identifier: Apache-2.0
/*
 * smp.c - INIT and SIPI start every CPU that the MADT lists
 *
 * Each one adds its bit to a mask, by APIC id; the runner knows how many it
 * asked for.
 */
#include "irq.h"

#define TRAMPOLINE	0x10000u
#define START_INFO_RSDP 32 /* offset in the start info */
#define RSDP_XSDT	24
#define ACPI_HEADER	36
#define MADT_ENTRIES	44
#define SIGNATURE_MADT	0x43495041u /* "APIC" */
#define MADT_LOCAL_APIC 0
#define MADT_ENABLED	1
#define ICR_INIT	0x4500
#define ICR_STARTUP	0x4600
#define PATIENCE	2000000 /* turns of the waiting loop */

/* smp-asm.S */
extern const uint8_t trampoline[], trampoline_end[];
extern volatile uint32_t smp_mask;

static uintptr_t find_madt(uintptr_t boot)
{
	uintptr_t rsdp = read32(boot + START_INFO_RSDP);
	uintptr_t xsdt = read32(rsdp + RSDP_XSDT);
	uint32_t len = read32(xsdt + 4);

	CHECK(len < 4096, "length of the XSDT");
	for (uint32_t off = ACPI_HEADER; off + 8 <= len; off += 8) {
		uintptr_t table = read32(xsdt + off);

		if (read32(table) == SIGNATURE_MADT)
			return table;
	}
	fail("no MADT");
}

/* ACPI 6.5 §5.2.12.2: processor local APIC structure */
static uint32_t start_cpus(uintptr_t madt)
{
	uint32_t self = apic_read(APIC_ID) >> 24;
	uint32_t len = read32(madt + 4);
	uint32_t mask = 0;

	for (uint32_t off = MADT_ENTRIES; off + 8 <= len;) {
		uintptr_t entry = madt + off;
		uint32_t id = read8(entry + 3);

		CHECK(read8(entry + 1) >= 2, "length of a MADT entry");
		off += read8(entry + 1);
		if (read8(entry) != MADT_LOCAL_APIC ||
		    !(read32(entry + 4) & MADT_ENABLED))
			continue;
		mask |= 1u << id;
		if (id == self)
			continue;
		apic_write(APIC_ICR_HI, id << 24);
		apic_write(APIC_ICR, ICR_INIT);
		apic_write(APIC_ICR_HI, id << 24);
		apic_write(APIC_ICR, ICR_STARTUP | TRAMPOLINE >> 12);
	}
	return mask;
}

void guest_main(uintptr_t boot)
{
	uint8_t *to = (uint8_t *)TRAMPOLINE;
	uint32_t mask;

	irq_init();
	for (const uint8_t *from = trampoline; from < trampoline_end; from++)
		write8((uintptr_t)to++, *from);
	smp_mask = 1u << (apic_read(APIC_ID) >> 24);
	mask = start_cpus(find_madt(boot));
	for (uint32_t i = 0; i < PATIENCE && smp_mask != mask; i++)
		__asm__ volatile("pause");
	say_value("listed", mask);
	say_value("started", smp_mask);
	pass();
}
