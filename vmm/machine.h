// SPDX-License-Identifier: Apache-2.0
/*
 * machine.h - one machine, put together: memory, kernel, devices, vCPUs
 *
 * The order of the calls is the life of the machine; each prints one line and
 * returns -errno when the operator or the host stands in the way.
 */
#ifndef MOTE_VMM_MACHINE_H
#define MOTE_VMM_MACHINE_H

#include "base/loop.h"
#include "base/port.h"
#include "boot/layout.h"
#include "virtio/disk_ring.h"
#include "virtio/mmio.h"
#include "vmm/boot_timer.h"
#include "vmm/config.h"
#include "vmm/i8042.h"
#include "vmm/power.h"
#include "vmm/serial.h"
#include "vmm/vm.h"
#include "vmm/watch.h"

/* A virtio device in its window. */
struct machine_device {
	struct virtio_device *vdev; /* owned */
	struct virtio_mmio mmio;
	struct vm_irq irq;
	uint64_t base;
};

/* Marks on CLOCK_MONOTONIC, in ns; 0: not reached. */
struct machine_marks {
	uint64_t loaded;  /* files opened, kernel and tables in memory */
	uint64_t vm;	  /* KVM: VM, slots, irqchip, vCPUs */
	uint64_t state;	  /* vCPU state set, doorbells registered */
	uint64_t started; /* vCPU threads started */
};

struct confine; /* vmm/confine.h */

struct machine {
	const struct vm_config *config; /* borrowed */
	struct loop *loop;		/* borrowed */
	struct confine *confine;	/* borrowed; NULL: no jail */
	struct vm vm;
	int kvm_fd; /* between machine_open_kvm() and machine_start() */
	struct machine_device device[LAYOUT_MAX_DEVICES];
	unsigned int nr_devices;
	struct disk_ring *ring; /* owned; of all disks, NULL without any */
	struct power power;
	struct boot_timer boot_timer; /* with --timing */
	struct serial serial;	      /* with --early-serial */
	struct vm_irq serial_irq;
	struct i8042 i8042;	/* with --early-serial or acpi=off */
	struct watch watch;	/* without --copy: kernel and initrd files */
	const char *kvm_module; /* for --timing */
	struct boot_entry entry;
	struct machine_marks marks;
};

/* What the machine needs of the terminal: a port for the virtio console and one
 * for the 16550.
 */
struct machine_ports {
	struct port *console;
	struct port *serial;
};

/* Opens the files, makes memory and devices, loads the kernel.  KVM is not
 * touched.
 */
int machine_create(struct machine *m, const struct vm_config *config,
		   struct loop *loop, const struct machine_ports *ports);

/* Opens /dev/kvm, and refuses a kernel that would not run on it.  The last that
 * needs the file system.
 */
int machine_open_kvm(struct machine *m);

/* Makes the KVM side and starts the vCPUs. */
int machine_start(struct machine *m);

/* Takes everything back after one of these has failed, so that they may be
 * tried again with another configuration.  False when vCPU threads are there
 * already: the process has to end then.
 */
bool machine_undo(struct machine *m);

/* Serves what the guest had asked for when it ended: each doorbell that has
 * rung, once, output that is on its way, no longer limited, and what disks have
 * under way.  True when one had rung or a disk has done something: there may be
 * more.  The vCPUs are parked.
 */
bool machine_drain(struct machine *m);

/* Removes what would outlive the process, which is about to end: with it go
 * memory, descriptors and locks, for which the filters have no system calls.
 * The vCPUs are parked, or were never started.
 */
void machine_leave(struct machine *m);

#endif
