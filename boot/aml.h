// SPDX-License-Identifier: Apache-2.0
/*
 * aml.h - ACPI Machine Language, as much of it as our DSDT needs
 *
 * Objects are written in order; one that contains others is opened and closed.
 * Names are given as they are encoded: four characters, "_" padded.
 */
#ifndef MOTE_BOOT_AML_H
#define MOTE_BOOT_AML_H

#include "boot/table.h"

/* Opens an object; the result goes to aml_close() after its contents. */
size_t aml_scope(struct table *t, const char *path, size_t len);
size_t aml_device(struct table *t, const char *name);
size_t aml_method(struct table *t, const char *name, unsigned int nr_args);
size_t aml_package(struct table *t, uint8_t nr_elements);
size_t aml_if_arg0_equals(struct table *t, uint32_t value);
void aml_close(struct table *t, size_t open);

/* Name (NAME, ...): the value follows. */
void aml_name(struct table *t, const char *name);
void aml_integer(struct table *t, uint32_t value);
void aml_string(struct table *t, const char *text);

/* EISAID ("PNP0501"): three capitals, four hexadecimal digits. */
void aml_eisa_id(struct table *t, const char *id);

/* Notify (\_SB.NAME, value) */
void aml_notify(struct table *t, const char *name, uint8_t value);

/* Name (_CRS, ResourceTemplate () {...}), between open and close. */
size_t aml_resources(struct table *t);
void aml_memory(struct table *t, uint32_t base, uint32_t size);
void aml_ports(struct table *t, uint16_t base, uint8_t count);
void aml_interrupt(struct table *t, uint32_t gsi); /* edge, active high */
void aml_close_resources(struct table *t, size_t open);

#endif
