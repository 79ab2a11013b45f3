// SPDX-License-Identifier: Apache-2.0
/*
 * rng.c - virtio entropy device (virtio 1.2 §5.4)
 *
 * One queue of device-writable buffers, filled from getrandom(2) straight in
 * guest memory.  There is no configuration space.
 *
 * With a rate limit, a buffer for which there are no tokens stays available in
 * the ring, and the gate runs the queue again when there are some.
 */
#include <errno.h>
#include <stdlib.h>

#include <sys/random.h>

#include <linux/virtio_ids.h>

#include "base/util.h"
#include "virtio/chain.h"
#include "virtio/gate.h"
#include "virtio/rng.h"

#define RNG_QUEUE_SIZE 64

/* Bounds one buffer, so that a large one does not hold the loop: §5.4.6.2 lets
 * the device use less than the entire buffer, but at least one byte.
 */
#define RNG_MAX_FILL KIB(64)

/* Bytes after which the loop gets a turn: some milliseconds. */
#define RNG_TURN KIB(256)

struct virtio_rng {
	struct virtio_device vdev;
	struct gate gate;
	struct virtio_rng_stats stats;
	struct chain chain; /* the buffer being filled */
};

static_assert(offsetof(struct virtio_rng, vdev) == 0, "virtio_rng_stats");

/* Fills LEN bytes; returns how many it could. */
static size_t rng_get(struct virtio_rng *rng, uint8_t *buf, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t got = getrandom(buf + done, len - done, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			/* EFAULT: the memory's backing is gone */
			counter_add(&rng->stats.errors, 1);
			break;
		}
		done += (size_t)got;
	}
	return done;
}

/* Returns the bytes written; -EBADMSG if the driver left no room for any. */
static int rng_fill(struct virtio_rng *rng)
{
	struct chain *c = &rng->chain;
	size_t done = 0;

	while (done < RNG_MAX_FILL && chain_writable(c) > 0) {
		struct iovec iov;
		size_t want, got;

		chain_write_iov(c, &iov, 1, RNG_MAX_FILL - done, &want);
		got = rng_get(rng, iov.iov_base, want);
		done += got;
		if (got < want)
			break;
	}
	return done > 0 ? (int)done : -EBADMSG;
}

/* Whether the buffer may be filled now; otherwise it waits in the ring. */
static bool rng_may_fill(struct virtio_rng *rng, struct virtqueue *vq)
{
	const struct rate_amount want = {
		.bytes = MIN(chain_writable(&rng->chain), RNG_MAX_FILL),
		.ops = 1,
	};

	if (gate_pass(&rng->gate, 0, want))
		return true;
	virtq_unpop(vq, &rng->chain);
	return false;
}

static int rng_queue_notify(struct virtio_device *vdev, unsigned int q)
{
	struct virtio_rng *rng = container_of(vdev, struct virtio_rng, vdev);
	struct virtqueue *vq = &vdev->vq[q];
	size_t turn = 0;
	int ret;

	while ((ret = virtq_pop(vq, &rng->chain)) > 0) {
		if (!rng_may_fill(rng, vq))
			return 0;
		ret = rng_fill(rng);
		if (ret > 0) {
			turn += (size_t)ret;
			counter_add(&rng->stats.requests, 1);
			counter_add(&rng->stats.bytes, (uint64_t)ret);
			ret = virtq_push(vq, &rng->chain, (uint32_t)ret);
		}
		if (ret < 0)
			return ret;
		/* The generic code rings again when the budget is used up. */
		if (turn >= RNG_TURN)
			vq->budget = 0;
	}
	return ret;
}

static void rng_destroy(struct virtio_device *vdev)
{
	struct virtio_rng *rng = container_of(vdev, struct virtio_rng, vdev);

	gate_fini(&rng->gate);
	free(rng);
}

static const struct telemetry_field rng_fields[] = {
	{ "requests", offsetof(struct virtio_rng, stats.requests),
	  TELEMETRY_COUNTER },
	{ "bytes", offsetof(struct virtio_rng, stats.bytes),
	  TELEMETRY_COUNTER },
	{ "errors", offsetof(struct virtio_rng, stats.errors),
	  TELEMETRY_COUNTER },
	{ "stall_ns", offsetof(struct virtio_rng, gate.stall_ns),
	  TELEMETRY_HISTOGRAM },
};

static const struct virtio_device_ops rng_ops = {
	.name = "rng",
	.device_id = VIRTIO_ID_RNG,
	.fields = rng_fields,
	.nr_fields = ARRAY_SIZE(rng_fields),
	.nr_queues = 1,
	.queue_size = RNG_QUEUE_SIZE,
	.queue_notify = rng_queue_notify,
	.destroy = rng_destroy,
};

int virtio_rng_create(const struct virtio_env *env,
		      struct virtio_device **owned)
{
	struct virtio_rng *rng = calloc(1, sizeof(*rng));

	if (!rng)
		return -ENOMEM;
	virtio_device_init(&rng->vdev, &rng_ops, env, 0);
	gate_init(&rng->gate, &rng->vdev, rng_ops.nr_queues);
	*owned = &rng->vdev;
	return 0;
}

void virtio_rng_set_rate(struct virtio_device *vdev,
			 const struct rate_change *change)
{
	struct virtio_rng *rng = container_of(vdev, struct virtio_rng, vdev);

	assert(vdev->ops == &rng_ops);
	pthread_mutex_lock(&vdev->lock);
	gate_set(&rng->gate, change);
	pthread_mutex_unlock(&vdev->lock);
}

const struct virtio_rng_stats *
virtio_rng_stats(const struct virtio_device *vdev)
{
	assert(vdev->ops == &rng_ops);
	return &((const struct virtio_rng *)vdev)->stats;
}
