// SPDX-License-Identifier: Apache-2.0
/*
 * bus.h - an address space of device registers: which range belongs to whom
 *
 * The machine has two, memory-mapped and port I/O.  Ranges are added before the
 * first vCPU starts and never change, so that vCPU threads look them up without
 * a lock.  The target's own functions do their own locking.
 */
#ifndef MOTE_BASE_BUS_H
#define MOTE_BASE_BUS_H

#include <stdbool.h>
#include <stdint.h>

#define BUS_MAX_RANGES 32

/* Embedded in whatever answers to a range; found again with container_of().
 * Both functions run on a vCPU thread and must not block.  OFFSET counts from
 * the start of the range and OFFSET + LEN is inside it; LEN is 1 to 8 and may
 * be odd or unaligned: what the guest asked for is passed on as it is.  read
 * must fill all LEN bytes.
 */
struct bus_target {
	void (*read)(struct bus_target *target, uint64_t offset, void *data,
		     unsigned int len);
	void (*write)(struct bus_target *target, uint64_t offset,
		      const void *data, unsigned int len);
};

struct bus_range {
	uint64_t base;
	uint64_t size;
	struct bus_target *target; /* borrowed */
};

struct bus {
	struct bus_range range[BUS_MAX_RANGES]; /* sorted by base */
	unsigned int nr_ranges;
};

/* Adds a range.  -EINVAL empty or wrapping, -EEXIST when it overlaps one that
 * is there, -ENOSPC when the table is full.
 */
int bus_add(struct bus *bus, uint64_t base, uint64_t size,
	    struct bus_target *target);

/* One access of LEN (1 to 8) bytes.  False when no range holds all of it: a
 * read then gives all ones and a write is dropped, as on a real bus.
 */
bool bus_read(const struct bus *bus, uint64_t addr, void *data,
	      unsigned int len);
bool bus_write(const struct bus *bus, uint64_t addr, const void *data,
	       unsigned int len);

#endif
