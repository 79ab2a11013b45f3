// SPDX-License-Identifier: Apache-2.0
/*
 * vm.h - the virtual machine as KVM knows it: memory slots, interrupt lines,
 * vCPUs, and how all of them stop
 *
 * Theory of operation.  Memory comes first, so that a kernel can be loaded (or
 * refused) before KVM is asked for anything.  vm_create() then issues the calls
 * in the order that costs least: VM, every memory slot, TSS, irqchip, vCPUs;
 * ioeventfds come last.  (A slot change after the irqchip waits for an SRCU
 * grace period, 4 to 12 ms.)
 *
 * Parking.  The loop asks with vm_park(): for each vCPU park_requested and
 * immediate_exit are set and a signal is sent, whose handler does nothing but
 * make KVM_RUN return.  A vCPU that has just served a port or MMIO exit enters
 * KVM once more with immediate_exit set, which completes the instruction; only
 * then is its state consistent.  It then waits on a condition until
 * vm_unpark().
 *
 * Ending.  Any thread may say with vm_end() why the machine is over; the first
 * one wins, the loop wakes, and every later KVM_RUN is refused.
 */
#ifndef MOTE_VMM_VM_H
#define MOTE_VMM_VM_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bus.h"
#include "base/gmem.h"
#include "base/irq.h"
#include "base/loop.h"
#include "base/util.h"
#include "vmm/kvm.h"
#include "vmm/vcpu.h"

/* Why the machine is over. */
enum vm_end_kind {
	VM_END_NONE,
	VM_END_POWEROFF,     /* the guest asked */
	VM_END_RESET,	     /* the guest asked */
	VM_END_CRASH,	     /* the guest says that it crashed */
	VM_END_TRIPLE_FAULT, /* the guest's CPU shut down */
	VM_END_TIMEOUT,	     /* --timeout */
	VM_END_OPERATOR,     /* Ctrl-A x */
	VM_END_SIGNAL,	     /* SIGINT, or a second SIGTERM */
	VM_END_FAILED,	     /* KVM or the monitor cannot go on */
};

struct vm {
	int fd;
	int kvm_fd; /* borrowed */
	struct guest_memory mem;
	struct bus mmio, pio; /* frozen by vm_start() */
	bool confined;	      /* threads go under their seccomp filters */
	pid_t pid;	      /* ours, once and for all */
	bool virtual_wire;    /* the guest may know no interrupt controller
			       * but the PIC: vCPU 0 listens to it
			       */
	struct vcpu *vcpu;    /* owned, nr_vcpus of them */
	unsigned int nr_vcpus;
	const char *vcpu_name; /* of threads, before their number */

	pthread_mutex_t park_lock; /* the next four */
	pthread_cond_t parked;	   /* to the loop: nr_parked grew */
	pthread_cond_t resumed;	   /* to the vCPUs: parking is over */
	bool parking;
	unsigned int nr_parked;

	_Atomic int end_kind;	      /* enum vm_end_kind */
	char end_text[200];	      /* by the thread that set end_kind */
	struct loop_source end_event; /* wakes the loop */
	struct loop *loop;	      /* borrowed */
};

/* One interrupt line of VM's irqchip. */
struct vm_irq {
	struct irq_line line;
	struct vm *vm;
	uint32_t gsi;
	pthread_mutex_t lock; /* held while the line is high; a leaf */
};

/* Readies VM without KVM: MEMORY bytes of RAM, in two regions where it reaches
 * the hole, and the event that ends LOOP.  -errno with ERR filled.
 */
int vm_init(struct vm *vm, uint64_t memory, struct loop *loop,
	    struct kvm_error *err);

/* Makes the KVM part: VM, slots, irqchip (virtual_wire says how) and NR_VCPUS
 * vCPUs, none of which runs yet.  KVM_FD is borrowed.  -errno; ERR then names
 * the call that failed.
 */
int vm_create(struct vm *vm, int kvm_fd, unsigned int nr_vcpus,
	      struct kvm_error *err);

/* Takes back what vm_init() and, as far as it came, vm_create() made.  No vCPU
 * was ever started, and the devices are gone.
 */
void vm_fini(struct vm *vm);

/* GSI of the in-kernel irqchip as a device's line. */
void vm_irq_init(struct vm_irq *irq, struct vm *vm, uint32_t gsi);

/* KVM signals EVENT_FD when the guest writes the 32-bit VALUE to ADDR. */
int vm_add_ioeventfd(struct vm *vm, uint64_t addr, uint32_t value,
		     int event_fd);

/* Starts the vCPU threads, which are parked: the first vm_unpark() has them run
 * the guest.  From here on nothing of the set-up may change.  -errno, also of a
 * filter that a thread could not install; those that were started stay parked
 * then, and are the only ones left.
 */
int vm_start(struct vm *vm);

/* Returns when every vCPU is parked (see above), and lets them go on.  Loop. */
void vm_park(struct vm *vm);
void vm_unpark(struct vm *vm);

/* Ends the machine: any thread, the first caller's reason stands.  FMT adds a
 * sentence for the operator, or is NULL.
 */
void vm_end(struct vm *vm, enum vm_end_kind kind, const char *fmt, ...)
	PRINTF_LIKE(3, 4);

static inline bool vm_ended(const struct vm *vm)
{
	return vm->end_kind != VM_END_NONE;
}

/* Waits while parking is on; the vCPU's own thread, between two KVM_RUNs. */
void vm_wait_unparked(struct vm *vm);

#endif
