// SPDX-License-Identifier: Apache-2.0
/*
 * mptable.c - MultiProcessor Specification 1.4 tables, for acpi=off
 *
 * The floating pointer, the table right after it: processors, one ISA bus, the
 * IOAPIC, whose pins are the GSIs one to one, and the two local inputs.
 */
#include <errno.h>

#include "boot/layout.h"
#include "boot/mptable.h"
#include "boot/table.h"

/* MP 1.4 §4.3: entry types. */
#define MP_PROCESSOR	   0
#define MP_BUS		   1
#define MP_IOAPIC	   2
#define MP_INTERRUPT	   3
#define MP_LOCAL_INTERRUPT 4

/* MP 1.4 §4.3.4: interrupt types; polarity active high, edge triggered. */
#define INT_VECTORED  0
#define INT_NMI	      1
#define INT_EXTERNAL  3
#define INT_EDGE_HIGH 0x5

#define CPU_ENABLED	0x1
#define CPU_BOOTSTRAP	0x2
#define CPU_SIGNATURE	0x600 /* family 6: Linux asks CPUID instead */
#define CPU_FEATURES	0x201 /* FPU, APIC */
#define LOCAL_APIC	0x14  /* version of an integrated APIC, as KVM's */
#define IOAPIC_VERSION	0x11  /* KVM's */
#define IOAPIC_ENABLED	0x1
#define IOAPIC_ID	0 /* what KVM's register reads after reset */
#define ISA_BUS		0
#define ALL_LOCAL_APICS 0xff

#define POINTER_SIZE 16
#define HEADER_SIZE  44

/* MP 1.4 §4.1 */
static void put_pointer(struct table *t)
{
	table_put(t, "_MP_", 4);
	table_u32(t, LAYOUT_MPTABLE + POINTER_SIZE);
	table_u8(t, 1);	  /* length in 16 bytes */
	table_u8(t, 4);	  /* version 1.4 */
	table_u8(t, 0);	  /* checksum */
	table_zero(t, 5); /* features: a table is there, virtual wire mode */
}

/* MP 1.4 §4.2; length, checksum and count follow when they are known. */
static void put_header(struct table *t)
{
	table_put(t, "PCMP", 4);
	table_u16(t, 0);
	table_u8(t, 4);
	table_u8(t, 0);
	table_put(t, "MOTE    MICROVM     ", 20);
	table_zero(t, 6); /* no OEM table */
	table_u16(t, 0);
	table_u32(t, LAYOUT_LOCAL_APIC);
	table_zero(t, 4); /* no extended table */
}

static unsigned int put_processors(struct table *t, unsigned int nr_cpus)
{
	for (unsigned int i = 0; i < nr_cpus; i++) {
		table_u8(t, MP_PROCESSOR);
		table_u8(t, (uint8_t)i);
		table_u8(t, LOCAL_APIC);
		table_u8(t, CPU_ENABLED | (i == 0 ? CPU_BOOTSTRAP : 0));
		table_u32(t, CPU_SIGNATURE);
		table_u32(t, CPU_FEATURES);
		table_zero(t, 8);
	}
	return nr_cpus;
}

/* Entry and type, and from which bus line to which input of which APIC. */
struct interrupt {
	uint8_t entry, type, flags;
	uint8_t source, apic, input;
};

static void put_interrupt(struct table *t, struct interrupt i)
{
	const uint8_t bytes[] = {
		i.entry, i.type, i.flags, 0, ISA_BUS, i.source, i.apic, i.input,
	};

	table_put(t, bytes, sizeof(bytes));
}

static unsigned int put_rest(struct table *t)
{
	unsigned int n = 0;

	table_u8(t, MP_BUS);
	table_u8(t, ISA_BUS);
	table_put(t, "ISA   ", 6);
	n++;

	table_u8(t, MP_IOAPIC);
	table_u8(t, IOAPIC_ID);
	table_u8(t, IOAPIC_VERSION);
	table_u8(t, IOAPIC_ENABLED);
	table_u32(t, LAYOUT_IOAPIC);
	n++;

	for (uint8_t gsi = 0; gsi < LAYOUT_NR_GSI; gsi++, n++)
		put_interrupt(t, (struct interrupt){ MP_INTERRUPT, INT_VECTORED,
						     INT_EDGE_HIGH, gsi,
						     IOAPIC_ID, gsi });

	/* MP 1.4 §4.3.5: LINT0 carries the 8259, LINT1 the NMI. */
	put_interrupt(t, (struct interrupt){ MP_LOCAL_INTERRUPT, INT_EXTERNAL,
					     .input = 0 });
	put_interrupt(t, (struct interrupt){ MP_LOCAL_INTERRUPT, INT_NMI,
					     .apic = ALL_LOCAL_APICS,
					     .input = 1 });
	return n + 2;
}

int mptable_build(unsigned int nr_cpus, uint8_t *buf, size_t size)
{
	struct table t = { .buf = buf, .size = size };
	uint8_t *header = buf + POINTER_SIZE;
	unsigned int count;

	put_pointer(&t);
	put_header(&t);
	count = put_processors(&t, MIN(nr_cpus, MPTABLE_MAX_CPUS));
	count += put_rest(&t);
	if (t.full)
		return -ENOSPC;

	buf[10] = table_checksum(buf, POINTER_SIZE);
	put_le16(header + 4, (uint16_t)(t.len - POINTER_SIZE));
	put_le16(header + 34, (uint16_t)count);
	header[7] = table_checksum(header, t.len - POINTER_SIZE);
	return 0;
}
