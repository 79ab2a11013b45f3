// SPDX-License-Identifier: Apache-2.0
/*
 * serial.c - a 16550A (National Semiconductor PC16550D data sheet, section 8)
 *
 * There is no line, hence no speed: the divisor is stored and means nothing,
 * and the transmitter is always empty.  A byte written to THR is in the output
 * ring before the write is complete, so "transmitter holding register empty" is
 * raised again at once by each write, and by each change of IER that enables
 * it; reading IIR, when it says so, ends it.  Linux's interrupt driven transmit
 * needs exactly that, and its tests for broken transmitters pass.
 *
 * Interrupts.  The chip's output is high while any enabled source is pending;
 * irq_line carries edges, so it is pulsed when that output rises.  A handler of
 * an edge triggered line reads IIR until nothing is pending, after which the
 * output is low.  What changes a source calls serial_update_locked() and pulses
 * after the lock is released.
 *
 * Threads.  The vCPU side puts bytes into `out` and takes bytes from `rx`; the
 * loop does the opposite.  The loop writes out of the ring without the lock:
 * only the loop drops bytes, and a vCPU only fills space behind them.  `kick`
 * tells the loop that the ring is no longer empty or that input has become
 * wanted.
 *
 * Input is wanted while the receive interrupt is enabled, which is how a driver
 * that has been opened looks.  Without that rule an early console, which never
 * reads, would swallow the first bytes of a pipe that are meant for the virtio
 * console.
 */
#include <errno.h>
#include <unistd.h>

#include <linux/serial_reg.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "base/fd.h"
#include "base/util.h"
#include "vmm/serial.h"

#define IER_MASK (UART_IER_RDI | UART_IER_THRI | UART_IER_RLSI | UART_IER_MSI)
#define MCR_MASK                                                               \
	(UART_MCR_DTR | UART_MCR_RTS | UART_MCR_OUT1 | UART_MCR_OUT2 |         \
	 UART_MCR_LOOP)
#define IIR_FIFOS_ENABLED 0xc0

/* A cable whose other end is always there and always ready. */
#define MSR_CONNECTED (UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS)

static bool serial_fifos_enabled(const struct serial *s)
{
	return s->fcr & UART_FCR_ENABLE_FIFO;
}

/* How many bytes the receiver holds: one, or sixteen with FIFOs. */
static size_t serial_rx_size(const struct serial *s)
{
	return serial_fifos_enabled(s) ? SERIAL_RX_SIZE : 1;
}

/* The high half of MSR.  In loopback the four modem outputs are its inputs. */
static uint8_t serial_modem_inputs(const struct serial *s)
{
	if (!(s->mcr & UART_MCR_LOOP))
		return MSR_CONNECTED;
	return (uint8_t)((s->mcr & UART_MCR_RTS ? UART_MSR_CTS : 0) |
			 (s->mcr & UART_MCR_DTR ? UART_MSR_DSR : 0) |
			 (s->mcr & UART_MCR_OUT1 ? UART_MSR_RI : 0) |
			 (s->mcr & UART_MCR_OUT2 ? UART_MSR_DCD : 0));
}

/* Fewer bytes than the trigger level are a timeout, which we let expire at
 * once: nobody types faster than a guest reads.
 */
static uint8_t serial_rx_source(const struct serial *s)
{
	static const uint8_t trigger[] = { 1, 4, 8, 14 };

	if (serial_fifos_enabled(s) && s->rx.used < trigger[s->fcr >> 6])
		return UART_IIR_RX_TIMEOUT;
	return UART_IIR_RDI;
}

/* The pending source of the highest priority, as in IIR. */
static uint8_t serial_pending(const struct serial *s)
{
	if ((s->ier & UART_IER_RLSI) && s->overrun)
		return UART_IIR_RLSI;
	if ((s->ier & UART_IER_RDI) && s->rx.used > 0)
		return serial_rx_source(s);
	if ((s->ier & UART_IER_THRI) && s->thre_pending)
		return UART_IIR_THRI;
	if ((s->ier & UART_IER_MSI) && s->msr_delta)
		return UART_IIR_MSI;
	return UART_IIR_NO_INT;
}

/* True when the interrupt output has risen: pulse once unlocked. */
static bool serial_update_locked(struct serial *s)
{
	bool was_high = s->line_high;

	s->line_high = serial_pending(s) != UART_IIR_NO_INT;
	return s->line_high && !was_high;
}

static void serial_kick(struct serial *s)
{
	/* Fails only when the count is about to wrap: it is not 0 then. */
	eventfd_write(s->kick.fd, 1);
}

static void serial_receive_locked(struct serial *s, const uint8_t *data,
				  size_t len)
{
	size_t size = serial_rx_size(s);
	size_t room = size - MIN(size, s->rx.used);

	if (len > room)
		s->overrun = UART_LSR_OE;
	fifo_put(&s->rx, data, MIN(len, room));
}

