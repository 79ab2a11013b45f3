// SPDX-License-Identifier: Apache-2.0
/*
 * rng.c - a request through a real ring, and its interrupt
 *
 * The first request is waited for in HLT: doorbell, device, used ring and
 * interrupt all have to work.
 */
#include "driver.h"
#include "irq.h"

#define BYTES 64

static volatile struct ring ring;
static volatile uint8_t data[2][BYTES];

static void request(unsigned int n)
{
	ring.desc[0].addr = (uint32_t)(uintptr_t)data[n];
	ring.desc[0].len = BYTES;
	ring.desc[0].flags = DESC_WRITE;
	driver_post(WINDOW(1), 0, &ring);
}

static void check_answer(unsigned int n)
{
	unsigned int len = ring.used.ring[n].len, same = 0, zero = 0;

	CHECK(ring.used.ring[n].id == 0, "used id");
	CHECK(len > 0 && len <= BYTES, "used length");
	for (unsigned int i = 0; i < BYTES; i++) {
		zero += data[n][i] == 0;
		same += data[0][i] == data[1][i];
		CHECK(i < len || data[n][i] == 0, "wrote past its length");
	}
	CHECK(zero < 16 || len < BYTES, "zeros are not entropy");
	CHECK(n == 0 || same < 16, "the same bytes twice");
}

void guest_main(uintptr_t boot)
{
	(void)boot;
	irq_init();
	irq_route(LAYOUT_GSI_VIRTIO + 1, 0);
	CHECK(read32(WINDOW(1) + REG_DEVICE_ID) == ID_RNG, "device id");
	driver_reset(WINDOW(1));
	driver_queue(WINDOW(1), 0, &ring);
	driver_ok(WINDOW(1));
	request(0);
	irq_wait(0);
	CHECK(read32(WINDOW(1) + REG_INTERRUPT) == 1, "InterruptStatus");
	write32(WINDOW(1) + REG_INTERRUPT_ACK, 1);
	CHECK(read32(WINDOW(1) + REG_INTERRUPT) == 0, "after InterruptACK");
	CHECK(ring.used.idx == 1, "used index");
	check_answer(0);
	say("interrupt\n");
	request(1);
	CHECK(driver_used(&ring, 2), "no answer");
	check_answer(1);
	say("polled\n");
	/* §2.4.1: reset ends it, and the device forgets its queue. */
	write32(WINDOW(1) + REG_STATUS, 0);
	write32(WINDOW(1) + REG_QUEUE_SEL, 0);
	CHECK(read32(WINDOW(1) + REG_QUEUE_READY) == 0, "QueueReady at reset");
	pass();
}
