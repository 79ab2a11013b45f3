// SPDX-License-Identifier: Apache-2.0
/*
 * balloon.h - virtio traditional memory balloon (virtio 1.2 §5.5)
 */
#ifndef MOTE_VIRTIO_BALLOON_H
#define MOTE_VIRTIO_BALLOON_H

#include "virtio/virtio.h"

#define BALLOON_PAGE_SIZE 4096u /* virtio 1.2 §5.5.6, whatever the guest's */
#define BALLOON_NR_TAGS	  16	/* statistics that are kept, §5.5.6.4 */

/* Written by the loop, read by anyone. */
struct virtio_balloon_stats {
	struct counter inflated;       /* pages that went to the host */
	struct counter deflated;       /* pages that the driver took back */
	struct counter reported;       /* reports served */
	struct counter reported_bytes; /* that went to the host */
	struct counter refused; /* page numbers or segments that are no RAM */
	struct counter kept;	/* those that the host did not take */
	struct counter updates; /* statistics that the driver sent */
};

/* Where the balloon stands. */
struct virtio_balloon_state {
	uint64_t target; /* bytes that the driver is asked to give */
	uint64_t actual; /* bytes that it says it gave; at most all RAM */
	/* A driver's last statistics; bit n of `known` is set when it sent
	 * tag n (VIRTIO_BALLOON_S_*).
	 */
	uint32_t known;
	uint64_t value[BALLOON_NR_TAGS];
};

/* *OWNED is the new device, with a target of 0 and no interval.  -ENOMEM. */
int virtio_balloon_create(const struct virtio_env *env,
			  struct virtio_device **owned);

/* For the loop's thread, each takes VDEV's lock; VDEV must be a balloon.
 *
 * Asks the driver for a balloon of BYTES, rounded down to pages.  -EINVAL when
 * that is more than there is RAM.
 */
int virtio_balloon_set_target(struct virtio_device *vdev, uint64_t bytes);

/* Asks the driver for statistics every NS nanoseconds; 0: not any more. */
void virtio_balloon_set_interval(struct virtio_device *vdev, uint64_t ns);

void virtio_balloon_get(struct virtio_device *vdev,
			struct virtio_balloon_state *state);

/* True when VDEV is a balloon, for the functions here. */
bool virtio_balloon_is(const struct virtio_device *vdev);

/* The counters of VDEV; they live as long. */
const struct virtio_balloon_stats *
virtio_balloon_stats(const struct virtio_device *vdev);

#endif
