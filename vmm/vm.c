// SPDX-License-Identifier: Apache-2.0
/*
 * vm.c - the virtual machine: KVM set-up, parking, ending
 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <linux/kvm.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>

#include "base/fd.h"
#include "base/log.h"
#include "boot/layout.h"
#include "vmm/vm.h"

/* RAM below and above the hole. */
static int vm_map_memory(struct vm *vm, uint64_t size, struct kvm_error *err)
{
	uint64_t low = MIN(size, LAYOUT_HOLE_START);
	int ret = gmem_map(&vm->mem, 0, low);

	if (ret == 0 && size > low)
		ret = gmem_map(&vm->mem, LAYOUT_HOLE_END, size - low);
	if (ret < 0)
		snprintf(err->text, sizeof(err->text),
			 "this host gives no address space of %llu MiB: use a "
			 "smaller -m, or raise the limit (`ulimit -v`, sysctl "
			 "vm.overcommit_memory)",
			 (unsigned long long)(size >> 20));
	return ret;
}

static int vm_set_slots(struct vm *vm, struct kvm_error *err)
{
	for (unsigned int i = 0; i < vm->mem.nr_regions; i++) {
		const struct gmem_region *r = &vm->mem.region[i];
		struct kvm_userspace_memory_region slot = {
			.slot = i,
			.guest_phys_addr = r->gpa,
			.memory_size = r->size,
			.userspace_addr = (uintptr_t)r->hva,
		};

		if (ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &slot) < 0)
			return kvm_call_failed(err, -errno,
					       "KVM_SET_USER_MEMORY_REGION");
	}
	return 0;
}

/* Optional: what a host lacks it does without.
 *
 * KVM_CAP_EXIT_ON_EMULATION_FAILURE stays off: with it, an instruction that KVM
 * cannot emulate ends the machine even when a program in ring 3 has it.
 */
static void vm_enable_caps(struct vm *vm)
{
	/* vCPU 0's LINT0 stays masked, as a local APIC starts (SDM 3A
	 * §11.4.7.1).  Open, it lets the irqchip's PIC, which ACPI does not
	 * list, interrupt at vectors that the guest never gave.
	 */
	struct kvm_enable_cap lint0 = {
		.cap = KVM_CAP_DISABLE_QUIRKS,
		.args = { KVM_X86_QUIRK_LINT0_REENABLED },
	};

	if (!vm->virtual_wire)
		ioctl(vm->fd, KVM_ENABLE_CAP, &lint0);
}

/* In this order: vm.h says why. */
static int vm_set_up(struct vm *vm, unsigned int nr_vcpus,
		     struct kvm_error *err)
{
	int ret = vm_set_slots(vm, err);

	if (ret < 0)
		return ret;
	/* Three pages that VT-x needs for real mode.  Its identity map is at
	 * LAYOUT_IDENTITY_MAP unless told otherwise.
	 */
	if (ioctl(vm->fd, KVM_SET_TSS_ADDR, (unsigned long)LAYOUT_KVM_TSS) < 0)
		return kvm_call_failed(err, -errno, "KVM_SET_TSS_ADDR");
	vm_enable_caps(vm);
	if (ioctl(vm->fd, KVM_CREATE_IRQCHIP, 0) < 0)
		return kvm_call_failed(err, -errno, "KVM_CREATE_IRQCHIP");
	for (unsigned int i = 0; i < nr_vcpus; i++) {
		ret = vcpu_create(&vm->vcpu[i], vm, i);
		if (ret < 0)
			return kvm_call_failed(err, ret, "KVM_CREATE_VCPU");
		vm->nr_vcpus++;
	}
	return 0;
}

/* The loop has been woken because the machine is over. */
static void vm_end_ready(struct loop_source *source, uint32_t events)
{
	struct vm *vm = container_of(source, struct vm, end_event);

	(void)events;
	loop_stop(vm->loop);
}

