// SPDX-License-Identifier: Apache-2.0
/*
 * image.h - what every loader of a kernel format is given, and what it finds
 */
#ifndef MOTE_BOOT_IMAGE_H
#define MOTE_BOOT_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <asm/bootparam.h>

#include "base/gmem.h"
#include "boot/boot.h"

/* A file as it was when it was opened; SIZE bounds every offset in it. */
struct image_file {
	int fd; /* borrowed */
	uint64_t size;
	bool copy;
	const char *what; /* for boot_refuse() */
};

/* A loaded kernel, as far as the rest of boot/ needs to know it. */
struct image {
	enum boot_protocol protocol;
	uint64_t entry;
	uint64_t end;	      /* first byte that the kernel leaves free */
	uint64_t initrd_max;  /* last address that the initrd may have */
	bool initrd_high;     /* the initrd may lie above 4 GiB */
	uint32_t cmdline_max; /* bytes, without the final NUL */
	bool linux_kernel;
	struct setup_header header; /* for the zero page */
};

/* Takes FD's size.  -EINVAL when it is not a regular file, -errno. */
int image_open(struct image_file *file, int fd, bool copy, const char *what,
	       struct boot_error *err);

/* Reads exactly LEN bytes at OFFSET; NAME is what the operator is told is cut
 * short (-EBADMSG), -errno when reading fails.
 */
int image_read(const struct image_file *file, uint64_t offset, void *buf,
	       size_t len, const char *name, struct boot_error *err);

/* Puts a checked range of the file into guest memory. */
int image_load(const struct image_file *file, struct guest_memory *gm,
	       uint64_t gpa, uint64_t offset, uint64_t len,
	       struct boot_error *err);

/* Refuses (-ENOSPC) a kernel that occupies guest memory up to END when RAM
 * below the hole ends before; names both sizes.
 */
int image_fits(const struct guest_memory *gm, uint64_t end,
	       struct boot_error *err);

/* End of the RAM that starts at 0. */
uint64_t image_low_end(const struct guest_memory *gm);

#endif
