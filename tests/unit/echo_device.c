// SPDX-License-Identifier: Apache-2.0
/*
 * echo_device.c - a virtio device for tests of the generic code
 */
#include <string.h>

#include "base/util.h"
#include "tests/unit/echo_device.h"

static struct echo_device *to_echo(struct virtio_device *vdev)
{
	return container_of(vdev, struct echo_device, vdev);
}

static void echo_activate(struct virtio_device *vdev)
{
	to_echo(vdev)->activations++;
}

static void echo_reset(struct virtio_device *vdev)
{
	to_echo(vdev)->resets++;
}

static int echo_queue_notify(struct virtio_device *vdev, unsigned int q)
{
	struct echo_device *echo = to_echo(vdev);
	unsigned int popped = 0;
	struct chain c;
	int ret;

	echo->notified[q]++;
	if (echo->error || q != 0)
		return echo->error;
	while ((ret = virtq_pop(&vdev->vq[q], &c)) > 0) {
		uint32_t done = 0;
		char buf[64];
		size_t n;

		while ((n = chain_read(&c, buf, sizeof(buf))) > 0)
			done += (uint32_t)chain_write(&c, buf, n);
		ret = virtq_push(&vdev->vq[q], &c, done);
		if (ret < 0)
			break;
		popped++;
		if (echo->after_pop)
			echo->after_pop(echo);
	}
	echo->echoed += popped;
	echo->most = MAX(echo->most, popped);
	return ret;
}

static void echo_config_read(struct virtio_device *vdev, size_t off, void *buf,
			     size_t len)
{
	memcpy(buf, to_echo(vdev)->config + off, len);
}

static void echo_config_write(struct virtio_device *vdev, size_t off,
			      const void *buf, size_t len)
{
	memcpy(to_echo(vdev)->config + off, buf, len);
}

static void echo_destroy(struct virtio_device *vdev)
{
	memset(to_echo(vdev), 0, sizeof(struct echo_device));
}

void echo_create(struct echo_device *echo, const struct virtio_env *env,
		 uint16_t queue_size, struct virtio_device **owned)
{
	memset(echo, 0, sizeof(*echo));
	echo->ops = (struct virtio_device_ops){
		.name = "echo",
		.device_id = 77,
		.features = ECHO_FEATURES,
		.nr_queues = ECHO_QUEUES,
		.queue_size = queue_size,
		.config_size = ECHO_CONFIG_SIZE,
		.activate = echo_activate,
		.reset = echo_reset,
		.queue_notify = echo_queue_notify,
		.config_read = echo_config_read,
		.config_write = echo_config_write,
		.destroy = echo_destroy,
	};
	for (uint8_t i = 0; i < ECHO_CONFIG_SIZE; i++)
		echo->config[i] = 0xa0 + i;
	virtio_device_init(&echo->vdev, &echo->ops, env, ECHO_FEATURES);
	*owned = &echo->vdev;
}
