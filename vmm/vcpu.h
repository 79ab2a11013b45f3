// SPDX-License-Identifier: Apache-2.0
/*
 * vcpu.h - one virtual CPU: its thread, its run loop, its exits
 */
#ifndef MOTE_VMM_VCPU_H
#define MOTE_VMM_VCPU_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <linux/kvm.h>
#include <sys/types.h>

#include "base/telemetry.h"
#include "base/util.h"
#include "boot/boot.h"
#include "vmm/exit_reason.h"
#include "vmm/kvm.h"

struct vm;
struct cpuid_table;

struct vcpu { /* owner: its own thread, except: */
	unsigned int index;
	int fd;
	struct kvm_run *run; /* shared with KVM */
	size_t run_size;
	pthread_t thread;
	pid_t tid;	 /* valid once the thread has parked */
	int setup_error; /* -errno of its filter; likewise */
	struct vm *vm;
	_Atomic bool park_requested; /* written by the loop */

	uint64_t first_run_ns;	/* 0 until then; read after vm_park() */
	uint64_t first_exit_ns; /* of an exit that the guest caused */
	/* Handling time by KVM_EXIT_* */
	struct histogram exit_ns[EXIT_REASON_MAX + 1];
};

/* The signal that makes KVM_RUN return; its handler is empty. */
#define VCPU_KICK_SIGNAL SIGUSR1

/* Opens vCPU INDEX of VM and maps its kvm_run.  -errno. */
int vcpu_create(struct vcpu *vcpu, struct vm *vm, unsigned int index);

/* Closes a vCPU that was never started. */
void vcpu_destroy(struct vcpu *vcpu);

/* CPUID (from the supported table CPUID, which is scratch to this) and on vCPU
 * 0 the registers of ENTRY: the state before the first instruction.  The other
 * vCPUs wait for INIT and SIPI.  -errno, and in ERR the call that failed.
 */
int vcpu_set_boot_state(struct vcpu *vcpu, const struct boot_entry *entry,
			struct cpuid_table *cpuid, struct kvm_error *err);

/* Starts the thread, which goes under its filter where the VM says so, parks,
 * and waits for vm_unpark().  -errno.
 */
int vcpu_start(struct vcpu *vcpu);

/* Makes the vCPU leave KVM_RUN and look at park_requested. */
void vcpu_kick(struct vcpu *vcpu);

/* True when the guest's local APIC timer may still fire: a kernel that shuts
 * down in order silences it first, one that panics does not.  The vCPU is
 * parked.
 */
bool vcpu_timer_is_live(struct vcpu *vcpu);

#endif
