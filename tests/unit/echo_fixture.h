// SPDX-License-Identifier: Apache-2.0
/*
 * echo_fixture.h - the echo device behind its registers
 *
 * For one test program each; everything is static.
 */
#ifndef MOTE_TESTS_ECHO_FIXTURE_H
#define MOTE_TESTS_ECHO_FIXTURE_H

#include "tests/unit/echo_device.h"
#include "tests/unit/fake_driver.h"
#include "tests/unit/unit.h"

#define SIZE 8

#define ACK	    VIRTIO_CONFIG_S_ACKNOWLEDGE
#define DRIVER	    VIRTIO_CONFIG_S_DRIVER
#define FEATURES_OK VIRTIO_CONFIG_S_FEATURES_OK
#define DRIVER_OK   VIRTIO_CONFIG_S_DRIVER_OK
#define FAILED	    VIRTIO_CONFIG_S_FAILED
#define NEEDS_RESET VIRTIO_CONFIG_S_NEEDS_RESET

/* Values for registers that want an index, a size or a word. */
static const uint32_t edges[] = { 0,	    1,		 2,	     3,
				  7,	    8,		 9,	     31,
				  32,	    255,	 256,	     0xffff,
				  0x10000,  0x10001,	 0x10008,    1 << 30,
				  1u << 31, 0xfffffffeu, 0xffffffffu };

static struct fake_driver fd;
static struct echo_device echo;

static inline void setup(void)
{
	struct virtio_device *vdev;

	fd_init(&fd);
	echo_create(&echo, &fd.env, SIZE, &vdev);
	fd_attach(&fd, vdev);
}

static inline void teardown(void)
{
	fd_fini(&fd);
}

static inline uint32_t status(void)
{
	return fd_reg(&fd, VIRTIO_MMIO_STATUS);
}

static inline void set_status(uint32_t value)
{
	fd_set_reg(&fd, VIRTIO_MMIO_STATUS, value);
}

/* One chain of two bytes to be echoed on queue 0; returns where they go. */
static inline uint64_t post_echo(enum fd_layout layout)
{
	struct fd_seg seg[2] = { { fd_put(&fd, "hi", 2), 2 },
				 { fd_alloc(&fd, 2), 2 } };

	fd_post(&fd, 0, seg, 1, 1, layout);
	return seg[1].gpa;
}

static inline void expect_echo(uint64_t gpa)
{
	uint32_t len = 0;

	ck_assert(fd_used(&fd, 0, NULL, &len));
	ck_assert_uint_eq(len, 2);
	ck_assert_mem_eq(fd_ptr(&fd, gpa, 2), "hi", 2);
}

#endif
