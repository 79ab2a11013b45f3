// SPDX-License-Identifier: Apache-2.0
/*
 * test_serial.c - the 16550A: registers, interrupts, and two threads at once
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <unistd.h>

#include <linux/serial_reg.h>

#include "base/util.h"
#include "tests/unit/unit.h"
#include "vmm/serial.h"

#define BULK  KIB(80) /* out: more than the ring */
#define KEYED KIB(4)  /* in: 256 FIFOs full */

/* The world outside: takes up to `space` bytes, offers `nr_feed`. */
static struct world {
	struct port port;
	uint8_t *got; /* BULK bytes */
	_Atomic size_t nr_got;
	size_t space;
	bool starved;
	const uint8_t *feed;
	size_t nr_feed;
	bool readable;
} world;

static struct bus pio;
static struct loop loop;
static struct serial uart;

static struct {
	struct irq_line line;
	sem_t pulses;
} irq;

static void on_pulse(struct irq_line *line)
{
	ck_assert_ptr_eq(line, &irq.line);
	sem_post(&irq.pulses);
}

static unsigned int pulses(void)
{
	unsigned int n = 0;

	while (sem_trywait(&irq.pulses) == 0)
		n++;
	return n;
}

static size_t world_write(struct port *port, const void *data, size_t len)
{
	size_t n = MIN(len, world.space);

	ck_assert_ptr_eq(port, &world.port);
	memcpy(world.got + world.nr_got, data, n);
	world.nr_got += n;
	world.space -= n;
	if (n < len)
		world.starved = true;
	return n;
}

static void world_readable(struct port *port)
{
	ck_assert_ptr_eq(port, &world.port);
	world.readable = true;
}

/* Passes on input as the terminal would, from the loop. */
static void world_feed(void)
{
	struct port_user *user = world.port.user;
	size_t n;

	world.readable = false;
	n = MIN(user->room(user), world.nr_feed);
	if (n > 0)
		user->receive(user, world.feed, n);
	world.feed += n;
	world.nr_feed -= n;
}

static void out(unsigned int reg, unsigned int value)
{
	uint8_t byte = (uint8_t)value;

	ck_assert(bus_write(&pio, SERIAL_BASE + reg, &byte, 1));
}

static uint8_t in(unsigned int reg)
{
	uint8_t byte;

	ck_assert(bus_read(&pio, SERIAL_BASE + reg, &byte, 1));
	return byte;
}

static void step(void)
{
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(loop_step(&loop, 0), 0);
}

static void setup(void)
{
	memset(&pio, 0, sizeof(pio));
	memset(&world, 0, sizeof(world));
	world.port.write = world_write;
	world.port.readable = world_readable;
	world.got = malloc(BULK);
	world.space = BULK;
	irq.line.pulse = on_pulse;
	sem_init(&irq.pulses, 0, 0);
	ck_assert_int_eq(loop_init(&loop), 0);
	ck_assert_int_eq(
		serial_init(&uart, &pio, &irq.line, &loop, &world.port), 0);
	ck_assert_ptr_eq(world.port.user, &uart.user);
}

static void teardown(void)
{
	serial_fini(&uart);
	ck_assert_ptr_null(world.port.user);
	loop_fini(&loop);
	free(world.got);
}

/* Values after reset: PC16550D data sheet, table III. */
START_TEST(reset_values)
{
	ck_assert_uint_eq(in(UART_IER), 0);
	ck_assert_uint_eq(in(UART_IIR), UART_IIR_NO_INT);
	ck_assert_uint_eq(in(UART_LCR), 0);
	ck_assert_uint_eq(in(UART_MCR), 0);
	ck_assert_uint_eq(in(UART_LSR), UART_LSR_THRE | UART_LSR_TEMT);
	ck_assert_uint_eq(in(UART_MSR),
			  UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS);
	ck_assert_uint_eq(in(UART_RX), 0);
}
END_TEST

