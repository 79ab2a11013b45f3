// SPDX-License-Identifier: Apache-2.0
/*
 * port.h - where a character device of the guest meets the world outside
 *
 * The device (virtio console, 16550) is the port's user; the terminal is its
 * back end.  Both ends live on the loop.  Neither end blocks: output that the
 * back end cannot take stays with the device, which is told when to go on;
 * input that the device has no room for stays with the back end.
 *
 * Locks.  A device calls write() and readable() with its lock held, and takes
 * the same lock in every function of struct port_user.  So the back end never
 * calls its user from inside write() or readable(): it does so from a callback
 * of its own on the loop.
 */
#ifndef MOTE_BASE_PORT_H
#define MOTE_BASE_PORT_H

#include <stddef.h>
#include <stdint.h>

struct port_user {
	/* How many bytes of input the device can take now.  After it said 0
	 * (which it does until its driver is up) port->readable tells when to
	 * ask again.
	 */
	size_t (*room)(struct port_user *user);
	/* LEN is at most what room() said. */
	void (*receive)(struct port_user *user, const void *data, size_t len);
	/* The back end can take output again. */
	void (*writable)(struct port_user *user);
	/* The window has a new size; NULL when the device has none. */
	void (*resized)(struct port_user *user, uint16_t cols, uint16_t rows);
};

struct port {
	/* Takes up to LEN bytes and returns how many; fewer than LEN means that
	 * user->writable will be called.
	 */
	size_t (*write)(struct port *port, const void *data, size_t len);
	/* The device has made room for input. */
	void (*readable)(struct port *port);
	struct port_user *user; /* NULL until a device attaches itself */
};

#endif
