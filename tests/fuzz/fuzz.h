// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz.h - what fuzz targets of devices share: the input as a stream of bytes,
 * a check that ends the program, a driver that brings a device up
 */
#ifndef MOTE_TESTS_FUZZ_H
#define MOTE_TESTS_FUZZ_H

#include <stdlib.h>
#include <string.h>

#include <linux/virtio_ring.h>

#include "base/util.h"
#include "virtio/virtio.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct fuzz_input {
	const uint8_t *data;
	size_t len;
};

static inline void must(bool cond)
{
	if (!cond)
		abort();
}

/* The next byte; zeros after the end. */
static inline uint8_t fuzz_take(struct fuzz_input *in)
{
	if (in->len == 0)
		return 0;
	in->len--;
	return *in->data++;
}

static inline void fuzz_irq_ignore(struct irq_line *line)
{
	(void)line;
}

/* SIZE bytes of guest memory at address 0, zeros; the caller frees them. */
static inline uint8_t *fuzz_memory(struct guest_memory *gm, size_t size)
{
	uint8_t *ram = aligned_alloc(PAGE_SIZE, size);

	must(ram && gmem_add(gm, 0, size, ram) == 0);
	memset(ram, 0, size);
	return ram;
}

/* Describes LEN bytes at GPA as a chain of pieces of up to PIECE bytes, in the
 * descriptors AT and after; their numbers count from FIRST.  FLAGS is WRITE or
 * 0.  Returns how many.
 */
static inline unsigned int fuzz_cut(struct vring_desc *at, unsigned int first,
				    uint64_t gpa, uint32_t len, uint32_t piece,
				    uint16_t flags)
{
	for (unsigned int n = 0;; n++) {
		uint32_t here = MIN(len, piece);

		at[n] = (struct vring_desc){
			.addr = gpa,
			.len = here,
			.flags = flags,
			.next = (uint16_t)(first + n + 1),
		};
		gpa += here;
		len -= here;
		if (len == 0)
			return n + 1;
		at[n].flags |= VRING_DESC_F_NEXT;
	}
}

/* Where a device's queues are: queue q is Q times `stride` further. */
struct fuzz_layout {
	unsigned int nr_queues;
	uint16_t size; /* entries */
	uint64_t base, stride, avail, used;
};

static inline void fuzz_reset(struct virtio_device *vdev)
{
	pthread_mutex_lock(&vdev->lock);
	virtio_set_status_locked(vdev, 0);
	pthread_mutex_unlock(&vdev->lock);
}

/* From reset to DRIVER_OK, as a good driver does; VERSION_1 is added, what is
 * not offered is taken out of FEATURES.
 */
static inline void fuzz_bring_up(struct virtio_device *vdev,
				 const struct fuzz_layout *at,
				 uint64_t features)
{
	features |= 1ull << VIRTIO_F_VERSION_1;
	features &= vdev->features;
	pthread_mutex_lock(&vdev->lock);
	virtio_set_status_locked(vdev, 1);
	virtio_set_status_locked(vdev, 3);
	virtio_set_features_locked(vdev, 0, (uint32_t)features);
	virtio_set_features_locked(vdev, 1, (uint32_t)(features >> 32));
	virtio_set_status_locked(vdev, 11);
	must(vdev->status == 11);
	for (unsigned int q = 0; q < at->nr_queues; q++) {
		uint64_t base = at->base + at->stride * q;
		const struct virtq_config config = {
			.num = at->size,
			.desc = base,
			.driver = base + at->avail,
			.device = base + at->used,
		};

		must(virtq_enable(&vdev->vq[q], vdev->env.gm, &config, at->size,
				  vdev->driver_features) == 0);
	}
	virtio_set_status_locked(vdev, 15);
	pthread_mutex_unlock(&vdev->lock);
}

#endif
