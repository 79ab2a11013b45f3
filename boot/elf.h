// SPDX-License-Identifier: Apache-2.0
/*
 * elf.h - ELF kernels: Linux's vmlinux, and anything with a PVH note
 */
#ifndef MOTE_BOOT_ELF_H
#define MOTE_BOOT_ELF_H

#include <stdbool.h>

#include "boot/image.h"

/* Bytes of a file's beginning that elf_sniff() looks at. */
#define ELF_SNIFF 4

/* Linux has 5 program headers, unikernels up to 10. */
#define ELF_MAX_PHDRS 64

/* Whether HEAD, the first LEN bytes of a file, is the start of an ELF file. */
bool elf_sniff(const uint8_t *head, size_t len);

/* Checks every header, then loads the segments to their physical addresses.
 * Errors as boot_load(); guest memory is untouched unless everything fits.
 */
int elf_load(const struct image_file *file, struct guest_memory *gm,
	     struct image *image, struct boot_error *err);

#endif
