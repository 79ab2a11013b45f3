// SPDX-License-Identifier: Apache-2.0
/*
 * exit_reason.c - KVM's exit reasons in words
 *
 * The lines are for the message with which a machine dies and for telemetry.
 * kvm_run is the kernel's, yet counts in it are bounded by their arrays: a
 * description must not be what goes wrong.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <linux/kvm.h>

#include "base/util.h"
#include "vmm/exit_reason.h"

/* Reasons that linux/kvm.h of Debian 12 does not have yet. */
#define EXIT_LOONGARCH_IOCSR 38
#define EXIT_MEMORY_FAULT    39
#define EXIT_TDX	     40

static const char *const names[EXIT_REASON_MAX] = {
	[KVM_EXIT_UNKNOWN] = "unknown",
	[KVM_EXIT_EXCEPTION] = "exception",
	[KVM_EXIT_IO] = "io",
	[KVM_EXIT_HYPERCALL] = "hypercall",
	[KVM_EXIT_DEBUG] = "debug",
	[KVM_EXIT_HLT] = "hlt",
	[KVM_EXIT_MMIO] = "mmio",
	[KVM_EXIT_IRQ_WINDOW_OPEN] = "irq_window_open",
	[KVM_EXIT_SHUTDOWN] = "shutdown",
	[KVM_EXIT_FAIL_ENTRY] = "fail_entry",
	[KVM_EXIT_INTR] = "intr",
	[KVM_EXIT_SET_TPR] = "set_tpr",
	[KVM_EXIT_TPR_ACCESS] = "tpr_access",
	[KVM_EXIT_S390_SIEIC] = "s390_sieic",
	[KVM_EXIT_S390_RESET] = "s390_reset",
	[KVM_EXIT_DCR] = "dcr",
	[KVM_EXIT_NMI] = "nmi",
	[KVM_EXIT_INTERNAL_ERROR] = "internal_error",
	[KVM_EXIT_OSI] = "osi",
	[KVM_EXIT_PAPR_HCALL] = "papr_hcall",
	[KVM_EXIT_S390_UCONTROL] = "s390_ucontrol",
	[KVM_EXIT_WATCHDOG] = "watchdog",
	[KVM_EXIT_S390_TSCH] = "s390_tsch",
	[KVM_EXIT_EPR] = "epr",
	[KVM_EXIT_SYSTEM_EVENT] = "system_event",
	[KVM_EXIT_S390_STSI] = "s390_stsi",
	[KVM_EXIT_IOAPIC_EOI] = "ioapic_eoi",
	[KVM_EXIT_HYPERV] = "hyperv",
	[KVM_EXIT_ARM_NISV] = "arm_nisv",
	[KVM_EXIT_X86_RDMSR] = "x86_rdmsr",
	[KVM_EXIT_X86_WRMSR] = "x86_wrmsr",
	[KVM_EXIT_DIRTY_RING_FULL] = "dirty_ring_full",
	[KVM_EXIT_AP_RESET_HOLD] = "ap_reset_hold",
	[KVM_EXIT_X86_BUS_LOCK] = "x86_bus_lock",
	[KVM_EXIT_XEN] = "xen",
	[KVM_EXIT_RISCV_SBI] = "riscv_sbi",
	[KVM_EXIT_RISCV_CSR] = "riscv_csr",
	[KVM_EXIT_NOTIFY] = "notify",
	[EXIT_LOONGARCH_IOCSR] = "loongarch_iocsr",
	[EXIT_MEMORY_FAULT] = "memory_fault",
	[EXIT_TDX] = "tdx",
};

/* A bounded line under construction. */
struct line {
	char *buf;
	size_t size;
	size_t used; /* below size */
};

static void add(struct line *l, const char *fmt, ...) PRINTF_LIKE(2, 3);

static void add(struct line *l, const char *fmt, ...)
{
	size_t room = l->size - l->used;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(l->buf + l->used, room, fmt, ap);
	va_end(ap);
	if (n > 0)
		l->used += MIN((size_t)n, room - 1);
}

static void add_words(struct line *l, const __u64 *data, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		add(l, "%s0x%llx", i ? " " : ": data ", data[i]);
}

const char *exit_reason_name(uint32_t reason)
{
	if (reason >= ARRAY_SIZE(names) || !names[reason])
		return "other";
	return names[reason];
}

static void describe_emulation(const struct kvm_run *run, struct line *l)
{
	const size_t max = sizeof(run->emulation_failure.insn_bytes);
	size_t nr = MIN(run->emulation_failure.insn_size, max);

	add(l, "KVM internal error 1: it cannot emulate an instruction");
	/* NDATA counts 64-bit words: the flags, and two with the bytes. */
	if (run->emulation_failure.ndata < 3 ||
	    !(run->emulation_failure.flags &
	      KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES))
		return;
	for (size_t i = 0; i < nr; i++)
		add(l, "%s%02x", i ? " " : ": bytes ",
		    run->emulation_failure.insn_bytes[i]);
}

