// SPDX-License-Identifier: Apache-2.0
/*
 * boot_timer.c - the page where a guest says "I am up"
 */
#include "base/util.h"
#include "boot/layout.h"
#include "vmm/boot_timer.h"

#define BOOT_TIMER_MAGIC 123

static void boot_timer_read(struct bus_target *target, uint64_t offset,
			    void *data, unsigned int len)
{
	(void)target;
	(void)offset;
	memset(data, 0, len);
}

static void boot_timer_write(struct bus_target *target, uint64_t offset,
			     const void *data, unsigned int len)
{
	struct boot_timer *timer =
		container_of(target, struct boot_timer, target);

	(void)len;
	if (offset == 0 && *(const uint8_t *)data == BOOT_TIMER_MAGIC &&
	    timer->ready_ns == 0)
		timer->ready_ns = now_ns();
}

int boot_timer_init(struct boot_timer *timer, struct bus *mmio)
{
	timer->target.read = boot_timer_read;
	timer->target.write = boot_timer_write;
	return bus_add(mmio, LAYOUT_BOOT_TIMER, PAGE_SIZE, &timer->target);
}
