// SPDX-License-Identifier: Apache-2.0
/*
 * guest.c - a guest's voice and its end
 */
#include "guest.h"

#define EMERGENCY_WRITE (WINDOW(0) + REG_CONFIG + 8)

void put(char c)
{
#ifdef GUEST_SERIAL
	out8(LAYOUT_PORT_SERIAL, (uint8_t)c);
#else
	write32(EMERGENCY_WRITE, (uint8_t)c);
#endif
}

void say(const char *text)
{
	while (*text)
		put(*text++);
}

void say_hex(uint32_t value)
{
	say("0x");
	for (int shift = 28; shift >= 0; shift -= 4) {
		unsigned int digit = (value >> shift) & 15;

		put((char)(digit < 10 ? '0' + digit : 'a' + digit - 10));
	}
}

void say_value(const char *name, uint32_t value)
{
	say(name);
	put(' ');
	say_hex(value);
	put('\n');
}

void power_off(void)
{
	out8(LAYOUT_PORT_SLEEP_CONTROL, LAYOUT_SLEEP_TYPE_S5 << 2 | 0x20);
	for (;;)
		halt();
}

void pass(void)
{
	say("ok\n");
	power_off();
}

void fail(const char *why)
{
	say("FAIL ");
	say(why);
	put('\n');
	triple_fault();
}
