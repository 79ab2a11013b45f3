// SPDX-License-Identifier: Apache-2.0
/*
 * fake_driver.h - plays the guest's driver: rings in ordinary memory, registers
 * through the transport's handlers
 *
 *	struct fake_driver fd;
 *
 *	fd_init(&fd);
 *	virtio_rng_create(&fd.env, &vdev);
 *	fd_attach(&fd, vdev);
 *	fd_start(&fd, features);
 *	fd_post(&fd, 0, seg, 1, 1, FD_DIRECT);
 *	fd_kick(&fd, 0);
 *	fd_used(&fd, 0, &head, &len);
 *	fd_fini(&fd);
 *
 * It obeys the specification unless a test pokes at ring memory itself, with
 * the pointers from fd_desc(), fd_avail_ring() and their like.
 */
#ifndef MOTE_TESTS_FAKE_DRIVER_H
#define MOTE_TESTS_FAKE_DRIVER_H

#include <stdbool.h>
#include <stdint.h>

#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>

#include "virtio/mmio.h"
#include "virtio/virtio.h"

/* Guest memory: a low region, and a small one above 4 GiB that tests use by
 * address.  Each is its own allocation, so that ASan sees a step outside.
 */
#define FD_RAM_SIZE  (16u << 20)
#define FD_HIGH_BASE (4ull << 30)
#define FD_HIGH_SIZE (64u << 10)

/* What a Linux driver would accept of the transport's features. */
#define FD_FEATURES                                                            \
	(1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_RING_F_INDIRECT_DESC |    \
	 1ull << VIRTIO_RING_F_EVENT_IDX)

struct fd_irq {
	struct irq_line line;
	_Atomic unsigned int pulses; /* tests may set it back to 0 */
};

struct fd_seg {
	uint64_t gpa;
	uint32_t len;
};

/* How fd_post() lays a chain out in descriptors. */
enum fd_layout {
	FD_DIRECT,
	FD_INDIRECT, /* one INDIRECT descriptor and a table */
	FD_MIXED,    /* the first segment direct, the others in a table */
};

struct fd_queue {
	uint16_t size; /* 0 until fd_setup_queue() */
	uint64_t desc, avail, used;
	uint64_t tables;    /* an indirect table for each head */
	uint16_t avail_idx; /* next to publish */
	uint16_t used_idx;  /* next to look at */
	uint16_t nr_free;   /* descriptors */
	uint16_t free_head; /* list through next[] */
	uint16_t next[VIRTQ_MAX_SIZE];
	uint16_t count[VIRTQ_MAX_SIZE]; /* descriptors of the chain at a head */
};

struct fake_driver {
	struct guest_memory gm;
	uint8_t *ram, *high;
	struct fd_irq irq;
	struct loop loop;
	struct virtio_env env; /* for the device's create function */
	struct virtio_device *vdev;
	struct virtio_mmio mmio;
	uint64_t alloc; /* next free guest address */
	uint64_t features;
	struct fd_queue queue[VIRTIO_MAX_QUEUES];
	uint64_t rings[VIRTIO_MAX_QUEUES];    /* where the last rings were */
	uint16_t rings_of[VIRTIO_MAX_QUEUES]; /* and their size */
};

/* Memory, interrupt line and loop; everything a device needs to be created. */
void fd_init(struct fake_driver *fd);

/* Puts VDEV (owned from here) behind registers and starts its doorbells. */
void fd_attach(struct fake_driver *fd, struct virtio_device *vdev);

/* Destroys the device, if there is one, and frees the memory. */
void fd_fini(struct fake_driver *fd);

/* Registers by VIRTIO_MMIO_* offset, 32 bits wide, and accesses of any shape. */
uint32_t fd_reg(struct fake_driver *fd, uint32_t offset);
void fd_set_reg(struct fake_driver *fd, uint32_t offset, uint32_t value);
void fd_mmio_read(struct fake_driver *fd, uint64_t offset, void *data,
		  unsigned int len);
void fd_mmio_write(struct fake_driver *fd, uint64_t offset, const void *data,
		   unsigned int len);

/* Configuration space from OFF, one access a byte. */
void fd_config_read(struct fake_driver *fd, uint32_t off, void *buf,
		    unsigned int len);

/* What the device offers, low and high word together. */
uint64_t fd_device_features(struct fake_driver *fd);

/* Reset, ACKNOWLEDGE, DRIVER, features, FEATURES_OK.  True if it stuck. */
bool fd_negotiate(struct fake_driver *fd, uint64_t features);

/* Fresh rings of SIZE for queue Q.  True if QueueReady stuck. */
bool fd_setup_queue(struct fake_driver *fd, unsigned int q, uint16_t size);

/* Sets one more bit of Status. */
void fd_add_status(struct fake_driver *fd, uint8_t bit);

/* All of it: negotiate, every queue at QueueNumMax, DRIVER_OK. */
bool fd_start(struct fake_driver *fd, uint64_t features);

/* Writes 0 to Status and forgets the queues; memory stays allocated. */
void fd_reset(struct fake_driver *fd);

/* LEN bytes of guest memory, 16-byte aligned, zeroed; never given back.  fd_put
 * copies DATA there.
 */
uint64_t fd_alloc(struct fake_driver *fd, size_t len);
uint64_t fd_put(struct fake_driver *fd, const void *data, size_t len);

/* Host pointer to guest memory; the test fails when it is outside. */
void *fd_ptr(struct fake_driver *fd, uint64_t gpa, size_t len);

/* Publishes one chain: NR_READABLE segments, then NR_WRITABLE.  Returns its
 * head.  The caller rings the doorbell.
 */
uint16_t fd_post(struct fake_driver *fd, unsigned int q,
		 const struct fd_seg *seg, unsigned int nr_readable,
		 unsigned int nr_writable, enum fd_layout layout);

/* Publishes HEAD as it stands in the descriptor table. */
void fd_publish(struct fake_driver *fd, unsigned int q, uint16_t head);

/* Rings the doorbell as KVM and the loop would, wanted or not. */
void fd_kick(struct fake_driver *fd, unsigned int q);

/* Whether the device wants to hear of the COUNT chains published last. */
bool fd_kick_wanted(struct fake_driver *fd, unsigned int q, uint16_t count);

/* Runs what the loop has to do now, until it is quiet. */
void fd_run_loop(struct fake_driver *fd);

/* The next used chain, if there is one; its descriptors are free again.  HEAD
 * and LEN may be NULL.
 */
bool fd_used(struct fake_driver *fd, unsigned int q, uint16_t *head,
	     uint32_t *len);

/* Asks for an interrupt at the next used chain (false: for none). */
void fd_want_irq(struct fake_driver *fd, unsigned int q, bool want);

/* Ring memory of a queue that was set up. */
struct vring_desc *fd_desc(struct fake_driver *fd, unsigned int q);
struct vring_desc *fd_table(struct fake_driver *fd, unsigned int q,
			    uint16_t head);
struct vring_avail *fd_avail_ring(struct fake_driver *fd, unsigned int q);
struct vring_used *fd_used_ring(struct fake_driver *fd, unsigned int q);
uint16_t *fd_used_event(struct fake_driver *fd, unsigned int q);
uint16_t *fd_avail_event(struct fake_driver *fd, unsigned int q);

#endif
