// SPDX-License-Identifier: Apache-2.0
/*
 * power.c - ACPI sleep and reset registers, power button
 */
#include "boot/layout.h"
#include "vmm/power.h"

/* ACPI 6.5 table 4.18: sleep control register */
#define SLEEP_ENABLE	 (1u << 5)
#define SLEEP_TYPE_SHIFT 2
#define SLEEP_TYPE_MASK	 7u

static void power_read(struct bus_target *target, uint64_t offset, void *data,
		       unsigned int len)
{
	(void)target;
	(void)offset;
	/* Sleep status: never woken.  The others are write-only. */
	memset(data, 0, len);
}

static void power_write(struct bus_target *target, uint64_t offset,
			const void *data, unsigned int len)
{
	struct power *power = container_of(target, struct power, target);
	uint8_t value = *(const uint8_t *)data;

	/* The registers are one byte each; a wider write names the first. */
	(void)len;
	switch (LAYOUT_PORT_SLEEP_CONTROL + offset) {
	case LAYOUT_PORT_SLEEP_CONTROL:
		if (value & SLEEP_ENABLE &&
		    ((value >> SLEEP_TYPE_SHIFT) & SLEEP_TYPE_MASK) ==
			    LAYOUT_SLEEP_TYPE_S5)
			vm_end(power->vm, VM_END_POWEROFF, NULL);
		break;
	case LAYOUT_PORT_RESET:
		if (value == LAYOUT_RESET_VALUE)
			vm_end(power->vm, VM_END_RESET, NULL);
		break;
	default:
		break;
	}
}

int power_init(struct power *power, struct vm *vm)
{
	power->target.read = power_read;
	power->target.write = power_write;
	power->vm = vm;
	vm_irq_init(&power->button, vm, LAYOUT_GSI_POWER_BUTTON);
	return bus_add(&vm->pio, LAYOUT_PORT_SLEEP_CONTROL, 3, &power->target);
}

void power_press_button(struct power *power)
{
	irq_pulse(&power->button.line);
}
