// SPDX-License-Identifier: Apache-2.0
/*
 * ring_fixture.h - one live virtqueue under a test's fingers
 *
 * Queue Q of the echo device, which the device itself never pops: the tests do.
 * For one test program each; everything is static.
 */
#ifndef MOTE_TESTS_RING_FIXTURE_H
#define MOTE_TESTS_RING_FIXTURE_H

#include "tests/unit/echo_device.h"
#include "tests/unit/fake_driver.h"
#include "tests/unit/unit.h"

#define Q      1
#define SIZE   8
#define ALL_OK FD_FEATURES
#define PLAIN  (1ull << VIRTIO_F_VERSION_1)

static struct fake_driver fd;
static struct echo_device echo;
static struct virtqueue *vq;
static struct chain c;

static inline void start(uint16_t size, uint64_t features)
{
	struct virtio_device *vdev;

	fd_init(&fd);
	echo_create(&echo, &fd.env, size, &vdev);
	fd_attach(&fd, vdev);
	ck_assert(fd_start(&fd, features));
	vq = &vdev->vq[Q];
}

static inline void stop(void)
{
	fd_fini(&fd);
}

/* Back to an empty, live queue without going through the registers. */
static inline void renew(void)
{
	struct virtq_config config = {
		.num = vq->size,
		.desc = vq->desc,
		.driver = vq->avail,
		.device = vq->used,
	};
	uint64_t features = fd.features;

	virtq_disable(vq);
	ck_assert_int_eq(virtq_enable(vq, &fd.gm, &config, vq->size, features),
			 0);
	fd.queue[Q].avail_idx = 0;
	fd.queue[Q].used_idx = 0;
	fd_avail_ring(&fd, Q)->idx = 0;
	fd_used_ring(&fd, Q)->idx = 0;
}

static inline void put_desc(unsigned int i, uint64_t addr, uint32_t len,
			    uint16_t flags, uint16_t next)
{
	fd_desc(&fd, Q)[i] = (struct vring_desc){
		.addr = addr, .len = len, .flags = flags, .next = next
	};
}

/* Publishes HEAD by hand, expects RET, and leaves an empty queue. */
static inline void expect_pop(uint16_t head, int ret)
{
	fd_publish(&fd, Q, head);
	ck_assert_int_eq(virtq_pop(vq, &c), ret);
	renew();
}

#endif
