// SPDX-License-Identifier: Apache-2.0
/*
 * i8042.h - the reset line of a PC keyboard controller, opt-in
 *
 * For guests that know no other way to reset the machine (acpi=off with
 * reboot=k).  There is no keyboard.
 */
#ifndef MOTE_VMM_I8042_H
#define MOTE_VMM_I8042_H

#include "base/bus.h"

#define I8042_DATA_PORT	   0x60
#define I8042_COMMAND_PORT 0x64

struct i8042 {
	struct bus_target data;	   /* at I8042_DATA_PORT, one byte */
	struct bus_target command; /* at I8042_COMMAND_PORT, one byte */
	/* The guest asked for a reset.  vCPU thread; must not block; comes
	 * again each time the guest asks again.
	 */
	void (*reset)(struct i8042 *i8042);
};

/* Fills I8042 and adds its two ports to PIO; RESET as above.  Before the first
 * vCPU starts.  -errno from bus_add().
 */
int i8042_init(struct i8042 *i8042, struct bus *pio,
	       void (*reset)(struct i8042 *i8042));

#endif
