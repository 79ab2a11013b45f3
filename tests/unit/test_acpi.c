// SPDX-License-Identifier: Apache-2.0
/*
 * test_acpi.c - ACPI tables, read back and given to Intel's compiler
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "boot/acpi.h"
#include "boot/layout.h"
#include "tests/unit/unit.h"

static uint8_t area[LAYOUT_ACPI_END - LAYOUT_ACPI];
static char dir[] = "/tmp/mote-acpi-XXXXXX";
static char dsl[64 << 10];

static struct boot_device device[LAYOUT_MAX_DEVICES];
static struct boot_config config;

static uint8_t sum(const uint8_t *p, size_t len)
{
	uint8_t s = 0;

	while (len-- > 0)
		s = (uint8_t)(s + *p++);
	return s;
}

static void build(unsigned int nr_cpus, unsigned int nr_devices, bool serial)
{
	for (unsigned int i = 0; i < LAYOUT_MAX_DEVICES; i++) {
		device[i].base = LAYOUT_VIRTIO_MMIO + i * PAGE_SIZE;
		device[i].gsi = LAYOUT_GSI_VIRTIO + i;
	}
	config = (struct boot_config){
		.nr_cpus = nr_cpus,
		.device = device,
		.nr_devices = nr_devices,
		.serial = serial,
	};
	memset(area, 0xa5, sizeof(area));
	ck_assert_int_gt(acpi_build(&config, area, sizeof(area)), 0);
}

/* The table at guest address GPA, its checksum verified. */
static const uint8_t *table(uint64_t gpa, const char *signature)
{
	const uint8_t *t = area + (gpa - LAYOUT_ACPI);

	ck_assert(gpa > LAYOUT_ACPI && gpa < LAYOUT_ACPI_END);
	ck_assert_int_eq(memcmp(t, signature, 4), 0);
	ck_assert_uint_eq(sum(t, get_le32(t + 4)), 0);
	ck_assert_int_eq(memcmp(t + 10, "MOTE  ", 6), 0);
	return t;
}

static const uint8_t *find(const char *signature)
{
	const uint8_t *xsdt = table(get_le64(area + 24), "XSDT");
	uint32_t n = (get_le32(xsdt + 4) - 36) / 8;

	ck_assert_uint_eq(n, 2);
	for (uint32_t i = 0; i < n; i++) {
		uint64_t gpa = get_le64(xsdt + 36 + 8 * i);

		if (!memcmp(area + (gpa - LAYOUT_ACPI), signature, 4))
			return table(gpa, signature);
	}
	ck_abort_msg("no %s", signature);
}

/* ACPI 6.5 §5.2.5.3 */
START_TEST(test_rsdp)
{
	build(1, 3, false);
	ck_assert_int_eq(memcmp(area, "RSD PTR ", 8), 0);
	ck_assert_uint_eq(sum(area, 20), 0);
	ck_assert_uint_eq(sum(area, 36), 0);
	ck_assert_uint_eq(area[15], 2);
	ck_assert_uint_eq(get_le32(area + 20), 36);
	/* where a kernel without boot parameters looks for it */
	ck_assert(IS_ALIGNED(LAYOUT_ACPI, 16) && LAYOUT_ACPI >= 0xe0000 &&
		  LAYOUT_ACPI < 0x100000);
}
END_TEST

static void check_port(const uint8_t *gas, uint16_t port)
{
	const uint8_t want[4] = { 1, 8, 0, 1 };

	ck_assert_int_eq(memcmp(gas, want, 4), 0);
	ck_assert_uint_eq(get_le64(gas + 4), port);
}

/* ACPI 6.5 §5.2.9 */
START_TEST(test_fadt)
{
	for (int serial = 0; serial < 2; serial++) {
		const uint8_t *fadt;

		build(1, 1, serial);
		fadt = find("FACP");
		ck_assert_uint_eq(get_le32(fadt + 4), 276);
		ck_assert_uint_eq(fadt[8], 6);
		ck_assert_uint_eq(fadt[131], 5);
		ck_assert_uint_eq(get_le16(fadt + 109), serial ? 0x2e : 0x2c);
		/* HW_REDUCED_ACPI, RESET_REG_SUP, no fixed buttons */
		ck_assert_uint_eq(get_le32(fadt + 112), 0x100435);
		check_port(fadt + 116, LAYOUT_PORT_RESET);
		ck_assert_uint_eq(fadt[128], LAYOUT_RESET_VALUE);
		check_port(fadt + 244, LAYOUT_PORT_SLEEP_CONTROL);
		check_port(fadt + 256, LAYOUT_PORT_SLEEP_STATUS);
		table(get_le64(fadt + 140), "DSDT");
	}
}
END_TEST

