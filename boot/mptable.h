// SPDX-License-Identifier: Apache-2.0
/*
 * mptable.h - MultiProcessor Specification 1.4 tables, for acpi=off
 */
#ifndef MOTE_BOOT_MPTABLE_H
#define MOTE_BOOT_MPTABLE_H

#include "boot/boot.h"

/* APIC ids have eight bits here, and 255 is everybody. */
#define MPTABLE_MAX_CPUS 255

/* Builds pointer and table for guest address LAYOUT_MPTABLE into BUF of SIZE
 * bytes.  Processors beyond MPTABLE_MAX_CPUS are left out.  -ENOSPC.
 */
int mptable_build(unsigned int nr_cpus, uint8_t *buf, size_t size);

#endif