static void describe_internal(const struct kvm_run *run, struct line *l)
{
	static const char *const text[] = {
		[KVM_INTERNAL_ERROR_SIMUL_EX] = "two exceptions at once",
		[KVM_INTERNAL_ERROR_DELIVERY_EV] =
			"an exit while it delivered an event",
		[KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON] =
			"a hardware exit that it does not know",
	};
	uint32_t suberror = run->internal.suberror;
	/* More words than KVM has ever given would only hide the message. */
	size_t nr = MIN(run->internal.ndata, 6u);

	if (suberror == KVM_INTERNAL_ERROR_EMULATION) {
		describe_emulation(run, l);
		return;
	}
	add(l, "KVM internal error %u", suberror);
	if (suberror < ARRAY_SIZE(text) && text[suberror])
		add(l, ": %s", text[suberror]);
	add_words(l, run->internal.data, nr);
}

static void describe_fail_entry(const struct kvm_run *run, struct line *l)
{
	__u64 reason = run->fail_entry.hardware_entry_failure_reason;

	add(l, "the CPU refused to enter the guest: hardware reason 0x%llx",
	    reason);
	/* SDM 3D appendix C (exit reasons 33, 34), SDM 3C §31.4 (error 7);
	 * APM 2 appendix C (VMEXIT_INVALID).
	 */
	if (reason == 0x80000021u || reason == UINT64_MAX ||
	    reason == UINT32_MAX)
		add(l, " (invalid guest state)");
	else if (reason == 0x80000022u)
		add(l, " (MSR loading)");
	else if (reason == 7)
		add(l, " (invalid control fields)");
	add(l, ", CPU %u", run->fail_entry.cpu);
}

static void describe_system_event(const struct kvm_run *run, struct line *l)
{
	static const char *const text[] = {
		[KVM_SYSTEM_EVENT_SHUTDOWN] = "shutdown",
		[KVM_SYSTEM_EVENT_RESET] = "reset",
		[KVM_SYSTEM_EVENT_CRASH] = "crash",
		[KVM_SYSTEM_EVENT_WAKEUP] = "wakeup",
		[KVM_SYSTEM_EVENT_SUSPEND] = "suspend",
		[KVM_SYSTEM_EVENT_SEV_TERM] = "SEV termination",
	};
	uint32_t type = run->system_event.type;
	size_t nr = MIN(run->system_event.ndata, 4u);

	add(l, "system event %u", type);
	if (type < ARRAY_SIZE(text) && text[type])
		add(l, " (%s)", text[type]);
	add_words(l, run->system_event.data, nr);
}

static void describe_access(const struct kvm_run *run, struct line *l)
{
	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		add(l, "port %s 0x%x, %u bytes, %u times",
		    run->io.direction == KVM_EXIT_IO_OUT ? "write to"
							 : "read from",
		    run->io.port, run->io.size, run->io.count);
		break;
	case KVM_EXIT_MMIO:
		add(l, "memory-mapped %s 0x%llx, %u bytes",
		    run->mmio.is_write ? "write to" : "read from",
		    run->mmio.phys_addr, run->mmio.len);
		break;
	case KVM_EXIT_X86_RDMSR:
		add(l, "read of MSR 0x%x", run->msr.index);
		break;
	default:
		add(l, "write of 0x%llx to MSR 0x%x", run->msr.data,
		    run->msr.index);
		break;
	}
}

/* KVM api.rst, KVM_EXIT_MEMORY_FAULT: three words, flags, gpa, size. */
static void describe_memory_fault(const struct kvm_run *run, struct line *l)
{
	const char *fault = run->padding;

	add(l, "KVM cannot back guest memory at 0x%llx, 0x%llx bytes",
	    (unsigned long long)get_le64(fault + 8),
	    (unsigned long long)get_le64(fault + 16));
}

void exit_describe(const struct kvm_run *run, char *buf, size_t len)
{
	struct line l = { .buf = buf, .size = len };

	buf[0] = '\0';
	switch (run->exit_reason) {
	case KVM_EXIT_UNKNOWN:
		add(&l, "KVM does not know the hardware exit 0x%llx",
		    run->hw.hardware_exit_reason);
		break;
	case KVM_EXIT_EXCEPTION:
		add(&l, "exception %u, error code 0x%x", run->ex.exception,
		    run->ex.error_code);
		break;
	case KVM_EXIT_SHUTDOWN:
		add(&l, "triple fault");
		break;
	case KVM_EXIT_FAIL_ENTRY:
		describe_fail_entry(run, &l);
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		describe_internal(run, &l);
		break;
	case KVM_EXIT_SYSTEM_EVENT:
		describe_system_event(run, &l);
		break;
	case KVM_EXIT_IO:
	case KVM_EXIT_MMIO:
	case KVM_EXIT_X86_RDMSR:
	case KVM_EXIT_X86_WRMSR:
		describe_access(run, &l);
		break;
	case EXIT_MEMORY_FAULT:
		describe_memory_fault(run, &l);
		break;
	default:
		add(&l, "KVM exit %u (%s)", run->exit_reason,
		    exit_reason_name(run->exit_reason));
		break;
	}
}