START_TEST(plain_registers)
{
	for (unsigned int v = 0; v < 256; v++) {
		out(UART_SCR, v);
		ck_assert_uint_eq(in(UART_SCR), v);
		out(UART_LCR, v);
		ck_assert_uint_eq(in(UART_LCR), v);
		out(UART_LCR, 0);
		out(UART_IER, v);
		ck_assert_uint_eq(in(UART_IER), v & 0x0f);
		out(UART_IER, 0);
		out(UART_MCR, v);
		ck_assert_uint_eq(in(UART_MCR), v & 0x1f);
		out(UART_MCR, 0);
		/* read only */
		out(UART_LSR, v);
		ck_assert_uint_eq(in(UART_LSR), 0x60);
		in(UART_MSR);
		out(UART_MSR, v);
		ck_assert_uint_eq(in(UART_MSR), 0xb0);
	}
}
END_TEST

START_TEST(divisor_latch)
{
	out(UART_LCR, UART_LCR_DLAB | UART_LCR_WLEN8);
	ck_assert_uint_ne(in(UART_DLL) | in(UART_DLM) << 8, 0);
	out(UART_DLL, 0x34);
	out(UART_DLM, 0x12);
	ck_assert_uint_eq(in(UART_DLL), 0x34);
	ck_assert_uint_eq(in(UART_DLM), 0x12);
	out(UART_LCR, UART_LCR_WLEN8);
	ck_assert_uint_eq(in(UART_IER), 0);
	step();
	ck_assert_uint_eq(world.nr_got, 0);
	out(UART_LCR, UART_LCR_DLAB);
	ck_assert_uint_eq(in(UART_DLL), 0x34);
	ck_assert_uint_eq(in(UART_DLM), 0x12);
}
END_TEST

/* What Linux's 8250 driver looks at, in its order, to find a 16550A with a
 * FIFO of 16 bytes and without bugs.
 */
START_TEST(linux_finds_a_16550a)
{
	uint8_t status;

	/* Is there anything?  IER holds four bits. */
	out(UART_IER, 0);
	ck_assert_uint_eq(in(UART_IER)&0x0f, 0);
	out(UART_IER, 0x0f);
	ck_assert_uint_eq(in(UART_IER)&0x0f, 0x0f);
	out(UART_IER, 0);

	/* Loopback: RTS and OUT2 come back as CTS and DCD. */
	out(UART_MCR, UART_MCR_LOOP | UART_MCR_OUT2 | UART_MCR_RTS);
	ck_assert_uint_eq(in(UART_MSR)&0xf0, UART_MSR_DCD | UART_MSR_CTS);
	out(UART_MCR, UART_MCR_LOOP | UART_MCR_OUT1 | UART_MCR_DTR);
	ck_assert_uint_eq(in(UART_MSR)&0xf0, UART_MSR_RI | UART_MSR_DSR);
	out(UART_MCR, 0);

	/* Both FIFO bits: a 16550A (one alone: a 16550, none: a 16450). */
	out(UART_LCR, UART_LCR_CONF_MODE_B);
	out(UART_EFR, 0);
	out(UART_LCR, 0);
	out(UART_FCR, UART_FCR_ENABLE_FIFO);
	ck_assert_uint_eq(in(UART_IIR)&0xc0, 0xc0);

	/* No enhanced features: EFR is IIR, and not 0. */
	out(UART_LCR, UART_LCR_CONF_MODE_A);
	ck_assert_uint_ne(in(UART_EFR), 0);
	out(UART_LCR, UART_LCR_CONF_MODE_B);
	ck_assert_uint_ne(in(UART_EFR), 0);

	/* No National Semiconductor SuperIO: EXCR1 does not follow MCR. */
	out(UART_LCR, 0);
	status = in(UART_MCR);
	out(UART_LCR, 0xe0);
	ck_assert_uint_eq((in(0x02) ^ status) & UART_MCR_LOOP, 0);
	out(UART_LCR, 0);
	out(UART_MCR, status ^ UART_MCR_LOOP);
	out(UART_LCR, 0xe0);
	ck_assert_uint_eq((in(0x02) ^ status) & UART_MCR_LOOP, 0);
	out(UART_LCR, 0);
	out(UART_MCR, status);

	/* No FIFO of 64 bytes, with and without DLAB. */
	out(UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR7_64BYTE);
	ck_assert_uint_eq(in(UART_IIR)&0x20, 0);
	out(UART_FCR, UART_FCR_ENABLE_FIFO);
	out(UART_LCR, UART_LCR_CONF_MODE_A);
	out(UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR7_64BYTE);
	ck_assert_uint_eq(in(UART_IIR)&0x20, 0);
	out(UART_LCR, 0);

	/* No XScale unit enable bit, which would sit in IER. */
	out(UART_IER, UART_IER_UUE);
	ck_assert_uint_eq(in(UART_IER), 0);

	/* Opening: THRE is raised again each time that it is enabled. */
	for (int i = 0; i < 2; i++) {
		out(UART_IER, UART_IER_THRI);
		ck_assert_uint_eq(in(UART_IIR)&0x0f, UART_IIR_THRI);
		out(UART_IER, 0);
	}
	out(UART_IER, UART_IER_THRI);
	ck_assert_uint_ne(in(UART_LSR)&UART_LSR_TEMT, 0);
	ck_assert_uint_eq(in(UART_IIR)&0x0f, UART_IIR_THRI);
	ck_assert_uint_eq(in(UART_IIR)&0x0f, UART_IIR_NO_INT);
}
END_TEST