/* ACPI 6.5 §5.2.12: every CPU once, ids from 255 on as x2APIC entries. */
START_TEST(test_madt)
{
	static const unsigned int cpus[] = { 1, 64, 255, 256, 1024 };

	for (unsigned int i = 0; i < ARRAY_SIZE(cpus); i++) {
		const uint8_t *madt, *p;
		unsigned int next = 0, nr_ioapics = 0, nr_nmis = 0;

		build(cpus[i], 18, true);
		madt = find("APIC");
		ck_assert_uint_eq(get_le32(madt + 36), 0xfee00000);
		ck_assert_uint_eq(get_le32(madt + 40), 0);
		for (p = madt + 44; p < madt + get_le32(madt + 4); p += p[1]) {
			switch (p[0]) {
			case 0:
				ck_assert_uint_eq(p[1], 8);
				ck_assert_uint_lt(next, 255);
				ck_assert_uint_eq(p[2], next);
				ck_assert_uint_eq(p[3], next++);
				ck_assert_uint_eq(get_le32(p + 4), 1);
				break;
			case 9:
				ck_assert_uint_eq(p[1], 16);
				ck_assert_uint_ge(next, 255);
				ck_assert_uint_eq(get_le32(p + 4), next);
				ck_assert_uint_eq(get_le32(p + 8), 1);
				ck_assert_uint_eq(get_le32(p + 12), next++);
				break;
			case 1:
				ck_assert_uint_eq(p[1], 12);
				ck_assert_uint_eq(get_le32(p + 4), 0xfec00000);
				ck_assert_uint_eq(get_le32(p + 8), 0);
				nr_ioapics++;
				break;
			case 4:
				ck_assert_uint_eq(p[1], 6);
				nr_nmis++;
				break;
			default:
				ck_abort_msg("entry type %u", p[0]);
			}
		}
		ck_assert_ptr_eq(p, madt + get_le32(madt + 4));
		ck_assert_uint_eq(next, cpus[i]);
		ck_assert_uint_eq(nr_ioapics, 1);
		ck_assert_uint_eq(nr_nmis, 1);
	}
}
END_TEST

START_TEST(test_does_not_fit)
{
	int need;

	build(2, 2, true);
	need = acpi_build(&config, area, sizeof(area));
	for (size_t size = 36; size < (size_t)need; size++) {
		area[size] = 0x5a;
		ck_assert_int_eq(acpi_build(&config, area, size), -ENOSPC);
		ck_assert_uint_eq(area[size], 0x5a);
	}
	ck_assert_int_eq(acpi_build(&config, area, (size_t)need), need);
}
END_TEST

static void save(const char *name, const uint8_t *t)
{
	char path[80];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s.aml", dir, name);
	f = fopen(path, "we");
	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(t, get_le32(t + 4), 1, f), 1);
	fclose(f);
}

/* Runs iasl ARGUMENTS in DIR; its output must not speak of trouble. */
static void iasl(const char *arguments)
{
	char command[200], line[512];
	FILE *f;
	int status;

	snprintf(command, sizeof(command), "cd %s && iasl %s 2>&1", dir,
		 arguments);
	f = popen(command, "re");
	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof(line), f)) {
		/* "Compilation successful. 0 Errors, 0 Warnings, 0 Remarks" */
		if (strstr(line, "Compilation"))
			ck_assert_msg(strstr(line, " 0 Errors, 0 Warnings, 0 "
						   "Remarks") != NULL,
				      "iasl %s: %s", arguments, line);
		ck_assert_msg(!strstr(line, "Warning") ||
				      strstr(line, "0 Warnings"),
			      "iasl %s: %s", arguments, line);
		ck_assert_msg(!strstr(line, "Error ") &&
				      !strstr(line, "Incorrect"),
			      "iasl %s: %s", arguments, line);
	}
	status = pclose(f);
	ck_assert_msg(status == 0, "iasl %s: status %d (acpica-tools?)",
		      arguments, status);
}

static void has(const char *text)
{
	ck_assert_msg(strstr(dsl, text) != NULL, "no \"%s\" in:\n%s", text,
		      dsl);
}

static void read_dsl(void)
{
	char path[80];
	size_t len;
	FILE *f;

	snprintf(path, sizeof(path), "%s/dsdt.dsl", dir);
	f = fopen(path, "re");
	ck_assert_ptr_nonnull(f);
	len = fread(dsl, 1, sizeof(dsl) - 1, f);
	dsl[len] = '\0';
	fclose(f);
}

START_TEST(test_iasl)
{
	static const struct {
		unsigned int nr_devices;
		bool serial;
	} machines[] = { { 0, false }, { 1, true }, { 18, true } };
	char command[100];

	ck_assert_ptr_nonnull(mkdtemp(dir));
	for (unsigned int i = 0; i < ARRAY_SIZE(machines); i++) {
		build(64, machines[i].nr_devices, machines[i].serial);
		save("dsdt", table(get_le64(find("FACP") + 140), "DSDT"));
		save("facp", find("FACP"));
		save("apic", find("APIC"));
		save("xsdt", table(get_le64(area + 24), "XSDT"));
		iasl("-d facp.aml");
		iasl("-d apic.aml");
		iasl("-d xsdt.aml");
		iasl("-d dsdt.aml");
		read_dsl();
		/* -we: warnings are errors */
		iasl("-we -p again dsdt.dsl");
		/* compiled anew it is byte for byte what we built */
		iasl("-oa -p again dsdt.dsl");
		snprintf(command, sizeof(command),
			 "cd %s && tail -c +37 dsdt.aml >a && "
			 "tail -c +37 again.aml >b && cmp a b",
			 dir);
		ck_assert_int_eq(system(command), 0);

		has("Name (_S5, Package (0x04)");
		has("\"ACPI0013\"");
		has("Method (_EVT, 1, Serialized)");
		has("If ((Arg0 == 0x05))");
		has("Notify (\\_SB.PWRB, 0x80)");
		has("EisaId (\"PNP0C0C\")");
		ck_assert_int_eq(strstr(dsl, "PNP0501") != NULL,
				 machines[i].serial);
	}
	has("Device (VR00)");
	has("Device (VR11)");
	has("0xC0012000,         // Address Base");
	has("Interrupt (ResourceConsumer, Edge, ActiveHigh, Exclusive, ,, )");
	has("Name (_HID, \"LNRO0005\")");
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	ck_assert_int_eq(system(command), 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("acpi");
	TCase *tc = tcase_create("acpi");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_rsdp);
	tcase_add_test(tc, test_fadt);
	tcase_add_test(tc, test_madt);
	tcase_add_test(tc, test_does_not_fit);
	tcase_add_test(tc, test_iasl);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
