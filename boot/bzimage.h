// SPDX-License-Identifier: Apache-2.0
/*
 * bzimage.h - Linux bzImage, entered by the 64-bit boot protocol
 */
#ifndef MOTE_BOOT_BZIMAGE_H
#define MOTE_BOOT_BZIMAGE_H

#include <stdbool.h>

#include "boot/image.h"

/* Bytes of a file's beginning that bzimage_sniff() looks at. */
#define BZIMAGE_SNIFF 0x206

/* Whether HEAD, the first LEN bytes of a file, has a Linux setup header. */
bool bzimage_sniff(const uint8_t *head, size_t len);

/* Checks all of the setup header, then loads the kernel.  Errors as
 * boot_load(); guest memory is untouched unless everything fits.
 */
int bzimage_load(const struct image_file *file, struct guest_memory *gm,
		 struct image *image, struct boot_error *err);

#endif
