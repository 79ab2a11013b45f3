// SPDX-License-Identifier: Apache-2.0
/*
 * kernels.h - small kernels made in memory
 *
 * Each builder makes a file that boot_load() takes; a test then spoils one
 * field of it.
 */
#ifndef MOTE_TESTS_KERNELS_H
#define MOTE_TESTS_KERNELS_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where the builders put things in the file. */
#define KERNELS_TEXT	  0x1000u /* first segment, one page */
#define KERNELS_DATA	  0x2000u /* second segment, 0x800 bytes */
#define KERNELS_NOTES	  0x800u
#define KERNELS_ELF_SIZE  0x2800u
#define KERNELS_SETUP	  0x1000u /* bzImage: 7 + 1 sectors */
#define KERNELS_BZ_SIZE	  0x5100u
#define KERNELS_PVH_ENTRY 0x100040u

struct kernel_file {
	uint8_t data[0x8000];
	size_t len;
};

/* An ELF file: text at 1 MiB, data at 2 MiB with 0x3000 bytes in memory. */
void kernels_elf64(struct kernel_file *k);
void kernels_elf32(struct kernel_file *k);

/* Adds a PT_NOTE segment with one note NAME of TYPE to an ELF file. */
void kernels_note(struct kernel_file *k, const char *name, uint32_t type,
		  const void *desc, uint32_t len);

/* The usual PVH note, for KERNELS_PVH_ENTRY. */
void kernels_pvh_note(struct kernel_file *k);

/* A relocatable 64-bit bzImage of protocol 2.15 that needs 4 MiB at 2 MiB. */
void kernels_bzimage(struct kernel_file *k);

/* A file of its own with these bytes; the caller closes it. */
int kernels_fd(const void *data, size_t len);

#endif
