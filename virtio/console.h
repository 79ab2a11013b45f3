// SPDX-License-Identifier: Apache-2.0
/*
 * console.h - virtio console device (virtio 1.2 §5.3)
 */
#ifndef MOTE_VIRTIO_CONSOLE_H
#define MOTE_VIRTIO_CONSOLE_H

#include "base/port.h"
#include "virtio/virtio.h"

/* Attaches the console to PORT (borrowed; becomes its user).  *OWNED is the new
 * device.  -ENOMEM.
 */
int virtio_console_create(const struct virtio_env *env, struct port *port,
			  struct virtio_device **owned);

#endif