static void serial_transmit_locked(struct serial *s, uint8_t byte, bool *kick)
{
	s->thre_pending = true;
	if (s->mcr & UART_MCR_LOOP) {
		serial_receive_locked(s, &byte, 1);
		return;
	}
	if (s->out.used == 0)
		*kick = true;
	if (fifo_put(&s->out, &byte, 1) == 0)
		counter_add(&s->dropped, 1);
}

static void serial_write_ier_locked(struct serial *s, uint8_t value, bool *kick)
{
	uint8_t enabled = value & IER_MASK & ~s->ier;

	s->ier = value & IER_MASK;
	if (enabled & UART_IER_THRI)
		s->thre_pending = true;
	if (enabled & UART_IER_RDI)
		*kick = true;
}

static void serial_write_fcr_locked(struct serial *s, uint8_t value, bool *kick)
{
	/* Switching the FIFOs on or off empties them. */
	if ((value ^ s->fcr) & UART_FCR_ENABLE_FIFO)
		value |= UART_FCR_CLEAR_RCVR;
	if (value & UART_FCR_CLEAR_RCVR) {
		fifo_drop(&s->rx, s->rx.used);
		*kick = true;
	}
	s->fcr = 0;
	if (value & UART_FCR_ENABLE_FIFO)
		s->fcr = value & (UART_FCR_ENABLE_FIFO | UART_FCR_TRIGGER_MASK);
}

static void serial_write_mcr_locked(struct serial *s, uint8_t value, bool *kick)
{
	uint8_t before = serial_modem_inputs(s), after;

	if (s->mcr & ~value & UART_MCR_LOOP)
		*kick = true; /* the receiver is connected again */
	s->mcr = value & MCR_MASK;
	after = serial_modem_inputs(s);
	/* Each delta bit is four below its input; RI counts when it falls. */
	s->msr_delta |= ((before ^ after) & ~UART_MSR_RI) >> 4;
	s->msr_delta |= (before & ~after & UART_MSR_RI) >> 4;
}

/* One byte cycle; what it sets in *KICK and its result are for after the lock:
 * true means pulse.
 */
static bool serial_write_locked(struct serial *s, unsigned int reg,
				uint8_t value, bool *kick)
{
	bool dlab = s->lcr & UART_LCR_DLAB;

	switch (reg) {
	case UART_TX:
		if (dlab)
			s->divisor[0] = value;
		else
			serial_transmit_locked(s, value, kick);
		break;
	case UART_IER:
		if (dlab)
			s->divisor[1] = value;
		else
			serial_write_ier_locked(s, value, kick);
		break;
	case UART_FCR:
		serial_write_fcr_locked(s, value, kick);
		break;
	case UART_LCR:
		s->lcr = value;
		break;
	case UART_MCR:
		serial_write_mcr_locked(s, value, kick);
		break;
	case UART_SCR:
		s->scratch = value;
		break;
	default: /* LSR and MSR: for the factory only */
		break;
	}
	return serial_update_locked(s);
}

static uint8_t serial_read_rx_locked(struct serial *s, bool *kick)
{
	uint8_t byte = 0;

	if (fifo_get(&s->rx, &byte, 1) == 1 && s->rx.used == 0)
		*kick = true;
	return byte;
}

static uint8_t serial_read_iir_locked(struct serial *s)
{
	uint8_t source = serial_pending(s);

	if (source == UART_IIR_THRI)
		s->thre_pending = false;
	return source | (serial_fifos_enabled(s) ? IIR_FIFOS_ENABLED : 0);
}

static uint8_t serial_read_lsr_locked(struct serial *s)
{
	uint8_t lsr = UART_LSR_THRE | UART_LSR_TEMT | s->overrun;

	if (s->rx.used > 0)
		lsr |= UART_LSR_DR;
	s->overrun = 0;
	return lsr;
}

static uint8_t serial_read_msr_locked(struct serial *s)
{
	uint8_t msr = serial_modem_inputs(s) | s->msr_delta;

	s->msr_delta = 0;
	return msr;
}

static uint8_t serial_read_locked(struct serial *s, unsigned int reg,
				  bool *kick)
{
	bool dlab = s->lcr & UART_LCR_DLAB;

	switch (reg) {
	case UART_RX:
		return dlab ? s->divisor[0] : serial_read_rx_locked(s, kick);
	case UART_IER:
		return dlab ? s->divisor[1] : s->ier;
	case UART_IIR:
		return serial_read_iir_locked(s);
	case UART_LCR:
		return s->lcr;
	case UART_MCR:
		return s->mcr;
	case UART_LSR:
		return serial_read_lsr_locked(s);
	case UART_MSR:
		return serial_read_msr_locked(s);
	default:
		return s->scratch;
	}
}

/* A wide access to an 8-bit device is one cycle after the other, as on ISA. */

