// SPDX-License-Identifier: Apache-2.0
/*
 * vcpu.c - a vCPU's thread: run, handle the exit, park when asked
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "base/fd.h"
#include "base/log.h"
#include "seccomp/filter.h"
#include "vmm/exit_reason.h"
#include "vmm/vm.h"

/* Ports and registers need little; KVM_RUN needs nothing. */
#define VCPU_STACK_SIZE ((size_t)64 << 10)

int vcpu_create(struct vcpu *vcpu, struct vm *vm, unsigned int index)
{
	int size = ioctl(vm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	int ret;

	if (size < 0)
		return -errno;
	vcpu->index = index;
	vcpu->vm = vm;
	vcpu->run_size = (size_t)size;
	vcpu->fd = ioctl(vm->fd, KVM_CREATE_VCPU, (unsigned long)index);
	if (vcpu->fd < 0)
		return -errno;
	vcpu->fd = fd_place(vcpu->fd, FD_VCPUS, FD_NR_VCPUS);
	vcpu->run = mmap(NULL, vcpu->run_size, PROT_READ | PROT_WRITE,
			 MAP_SHARED, vcpu->fd, 0);
	if (vcpu->run == MAP_FAILED) {
		ret = -errno;
		close(vcpu->fd);
		return ret;
	}
	return 0;
}

void vcpu_destroy(struct vcpu *vcpu)
{
	munmap(vcpu->run, vcpu->run_size);
	close(vcpu->fd);
}

/* COUNT accesses of one size, as `rep outsb` makes them; the data follows
 * kvm_run in the shared mapping.
 */
static void vcpu_io(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;

	for (uint32_t i = 0; i < run->io.count; i++, data += run->io.size) {
		if (run->io.direction == KVM_EXIT_IO_OUT)
			bus_write(&vcpu->vm->pio, run->io.port, data,
				  run->io.size);
		else
			bus_read(&vcpu->vm->pio, run->io.port, data,
				 run->io.size);
	}
}

static void vcpu_mmio(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;

	if (run->mmio.is_write)
		bus_write(&vcpu->vm->mmio, run->mmio.phys_addr, run->mmio.data,
			  run->mmio.len);
	else
		bus_read(&vcpu->vm->mmio, run->mmio.phys_addr, run->mmio.data,
			 run->mmio.len);
}

static void vcpu_system_event(struct vcpu *vcpu)
{
	switch (vcpu->run->system_event.type) {
	case KVM_SYSTEM_EVENT_SHUTDOWN:
		vm_end(vcpu->vm, VM_END_POWEROFF, NULL);
		break;
	case KVM_SYSTEM_EVENT_RESET:
		vm_end(vcpu->vm, VM_END_RESET, NULL);
		break;
	default:
		vm_end(vcpu->vm, VM_END_CRASH, "system event %u",
		       vcpu->run->system_event.type);
	}
}

/* An exit after which the machine cannot go on. */
static void vcpu_report(struct vcpu *vcpu)
{
	char text[160];

	exit_describe(vcpu->run, text, sizeof(text));
	vm_end(vcpu->vm, VM_END_FAILED, "vCPU %u: %s", vcpu->index, text);
}

static void vcpu_handle_exit(struct vcpu *vcpu)
{
	switch (vcpu->run->exit_reason) {
	case KVM_EXIT_IO:
		vcpu_io(vcpu);
		break;
	case KVM_EXIT_MMIO:
		vcpu_mmio(vcpu);
		break;
	case KVM_EXIT_INTR:
	case KVM_EXIT_IRQ_WINDOW_OPEN:
		break;
	case KVM_EXIT_SHUTDOWN:
		vm_end(vcpu->vm, VM_END_TRIPLE_FAULT, "vCPU %u: triple fault",
		       vcpu->index);
		break;
	case KVM_EXIT_SYSTEM_EVENT:
		vcpu_system_event(vcpu);
		break;
	default:
		vcpu_report(vcpu);
	}
}

/* KVM_RUN itself failed. */
static void vcpu_run_failed(struct vcpu *vcpu, int err)
{
	if (err == EFAULT)
		vm_end(vcpu->vm, VM_END_FAILED,
		       "vCPU %u: guest memory is not there any more: was the "
		       "kernel or initrd file truncated while the machine ran? "
		       "(--copy reads files instead of mapping them)",
		       vcpu->index);
	else
		vm_end(vcpu->vm, VM_END_FAILED, "vCPU %u: KVM_RUN: %s",
		       vcpu->index, log_errno(err));
}

/* The loop wants this vCPU to be still, and its state to be whole: an access
 * that was served but not completed is completed by one more entry (KVM
 * api.rst, KVM_RUN), which may bring the next part of the same access.
 */
static void vcpu_park(struct vcpu *vcpu)
{
	while (!vm_ended(vcpu->vm)) {
		vcpu->run->immediate_exit = 1;
		if (ioctl(vcpu->fd, KVM_RUN, 0) < 0)
			break;
		vcpu_handle_exit(vcpu);
	}
	vm_wait_unparked(vcpu->vm);
	vcpu->run->immediate_exit = 0;
	/* A request that came before the line above has lost its
	 * immediate_exit, but not its park_requested.
	 */
}

static void vcpu_run_once(struct vcpu *vcpu)
{
	uint32_t reason;
	uint64_t start;

	if (ioctl(vcpu->fd, KVM_RUN, 0) < 0) {
		if (errno != EINTR && errno != EAGAIN)
			vcpu_run_failed(vcpu, errno);
		return;
	}
	start = now_ns();
	if (!vcpu->first_exit_ns)
		vcpu->first_exit_ns = start;
	reason = MIN(vcpu->run->exit_reason, (uint32_t)EXIT_REASON_MAX);
	vcpu_handle_exit(vcpu);
	histogram_add(&vcpu->exit_ns[reason], now_ns() - start);
}

static void *vcpu_thread(void *arg)
{
	struct vcpu *vcpu = arg;
	char name[16];

	snprintf(name, sizeof(name), "%s%u", vcpu->vm->vcpu_name, vcpu->index);
	prctl(PR_SET_NAME, name);
	vcpu->tid = (pid_t)syscall(SYS_gettid);
	if (vcpu->vm->confined)
		vcpu->setup_error = seccomp_install(SECCOMP_VCPU);
	vm_wait_unparked(vcpu->vm);
	vcpu->first_run_ns = now_ns();
	for (;;) {
		/* pairs with vcpu_kick(): the request first, then
		 * immediate_exit, then the signal
		 */
		if (vcpu->park_requested || vm_ended(vcpu->vm))
			vcpu_park(vcpu);
		else
			vcpu_run_once(vcpu);
	}
	return NULL;
}

int vcpu_start(struct vcpu *vcpu)
{
	pthread_attr_t attr;
	int ret;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, VCPU_STACK_SIZE);
	ret = -pthread_create(&vcpu->thread, &attr, vcpu_thread, vcpu);
	pthread_attr_destroy(&attr);
	return ret;
}

void vcpu_kick(struct vcpu *vcpu)
{
	vcpu->park_requested = true;
	__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	/* Not pthread_kill(3): its tkill(2) could name any process's thread,
	 * and so would the filter.
	 */
	syscall(SYS_tgkill, vcpu->vm->pid, vcpu->tid, VCPU_KICK_SIGNAL);
}
