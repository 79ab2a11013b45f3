// SPDX-License-Identifier: Apache-2.0
/*
 * cpuid.h - what the guest's CPUID instruction says
 */
#ifndef MOTE_VMM_CPUID_H
#define MOTE_VMM_CPUID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/kvm.h>

#define CPUID_MAX_ENTRIES 128

/* struct kvm_cpuid2 with room for its entries. */
struct cpuid_table {
	uint32_t nent;
	uint32_t padding;
	struct kvm_cpuid_entry2 entry[CPUID_MAX_ENTRIES];
};

static_assert(offsetof(struct cpuid_table, entry) ==
		      offsetof(struct kvm_cpuid2, entries),
	      "KVM takes it for a struct kvm_cpuid2");

/* What this KVM can offer.  -errno. */
int cpuid_supported(int kvm_fd, struct cpuid_table *table);

/* How many bits a guest physical address has: 36 to 52. */
unsigned int cpuid_physical_bits(struct cpuid_table *table);

/* Turns the supported table into the one of vCPU INDEX in a machine of NR_CPUS:
 * one socket, a core for each vCPU, no threads.  TSC_DEADLINE: KVM emulates the
 * local APIC's TSC-deadline mode.  May be applied again for another vCPU.
 */
void cpuid_for_vcpu(struct cpuid_table *table, unsigned int index,
		    unsigned int nr_cpus, bool tsc_deadline);

#endif
