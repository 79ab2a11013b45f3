// SPDX-License-Identifier: Apache-2.0
/*
 * devices.h - the virtio devices of a machine, as the operator asked for them
 */
#ifndef MOTE_VMM_DEVICES_H
#define MOTE_VMM_DEVICES_H

#include "base/port.h"
#include "vmm/machine.h"

/* Makes the devices of M->config and puts each into its window: console (on
 * CONSOLE), entropy, disks, network interfaces, balloon, vsock.  -errno; a line
 * has been printed then, and what was made is M's to destroy.
 */
int devices_add(struct machine *m, struct port *console);

#endif
