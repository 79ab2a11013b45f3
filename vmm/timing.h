// SPDX-License-Identifier: Apache-2.0
/*
 * timing.h - where the time went: marks and telemetry as one JSON line
 *
 *	{"t0": "exec", "main_us": 310, "loaded_us": 900, "vm_us": ...}
 *
 * Times count from t0: the instant that the parent put into the environment as
 * MOTE_T0_NS (CLOCK_MONOTONIC, just before execve), else the start of main().
 * A mark that was not reached is null.
 */
#ifndef MOTE_VMM_TIMING_H
#define MOTE_VMM_TIMING_H

#include <stdint.h>

#include "vmm/machine.h"
#include "vmm/terminal.h"

/* Readies what timing_print() needs while every system call is still allowed:
 * all memory that it will ever allocate, and the name of KVM's module.
 */
void timing_prepare(struct machine *m);

/* MOTE_T0_NS, or 0 where it is not there or is later than MAIN_NS.  Before the
 * environment is wiped.
 */
uint64_t timing_exec_ns(uint64_t main_ns);

/* Prints the line on stderr.  T0 is timing_exec_ns()'s, MAIN_NS and END_NS are
 * CLOCK_MONOTONIC.  The vCPUs are parked.
 */
void timing_print(struct machine *m, const struct terminal *terminal,
		  uint64_t t0, uint64_t main_ns, uint64_t end_ns);

#endif
