// SPDX-License-Identifier: Apache-2.0
/*
 * test_cpuid.c - what the guest's CPUID says about its machine
 *
 * The table is made up, so that Intel's and AMD's leaves are tested anywhere.
 */
#include "base/util.h"
#include "tests/unit/unit.h"
#include "vmm/cpuid.h"

static struct cpuid_table table;

static void add(uint32_t leaf, uint32_t sub, const uint32_t regs[4])
{
	table.entry[table.nent++] = (struct kvm_cpuid_entry2){
		.function = leaf,
		.index = sub,
		.eax = regs[0],
		.ebx = regs[1],
		.ecx = regs[2],
		.edx = regs[3],
	};
}

static const struct kvm_cpuid_entry2 *get(uint32_t leaf, uint32_t sub)
{
	for (uint32_t i = 0; i < table.nent; i++) {
		if (table.entry[i].function == leaf &&
		    table.entry[i].index == sub)
			return &table.entry[i];
	}
	ck_abort_msg("no leaf %x.%u", leaf, sub);
	return NULL;
}

/* A host with everything on, so that what must go is seen to go. */
static void setup(void)
{
	static const uint32_t ones[4] = { ~0u, ~0u, ~0u, ~0u };

	memset(&table, 0, sizeof(table));
	add(0, 0, (const uint32_t[4]){ 0x1f, 0, 0, 0 });
	add(1, 0, (const uint32_t[4]){ 0x800f12, 0x12345678, ~0u, ~0u });
	add(4, 0, (const uint32_t[4]){ 0xfc004121, 0, 0, 0 }); /* L1 */
	add(4, 1, (const uint32_t[4]){ 0xfc004163, 0, 0, 0 }); /* L3 */
	add(4, 2, (const uint32_t[4]){ 0, 0, 0, 0 });
	add(7, 0, ones);
	add(0xa, 0, ones);
	add(0x1f, 0, ones);
	add(0x40000001, 0, ones);
	add(0x80000008, 0, ones);
	add(0x8000001d, 3, (const uint32_t[4]){ 0x3ffc163, 0, 0, 0 });
	add(0x8000001e, 0, ones);
}

static const struct {
	unsigned int cpus, bits;
} sizes[] = {
	{ 1, 0 }, { 2, 1 }, { 3, 2 }, { 4, 2 }, { 5, 3 }, { 33, 6 }, { 64, 6 },
};

START_TEST(topology)
{
	unsigned int n = sizes[_i].cpus, bits = sizes[_i].bits, last = n - 1;

	/* Applied for every vCPU in turn, as the machine does. */
	for (unsigned int i = 0; i < n; i++)
		cpuid_for_vcpu(&table, i, n, true);
	ck_assert_uint_eq(get(1, 0)->ebx >> 24, last);
	ck_assert_uint_eq(get(1, 0)->ebx >> 16 & 0xff, 1u << bits);
	ck_assert_uint_eq(get(1, 0)->ebx & 0xffff, 0x5678);
	ck_assert_int_eq(get(1, 0)->edx >> 28 & 1, n > 1);
	ck_assert_uint_eq(get(0xb, 0)->eax, 0);
	ck_assert_uint_eq(get(0xb, 0)->ebx, 1);
	ck_assert_uint_eq(get(0xb, 0)->ecx, 1 << 8);
	ck_assert_uint_eq(get(0xb, 1)->eax, bits);
	ck_assert_uint_eq(get(0xb, 1)->ebx, n);
	ck_assert_uint_eq(get(0xb, 1)->ecx, 2 << 8 | 1);
	ck_assert_uint_eq(get(0xb, 2)->ebx, 0);
	ck_assert_uint_eq(get(0xb, 2)->ecx, 2);
	for (uint32_t sub = 0; sub < 3; sub++)
		ck_assert_uint_eq(get(0xb, sub)->edx, last);
	ck_assert_uint_eq(get(0x1f, 0)->edx, last);
	/* The first level is each core's own, the last is shared by all. */
	ck_assert_uint_eq(get(4, 0)->eax >> 14 & 0xfff, 0);
	ck_assert_uint_eq(get(4, 1)->eax >> 14 & 0xfff, (1u << bits) - 1);
	ck_assert_uint_eq(get(4, 1)->eax >> 26, (1u << bits) - 1);
	ck_assert_uint_eq(get(4, 2)->eax, 0);
	ck_assert_uint_eq(get(0x80000008, 0)->ecx & 0xff, last);
	ck_assert_uint_eq(get(0x80000008, 0)->ecx >> 12 & 0xf, bits);
	ck_assert_uint_eq(get(0x8000001d, 3)->eax >> 14 & 0xfff,
			  (1u << bits) - 1);
	ck_assert_uint_eq(get(0x8000001e, 0)->eax, last);
	ck_assert_uint_eq(get(0x8000001e, 0)->ebx & 0xffff, last);
}
END_TEST

/* V30: the guest cannot wait in its own time, nor count what ours does */
START_TEST(features)
{
	cpuid_for_vcpu(&table, 0, 1, true);
	ck_assert(get(1, 0)->ecx & 1u << 31);	 /* hypervisor */
	ck_assert(get(1, 0)->ecx & 1u << 24);	 /* TSC deadline */
	ck_assert(get(1, 0)->ecx & 1u << 21);	 /* x2APIC */
	ck_assert(!(get(1, 0)->ecx & 1u << 15)); /* PDCM */
	ck_assert(!(get(1, 0)->ecx & 1u << 3));	 /* MONITOR */
	ck_assert(!(get(7, 0)->ecx & 1u << 5));	 /* WAITPKG */
	ck_assert_uint_eq(get(0xa, 0)->eax, 0);	 /* performance counters */
	ck_assert_uint_eq(get(0x40000001, 0)->eax & 0x4410, 0);
	ck_assert(get(0x40000001, 0)->eax & 1u << 3); /* kvmclock stays */
	cpuid_for_vcpu(&table, 0, 1, false);
	ck_assert(!(get(1, 0)->ecx & 1u << 24));
}
END_TEST

START_TEST(physical_address_bits)
{
	ck_assert_uint_eq(cpuid_physical_bits(&table), 52); /* at most */
	for (uint32_t i = 0; i < table.nent; i++) {
		if (table.entry[i].function != 0x80000008)
			continue;
		table.entry[i].eax = 0x3027;
		ck_assert_uint_eq(cpuid_physical_bits(&table), 39);
		table.entry[i].function = 0xdead;
	}
	/* SDM 3A §4.1.4 */
	ck_assert_uint_eq(cpuid_physical_bits(&table), 36);
}
END_TEST

START_TEST(no_topology_leaf)
{
	uint32_t before;

	table.entry[0].eax = 0xa; /* an old CPU */
	before = table.nent;
	cpuid_for_vcpu(&table, 0, 2, true);
	ck_assert_uint_eq(table.nent, before);
	table.entry[0].eax = 0x1f;
	table.nent = CPUID_MAX_ENTRIES; /* a full table: no overflow */
	cpuid_for_vcpu(&table, 0, 2, true);
	ck_assert_uint_eq(table.nent, CPUID_MAX_ENTRIES);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("cpuid");
	TCase *tc = tcase_create("cpuid");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_loop_test(tc, topology, 0, ARRAY_SIZE(sizes));
	tcase_add_test(tc, features);
	tcase_add_test(tc, physical_address_bits);
	tcase_add_test(tc, no_topology_leaf);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
