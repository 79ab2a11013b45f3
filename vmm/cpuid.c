// SPDX-License-Identifier: Apache-2.0
/*
 * cpuid.c - what the guest's CPUID instruction says
 *
 * KVM's supported leaves, with the parts changed that describe this machine
 * rather than the host: APIC id and topology (one socket, one core a vCPU), no
 * performance counters, none of what lets a guest hold the host's CPU, and no
 * asynchronous page faults, whose tokens a snapshot could not carry.
 */
#include <errno.h>

#include <asm/kvm_para.h>
#include <sys/ioctl.h>

#include "base/util.h"
#include "vmm/cpuid.h"

/* SDM 2A CPUID; AMD APM 3 appendix E; KVM cpuid.rst */
#define LEAF1_ECX_MONITOR      (1u << 3)
#define LEAF1_ECX_PDCM	       (1u << 15)
#define LEAF1_ECX_X2APIC       (1u << 21)
#define LEAF1_ECX_TSC_DEADLINE (1u << 24)
#define LEAF1_ECX_HYPERVISOR   (1u << 31)
#define LEAF1_EDX_HTT	       (1u << 28)
#define LEAF7_ECX_WAITPKG      (1u << 5)
#define KVM_FEATURES_ASYNC_PF  ((1u << 4) | (1u << 10) | (1u << 14))

#define TOPOLOGY_SMT  1u
#define TOPOLOGY_CORE 2u

int cpuid_supported(int kvm_fd, struct cpuid_table *table)
{
	memset(table, 0, sizeof(*table));
	table->nent = CPUID_MAX_ENTRIES;
	return ioctl(kvm_fd, KVM_GET_SUPPORTED_CPUID, table) < 0 ? -errno : 0;
}

static struct kvm_cpuid_entry2 *find(struct cpuid_table *t, uint32_t leaf,
				     uint32_t subleaf)
{
	for (uint32_t i = 0; i < t->nent; i++) {
		struct kvm_cpuid_entry2 *e = &t->entry[i];

		if (e->function == leaf && e->index == subleaf)
			return e;
	}
	return NULL;
}

unsigned int cpuid_physical_bits(struct cpuid_table *table)
{
	const struct kvm_cpuid_entry2 *e = find(table, 0x80000008, 0);

	/* SDM 3A §4.1.4: MAXPHYADDR */
	return e ? MIN(e->eax & 0xff, 52u) : 36;
}

/* Bits of the APIC id that number the cores: 2^bits >= nr_cpus. */
static uint32_t core_bits(unsigned int nr_cpus)
{
	return nr_cpus > 1 ? 32 - (uint32_t)__builtin_clz(nr_cpus - 1) : 0;
}

static void leaf_1(struct kvm_cpuid_entry2 *e, unsigned int index,
		   unsigned int nr_cpus, bool tsc_deadline)
{
	e->ebx = (e->ebx & 0xffff) | (1u << core_bits(nr_cpus)) << 16 |
		 index << 24;
	e->ecx &=
		~(LEAF1_ECX_PDCM | LEAF1_ECX_MONITOR | LEAF1_ECX_TSC_DEADLINE);
	e->ecx |= LEAF1_ECX_HYPERVISOR | LEAF1_ECX_X2APIC;
	if (tsc_deadline)
		e->ecx |= LEAF1_ECX_TSC_DEADLINE;
	e->edx &= ~LEAF1_EDX_HTT;
	if (nr_cpus > 1)
		e->edx |= LEAF1_EDX_HTT;
}

/* Intel leaf 4 and AMD leaf 0x8000001d share the field: how many APIC ids use
 * the cache.  The last level is everybody's, the others are each core's own.
 */
static void cache_sharing(struct kvm_cpuid_entry2 *e, unsigned int nr_cpus,
			  bool intel)
{
	uint32_t level = (e->eax >> 5) & 7;
	uint32_t sharing = level >= 3 ? (1u << core_bits(nr_cpus)) - 1 : 0;

	if ((e->eax & 0x1f) == 0)
		return;
	e->eax = (e->eax & ~(0xfffu << 14)) | sharing << 14;
	if (intel) /* cores in the package, minus one */
		e->eax = (e->eax & ~(0x3fu << 26)) |
			 (MIN(1u << core_bits(nr_cpus), 64u) - 1) << 26;
}

/* Extended topology, leaves 0xb and 0x1f: threads, then cores, then the end. */
static void topology(struct kvm_cpuid_entry2 *e, unsigned int index,
		     unsigned int nr_cpus)
{
	e->eax = e->index == 1 ? core_bits(nr_cpus) : 0;
	e->ebx = e->index == 0 ? 1 : e->index == 1 ? nr_cpus : 0;
	e->ecx = e->index;
	if (e->index == 0)
		e->ecx |= TOPOLOGY_SMT << 8;
	else if (e->index == 1)
		e->ecx |= TOPOLOGY_CORE << 8;
	e->edx = index;
}

/* KVM reports leaf 0xb only where the host has it, and maybe one subleaf. */
static void add_topology(struct cpuid_table *t)
{
	struct kvm_cpuid_entry2 *root = find(t, 0, 0);

	if (!root || root->eax < 0xb)
		return;
	for (uint32_t sub = 0; sub < 3; sub++) {
		if (find(t, 0xb, sub) || t->nent == CPUID_MAX_ENTRIES)
			continue;
		t->entry[t->nent++] = (struct kvm_cpuid_entry2){
			.function = 0xb,
			.index = sub,
			.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
		};
	}
}

static void adjust(struct kvm_cpuid_entry2 *e, unsigned int index,
		   unsigned int nr_cpus, bool tsc_deadline)
{
	switch (e->function) {
	case 1:
		leaf_1(e, index, nr_cpus, tsc_deadline);
		break;
	case 4:
		cache_sharing(e, nr_cpus, true);
		break;
	case 7:
		if (e->index == 0)
			e->ecx &= ~LEAF7_ECX_WAITPKG;
		break;
	case 0xa: /* no performance counters */
		e->eax = e->ebx = e->ecx = e->edx = 0;
		break;
	case 0xb:
	case 0x1f:
		topology(e, index, nr_cpus);
		break;
	case KVM_CPUID_FEATURES:
		e->eax &= ~KVM_FEATURES_ASYNC_PF;
		break;
	case 0x80000008: /* cores, and APIC id bits for them */
		e->ecx = (e->ecx & ~0xf0ffu) | core_bits(nr_cpus) << 12 |
			 (nr_cpus - 1);
		break;
	case 0x8000001d:
		cache_sharing(e, nr_cpus, false);
		break;
	case 0x8000001e: /* APIC id; core id, one thread; node 0 */
		e->eax = index;
		e->ebx = (e->ebx & ~0xffffu) | index;
		e->ecx = 0;
		break;
	default:
		break;
	}
}

void cpuid_for_vcpu(struct cpuid_table *table, unsigned int index,
		    unsigned int nr_cpus, bool tsc_deadline)
{
	add_topology(table);
	for (uint32_t i = 0; i < table->nent; i++)
		adjust(&table->entry[i], index, nr_cpus, tsc_deadline);
}
