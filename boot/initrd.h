// SPDX-License-Identifier: Apache-2.0
/*
 * initrd.h - the initial RAM disk, or any first module of a PVH kernel
 */
#ifndef MOTE_BOOT_INITRD_H
#define MOTE_BOOT_INITRD_H

#include "boot/image.h"

struct initrd {
	uint64_t gpa;
	uint64_t size; /* bytes; 0: there is none */
};

/* Loads FD as high as IMAGE allows, page aligned, above the kernel. */
int initrd_load(struct guest_memory *gm, int fd, bool copy,
		const struct image *image, struct initrd *initrd,
		struct boot_error *err);

#endif