START_TEST(output)
{
	static const char text[] = "Linux version\r\n";

	for (const char *p = text; *p; p++) {
		ck_assert_uint_eq(in(UART_LSR)&0x60, 0x60);
		out(UART_TX, (uint8_t)*p);
	}
	ck_assert_uint_eq(world.nr_got, 0); /* by the loop only */
	step();
	ck_assert_uint_eq(world.nr_got, sizeof(text) - 1);
	ck_assert(memcmp(world.got, text, sizeof(text) - 1) == 0);
	ck_assert_uint_eq(pulses(), 0);

	/* A wide write is one port after the other: TX, IER, FCR, LCR. */
	ck_assert(bus_write(&pio, SERIAL_BASE, "A\0\1\3", 4));
	step();
	ck_assert_uint_eq(world.got[world.nr_got - 1], 'A');
	ck_assert_uint_eq(in(UART_LCR), 3);
	ck_assert_uint_eq(in(UART_IIR), 0xc1);
}
END_TEST

START_TEST(transmit_interrupt)
{
	out(UART_FCR, UART_FCR_ENABLE_FIFO);
	out(UART_TX, 'a');
	ck_assert_uint_eq(pulses(), 0); /* not enabled */
	out(UART_IER, UART_IER_THRI);
	ck_assert_uint_eq(pulses(), 1);
	/* Writing the same again enables nothing new. */
	out(UART_IER, UART_IER_THRI);
	ck_assert_uint_eq(pulses(), 0);
	ck_assert_uint_eq(in(UART_IIR), 0xc0 | UART_IIR_THRI);
	ck_assert_uint_eq(in(UART_IIR), 0xc0 | UART_IIR_NO_INT);
	out(UART_IER, UART_IER_THRI);
	ck_assert_uint_eq(in(UART_IIR), 0xc0 | UART_IIR_NO_INT);

	/* One edge for a burst, because the line stays high. */
	for (int i = 0; i < 16; i++)
		out(UART_TX, 'b');
	ck_assert_uint_eq(pulses(), 1);
	ck_assert_uint_eq(in(UART_IIR), 0xc0 | UART_IIR_THRI);
	out(UART_TX, 'c');
	ck_assert_uint_eq(pulses(), 1);
	out(UART_IER, 0);
	ck_assert_uint_eq(in(UART_IIR), 0xc0 | UART_IIR_NO_INT);
}
END_TEST