static int vm_init_end_event(struct vm *vm, struct kvm_error *err)
{
	int fd = fd_event();
	int ret;

	vm->end_event.ready = vm_end_ready;
	if (fd < 0)
		return kvm_call_failed(err, fd, "eventfd");
	ret = loop_add(vm->loop, &vm->end_event, fd, EPOLLIN);
	if (ret < 0) {
		kvm_call_failed(err, ret, "epoll_ctl");
		close(fd);
	}
	return ret;
}

int vm_init(struct vm *vm, uint64_t memory, struct loop *loop,
	    struct kvm_error *err)
{
	int ret;

	*vm = (struct vm){
		.fd = -1,
		.kvm_fd = -1,
		.vcpu_name = "vcpu",
		.end_event.fd = -1,
		.loop = loop,
		.pid = getpid(),
		.park_lock = PTHREAD_MUTEX_INITIALIZER,
		.parked = PTHREAD_COND_INITIALIZER,
		.resumed = PTHREAD_COND_INITIALIZER,
	};
	ret = vm_init_end_event(vm, err);
	if (ret < 0)
		return ret;
	ret = vm_map_memory(vm, memory, err);
	if (ret < 0) {
		int fd = vm->end_event.fd;

		gmem_fini(&vm->mem);
		loop_remove(loop, &vm->end_event);
		close(fd);
	}
	return ret;
}

int vm_create(struct vm *vm, int kvm_fd, unsigned int nr_vcpus,
	      struct kvm_error *err)
{
	vm->kvm_fd = kvm_fd;
	vm->vcpu = calloc(nr_vcpus, sizeof(*vm->vcpu));
	if (!vm->vcpu)
		return kvm_call_failed(err, -errno, "memory for vCPUs");
	vm->fd = fd_place(kvm_create_vm(kvm_fd, err), FD_VM, 1);
	if (vm->fd < 0)
		return vm->fd;
	/* What a failure leaves open is vm_fini()'s. */
	return vm_set_up(vm, nr_vcpus, err);
}

void vm_fini(struct vm *vm)
{
	int event_fd = vm->end_event.fd;

	if (event_fd < 0)
		return; /* vm_init() has failed */
	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		vcpu_destroy(&vm->vcpu[i]);
	free(vm->vcpu);
	vm->vcpu = NULL;
	vm->nr_vcpus = 0;
	if (vm->fd >= 0)
		close(vm->fd);
	vm->fd = -1;
	gmem_fini(&vm->mem);
	loop_remove(vm->loop, &vm->end_event);
	close(event_fd);
}

/* Raises an edge: the irqchip latches it if the guest is busy with an earlier
 * one.  KVM_IRQ_LINE rather than an irqfd, whose IOAPIC delivery goes through a
 * kernel worker thread and arrives later.
 *
 * Two threads may pulse one line.  To raise what is high already is no edge,
 * and the guest may have handled the first one by then, so each has the line
 * alone.
 */
static void vm_irq_pulse(struct irq_line *line)
{
	struct vm_irq *irq = container_of(line, struct vm_irq, line);
	struct kvm_irq_level level = { .irq = irq->gsi, .level = 1 };

	pthread_mutex_lock(&irq->lock);
	/* Cannot fail: the GSI is one of the irqchip's. */
	ioctl(irq->vm->fd, KVM_IRQ_LINE, &level);
	level.level = 0;
	ioctl(irq->vm->fd, KVM_IRQ_LINE, &level);
	pthread_mutex_unlock(&irq->lock);
}

void vm_irq_init(struct vm_irq *irq, struct vm *vm, uint32_t gsi)
{
	irq->line.pulse = vm_irq_pulse;
	irq->vm = vm;
	irq->gsi = gsi;
	pthread_mutex_init(&irq->lock, NULL);
}

int vm_add_ioeventfd(struct vm *vm, uint64_t addr, uint32_t value, int event_fd)
{
	struct kvm_ioeventfd io = {
		.datamatch = value,
		.addr = addr,
		.len = sizeof(value),
		.fd = event_fd,
		.flags = KVM_IOEVENTFD_FLAG_DATAMATCH,
	};

	return ioctl(vm->fd, KVM_IOEVENTFD, &io) < 0 ? -errno : 0;
}

