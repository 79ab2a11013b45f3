// SPDX-License-Identifier: Apache-2.0
/*
 * serial.h - a 16550A at port 0x3f8, opt-in: early boot messages
 *
 * Registers are accessed by vCPU threads, the world outside is on the loop.  A
 * vCPU never waits: output goes into a ring of 64 KiB, and when the loop cannot
 * empty that ring in time the bytes that do not fit are dropped and counted.
 */
#ifndef MOTE_VMM_SERIAL_H
#define MOTE_VMM_SERIAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bus.h"
#include "base/fifo.h"
#include "base/irq.h"
#include "base/loop.h"
#include "base/port.h"
#include "base/telemetry.h"

#define SERIAL_BASE	0x3f8
#define SERIAL_SIZE	8
#define SERIAL_IRQ	4
#define SERIAL_OUT_SIZE (64u << 10)
#define SERIAL_RX_SIZE	16

struct serial {
	struct bus_target target; /* at SERIAL_BASE, SERIAL_SIZE bytes */
	struct port_user user;
	struct port *port;	 /* borrowed */
	struct irq_line *irq;	 /* borrowed */
	struct loop *loop;	 /* borrowed */
	struct loop_source kick; /* an eventfd: vCPU threads call the loop */
	struct counter dropped;	 /* output bytes; under the lock */

	pthread_mutex_t lock; /* a leaf; everything below */
	uint8_t ier, fcr, lcr, mcr, scratch;
	uint8_t overrun;   /* UART_LSR_OE or 0 */
	uint8_t msr_delta; /* low half of MSR */
	uint8_t divisor[2];
	bool thre_pending; /* the transmitter became empty, not yet read */
	bool line_high;	   /* of the interrupt, as it was last computed */
	struct fifo rx, out;
	uint8_t rx_buf[SERIAL_RX_SIZE];
	uint8_t out_buf[SERIAL_OUT_SIZE];
};

/* Fills S, attaches it to PORT (becomes its user), adds its eight ports to PIO
 * and its eventfd to LOOP.  Before the first vCPU starts.  -errno, nothing left
 * to undo but that PIO's range may have been added.
 */
int serial_init(struct serial *s, struct bus *pio, struct irq_line *irq,
		struct loop *loop, struct port *port);

/* Hands the ring's contents to the port as far as it takes them.  Loop; for the
 * end of the machine, before the terminal is flushed.
 */
void serial_flush(struct serial *s);

/* Leaves the loop and the port.  After the vCPUs have stopped. */
void serial_fini(struct serial *s);

#endif
