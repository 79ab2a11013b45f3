// SPDX-License-Identifier: Apache-2.0
/*
 * i8042.c - the reset line of a PC keyboard controller, opt-in
 *
 * The controller's output port drives the processor's reset; command 0xfe
 * pulses that line.  Nothing else of the controller is here, and there is no
 * state.  The one value that a guest can read decides how much of its boot time
 * a search for a keyboard takes:
 *
 * - Input buffer full (bit 1) is clear, always: a guest waits for that before
 *   each command, and Linux for up to 0.1 s in front of the reset.
 * - Output buffer full (bit 0) is set, always.  Linux's i8042 driver begins by
 *   emptying the output buffer; when 17 bytes did not empty it the driver says
 *   "No controller found" and is done, in a millisecond.  A clear bit would
 *   look like a working controller, and the driver would wait half a second for
 *   the answer to its self test.
 *
 * The ports are two ranges of one byte, not one from 0x60 to 0x64: port 0x61 in
 * between is the speaker's and the PIT's.  All ones, the answer of an empty
 * bus, ends Linux's wait for its timer output (bit 5) there at once.
 */
#include "base/util.h"
#include "vmm/i8042.h"

#define STATUS_OUTPUT_FULL 0x01
#define COMMAND_PULSE_MASK 0xf0 /* 0xf0 to 0xff: pulse the lines that are 0 */
#define COMMAND_PULSE	   0xf0
#define LINE_RESET	   0x01

static void data_read(struct bus_target *target, uint64_t offset, void *data,
		      unsigned int len)
{
	(void)target;
	(void)offset;
	memset(data, 0, len);
}

static void data_write(struct bus_target *target, uint64_t offset,
		       const void *data, unsigned int len)
{
	(void)target;
	(void)offset;
	(void)data;
	(void)len;
}

static void command_read(struct bus_target *target, uint64_t offset, void *data,
			 unsigned int len)
{
	(void)target;
	(void)offset;
	memset(data, STATUS_OUTPUT_FULL, len);
}

static void command_write(struct bus_target *target, uint64_t offset,
			  const void *data, unsigned int len)
{
	struct i8042 *i8042 = container_of(target, struct i8042, command);
	const uint8_t *command = data;

	(void)offset;
	(void)len; /* the range is one byte */
	if ((*command & COMMAND_PULSE_MASK) == COMMAND_PULSE &&
	    !(*command & LINE_RESET))
		i8042->reset(i8042);
}

int i8042_init(struct i8042 *i8042, struct bus *pio,
	       void (*reset)(struct i8042 *i8042))
{
	int ret;

	i8042->data.read = data_read;
	i8042->data.write = data_write;
	i8042->command.read = command_read;
	i8042->command.write = command_write;
	i8042->reset = reset;

	ret = bus_add(pio, I8042_DATA_PORT, 1, &i8042->data);
	if (ret < 0)
		return ret;
	return bus_add(pio, I8042_COMMAND_PORT, 1, &i8042->command);
}
