// SPDX-License-Identifier: Apache-2.0
/*
 * acpi.c - ACPI 6.5 tables of a hardware-reduced machine
 *
 * RSDP, XSDT, FADT, MADT, DSDT.  Hardware-reduced (§4.1): no PM timer, no SCI,
 * no FACS.  Power off and reset are the sleep control and reset registers; the
 * power button is a device whose press arrives as a GSI of the generic event
 * device (§5.6.9).
 *
 * KVM has two 8259s, but the MADT does not say so (PCAT_COMPAT clear): nothing
 * is wired to them, and a kernel that saw them would set them up and reserve
 * interrupts 0 to 15.  The GSIs are the IOAPIC's pins one to one, so there are
 * no overrides either.
 */
#include <errno.h>

#include "boot/acpi.h"
#include "boot/aml.h"
#include "boot/layout.h"

#define OEM_ID	     "MOTE  "
#define OEM_TABLE_ID "MICROVM "
#define CREATOR_ID   "MOTE"
#define OEM_REVISION 1u

/* ACPI 6.5 §5.2.6: the common header. */
#define HEADER_LENGTH	4
#define HEADER_CHECKSUM 9

/* ACPI 6.5 §5.2.9: offsets in the FADT, and values. */
#define FADT_SIZE	   276
#define FADT_BOOT_ARCH	   109
#define FADT_FLAGS	   112
#define FADT_RESET_REG	   116
#define FADT_RESET_VALUE   128
#define FADT_MINOR	   131
#define FADT_X_DSDT	   140
#define FADT_SLEEP_CONTROL 244
#define FADT_SLEEP_STATUS  256

#define FLAG_WBINVD	 (1u << 0)
#define FLAG_PROC_C1	 (1u << 2)
#define FLAG_PWR_BUTTON	 (1u << 4) /* none of the fixed kind */
#define FLAG_SLP_BUTTON	 (1u << 5) /* none of the fixed kind */
#define FLAG_RESET_REG	 (1u << 10)
#define FLAG_HW_REDUCED	 (1u << 20)
#define ARCH_8042	 (1u << 1)
#define ARCH_NO_VGA	 (1u << 2)
#define ARCH_NO_MSI	 (1u << 3)
#define ARCH_NO_CMOS_RTC (1u << 5)

/* ACPI 6.5 §5.2.12: interrupt controller structures. */
#define MADT_LOCAL_APIC	    0
#define MADT_IOAPIC	    1
#define MADT_LOCAL_APIC_NMI 4
#define MADT_LOCAL_X2APIC   9
#define MADT_ENABLED	    1u
#define MADT_ALL_CPUS	    0xff
#define MADT_FIRST_X2APIC   255u /* 255 is the APIC's broadcast */

struct tables {
	struct table t;
	uint64_t fadt, madt, dsdt, xsdt; /* guest addresses */
};

static size_t open_table(struct table *t, const char *signature,
			 uint8_t revision)
{
	size_t open;

	table_align(t, 16);
	open = t->len;
	table_put(t, signature, 4);
	table_u32(t, 0); /* length */
	table_u8(t, revision);
	table_u8(t, 0); /* checksum */
	table_put(t, OEM_ID, 6);
	table_put(t, OEM_TABLE_ID, 8);
	table_u32(t, OEM_REVISION);
	table_put(t, CREATOR_ID, 4);
	table_u32(t, 1);
	return open;
}

static uint64_t close_table(struct table *t, size_t open)
{
	uint8_t *header = t->buf + open;

	if (t->full)
		return 0;
	put_le32(header + HEADER_LENGTH, (uint32_t)(t->len - open));
	header[HEADER_CHECKSUM] = table_checksum(header, t->len - open);
	return LAYOUT_ACPI + open;
}

static void add_uid(struct table *t, uint32_t uid)
{
	aml_name(t, "_UID");
	aml_integer(t, uid);
}

