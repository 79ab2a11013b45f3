// SPDX-License-Identifier: Apache-2.0
/*
 * main.c - commands from the serial port, one a line, one line of answer each
 *
 *	t			the time stamp counter
 *	b DEPTH COUNT INTR THINK	block: 4 KiB random reads; cycles between
 *	x LEN COUNT		net: frames to the tap
 *	r LEN COUNT BURSTS	net: frames from the tap
 *	v CHUNK BYTES		vsock: a stream to the host
 *	w CHUNK BYTES		vsock: a stream from the host
 *	p 1 COUNT		vsock: one byte there and back
 *	q			the end, where there is a sleep register
 */
#include "io.h"
#include "tests/guest/ring3.h"

#define SERIAL_DATA   LAYOUT_PORT_SERIAL
#define SERIAL_IER    (LAYOUT_PORT_SERIAL + 1)
#define SERIAL_LSR    (LAYOUT_PORT_SERIAL + 5)
#define IER_RECEIVE   0x01 /* mote takes no input before somebody listens */
#define LSR_AVAILABLE 0x01

static uint64_t tables[6][512] __attribute__((aligned(4096)));

static char get(void)
{
	while (!(in8(SERIAL_LSR) & LSR_AVAILABLE))
		;
	return (char)in8(SERIAL_DATA);
}

void io_next(void)
{
	while (get() != '\n')
		;
}

/* Reads one line into WORD: its first letter, then decimal numbers. */
static void get_command(uint64_t word[IO_WORDS])
{
	unsigned int n = 0;
	char c = get();

	for (unsigned int i = 0; i < IO_WORDS; i++)
		word[i] = 0;
	word[0] = (uint8_t)c;
	while ((c = get()) != '\n') {
		if (c == ' ')
			n++;
		CHECK(n < IO_WORDS, "too many words");
		if (c >= '0' && c <= '9')
			word[n] = word[n] * 10 + (uint64_t)(c - '0');
	}
}

static void say_time(void)
{
	uint64_t now = io_cycles();

	say("tsc ");
	say_hex((uint32_t)(now >> 32));
	put(':');
	say_hex((uint32_t)now);
	put('\n');
}

void user_main(void)
{
	uint64_t word[IO_WORDS];

	out8(SERIAL_IER, IER_RECEIVE);
	say("ready\n");
	for (;;) {
		get_command(word);
		switch (word[0]) {
		case 't':
			say_time();
			break;
		case 'b':
			blk_command(word);
			break;
		case 'x':
		case 'r':
			net_command(word);
			break;
		case 'v':
		case 'w':
		case 'p':
			vsock_command(word);
			break;
		case 'q':
			out8(LAYOUT_PORT_SLEEP_CONTROL,
			     LAYOUT_SLEEP_TYPE_S5 << 2 | 0x20);
			break;
		default:
			fail("unknown command");
		}
	}
}

void guest_main(uintptr_t boot)
{
	(void)boot;
	ring3(tables);
}
