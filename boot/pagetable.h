// SPDX-License-Identifier: Apache-2.0
/*
 * pagetable.h - what the first instruction's mode needs: GDT and identity map
 */
#ifndef MOTE_BOOT_PAGETABLE_H
#define MOTE_BOOT_PAGETABLE_H

#include "boot/boot.h"

/* Linux boot protocol: __BOOT_CS and __BOOT_DS. */
#define PAGETABLE_CODE_SELECTOR 0x10
#define PAGETABLE_DATA_SELECTOR 0x18
#define PAGETABLE_TASK_SELECTOR 0x20

/* Writes the GDT that ENTRY->protocol needs and, for long mode, page tables;
 * fills ENTRY's control and descriptor table registers.  -EFAULT.
 */
int pagetable_write(struct guest_memory *gm, struct boot_entry *entry);

#endif