/* Linux's virtio-mmio driver matches LNRO0005. */
static void add_virtio(struct table *t, const struct boot_device *device,
		       unsigned int n)
{
	static const char hex[] = "0123456789ABCDEF";
	const char name[] = { 'V', 'R', hex[n >> 4 & 0xf], hex[n & 0xf] };
	size_t open = aml_device(t, name), resources;

	aml_name(t, "_HID");
	aml_string(t, "LNRO0005");
	add_uid(t, n);
	aml_name(t, "_CCA");
	aml_integer(t, 1);
	resources = aml_resources(t);
	aml_memory(t, (uint32_t)device->base, PAGE_SIZE);
	aml_interrupt(t, device->gsi);
	aml_close_resources(t, resources);
	aml_close(t, open);
}

static void add_serial(struct table *t)
{
	size_t open = aml_device(t, "COM1"), resources;

	aml_name(t, "_HID");
	aml_eisa_id(t, "PNP0501");
	add_uid(t, 1);
	resources = aml_resources(t);
	aml_ports(t, LAYOUT_PORT_SERIAL, 8);
	aml_interrupt(t, LAYOUT_GSI_SERIAL);
	aml_close_resources(t, resources);
	aml_close(t, open);
}

/* ACPI 6.5 §4.8.2.2.1.2 and §5.6.9.3 */
static void add_power_button(struct table *t)
{
	size_t open, resources, method, test;

	open = aml_device(t, "PWRB");
	aml_name(t, "_HID");
	aml_eisa_id(t, "PNP0C0C");
	add_uid(t, 0);
	aml_close(t, open);

	open = aml_device(t, "GED_");
	aml_name(t, "_HID");
	aml_string(t, "ACPI0013");
	add_uid(t, 0);
	resources = aml_resources(t);
	aml_interrupt(t, LAYOUT_GSI_POWER_BUTTON);
	aml_close_resources(t, resources);
	method = aml_method(t, "_EVT", 1);
	test = aml_if_arg0_equals(t, LAYOUT_GSI_POWER_BUTTON);
	aml_notify(t, "PWRB", 0x80);
	aml_close(t, test);
	aml_close(t, method);
	aml_close(t, open);
}

static void add_dsdt(struct tables *tables, const struct boot_config *config)
{
	struct table *t = &tables->t;
	size_t open = open_table(t, "DSDT", 2), scope, package;

	/* ACPI 6.5 §7.4.2: SLP_TYP of S5 */
	aml_name(t, "_S5_");
	package = aml_package(t, 4);
	aml_integer(t, LAYOUT_SLEEP_TYPE_S5);
	aml_integer(t, 0);
	aml_integer(t, 0);
	aml_integer(t, 0);
	aml_close(t, package);

	scope = aml_scope(t, "\\_SB_", 5);
	add_power_button(t);
	if (config->serial)
		add_serial(t);
	for (unsigned int i = 0; i < config->nr_devices; i++)
		add_virtio(t, &config->device[i], i);
	aml_close(t, scope);
	tables->dsdt = close_table(t, open);
}

/* ACPI 6.5 §5.2.3.2: a generic address structure, one byte of port space. */
static void put_port(uint8_t *at, uint16_t port)
{
	at[0] = 1; /* system I/O space */
	at[1] = 8; /* bits */
	at[2] = 0;
	at[3] = 1; /* byte access */
	put_le64(at + 4, port);
}

