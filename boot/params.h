// SPDX-License-Identifier: Apache-2.0
/*
 * params.h - memory map, command line and Linux's zero page
 */
#ifndef MOTE_BOOT_PARAMS_H
#define MOTE_BOOT_PARAMS_H

#include "boot/boot.h"
#include "boot/image.h"
#include "boot/initrd.h"

#define MEMMAP_MAX 8

/* As the E820 call of a PC BIOS would give it; PVH has the same types. */
struct memmap {
	struct boot_e820_entry entry[MEMMAP_MAX];
	unsigned int nr_entries;
};

void memmap_build(const struct guest_memory *gm, struct memmap *map);

/* Writes the command line: the operator's words and, when acpi=off is among
 * them, a virtio_mmio.device= for each device.  -ENOSPC when that is more than
 * MAX bytes.
 */
int cmdline_write(const struct boot_config *config, uint32_t max,
		  struct boot_error *err);

/* Writes the zero page: IMAGE's header, completed. */
int params_write(struct guest_memory *gm, const struct image *image,
		 const struct memmap *map, const struct initrd *initrd);

#endif
