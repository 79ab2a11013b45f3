// SPDX-License-Identifier: Apache-2.0
/*
 * talk.c - more output than a pipe and the monitor hold, and then the end
 */
#include "driver.h"

#define TEXT_SIZE (1024u * 1024)

static volatile struct ring ring;

void guest_main(uintptr_t boot)
{
	(void)boot;
	driver_reset(WINDOW(0));
	driver_queue(WINDOW(0), 1, &ring);
	driver_ok(WINDOW(0));
	/* Of what happens to be in memory. */
	ring.desc[0].addr = 4 * TEXT_SIZE;
	ring.desc[0].len = TEXT_SIZE;
	driver_post(WINDOW(0), 1, &ring);
	power_off();
}
