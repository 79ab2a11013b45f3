// SPDX-License-Identifier: Apache-2.0
/*
 * boot_timer.h - the page where a guest says "I am up"
 *
 * One byte, 123, written to the start of the page at LAYOUT_BOOT_TIMER: the
 * convention of Firecracker's boot timer, so that its guests' init programs
 * work here.  Only there with --timing.
 */
#ifndef MOTE_VMM_BOOT_TIMER_H
#define MOTE_VMM_BOOT_TIMER_H

#include <stdint.h>

#include "base/bus.h"

struct boot_timer {
	struct bus_target target;
	_Atomic uint64_t ready_ns; /* CLOCK_MONOTONIC of the first; 0: none */
};

/* Adds the page to MMIO.  -errno of bus_add(). */
int boot_timer_init(struct boot_timer *timer, struct bus *mmio);

#endif
