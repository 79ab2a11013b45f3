// SPDX-License-Identifier: Apache-2.0
/*
 * echo.c - input reaches the guest's console, and goes back as it came
 *
 * Both queues of port 0 (virtio 1.2 §5.3.2); the byte 'q' ends it.
 */
#include "driver.h"
#include "irq.h"

#define RX 0
#define TX 1

static volatile struct ring rx, tx;
static volatile uint8_t buffer[256];

/* Waits in HLT for the next input; its length. */
static uint32_t receive(uint16_t n)
{
	rx.desc[0].addr = (uint32_t)(uintptr_t)buffer;
	rx.desc[0].len = sizeof(buffer);
	rx.desc[0].flags = DESC_WRITE;
	driver_post(WINDOW(0), RX, &rx);
	while (rx.used.idx != n) {
		irq_count[0] = 0;
		if (rx.used.idx != n)
			irq_wait(0);
		write32(WINDOW(0) + REG_INTERRUPT_ACK, 3);
	}
	return rx.used.ring[(n - 1) % RING_SIZE].len;
}

static void transmit(uint16_t n, uint32_t len)
{
	tx.desc[0].addr = (uint32_t)(uintptr_t)buffer;
	tx.desc[0].len = len;
	driver_post(WINDOW(0), TX, &tx);
	CHECK(driver_used(&tx, n), "output was not taken");
}

void guest_main(uintptr_t boot)
{
	(void)boot;
	irq_init();
	irq_route(LAYOUT_GSI_VIRTIO, 0);
	driver_reset(WINDOW(0));
	driver_queue(WINDOW(0), RX, &rx);
	driver_queue(WINDOW(0), TX, &tx);
	driver_ok(WINDOW(0));
	say("ready\n");
	for (uint16_t n = 1;; n++) {
		uint32_t len = receive(n);

		CHECK(len > 0 && len <= sizeof(buffer), "length of input");
		if (buffer[0] == 'q')
			pass();
		transmit(n, len);
	}
}
