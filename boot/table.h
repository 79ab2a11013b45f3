// SPDX-License-Identifier: Apache-2.0
/*
 * table.h - appends little-endian fields to a buffer of fixed size
 *
 * For firmware tables.  What does not fit is dropped and remembered, so that a
 * builder asks once, at its end.
 */
#ifndef MOTE_BOOT_TABLE_H
#define MOTE_BOOT_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct table {
	uint8_t *buf; /* borrowed */
	size_t size;
	size_t len;
	bool full; /* something was dropped */
};

void table_put(struct table *t, const void *data, size_t len);
void table_u8(struct table *t, uint8_t value);
void table_u16(struct table *t, uint16_t value);
void table_u32(struct table *t, uint32_t value);
void table_u64(struct table *t, uint64_t value);
void table_zero(struct table *t, size_t len);

/* Zeros up to the next multiple of ALIGN, a power of two up to 64. */
void table_align(struct table *t, size_t align);

/* The byte that makes LEN bytes, in which it counts as zero, sum to zero. */
uint8_t table_checksum(const uint8_t *data, size_t len);

#endif
