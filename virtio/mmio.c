// SPDX-License-Identifier: Apache-2.0
/*
 * mmio.c - virtio over memory-mapped registers (virtio 1.2 §4.2)
 *
 * Registers below 0x100 are 32 bits wide and aligned; any other access there
 * reads 0 or is dropped (§4.2.2.2 forbids it to drivers).  Configuration space
 * follows, with accesses of any shape.
 *
 * QueueNotify is not handled here: an ioeventfd matches each queue's number, so
 * only numbers of no queue arrive, and those mean nothing.  InterruptStatus and
 * InterruptACK are used without the lock, so that an interrupt handler in the
 * guest does not wait for our disk.
 */
#include <stdatomic.h>
#include <string.h>

#include <linux/virtio_mmio.h>

#include "base/log.h"
#include "base/util.h"
#include "virtio/mmio.h"

#define MMIO_MAGIC     0x74726976u /* "virt" */
#define MMIO_VERSION   2u
#define MMIO_VENDOR    0x65746f6du /* "mote" */
#define REGISTER_WIDTH 4u

/* The selected queue's number, or -1 when there is no such queue. */
static int mmio_selected(const struct virtio_mmio *m)
{
	return m->queue_sel < m->vdev->nr_queues ? (int)m->queue_sel : -1;
}

static uint32_t mmio_device_features(const struct virtio_mmio *m)
{
	/* virtio 1.2 §4.2.2: bits 64 and up, of which there are none, read 0 */
	if (m->device_features_sel > 1)
		return 0;
	return (uint32_t)(m->vdev->features >> (32 * m->device_features_sel));
}

static uint32_t mmio_read_register(const struct virtio_mmio *m, uint64_t offset)
{
	struct virtio_device *vdev = m->vdev;
	int q = mmio_selected(m);

	switch (offset) {
	case VIRTIO_MMIO_MAGIC_VALUE:
		return MMIO_MAGIC;
	case VIRTIO_MMIO_VERSION:
		return MMIO_VERSION;
	case VIRTIO_MMIO_DEVICE_ID:
		return vdev->ops->device_id;
	case VIRTIO_MMIO_VENDOR_ID:
		return MMIO_VENDOR;
	case VIRTIO_MMIO_DEVICE_FEATURES:
		return mmio_device_features(m);
	case VIRTIO_MMIO_QUEUE_NUM_MAX:
		/* virtio 1.2 §4.2.2: 0 for a queue that does not exist */
		return q < 0 ? 0 : vdev->ops->queue_size;
	case VIRTIO_MMIO_QUEUE_READY:
		return q < 0 ? 0 : virtio_queue_ready(vdev, q);
	case VIRTIO_MMIO_STATUS:
		return vdev->status;
	case VIRTIO_MMIO_CONFIG_GENERATION:
		return vdev->config_generation;
	case VIRTIO_MMIO_SHM_LEN_LOW:
	case VIRTIO_MMIO_SHM_LEN_HIGH:
	case VIRTIO_MMIO_SHM_BASE_LOW:
	case VIRTIO_MMIO_SHM_BASE_HIGH:
		/* virtio 1.2 §4.2.2: a region that does not exist */
		return UINT32_MAX;
	default:
		/* Write-only, reserved, or (QueueReset) not offered. */
		return 0;
	}
}

/* The selected queue's configuration, or NULL when it must not be written now:
 * frozen once the queue is live (§4.2.2.2), and part of the set-up between
 * FEATURES_OK and DRIVER_OK (§3.1.1).
 */
static struct virtq_config *mmio_open_queue(struct virtio_mmio *m)
{
	uint8_t phase = VIRTIO_CONFIG_S_FEATURES_OK |
			VIRTIO_CONFIG_S_DRIVER_OK | VIRTIO_CONFIG_S_FAILED;
	int q = mmio_selected(m);

	if (q < 0 || virtio_queue_ready(m->vdev, q) ||
	    (m->vdev->status & phase) != VIRTIO_CONFIG_S_FEATURES_OK) {
		counter_add(&m->refused, 1);
		return NULL;
	}
	return &m->queue[q];
}

static void mmio_queue_ready(struct virtio_mmio *m, uint32_t value)
{
	int q = mmio_selected(m);
	struct virtq_config *config;
	int ret;

	if (value == 0 && q >= 0) {
		virtio_stop_queue_locked(m->vdev, q);
		return;
	}
	config = value == 1 ? mmio_open_queue(m) : NULL;
	if (!config)
		return;
	ret = virtq_enable(&m->vdev->vq[q], m->vdev->env.gm, config,
			   m->vdev->ops->queue_size, m->vdev->driver_features);
	if (ret == 0)
		return;
	/* The driver reads QueueReady back as 0. */
	counter_add(&m->refused, 1);
	log_guest("%s: queue %d is set up wrongly (%s)", m->vdev->ops->name, q,
		  log_errno(ret));
}

static void mmio_status(struct virtio_mmio *m, uint32_t value)
{
	/* Not truncated: 0x100 is no reset. */
	if (value > UINT8_MAX) {
		counter_add(&m->refused, 1);
		return;
	}
	if (value == 0) {
		m->queue_sel = 0;
		m->device_features_sel = 0;
		m->driver_features_sel = 0;
		memset(m->queue, 0, sizeof(m->queue));
	}
	virtio_set_status_locked(m->vdev, (uint8_t)value);
}

