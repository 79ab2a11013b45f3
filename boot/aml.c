// SPDX-License-Identifier: Apache-2.0
/*
 * aml.c - ACPI Machine Language, as much of it as our DSDT needs
 *
 * A package length comes before what it measures and is one to four bytes long,
 * its own bytes included.  So contents are written first, and closing an object
 * moves them up by as much as the length turns out to need.
 */
#include "base/util.h"
#include "boot/aml.h"

/* ACPI 6.5 §20.2 and §20.3 */
#define AML_ZERO	0x00
#define AML_ONE		0x01
#define AML_NAME	0x08
#define AML_BYTE	0x0a
#define AML_WORD	0x0b
#define AML_DWORD	0x0c
#define AML_STRING	0x0d
#define AML_SCOPE	0x10
#define AML_BUFFER	0x11
#define AML_PACKAGE	0x12
#define AML_METHOD	0x14
#define AML_DUAL_PREFIX 0x2e
#define AML_ROOT	0x5c
#define AML_EXT		0x5b
#define AML_EXT_DEVICE	0x82
#define AML_ARG0	0x68
#define AML_NOTIFY	0x86
#define AML_EQUAL	0x93
#define AML_IF		0xa0

#define SERIALIZED 0x8

/* ACPI 6.5 §6.4: resource data types. */
#define RES_PORTS      0x47
#define RES_END	       0x79
#define RES_MEMORY     0x86
#define RES_INTERRUPT  0x89
#define RES_DECODE_16  0x1
#define RES_READ_WRITE 0x1
#define RES_CONSUMER   0x1
#define RES_EDGE       0x2 /* active high and exclusive are zeros */

static void put_segment(struct table *t, const char *name)
{
	table_put(t, name, 4);
}

void aml_close(struct table *t, size_t open)
{
	size_t body = t->len - open;
	uint8_t length[4];
	unsigned int n = 1;

	if (t->full)
		return;
	/* ACPI 6.5 §20.2.4: six bits alone, else four and whole bytes. */
	while (body + n >= (n == 1 ? 0x40u : 1u << (4 + 8 * (n - 1))))
		n++;
	assert(n <= sizeof(length));
	body += n;
	length[0] = (uint8_t)(n == 1 ? body : (body & 0xfu) | ((n - 1) << 6));
	for (unsigned int i = 1; i < n; i++)
		length[i] = (uint8_t)(body >> (4 + 8 * (i - 1)));

	table_zero(t, n);
	if (t->full)
		return;
	memmove(t->buf + open + n, t->buf + open, body - n);
	memcpy(t->buf + open, length, n);
}

size_t aml_scope(struct table *t, const char *path, size_t len)
{
	size_t open;

	table_u8(t, AML_SCOPE);
	open = t->len;
	table_put(t, path, len);
	return open;
}

size_t aml_device(struct table *t, const char *name)
{
	size_t open;

	table_u8(t, AML_EXT);
	table_u8(t, AML_EXT_DEVICE);
	open = t->len;
	put_segment(t, name);
	return open;
}

size_t aml_method(struct table *t, const char *name, unsigned int nr_args)
{
	size_t open;

	table_u8(t, AML_METHOD);
	open = t->len;
	put_segment(t, name);
	table_u8(t, (uint8_t)(nr_args | SERIALIZED));
	return open;
}

size_t aml_package(struct table *t, uint8_t nr_elements)
{
	size_t open;

	table_u8(t, AML_PACKAGE);
	open = t->len;
	table_u8(t, nr_elements);
	return open;
}

size_t aml_if_arg0_equals(struct table *t, uint32_t value)
{
	size_t open;

	table_u8(t, AML_IF);
	open = t->len;
	table_u8(t, AML_EQUAL);
	table_u8(t, AML_ARG0);
	aml_integer(t, value);
	return open;
}

void aml_name(struct table *t, const char *name)
{
	table_u8(t, AML_NAME);
	put_segment(t, name);
}

void aml_integer(struct table *t, uint32_t value)
{
	if (value <= 1) {
		table_u8(t, value ? AML_ONE : AML_ZERO);
	} else if (value <= UINT8_MAX) {
		table_u8(t, AML_BYTE);
		table_u8(t, (uint8_t)value);
	} else if (value <= UINT16_MAX) {
		table_u8(t, AML_WORD);
		table_u16(t, (uint16_t)value);
	} else {
		table_u8(t, AML_DWORD);
		table_u32(t, value);
	}
}

void aml_string(struct table *t, const char *text)
{
	table_u8(t, AML_STRING);
	table_put(t, text, strlen(text) + 1);
}

static uint32_t hex_digit(char c)
{
	return (uint32_t)(c <= '9' ? c - '0' : c - 'A' + 10);
}

void aml_eisa_id(struct table *t, const char *id)
{
	uint32_t value = 0;

	/* ACPI 6.5 §19.3.4: five bits a letter, big endian. */
	for (unsigned int i = 0; i < 3; i++)
		value = value << 5 | (uint32_t)(id[i] - 'A' + 1);
	for (unsigned int i = 3; i < 7; i++)
		value = value << 4 | hex_digit(id[i]);
	table_u8(t, AML_DWORD);
	table_u32(t, __builtin_bswap32(value));
}

void aml_notify(struct table *t, const char *name, uint8_t value)
{
	table_u8(t, AML_NOTIFY);
	table_u8(t, AML_ROOT);
	table_u8(t, AML_DUAL_PREFIX);
	put_segment(t, "_SB_");
	put_segment(t, name);
	aml_integer(t, value);
}

/* The buffer's own size is an integer before its bytes.  It is written as a
 * byte, which every template of ours fits, and filled in when it is known.
 */
size_t aml_resources(struct table *t)
{
	size_t open;

	aml_name(t, "_CRS");
	table_u8(t, AML_BUFFER);
	open = t->len;
	table_u8(t, AML_BYTE);
	table_u8(t, 0);
	return open;
}

void aml_memory(struct table *t, uint32_t base, uint32_t size)
{
	/* ACPI 6.5 §6.4.3.4 */
	table_u8(t, RES_MEMORY);
	table_u16(t, 9);
	table_u8(t, RES_READ_WRITE);
	table_u32(t, base);
	table_u32(t, size);
}

void aml_ports(struct table *t, uint16_t base, uint8_t count)
{
	/* ACPI 6.5 §6.4.2.5 */
	table_u8(t, RES_PORTS);
	table_u8(t, RES_DECODE_16);
	table_u16(t, base);
	table_u16(t, base);
	table_u8(t, 1); /* alignment */
	table_u8(t, count);
}

void aml_interrupt(struct table *t, uint32_t gsi)
{
	/* ACPI 6.5 §6.4.3.6 */
	table_u8(t, RES_INTERRUPT);
	table_u16(t, 6);
	table_u8(t, RES_CONSUMER | RES_EDGE);
	table_u8(t, 1);
	table_u32(t, gsi);
}

void aml_close_resources(struct table *t, size_t open)
{
	table_u8(t, RES_END);
	table_u8(t, 0); /* ACPI 6.5 §6.4.2.9: checksum not used */
	if (t->full)
		return;
	assert(t->len - open - 2 <= UINT8_MAX);
	t->buf[open + 1] = (uint8_t)(t->len - open - 2);
	aml_close(t, open);
}
