// SPDX-License-Identifier: Apache-2.0
/*
 * echo_device.h - a virtio device for tests of the generic code
 *
 * Two queues and a configuration space.  Queue 0 writes what it reads back into
 * the same chain; queue 1 is for tests that pop by hand.
 */
#ifndef MOTE_TESTS_ECHO_DEVICE_H
#define MOTE_TESTS_ECHO_DEVICE_H

#include "virtio/virtio.h"

/* For hot loops: Check writes to a pipe at every ck_assert(). */
#define MUST(cond)                                                             \
	do {                                                                   \
		if (!(cond))                                                   \
			ck_abort_msg("!(%s)", #cond);                          \
	} while (0)

#define ECHO_QUEUES	 2
#define ECHO_CONFIG_SIZE 12
#define ECHO_FEATURE_A	 0  /* offered */
#define ECHO_FEATURE_B	 40 /* offered */
#define ECHO_FEATURES	 (1ull << ECHO_FEATURE_A | 1ull << ECHO_FEATURE_B)

struct echo_device {
	struct virtio_device vdev;
	struct virtio_device_ops ops; /* the queue size varies */
	unsigned int activations, resets;
	unsigned int notified[ECHO_QUEUES];
	unsigned int echoed; /* chains, ever */
	unsigned int most;   /* chains in one queue_notify */
	int error;	     /* what queue_notify returns at once, if not 0 */
	/* After each chain; plays a driver that never stops. */
	void (*after_pop)(struct echo_device *echo);
	void *cookie;
	uint8_t config[ECHO_CONFIG_SIZE];
};

/* Fills ECHO (not allocated here); *OWNED is its device. */
void echo_create(struct echo_device *echo, const struct virtio_env *env,
		 uint16_t queue_size, struct virtio_device **owned);

#endif
