// SPDX-License-Identifier: Apache-2.0
/*
 * reset.h - the code at the reset vector, for kernels that reset through a BIOS
 */
#ifndef MOTE_BOOT_RESET_H
#define MOTE_BOOT_RESET_H

#include "base/gmem.h"

/* Writes it at LAYOUT_RESET_VECTOR.  -EFAULT. */
int reset_write_vector(struct guest_memory *gm);

#endif
