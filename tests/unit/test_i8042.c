// SPDX-License-Identifier: Apache-2.0
/*
 * test_i8042.c - the reset line, and how a guest's search for a keyboard ends
 */
#include <errno.h>

#include "base/util.h"
#include "tests/unit/unit.h"
#include "vmm/i8042.h"

struct machine {
	struct bus pio;
	struct i8042 i8042;
	unsigned int resets;
};

static void on_reset(struct i8042 *i8042)
{
	container_of(i8042, struct machine, i8042)->resets++;
}

static uint8_t in(struct machine *m, uint64_t port)
{
	uint8_t value = 0x5a;

	bus_read(&m->pio, port, &value, 1);
	return value;
}

static void out(struct machine *m, uint64_t port, uint8_t value)
{
	ck_assert(bus_write(&m->pio, port, &value, 1));
}

static void machine_init(struct machine *m)
{
	memset(m, 0, sizeof(*m));
	ck_assert_int_eq(i8042_init(&m->i8042, &m->pio, on_reset), 0);
}

START_TEST(reset_command)
{
	struct machine m;

	machine_init(&m);
	/* 0xf0 to 0xff pulse the lines whose bits are clear; bit 0 is reset */
	for (unsigned int c = 0; c < 256; c++) {
		m.resets = 0;
		out(&m, I8042_COMMAND_PORT, (uint8_t)c);
		ck_assert_msg(m.resets == (c >= 0xf0 && !(c & 1)), "%#x", c);
		out(&m, I8042_DATA_PORT, (uint8_t)c);
		ck_assert_uint_eq(m.resets, c >= 0xf0 && !(c & 1));
	}
}
END_TEST

/* What Linux's reboot does first: wait until the input buffer is empty. */
START_TEST(command_may_be_written_at_once)
{
	struct machine m;

	machine_init(&m);
	ck_assert_uint_eq(in(&m, I8042_COMMAND_PORT) & 0x02, 0);
	out(&m, I8042_COMMAND_PORT, 0xd1);
	ck_assert_uint_eq(in(&m, I8042_COMMAND_PORT) & 0x02, 0);
}
END_TEST

/* A driver that empties the output buffer first gives up: it never is. */
START_TEST(output_never_drains)
{
	struct machine m;

	machine_init(&m);
	for (int i = 0; i < 17; i++) {
		ck_assert_uint_eq(in(&m, I8042_COMMAND_PORT) & 0x01, 0x01);
		ck_assert_uint_eq(in(&m, I8042_DATA_PORT), 0);
	}
}
END_TEST

START_TEST(neighbours_stay_empty)
{
	struct machine m;
	uint8_t two[2];

	machine_init(&m);
	/* 0x61 among them: bit 5 must read as set there */
	for (uint64_t port = 0x5f; port < 0x66; port++)
		if (port != I8042_DATA_PORT && port != I8042_COMMAND_PORT)
			ck_assert_uint_eq(in(&m, port), 0xff);
	ck_assert(!bus_read(&m.pio, I8042_DATA_PORT, two, 2));
	ck_assert(!bus_write(&m.pio, I8042_COMMAND_PORT, "\xfe\xfe", 2));
	ck_assert_uint_eq(m.resets, 0);
}
END_TEST

START_TEST(ports_taken)
{
	struct machine m;

	memset(&m, 0, sizeof(m));
	bus_add(&m.pio, I8042_DATA_PORT, 1, &m.i8042.data);
	ck_assert_int_eq(i8042_init(&m.i8042, &m.pio, on_reset), -EEXIST);
	memset(&m, 0, sizeof(m));
	bus_add(&m.pio, I8042_COMMAND_PORT, 1, &m.i8042.command);
	ck_assert_int_eq(i8042_init(&m.i8042, &m.pio, on_reset), -EEXIST);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("i8042");
	TCase *tc = tcase_create("i8042");

	tcase_add_test(tc, reset_command);
	tcase_add_test(tc, command_may_be_written_at_once);
	tcase_add_test(tc, output_never_drains);
	tcase_add_test(tc, neighbours_stay_empty);
	tcase_add_test(tc, ports_taken);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