static void set_low(uint64_t *word, uint32_t value)
{
	*word = (*word & ~(uint64_t)UINT32_MAX) | value;
}

static void set_high(uint64_t *word, uint32_t value)
{
	*word = (*word & UINT32_MAX) | (uint64_t)value << 32;
}

static void mmio_write_queue(struct virtio_mmio *m, uint64_t offset,
			     uint32_t value)
{
	struct virtq_config *config = mmio_open_queue(m);

	if (!config)
		return;
	switch (offset) {
	case VIRTIO_MMIO_QUEUE_NUM:
		config->num = value;
		break;
	case VIRTIO_MMIO_QUEUE_DESC_LOW:
		set_low(&config->desc, value);
		break;
	case VIRTIO_MMIO_QUEUE_DESC_HIGH:
		set_high(&config->desc, value);
		break;
	case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
		set_low(&config->driver, value);
		break;
	case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
		set_high(&config->driver, value);
		break;
	case VIRTIO_MMIO_QUEUE_USED_LOW:
		set_low(&config->device, value);
		break;
	case VIRTIO_MMIO_QUEUE_USED_HIGH:
		set_high(&config->device, value);
		break;
	}
}

static void mmio_write_register(struct virtio_mmio *m, uint64_t offset,
				uint32_t value)
{
	switch (offset) {
	case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
		m->device_features_sel = value;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
		m->driver_features_sel = value;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES:
		virtio_set_features_locked(m->vdev, m->driver_features_sel,
					   value);
		break;
	case VIRTIO_MMIO_QUEUE_SEL:
		m->queue_sel = value;
		break;
	case VIRTIO_MMIO_QUEUE_READY:
		mmio_queue_ready(m, value);
		break;
	case VIRTIO_MMIO_STATUS:
		mmio_status(m, value);
		break;
	case VIRTIO_MMIO_QUEUE_NUM:
	case VIRTIO_MMIO_QUEUE_DESC_LOW:
	case VIRTIO_MMIO_QUEUE_DESC_HIGH:
	case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
	case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
	case VIRTIO_MMIO_QUEUE_USED_LOW:
	case VIRTIO_MMIO_QUEUE_USED_HIGH:
		mmio_write_queue(m, offset, value);
		break;
	default:
		break; /* read-only, reserved, QueueNotify of no queue */
	}
}

static void mmio_ack(struct virtio_device *vdev, uint32_t value)
{
	uint32_t left = atomic_fetch_and(&vdev->interrupt_status, ~value) &
			~value;

	/* virtio 1.2 §4.2.3.4: the interrupt stays asserted while a bit is set;
	 * on an edge that is one more edge
	 */
	if (left)
		irq_pulse(vdev->env.irq);
}

static void mmio_read_config(struct virtio_device *vdev, uint64_t off,
			     void *data, unsigned int len)
{
	size_t size = vdev->ops->config_size;

	memset(data, 0, len);
	if (off >= size)
		return;
	pthread_mutex_lock(&vdev->lock);
	vdev->ops->config_read(vdev, off, data, MIN(len, size - off));
	pthread_mutex_unlock(&vdev->lock);
}

static void mmio_write_config(struct virtio_device *vdev, uint64_t off,
			      const void *data, unsigned int len)
{
	size_t size = vdev->ops->config_size;

	if (!vdev->ops->config_write || len > size || off > size - len)
		return;
	pthread_mutex_lock(&vdev->lock);
	vdev->ops->config_write(vdev, off, data, len);
	pthread_mutex_unlock(&vdev->lock);
}

static void mmio_read(struct bus_target *target, uint64_t offset, void *data,
		      unsigned int len)
{
	struct virtio_mmio *m =
		container_of(target, struct virtio_mmio, target);
	uint32_t value;

	if (offset >= VIRTIO_MMIO_CONFIG) {
		mmio_read_config(m->vdev, offset - VIRTIO_MMIO_CONFIG, data,
				 len);
		return;
	}
	if (len != REGISTER_WIDTH || !IS_ALIGNED(offset, REGISTER_WIDTH)) {
		memset(data, 0, len);
		return;
	}
	if (offset == VIRTIO_MMIO_INTERRUPT_STATUS) {
		value = m->vdev->interrupt_status;
	} else {
		pthread_mutex_lock(&m->vdev->lock);
		value = mmio_read_register(m, offset);
		pthread_mutex_unlock(&m->vdev->lock);
	}
	put_le32(data, value);
}

static void mmio_write(struct bus_target *target, uint64_t offset,
		       const void *data, unsigned int len)
{
	struct virtio_mmio *m =
		container_of(target, struct virtio_mmio, target);

	if (offset >= VIRTIO_MMIO_CONFIG) {
		mmio_write_config(m->vdev, offset - VIRTIO_MMIO_CONFIG, data,
				  len);
		return;
	}
	if (len != REGISTER_WIDTH || !IS_ALIGNED(offset, REGISTER_WIDTH))
		return;
	if (offset == VIRTIO_MMIO_INTERRUPT_ACK) {
		mmio_ack(m->vdev, get_le32(data));
		return;
	}
	pthread_mutex_lock(&m->vdev->lock);
	mmio_write_register(m, offset, get_le32(data));
	pthread_mutex_unlock(&m->vdev->lock);
}

void virtio_mmio_init(struct virtio_mmio *mmio, struct virtio_device *vdev)
{
	*mmio = (struct virtio_mmio){
		.target = { .read = mmio_read, .write = mmio_write },
		.vdev = vdev,
	};
}
