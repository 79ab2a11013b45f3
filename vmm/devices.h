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

/* Opens PATH as disk NUMBER of M's configuration, in the place of the file that
 * the disk has; the guest is told of the size.  -errno of disk_open() (-EAGAIN
 * also for the file that the disk has) and virtio_blk_replace(); then nothing
 * has changed.  Loop.
 */
int devices_replace_disk(struct machine *m, unsigned int number,
			 const char *path);

/* M's device NUMBER of the kind DEVICE_ID (VIRTIO_ID_*), or NULL. */
struct virtio_device *devices_find(const struct machine *m, uint32_t device_id,
				   unsigned int number);

#endif
