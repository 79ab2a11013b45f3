// SPDX-License-Identifier: Apache-2.0
/*
 * seal.h - mappings that stay as they are until the process ends
 *
 * A sealed mapping can be neither unmapped, moved, mapped over nor given other
 * rights, by whoever (mseal(2), Linux 6.10).  What is in it can be written.
 */
#ifndef MOTE_BASE_SEAL_H
#define MOTE_BASE_SEAL_H

#include <stddef.h>

/* Seals LEN bytes at ADDR, whole pages of mappings.  -errno: -ENOSYS where the
 * kernel cannot.
 */
int seal(const void *addr, size_t len);

/* Seals the program: its code, constants and variables.  -errno. */
int seal_program(void);

#endif
