// SPDX-License-Identifier: Apache-2.0
/*
 * power.h - how the guest switches itself off, and how it is asked to
 *
 * The hardware-reduced ACPI registers (ACPI 6.5 §4.8.3.6 reset, §4.8.3.7 sleep)
 * at the ports of boot/layout.h, and the power button's interrupt.
 */
#ifndef MOTE_VMM_POWER_H
#define MOTE_VMM_POWER_H

#include "base/bus.h"
#include "vmm/vm.h"

struct power {
	struct bus_target target;
	struct vm *vm; /* borrowed */
	struct vm_irq button;
};

/* Adds the registers to VM's ports.  -errno of bus_add(). */
int power_init(struct power *power, struct vm *vm);

/* Presses the power button: a guest that listens shuts down. */
void power_press_button(struct power *power);

#endif
