// SPDX-License-Identifier: Apache-2.0
/*
 * blk.h - virtio block device (virtio 1.2 §5.2)
 */
#ifndef MOTE_VIRTIO_BLK_H
#define MOTE_VIRTIO_BLK_H

#include "virtio/disk.h"
#include "virtio/virtio.h"

/* A device over DISK, which it closes when it is destroyed.  *OWNED is the new
 * device.  -ENOMEM (the disk is then still the caller's).
 */
int virtio_blk_create(const struct virtio_env *env, struct disk *disk,
		      struct virtio_device **owned);

#endif