static void kick_handler(int sig)
{
	(void)sig;
}

/* What a vCPU's thread does not take: signals are the loop's business, but for
 * the kick and for what the thread does to itself.
 */
static void vcpu_signals(sigset_t *blocked)
{
	static const int taken[] = {
		VCPU_KICK_SIGNAL, SIGSEGV, SIGBUS, SIGILL,
		SIGFPE,		  SIGTRAP, SIGSYS, SIGABRT
	};

	sigfillset(blocked);
	for (size_t i = 0; i < ARRAY_SIZE(taken); i++)
		sigdelset(blocked, taken[i]);
}

static void vm_wait_parked_locked(struct vm *vm)
{
	while (vm->nr_parked < vm->nr_vcpus)
		pthread_cond_wait(&vm->parked, &vm->park_lock);
}

int vm_start(struct vm *vm)
{
	/* Without SA_RESTART: KVM_RUN returns EINTR. */
	struct sigaction kick = { .sa_handler = kick_handler };
	sigset_t blocked, old;
	int ret = 0;

	sigaction(VCPU_KICK_SIGNAL, &kick, NULL);
	vcpu_signals(&blocked);
	pthread_sigmask(SIG_BLOCK, &blocked, &old); /* which they inherit */
	vm->parking = true;
	for (unsigned int i = 0; i < vm->nr_vcpus && ret == 0; i++) {
		ret = vcpu_start(&vm->vcpu[i]);
		/* Nothing may go away under those that run already. */
		if (ret < 0)
			vm->nr_vcpus = i;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);

	pthread_mutex_lock(&vm->park_lock);
	vm_wait_parked_locked(vm);
	pthread_mutex_unlock(&vm->park_lock);
	for (unsigned int i = 0; i < vm->nr_vcpus && ret == 0; i++)
		ret = vm->vcpu[i].setup_error;
	if (ret < 0)
		vm_end(vm, VM_END_FAILED, NULL);
	return ret;
}

void vm_park(struct vm *vm)
{
	pthread_mutex_lock(&vm->park_lock);
	vm->parking = true;
	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		vcpu_kick(&vm->vcpu[i]);
	vm_wait_parked_locked(vm);
	pthread_mutex_unlock(&vm->park_lock);
}

void vm_unpark(struct vm *vm)
{
	pthread_mutex_lock(&vm->park_lock);
	vm->parking = false;
	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		vm->vcpu[i].park_requested = false;
	pthread_cond_broadcast(&vm->resumed);
	pthread_mutex_unlock(&vm->park_lock);
}

void vm_wait_unparked(struct vm *vm)
{
	pthread_mutex_lock(&vm->park_lock);
	vm->nr_parked++;
	pthread_cond_signal(&vm->parked);
	/* Nobody runs again once the machine is over. */
	while (vm->parking || vm_ended(vm))
		pthread_cond_wait(&vm->resumed, &vm->park_lock);
	vm->nr_parked--;
	pthread_mutex_unlock(&vm->park_lock);
}

void vm_end(struct vm *vm, enum vm_end_kind kind, const char *fmt, ...)
{
	int none = VM_END_NONE;
	uint64_t one = 1;
	char text[sizeof(vm->end_text)] = "";

	if (fmt) {
		va_list args;

		va_start(args, fmt);
		vsnprintf(text, sizeof(text), fmt, args);
		va_end(args);
	}
	if (!atomic_compare_exchange_strong(&vm->end_kind, &none, (int)kind))
		return;
	memcpy(vm->end_text, text, sizeof(text));
	/* The loop reads end_text after this wakes it. */
	if (write(vm->end_event.fd, &one, sizeof(one)) < 0)
		log_error("eventfd: %s", log_errno(errno));
}