START_TEST(full_ring_drops_and_counts)
{
	world.space = 1000;
	for (unsigned int i = 0; i < SERIAL_OUT_SIZE + 10; i++)
		out(UART_TX, i);
	ck_assert_uint_eq(counter_get(&uart.dropped), 10);
	step();
	ck_assert_uint_eq(world.nr_got, 1000);
	ck_assert(world.starved);

	/* The back end takes the rest when it says that it can. */
	step();
	ck_assert_uint_eq(world.nr_got, 1000);
	world.space = BULK - 1000;
	world.port.user->writable(world.port.user);
	step();
	ck_assert_uint_eq(world.nr_got, SERIAL_OUT_SIZE);
	for (unsigned int i = 0; i < SERIAL_OUT_SIZE; i++)
		ck_assert_uint_eq(world.got[i], i & 0xff);

	/* The ring wraps; the next byte wakes the loop. */
	out(UART_TX, '!');
	step();
	ck_assert_uint_eq(world.nr_got, SERIAL_OUT_SIZE + 1);
	ck_assert_uint_eq(counter_get(&uart.dropped), 10);

	/* All of a full ring that wraps, without a byte that wakes again. */
	world.nr_got = 0;
	world.space = BULK;
	for (unsigned int i = 0; i < SERIAL_OUT_SIZE; i++)
		out(UART_TX, i);
	step();
	ck_assert_uint_eq(world.nr_got, SERIAL_OUT_SIZE);
	for (unsigned int i = 0; i < SERIAL_OUT_SIZE; i++)
		ck_assert_uint_eq(world.got[i], i & 0xff);

	/* At the end of the machine no loop runs. */
	out(UART_TX, '?');
	serial_flush(&uart);
	ck_assert_uint_eq(world.got[world.nr_got - 1], '?');
}
END_TEST

START_TEST(input)
{
	world.feed = (const uint8_t *)"0123456789abcdefghijk";
	world.nr_feed = 21;

	/* Not before a driver listens; then the back end is called. */
	world_feed();
	ck_assert_uint_eq(world.nr_feed, 21);
	out(UART_FCR, UART_FCR_ENABLE_FIFO);
	step();
	world.readable = false;
	out(UART_IER, UART_IER_RDI);
	step();
	ck_assert(world.readable);
	world_feed();
	ck_assert_uint_eq(world.nr_feed, 5);
	ck_assert_uint_eq(pulses(), 1);
	world_feed();
	ck_assert_uint_eq(world.nr_feed, 5);
	step();

	for (int i = 0; i < 16; i++) {
		ck_assert(!world.readable);
		ck_assert_uint_ne(in(UART_LSR)&UART_LSR_DR, 0);
		ck_assert_uint_eq(in(UART_IIR)&0x0f, UART_IIR_RDI);
		ck_assert_uint_eq(in(UART_RX), "0123456789abcdef"[i]);
		step();
	}
	ck_assert(world.readable); /* empty: more is wanted */
	ck_assert_uint_eq(in(UART_LSR)&UART_LSR_DR, 0);
	ck_assert_uint_eq(in(UART_IIR)&0x0f, UART_IIR_NO_INT);
	ck_assert_uint_eq(pulses(), 0);
	world_feed();
	ck_assert_uint_eq(pulses(), 1);
	ck_assert_uint_eq(in(UART_RX), 'g');

	/* Emptying the FIFO is room, too. */
	step();
	world.readable = false;
	out(UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR);
	step();
	ck_assert(world.readable);
	ck_assert_uint_eq(in(UART_LSR)&UART_LSR_DR, 0);
}
END_TEST

START_TEST(trigger_levels)
{
	static const unsigned int level[] = { 1, 4, 8, 14 };

	out(UART_IER, UART_IER_RDI);
	for (unsigned int i = 0; i < ARRAY_SIZE(level); i++) {
		out(UART_FCR,
		    UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR | i << 6);
		for (unsigned int n = 1; n <= 16; n++) {
			world.feed = (const uint8_t *)"x";
			world.nr_feed = 1;
			world_feed();
			ck_assert_uint_eq(in(UART_IIR)&0x0f,
					  n < level[i] ? UART_IIR_RX_TIMEOUT
						       : UART_IIR_RDI);
		}
	}

	/* Without FIFOs one byte is all there is room for. */
	out(UART_FCR, 0);
	world.feed = (const uint8_t *)"xy";
	world.nr_feed = 2;
	world_feed();
	ck_assert_uint_eq(world.nr_feed, 1);
	ck_assert_uint_eq(in(UART_IIR), UART_IIR_RDI);
}
END_TEST

