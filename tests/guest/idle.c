// SPDX-License-Identifier: Apache-2.0
/*
 * idle.c - what the memory benchmark looks at: a machine at rest
 *
 * It has used its console and its entropy device.  Its voice is the 16550,
 * because the peer's devices are elsewhere and are left alone.
 */
#include "driver.h"

static volatile struct ring ring;
static volatile uint8_t buffer[64];

static void use(unsigned int window, uint32_t q, uint16_t flags)
{
	driver_reset(WINDOW(window));
	driver_queue(WINDOW(window), q, &ring);
	driver_ok(WINDOW(window));
	ring.desc[0].addr = (uint32_t)(uintptr_t)buffer;
	ring.desc[0].len = flags ? sizeof(buffer) : 1;
	ring.desc[0].flags = flags;
	buffer[0] = ' ';
	driver_post(WINDOW(window), q, &ring);
	CHECK(driver_used(&ring, 1), "a device is silent");
}

void guest_main(uintptr_t boot)
{
	(void)boot;
	if (read32(WINDOW(0) + REG_MAGIC) == VIRTIO_MAGIC) {
		use(0, 1, 0);
		use(1, 0, DESC_WRITE);
	}
	say("idle\n");
	for (;;)
		halt();
}
