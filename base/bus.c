// SPDX-License-Identifier: Apache-2.0
/*
 * bus.c - an address space of device registers
 */
#include <errno.h>
#include <string.h>

#include "base/bus.h"

int bus_add(struct bus *bus, uint64_t base, uint64_t size,
	    struct bus_target *target)
{
	unsigned int at = 0;

	if (size == 0 || base + (size - 1) < base)
		return -EINVAL;
	if (bus->nr_ranges == BUS_MAX_RANGES)
		return -ENOSPC;
	while (at < bus->nr_ranges && bus->range[at].base < base)
		at++;
	if (at > 0 && base - bus->range[at - 1].base < bus->range[at - 1].size)
		return -EEXIST;
	if (at < bus->nr_ranges && bus->range[at].base - base < size)
		return -EEXIST;
	memmove(&bus->range[at + 1], &bus->range[at],
		(bus->nr_ranges - at) * sizeof(bus->range[0]));
	bus->range[at] = (struct bus_range){ base, size, target };
	bus->nr_ranges++;
	return 0;
}

/* The range that holds all of [addr, addr + len), or NULL. */
static const struct bus_range *bus_find(const struct bus *bus, uint64_t addr,
					unsigned int len)
{
	unsigned int low = 0, high = bus->nr_ranges;

	while (low < high) {
		unsigned int mid = (low + high) / 2;
		const struct bus_range *r = &bus->range[mid];

		if (addr < r->base)
			high = mid;
		else if (addr - r->base >= r->size)
			low = mid + 1;
		else
			return len <= r->size - (addr - r->base) ? r : NULL;
	}
	return NULL;
}

bool bus_read(const struct bus *bus, uint64_t addr, void *data,
	      unsigned int len)
{
	const struct bus_range *r = bus_find(bus, addr, len);

	if (!r) {
		memset(data, 0xff, len);
		return false;
	}
	r->target->read(r->target, addr - r->base, data, len);
	return true;
}

bool bus_write(const struct bus *bus, uint64_t addr, const void *data,
	       unsigned int len)
{
	const struct bus_range *r = bus_find(bus, addr, len);

	if (!r)
		return false;
	r->target->write(r->target, addr - r->base, data, len);
	return true;
}