START_TEST(loopback)
{
	struct port_user *user = world.port.user;

	out(UART_FCR, UART_FCR_ENABLE_FIFO);
	out(UART_IER, UART_IER_RDI | UART_IER_RLSI);
	out(UART_MCR, UART_MCR_LOOP);
	/* The world is cut off, both ways. */
	ck_assert_uint_eq(user->room(user), 0);
	for (unsigned int i = 0; i < 16; i++)
		out(UART_TX, 'a' + i);
	ck_assert_uint_eq(in(UART_LSR), 0x61);
	out(UART_TX, '!');
	/* The overrun comes before the data, and reading LSR ends it. */
	ck_assert_uint_eq(in(UART_IIR)&0x0f, UART_IIR_RLSI);
	ck_assert_uint_eq(in(UART_LSR), 0x61 | UART_LSR_OE);
	ck_assert_uint_eq(in(UART_LSR), 0x61);
	ck_assert_uint_eq(in(UART_IIR)&0x0f, UART_IIR_RDI);
	for (unsigned int i = 0; i < 16; i++)
		ck_assert_uint_eq(in(UART_RX), 'a' + i);
	step();
	ck_assert_uint_eq(world.nr_got, 0);
	world.readable = false;
	out(UART_MCR, 0);
	step();
	ck_assert(world.readable);
	ck_assert_uint_eq(user->room(user), 16);
}
END_TEST

START_TEST(modem_status_interrupt)
{
	out(UART_MCR, UART_MCR_LOOP);
	in(UART_MSR);
	out(UART_IER, UART_IER_MSI);
	ck_assert_uint_eq(pulses(), 0);
	out(UART_MCR, UART_MCR_LOOP | UART_MCR_RTS);
	ck_assert_uint_eq(pulses(), 1);
	ck_assert_uint_eq(in(UART_IIR), UART_IIR_MSI);
	ck_assert_uint_eq(in(UART_MSR), UART_MSR_CTS | UART_MSR_DCTS);
	ck_assert_uint_eq(in(UART_IIR), UART_IIR_NO_INT);
	ck_assert_uint_eq(in(UART_MSR), UART_MSR_CTS);
	/* RI counts when it goes, not when it comes. */
	out(UART_MCR, UART_MCR_LOOP | UART_MCR_OUT1);
	ck_assert_uint_eq(in(UART_MSR), UART_MSR_RI | UART_MSR_DCTS);
	out(UART_MCR, UART_MCR_LOOP | UART_MCR_DTR | UART_MCR_OUT2);
	ck_assert_uint_eq(in(UART_MSR), UART_MSR_DSR | UART_MSR_DDSR |
						UART_MSR_DCD | UART_MSR_DDCD |
						UART_MSR_TERI);
}
END_TEST

/* Between room() and receive() the guest may take the room away. */
START_TEST(room_that_went_away)
{
	struct port_user *user = world.port.user;

	out(UART_FCR, UART_FCR_ENABLE_FIFO);
	out(UART_IER, UART_IER_RDI);
	ck_assert_uint_eq(user->room(user), 16);
	out(UART_FCR, 0);
	user->receive(user, "0123456789abcdef", 16);
	ck_assert_uint_eq(in(UART_LSR), 0x61 | UART_LSR_OE);
	ck_assert_uint_eq(in(UART_RX), '0');
	ck_assert_uint_eq(in(UART_LSR), 0x60);
}
END_TEST

START_TEST(setup_errors)
{
	static struct serial other;

	ck_assert_int_eq(serial_init(&other, &pio, &irq.line, &loop,
				     &world.port),
			 -EEXIST);
	ck_assert_ptr_eq(world.port.user, &uart.user);
}
END_TEST

/* A guest on a thread of its own, all by interrupts as Linux does it: whoever
 * loses an edge sleeps for ever.
 */
struct guest {
	const uint8_t *send;
	size_t nr_sent;
	uint8_t *got;
	size_t nr_got;
	bool paced; /* does not outrun the ring */
};

