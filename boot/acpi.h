// SPDX-License-Identifier: Apache-2.0
/*
 * acpi.h - ACPI 6.5 tables of a hardware-reduced machine
 */
#ifndef MOTE_BOOT_ACPI_H
#define MOTE_BOOT_ACPI_H

#include "boot/boot.h"

/* Builds all tables for guest address LAYOUT_ACPI into BUF of SIZE bytes; the
 * RSDP comes first.  Uses the CPU count, devices and serial of CONFIG.  Returns
 * the bytes used, -ENOSPC.
 */
int acpi_build(const struct boot_config *config, uint8_t *buf, size_t size);

#endif