static void serial_read(struct bus_target *target, uint64_t offset, void *data,
			unsigned int len)
{
	struct serial *s = container_of(target, struct serial, target);
	uint8_t *byte = data;
	bool kick = false, pulse = false;

	pthread_mutex_lock(&s->lock);
	for (unsigned int i = 0; i < len; i++) {
		byte[i] =
			serial_read_locked(s, (unsigned int)offset + i, &kick);
		pulse |= serial_update_locked(s);
	}
	pthread_mutex_unlock(&s->lock);
	if (pulse)
		irq_pulse(s->irq);
	if (kick)
		serial_kick(s);
}

static void serial_write(struct bus_target *target, uint64_t offset,
			 const void *data, unsigned int len)
{
	struct serial *s = container_of(target, struct serial, target);
	const uint8_t *byte = data;
	bool kick = false, pulse = false;

	pthread_mutex_lock(&s->lock);
	for (unsigned int i = 0; i < len; i++)
		pulse |= serial_write_locked(s, (unsigned int)offset + i,
					     byte[i], &kick);
	pthread_mutex_unlock(&s->lock);
	if (pulse)
		irq_pulse(s->irq);
	if (kick)
		serial_kick(s);
}

/* The loop's side. */

/* Writes one run of the ring.  False when it is empty or the port is full. */
static bool serial_drain(struct serial *s)
{
	const void *data;
	size_t len, taken;
	bool more;

	pthread_mutex_lock(&s->lock);
	data = fifo_peek(&s->out, &len);
	pthread_mutex_unlock(&s->lock);
	if (len == 0)
		return false;

	taken = s->port->write(s->port, data, len);

	pthread_mutex_lock(&s->lock);
	fifo_drop(&s->out, taken);
	more = s->out.used > 0;
	pthread_mutex_unlock(&s->lock);
	return taken == len && more;
}

/* As much as one whole ring, and then the others have their turn. */
static void serial_drain_round(struct serial *s)
{
	bool more = serial_drain(s);

	if (more)
		more = serial_drain(s);
	if (more)
		serial_kick(s);
}

static void serial_kicked(struct loop_source *source, uint32_t events)
{
	struct serial *s = container_of(source, struct serial, kick);
	eventfd_t count;

	(void)events;
	/* Before the ring is looked at: a later byte kicks again. */
	eventfd_read(s->kick.fd, &count);
	serial_drain_round(s);
	s->port->readable(s->port);
}

static size_t serial_room(struct port_user *user)
{
	struct serial *s = container_of(user, struct serial, user);
	size_t room = 0, size;

	pthread_mutex_lock(&s->lock);
	size = serial_rx_size(s);
	if ((s->ier & UART_IER_RDI) && !(s->mcr & UART_MCR_LOOP) &&
	    s->rx.used < size)
		room = size - s->rx.used;
	pthread_mutex_unlock(&s->lock);
	return room;
}

static void serial_receive(struct port_user *user, const void *data, size_t len)
{
	struct serial *s = container_of(user, struct serial, user);
	bool pulse;

	pthread_mutex_lock(&s->lock);
	/* The guest may have taken the room away since; then it overruns. */
	serial_receive_locked(s, data, len);
	pulse = serial_update_locked(s);
	pthread_mutex_unlock(&s->lock);
	if (pulse)
		irq_pulse(s->irq);
}

static void serial_writable(struct port_user *user)
{
	serial_drain_round(container_of(user, struct serial, user));
}

void serial_flush(struct serial *s)
{
	while (serial_drain(s))
		;
}

int serial_init(struct serial *s, struct bus *pio, struct irq_line *irq,
		struct loop *loop, struct port *port)
{
	int fd, ret;

	/* Not the buffers at the end: most pages are never used. */
	memset(s, 0, offsetof(struct serial, rx_buf));
	s->target.read = serial_read;
	s->target.write = serial_write;
	s->user.room = serial_room;
	s->user.receive = serial_receive;
	s->user.writable = serial_writable;
	s->kick.ready = serial_kicked;
	s->kick.fd = -1;
	s->irq = irq;
	s->loop = loop;
	s->port = port;
	s->divisor[0] = 1; /* 115200: a driver that asks divides by it */
	fifo_init(&s->rx, s->rx_buf, sizeof(s->rx_buf));
	fifo_init(&s->out, s->out_buf, sizeof(s->out_buf));

	ret = bus_add(pio, SERIAL_BASE, SERIAL_SIZE, &s->target);
	if (ret < 0)
		return ret;
	fd = fd_event();
	if (fd < 0)
		return fd;
	ret = loop_add(loop, &s->kick, fd, EPOLLIN);
	if (ret < 0) {
		close(fd);
		return ret;
	}
	pthread_mutex_init(&s->lock, NULL);
	port->user = &s->user;
	return 0;
}

void serial_fini(struct serial *s)
{
	int fd = s->kick.fd;

	s->port->user = NULL;
	loop_remove(s->loop, &s->kick);
	close(fd);
	pthread_mutex_destroy(&s->lock);
}