static void guest_interrupt(struct guest *g)
{
	uint8_t iir;

	while (!((iir = in(UART_IIR)) & UART_IIR_NO_INT)) {
		while (in(UART_LSR)&UART_LSR_DR) {
			ck_assert_uint_lt(g->nr_got, KEYED);
			g->got[g->nr_got++] = in(UART_RX);
		}
		while (g->paced &&
		       g->nr_sent > world.nr_got + SERIAL_OUT_SIZE / 2)
			sched_yield();
		for (int i = 0; i < 16 && g->nr_sent < BULK; i++)
			out(UART_TX, g->send[g->nr_sent++]);
		if (g->nr_sent == BULK)
			out(UART_IER, UART_IER_RDI);
	}
}

static void *guest_main(void *arg)
{
	struct guest *g = arg;

	out(UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_TRIGGER_8);
	out(UART_IER, UART_IER_RDI | UART_IER_THRI);
	while (g->nr_got < KEYED || g->nr_sent < BULK) {
		struct timespec deadline;

		clock_gettime(CLOCK_REALTIME, &deadline);
		deadline.tv_sec += 10;
		if (sem_timedwait(&irq.pulses, &deadline) < 0)
			return NULL; /* a lost interrupt */
		guest_interrupt(g);
	}
	return g;
}

static void run_guest(struct guest *g, uint8_t *bulk)
{
	pthread_t thread;
	void *result;

	for (size_t i = 0; i < BULK; i++)
		bulk[i] = (uint8_t)(i % 251);
	g->send = bulk;
	g->got = malloc(KEYED);
	world.feed = bulk;
	world.nr_feed = KEYED;
	world.space = 1000;
	ck_assert_int_eq(pthread_create(&thread, NULL, guest_main, g), 0);
	while (pthread_tryjoin_np(thread, &result) != 0) {
		ck_assert_int_eq(loop_step(&loop, 1), 0);
		if (world.readable)
			world_feed();
		/* A back end that stutters. */
		if (world.space == 0) {
			world.space = MIN(1000u, BULK - world.nr_got);
			if (world.starved) {
				world.starved = false;
				world.port.user->writable(world.port.user);
			}
		}
	}
	ck_assert_ptr_nonnull(result);
	for (int i = 0; i < 1000; i++) {
		world.space = BULK - world.nr_got;
		serial_flush(&uart);
	}
	ck_assert_uint_eq(g->nr_got, KEYED);
	ck_assert(memcmp(g->got, bulk, KEYED) == 0);
	free(g->got);
}

START_TEST(two_threads_byte_exact)
{
	struct guest g = { .paced = true };
	uint8_t *bulk = malloc(BULK);

	run_guest(&g, bulk);
	ck_assert_uint_eq(counter_get(&uart.dropped), 0);
	ck_assert_uint_eq(world.nr_got, BULK);
	ck_assert(memcmp(world.got, bulk, BULK) == 0);
	free(bulk);
}
END_TEST

/* Without pacing bytes are lost, but none is unaccounted for. */
START_TEST(two_threads_account)
{
	struct guest g = { .paced = false };
	uint8_t *bulk = malloc(BULK);

	run_guest(&g, bulk);
	ck_assert_uint_eq(world.nr_got + counter_get(&uart.dropped), BULK);
	free(bulk);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("serial");
	TCase *tc = tcase_create("serial");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, reset_values);
	tcase_add_test(tc, plain_registers);
	tcase_add_test(tc, divisor_latch);
	tcase_add_test(tc, linux_finds_a_16550a);
	tcase_add_test(tc, output);
	tcase_add_test(tc, transmit_interrupt);
	tcase_add_test(tc, full_ring_drops_and_counts);
	tcase_add_test(tc, input);
	tcase_add_test(tc, trigger_levels);
	tcase_add_test(tc, loopback);
	tcase_add_test(tc, modem_status_interrupt);
	tcase_add_test(tc, room_that_went_away);
	tcase_add_test(tc, setup_errors);
	tcase_add_test(tc, two_threads_byte_exact);
	tcase_add_test(tc, two_threads_account);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
