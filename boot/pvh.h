// SPDX-License-Identifier: Apache-2.0
/*
 * pvh.h - the Xen PVH boot protocol: ELF notes and start info
 */
#ifndef MOTE_BOOT_PVH_H
#define MOTE_BOOT_PVH_H

#include <stdbool.h>
#include <stdint.h>

#include "boot/image.h"
#include "boot/params.h"

/* Notes in one kernel; more is not a kernel. */
#define PVH_MAX_NOTES 256

/* What the notes of an ELF file say; all zeros before the first segment. */
struct pvh_notes {
	unsigned int nr_notes;
	bool has_entry; /* XEN_ELFNOTE_PHYS32_ENTRY */
	uint32_t entry;
	bool linux_kernel; /* a note of Linux, or GUEST_OS "linux" */
};

/* Reads the notes of one PT_NOTE segment.  ALIGN is its p_align. */
int pvh_read_notes(const struct image_file *file, uint64_t offset, uint64_t len,
		   uint64_t align, struct pvh_notes *notes,
		   struct boot_error *err);

/* Writes start info, module list and memory map. */
int pvh_write_info(struct guest_memory *gm, const struct memmap *map,
		   const struct initrd *initrd);

#endif
