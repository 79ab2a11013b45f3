// SPDX-License-Identifier: Apache-2.0
/*
 * table.c - appends little-endian fields to a buffer of fixed size
 */
#include "base/util.h"
#include "boot/table.h"

void table_put(struct table *t, const void *data, size_t len)
{
	if (len > t->size - t->len) {
		t->full = true;
		return;
	}
	memcpy(t->buf + t->len, data, len);
	t->len += len;
}

void table_u8(struct table *t, uint8_t value)
{
	table_put(t, &value, sizeof(value));
}

void table_u16(struct table *t, uint16_t value)
{
	table_put(t, &value, sizeof(value));
}

void table_u32(struct table *t, uint32_t value)
{
	table_put(t, &value, sizeof(value));
}

void table_u64(struct table *t, uint64_t value)
{
	table_put(t, &value, sizeof(value));
}

void table_zero(struct table *t, size_t len)
{
	static const uint8_t zeros[64];

	while (len > 0 && !t->full) {
		size_t n = MIN(len, sizeof(zeros));

		table_put(t, zeros, n);
		len -= n;
	}
}

void table_align(struct table *t, size_t align)
{
	table_zero(t, ALIGN_UP(t->len, align) - t->len);
}

uint8_t table_checksum(const uint8_t *data, size_t len)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + data[i]);
	return (uint8_t)-sum;
}
