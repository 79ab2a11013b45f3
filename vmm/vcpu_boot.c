// SPDX-License-Identifier: Apache-2.0
/*
 * vcpu_boot.c - a vCPU's state before its first instruction (x86-64)
 *
 * vCPU 0 gets what the boot protocol says; the others keep KVM's reset state
 * and wait for INIT and SIPI.
 */
#include <errno.h>
#include <stdio.h>

#include <sys/ioctl.h>

#include <linux/kvm.h>

#include "base/log.h"
#include "vmm/cpuid.h"
#include "vmm/vm.h"

/* SDM 3A §11.11.2.1: MTRRs on, write-back unless one says otherwise. */
#define MSR_MTRR_DEF_TYPE	0x2ff
#define MTRR_ENABLE_WRITEBACK	((1u << 11) | 6)
/* SDM 4, IA32_MISC_ENABLE */
#define MSR_MISC_ENABLE		0x1a0
#define MISC_ENABLE_FAST_STRING 1u

#define RFLAGS_FIXED 2u /* SDM 1 §3.4.3: bit 1 is always set */

#define APIC_LVT_TIMER	0x320 /* SDM 3A table 10-1 */
#define APIC_LVT_MASKED (1u << 16)

static int set_cpuid(struct vcpu *vcpu, struct cpuid_table *cpuid,
		     struct kvm_error *err)
{
	int kvm_fd = vcpu->vm->kvm_fd;

	cpuid_for_vcpu(cpuid, vcpu->index, vcpu->vm->nr_vcpus,
		       kvm_capability(kvm_fd, KVM_CAP_TSC_DEADLINE_TIMER) > 0);
	if (ioctl(vcpu->fd, KVM_SET_CPUID2, cpuid) < 0)
		return kvm_call_failed(err, -errno, "KVM_SET_CPUID2");
	return 0;
}

/* A flat segment over all memory. */
static struct kvm_segment flat(uint16_t selector, uint8_t type, bool long_mode)
{
	return (struct kvm_segment){
		.limit = 0xffffffff,
		.selector = selector,
		.type = type,
		.present = 1,
		.db = !long_mode,
		.s = 1,
		.l = long_mode,
		.g = 1,
	};
}

static int set_sregs(struct vcpu *vcpu, const struct boot_entry *entry,
		     struct kvm_error *err)
{
	bool long_mode = entry->protocol == BOOT_LINUX_64;
	struct kvm_segment data = flat(entry->data_selector, 3, false);
	struct kvm_sregs sregs;

	/* What is not the protocol's stays as KVM reset it: the APIC base. */
	if (ioctl(vcpu->fd, KVM_GET_SREGS, &sregs) < 0)
		return kvm_call_failed(err, -errno, "KVM_GET_SREGS");
	sregs.cs = flat(entry->code_selector, 11, long_mode);
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
	sregs.tr = (struct kvm_segment){
		.limit = 0x67,
		.selector = entry->task_selector,
		.type = 11, /* busy TSS, as VM entry demands */
		.present = 1,
	};
	sregs.gdt.base = entry->gdt_base;
	sregs.gdt.limit = entry->gdt_limit;
	sregs.idt.base = 0;
	sregs.idt.limit = 0;
	sregs.cr0 = entry->cr0;
	sregs.cr3 = entry->cr3;
	sregs.cr4 = entry->cr4;
	sregs.efer = entry->efer;
	if (ioctl(vcpu->fd, KVM_SET_SREGS, &sregs) < 0)
		return kvm_call_failed(err, -errno, "KVM_SET_SREGS");
	return 0;
}

static int set_regs(struct vcpu *vcpu, const struct boot_entry *entry,
		    struct kvm_error *err)
{
	struct kvm_regs regs = {
		.rip = entry->rip,
		.rsp = entry->rsp,
		.rbp = entry->rsp,
		.rsi = entry->rsi,
		.rbx = entry->rbx,
		.rflags = RFLAGS_FIXED,
	};

	if (ioctl(vcpu->fd, KVM_SET_REGS, &regs) < 0)
		return kvm_call_failed(err, -errno, "KVM_SET_REGS");
	return 0;
}

/* KVM stops at the first MSR that it does not know: that one is skipped, since
 * each of these only makes the guest faster.
 */
static int set_msrs(struct vcpu *vcpu, struct kvm_error *err)
{
	static const struct kvm_msr_entry wanted[] = {
		{ .index = MSR_MTRR_DEF_TYPE, .data = MTRR_ENABLE_WRITEBACK },
		{ .index = MSR_MISC_ENABLE, .data = MISC_ENABLE_FAST_STRING },
	};
	struct { /* struct kvm_msrs with room for its entries */
		uint32_t nmsrs;
		uint32_t padding;
		struct kvm_msr_entry entry[ARRAY_SIZE(wanted)];
	} msrs = { 0 };
	unsigned int done = 0;

	while (done < ARRAY_SIZE(wanted)) {
		unsigned int n = ARRAY_SIZE(wanted) - done;
		int ret;

		msrs.nmsrs = n;
		memcpy(msrs.entry, &wanted[done], n * sizeof(wanted[0]));
		ret = ioctl(vcpu->fd, KVM_SET_MSRS, &msrs);
		if (ret < 0)
			return kvm_call_failed(err, -errno, "KVM_SET_MSRS");
		done += (unsigned int)ret;
		if ((unsigned int)ret < n) {
			log_info("this KVM has no MSR 0x%x: skipped",
				 wanted[done].index);
			done++;
		}
	}
	return 0;
}

int vcpu_set_boot_state(struct vcpu *vcpu, const struct boot_entry *entry,
			struct cpuid_table *cpuid, struct kvm_error *err)
{
	int ret = set_cpuid(vcpu, cpuid, err);

	if (ret == 0)
		ret = set_msrs(vcpu, err);
	if (ret < 0 || vcpu->index > 0)
		return ret;
	ret = set_sregs(vcpu, entry, err);
	if (ret == 0)
		ret = set_regs(vcpu, entry, err);
	return ret;
}

bool vcpu_timer_is_live(struct vcpu *vcpu)
{
	struct kvm_lapic_state lapic;

	if (ioctl(vcpu->fd, KVM_GET_LAPIC, &lapic) < 0)
		return false;
	return !(get_le32(lapic.regs + APIC_LVT_TIMER) & APIC_LVT_MASKED);
}