static void add_fadt(struct tables *tables, const struct boot_config *config)
{
	struct table *t = &tables->t;
	size_t open = open_table(t, "FACP", 6);
	uint8_t *fadt = t->buf + open;
	uint16_t arch = ARCH_NO_VGA | ARCH_NO_MSI | ARCH_NO_CMOS_RTC;

	table_zero(t, open + FADT_SIZE - t->len);
	if (t->full)
		return;
	if (config->serial)
		arch |= ARCH_8042;
	put_le16(fadt + FADT_BOOT_ARCH, arch);
	put_le32(fadt + FADT_FLAGS, FLAG_WBINVD | FLAG_PROC_C1 |
					    FLAG_PWR_BUTTON | FLAG_SLP_BUTTON |
					    FLAG_RESET_REG | FLAG_HW_REDUCED);
	put_port(fadt + FADT_RESET_REG, LAYOUT_PORT_RESET);
	fadt[FADT_RESET_VALUE] = LAYOUT_RESET_VALUE;
	fadt[FADT_MINOR] = 5;
	put_le64(fadt + FADT_X_DSDT, tables->dsdt);
	put_port(fadt + FADT_SLEEP_CONTROL, LAYOUT_PORT_SLEEP_CONTROL);
	put_port(fadt + FADT_SLEEP_STATUS, LAYOUT_PORT_SLEEP_STATUS);
	tables->fadt = close_table(t, open);
}

/* ACPI 6.5 §5.2.12.2 and §5.2.12.12 */
static void add_cpu(struct table *t, unsigned int id)
{
	if (id < MADT_FIRST_X2APIC) {
		table_u8(t, MADT_LOCAL_APIC);
		table_u8(t, 8);
		table_u8(t, (uint8_t)id);
		table_u8(t, (uint8_t)id);
		table_u32(t, MADT_ENABLED);
	} else {
		table_u8(t, MADT_LOCAL_X2APIC);
		table_u8(t, 16);
		table_u16(t, 0);
		table_u32(t, id);
		table_u32(t, MADT_ENABLED);
		table_u32(t, id);
	}
}

static void add_madt(struct tables *tables, unsigned int nr_cpus)
{
	struct table *t = &tables->t;
	size_t open = open_table(t, "APIC", 6);

	table_u32(t, LAYOUT_LOCAL_APIC);
	table_u32(t, 0); /* PCAT_COMPAT clear, see above */
	for (unsigned int i = 0; i < nr_cpus && !t->full; i++)
		add_cpu(t, i);

	table_u8(t, MADT_IOAPIC);
	table_u8(t, 12);
	table_u8(t, 0); /* what KVM's register reads after reset */
	table_u8(t, 0);
	table_u32(t, LAYOUT_IOAPIC);
	table_u32(t, 0); /* its first GSI */

	/* LINT1 is where KVM_NMI arrives. */
	table_u8(t, MADT_LOCAL_APIC_NMI);
	table_u8(t, 6);
	table_u8(t, MADT_ALL_CPUS);
	table_u16(t, 0);
	table_u8(t, 1);
	tables->madt = close_table(t, open);
}

static void add_xsdt(struct tables *tables)
{
	struct table *t = &tables->t;
	size_t open = open_table(t, "XSDT", 1);

	table_u64(t, tables->fadt);
	table_u64(t, tables->madt);
	tables->xsdt = close_table(t, open);
}

/* ACPI 6.5 §5.2.5.3 */
static void put_rsdp(struct table *t, uint64_t xsdt)
{
	uint8_t *rsdp = t->buf + t->len;

	table_put(t, "RSD PTR ", 8);
	table_u8(t, 0); /* checksum of the first 20 bytes */
	table_put(t, OEM_ID, 6);
	table_u8(t, 2);	 /* revision */
	table_u32(t, 0); /* no RSDT */
	table_u32(t, 36);
	table_u64(t, xsdt);
	table_u32(t, 0); /* checksum of all, reserved */
	if (t->full)
		return;
	rsdp[8] = table_checksum(rsdp, 20);
	rsdp[32] = table_checksum(rsdp, 36);
}

int acpi_build(const struct boot_config *config, uint8_t *buf, size_t size)
{
	struct tables tables = { .t = { .buf = buf, .size = size } };
	struct table rsdp = { .buf = buf, .size = size };

	table_zero(&tables.t, 64);
	add_dsdt(&tables, config);
	add_fadt(&tables, config);
	add_madt(&tables, config->nr_cpus);
	add_xsdt(&tables);
	put_rsdp(&rsdp, tables.xsdt);
	return tables.t.full ? -ENOSPC : (int)tables.t.len;
}
