// SPDX-License-Identifier: Apache-2.0
/*
 * device.c - what all virtio devices share (virtio 1.2 §2, §3)
 *
 * Theory of operation.  Status is a small state machine: a bit may be set once
 * the bits it needs are set, no bit is cleared but by writing 0, and what a
 * driver asks for out of turn is ignored, so that it finds out when it reads
 * Status back (§3.1.1).  The queues are looked at only between DRIVER_OK and
 * the next reset, FAILED or error.
 *
 * A doorbell is an eventfd.  KVM writes it when the guest writes QueueNotify;
 * this file writes it too, when DRIVER_OK is set (chains may have been waiting
 * for it) and when a queue has used up its budget.  That the doorbell is the
 * only way in, keeps every queue on the loop.
 *
 * While the loop polls, it looks at the ring of a queue whose doorbell has
 * rung, and the driver is not asked to ring it: that saves the guest the exit
 * and us the wake-up.  Before the loop sleeps, doorbell_settle() asks.
 */
#include <errno.h>
#include <unistd.h>

#include <sys/epoll.h>

#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/util.h"
#include "virtio/virtio.h"

/* virtio 1.2 §2.7 and §6: what every device offers.  RING_RESET, IN_ORDER,
 * RING_PACKED, NOTIFICATION_DATA, ACCESS_PLATFORM and the rest are not built.
 */
#define TRANSPORT_FEATURES                                                     \
	(1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_RING_F_INDIRECT_DESC |    \
	 1ull << VIRTIO_RING_F_EVENT_IDX)

#define S_ACK	      VIRTIO_CONFIG_S_ACKNOWLEDGE
#define S_DRIVER      VIRTIO_CONFIG_S_DRIVER
#define S_FEATURES_OK VIRTIO_CONFIG_S_FEATURES_OK
#define S_DRIVER_OK   VIRTIO_CONFIG_S_DRIVER_OK
#define S_FAILED      VIRTIO_CONFIG_S_FAILED
#define S_NEEDS_RESET VIRTIO_CONFIG_S_NEEDS_RESET

/* The driver's bits of Status and what each needs (§3.1.1), in the order in
 * which one write that sets several takes effect.
 */
static const struct {
	uint8_t bit, needs;
} status_table[] = {
	{ S_FAILED, 0 },
	{ S_ACK, 0 },
	{ S_DRIVER, S_ACK },
	{ S_FEATURES_OK, S_ACK | S_DRIVER },
	{ S_DRIVER_OK, S_ACK | S_DRIVER | S_FEATURES_OK },
};

#define DRIVER_BITS (S_FAILED | S_ACK | S_DRIVER | S_FEATURES_OK | S_DRIVER_OK)

/* base/irq.h: the state first, then the edge that announces it. */
static void virtio_interrupt(struct virtio_device *vdev, uint32_t cause)
{
	vdev->interrupt_status |= cause;
	counter_add(&vdev->interrupts, 1);
	irq_pulse(vdev->env.irq);
}

/* virtio 1.2 §2.1.2: the one place where a device gives up on its driver. */
static void virtio_needs_reset(struct virtio_device *vdev, unsigned int q,
			       int err)
{
	vdev->status |= S_NEEDS_RESET;
	counter_add(&vdev->resets_needed, 1);
	log_guest(
		"%s: queue %u is malformed (%s), the device waits for a reset",
		vdev->ops->name, q, log_errno(err));
	if (vdev->status & S_DRIVER_OK)
		virtio_interrupt(vdev, VIRTIO_MMIO_INT_CONFIG);
}

/* Rings the doorbell of queue Q from inside.  Any thread. */
static void virtio_ring_doorbell(struct virtio_device *vdev, unsigned int q)
{
	const uint64_t one = 1;
	int fd = vdev->doorbell[q].fd;

	/* EAGAIN: 2^64 - 2 rings are waiting, which will do. */
	if (fd >= 0 && write(fd, &one, sizeof(one)) < 0)
		return;
}

static void doorbell_ready(struct loop_source *source, uint32_t events)
{
	struct virtio_doorbell *bell =
		container_of(source, struct virtio_doorbell, source);

	(void)events;
	virtio_doorbell(bell->vdev, bell->q);
}

static bool doorbell_look(struct loop_poll *poll)
{
	struct virtio_doorbell *bell =
		container_of(poll, struct virtio_doorbell, poll);
	struct virtio_device *vdev = bell->vdev;
	bool more;

	pthread_mutex_lock(&vdev->lock);
	more = virtio_running(vdev) && virtq_look(&vdev->vq[bell->q]);
	if (more) {
		counter_add(&vdev->looks, 1);
		virtio_run_queue_locked(vdev, bell->q);
	}
	pthread_mutex_unlock(&vdev->lock);
	return more;
}

static void doorbell_settle(struct loop_poll *poll)
{
	struct virtio_doorbell *bell =
		container_of(poll, struct virtio_doorbell, poll);
	struct virtio_device *vdev = bell->vdev;

	pthread_mutex_lock(&vdev->lock);
	if (virtq_settle(&vdev->vq[bell->q]))
		virtio_ring_doorbell(vdev, bell->q);
	pthread_mutex_unlock(&vdev->lock);
}

void virtio_device_init(struct virtio_device *vdev,
			const struct virtio_device_ops *ops,
			const struct virtio_env *env, uint64_t features)
{
	pthread_condattr_t monotonic;

	assert(ops->nr_queues <= VIRTIO_MAX_QUEUES);
	assert(ops->queue_size > 0 && ops->queue_size <= VIRTQ_MAX_SIZE &&
	       (ops->queue_size & (ops->queue_size - 1)) == 0);
	assert((features & ~ops->features) == 0);
	vdev->ops = ops;
	vdev->env = *env;
	vdev->features = features | TRANSPORT_FEATURES;
	vdev->nr_queues = ops->nr_queues;
	pthread_mutex_init(&vdev->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&vdev->idle, &monotonic);
	pthread_condattr_destroy(&monotonic);
	for (unsigned int q = 0; q < VIRTIO_MAX_QUEUES; q++) {
		vdev->doorbell[q] = (struct virtio_doorbell){
			.source = { .ready = doorbell_ready, .fd = -1 },
			.poll = { .look = doorbell_look,
				  .settle = doorbell_settle },
			.vdev = vdev,
			.q = q,
			.fd = -1,
		};
	}
}

static void virtio_device_stop(struct virtio_device *vdev)
{
	for (unsigned int q = 0; q < vdev->nr_queues; q++) {
		struct virtio_doorbell *bell = &vdev->doorbell[q];

		loop_remove(vdev->env.loop, &bell->source);
		loop_unwatch(vdev->env.loop, &bell->poll);
		if (bell->fd >= 0)
			close(bell->fd);
		bell->fd = -1;
	}
}

int virtio_device_start(struct virtio_device *vdev)
{
	for (unsigned int q = 0; q < vdev->nr_queues; q++) {
		struct virtio_doorbell *bell = &vdev->doorbell[q];
		int ret;

		bell->fd = fd_event();
		ret = bell->fd < 0 ? bell->fd
				   : loop_add(vdev->env.loop, &bell->source,
					      bell->fd, EPOLLIN);
		if (ret < 0) {
			virtio_device_stop(vdev);
			return ret;
		}
	}
	return 0;
}

void virtio_device_destroy(struct virtio_device *vdev)
{
	virtio_device_stop(vdev);
	pthread_mutex_destroy(&vdev->lock);
	pthread_cond_destroy(&vdev->idle);
	vdev->ops->destroy(vdev);
}

void virtio_set_features_locked(struct virtio_device *vdev, uint32_t word,
				uint32_t bits)
{
	unsigned int shift = 32 * (word & 1);

	/* virtio 1.2 §3.1.1: final once FEATURES_OK is set */
	if (vdev->status & S_FEATURES_OK)
		return;
	if (word > 1) {
		vdev->features_beyond |= bits != 0;
		return;
	}
	vdev->driver_features &= ~((uint64_t)UINT32_MAX << shift);
	vdev->driver_features |= (uint64_t)bits << shift;
}

/* virtio 1.2 §2.2.2, §6.2: a subset of what was offered, with VERSION_1 */
static bool virtio_features_ok(const struct virtio_device *vdev)
{
	return !vdev->features_beyond &&
	       (vdev->driver_features & ~vdev->features) == 0 &&
	       virtio_has_feature(vdev, VIRTIO_F_VERSION_1);
}

static bool virtio_busy(struct virtio_device *vdev, unsigned int q)
{
	return vdev->ops->busy && vdev->ops->busy(vdev, q);
}

bool virtio_queue_ready(struct virtio_device *vdev, unsigned int q)
{
	return vdev->vq[q].live || virtio_busy(vdev, q);
}

/* Whether any queue that is not live is still in use. */
static bool virtio_stopping(struct virtio_device *vdev)
{
	for (unsigned int q = 0; q < vdev->nr_queues; q++) {
		if (!vdev->vq[q].live && virtio_busy(vdev, q))
			return true;
	}
	return false;
}

/* Waits for what was stopped to be idle, as long as it is worth while. */
static void virtio_wait_idle(struct virtio_device *vdev)
{
	uint64_t end = now_ns() + vdev->patience_ns;
	const struct timespec deadline = {
		.tv_sec = (time_t)(end / 1000000000u),
		.tv_nsec = (long)(end % 1000000000u),
	};

	while (vdev->patience_ns > 0 && virtio_stopping(vdev)) {
		if (pthread_cond_timedwait(&vdev->idle, &vdev->lock,
					   &deadline) != 0)
			return;
	}
}

void virtio_idle_locked(struct virtio_device *vdev)
{
	if (virtio_stopping(vdev))
		return;
	/* virtio 1.2 §2.4.1, §4.2.3.1: Status is 0 when the reset is done */
	if (vdev->resetting) {
		vdev->interrupt_status = 0;
		vdev->status = 0;
	}
	vdev->resetting = false;
	pthread_cond_broadcast(&vdev->idle);
}

void virtio_stop_queue_locked(struct virtio_device *vdev, unsigned int q)
{
	virtq_disable(&vdev->vq[q]);
	virtio_wait_idle(vdev);
}

/* virtio 1.2 §2.4.1, §4.2.2.1: back to the state after creation */
static void virtio_reset(struct virtio_device *vdev)
{
	if (vdev->ops->reset)
		vdev->ops->reset(vdev);
	for (unsigned int q = 0; q < vdev->nr_queues; q++)
		virtq_disable(&vdev->vq[q]);
	vdev->driver_features = 0;
	vdev->features_beyond = false;
	vdev->resetting = true;
	virtio_idle_locked(vdev);
	virtio_wait_idle(vdev);
}

static void virtio_activate(struct virtio_device *vdev)
{
	if (vdev->ops->activate)
		vdev->ops->activate(vdev);
	/* virtio 1.2 §2.1.2: what was made available early is served now */
	for (unsigned int q = 0; q < vdev->nr_queues; q++) {
		if (vdev->vq[q].live)
			virtio_ring_doorbell(vdev, q);
	}
}

void virtio_set_status_locked(struct virtio_device *vdev, uint8_t status)
{
	if (status == 0) {
		virtio_reset(vdev);
		return;
	}
	if (vdev->resetting)
		return;
	/* virtio 1.2 §2.1.1: the driver does not clear bits.  NEEDS_RESET is
	 * not the driver's, and bits that are not defined stay clear.
	 */
	if (vdev->status & DRIVER_BITS & ~status)
		return;
	for (unsigned int i = 0; i < ARRAY_SIZE(status_table); i++) {
		uint8_t bit = status_table[i].bit;
		uint8_t needs = status_table[i].needs;

		if (!(status & bit) || vdev->status & bit)
			continue;
		/* virtio 1.2 §3.1.1: after FAILED the driver starts over */
		if ((vdev->status & needs) != needs || vdev->status & S_FAILED)
			continue;
		if (bit == S_FEATURES_OK && !virtio_features_ok(vdev))
			continue;
		vdev->status |= bit;
		if (bit == S_DRIVER_OK)
			virtio_activate(vdev);
	}
}

/* What a run of the device leaves to be done for queue Q. */
static void virtio_finish_queue(struct virtio_device *vdev, unsigned int q)
{
	struct virtqueue *vq = &vdev->vq[q];

	/* Not armed for a notification: the rest must be looked at again. */
	if (vq->live && vq->budget == 0)
		virtio_ring_doorbell(vdev, q);
	vq->budget = VIRTQ_NO_BUDGET;
}

/* Whether the driver wants to hear of what was given back of queue Q. */
static bool virtio_notify_due(struct virtio_device *vdev, unsigned int q)
{
	struct virtio_queue_stats *stats = &vdev->queue_stats[q];
	struct virtqueue *vq = &vdev->vq[q];
	uint16_t used = vq->next_used - vq->notified_used;
	bool due;

	if (!vq->live || used == 0)
		return false;
	due = virtq_should_notify(vq);
	counter_add(&stats->used, used);
	counter_add(&stats->suppressed, !due);
	return due;
}

void virtio_run_queue_locked(struct virtio_device *vdev, unsigned int q)
{
	bool notify = false;
	uint64_t begin;
	int ret;

	/* virtio 1.2 §2.1.2: nothing is consumed before DRIVER_OK; §4.2.2.1:
	 * nor while QueueReady is 0
	 */
	if (!virtio_running(vdev) || q >= vdev->nr_queues || !vdev->vq[q].live)
		return;
	/* A device may take from other queues of its own, too. */
	for (unsigned int i = 0; i < vdev->nr_queues; i++)
		vdev->vq[i].budget = vdev->vq[i].size;
	begin = now_ns();
	ret = vdev->ops->queue_notify(vdev, q);
	for (unsigned int i = 0; i < vdev->nr_queues; i++) {
		virtio_finish_queue(vdev, i);
		notify |= virtio_notify_due(vdev, i);
	}
	histogram_add(&vdev->run_ns, now_ns() - begin);
	/* virtio 1.2 §2.7.7.2: of what was used before an error, too */
	if (notify)
		virtio_interrupt(vdev, VIRTIO_MMIO_INT_VRING);
	if (ret < 0)
		virtio_needs_reset(vdev, q, ret);
}

void virtio_doorbell(struct virtio_device *vdev, unsigned int q)
{
	uint64_t rings;

	if (q >= vdev->nr_queues)
		return;
	/* Drained first: a ring that comes after this wakes the loop again.
	 * EAGAIN when it was not the eventfd that brought us here.
	 */
	if (vdev->doorbell[q].fd >= 0 &&
	    read(vdev->doorbell[q].fd, &rings, sizeof(rings)) < 0)
		rings = 0;
	pthread_mutex_lock(&vdev->lock);
	counter_add(&vdev->doorbells, 1);
	counter_add(&vdev->queue_stats[q].kicks, 1);
	if (virtio_running(vdev)) {
		unsigned int depth = virtq_depth(&vdev->vq[q]);

		histogram_add(&vdev->queue_depth, depth);
		counter_raise(&vdev->queue_stats[q].peak,
			      depth + vdev->vq[q].nr_in_flight);
	}
	if (loop_is_polling(vdev->env.loop)) {
		vdev->vq[q].watched = true;
		loop_watch(vdev->env.loop, &vdev->doorbell[q].poll);
	}
	virtio_run_queue_locked(vdev, q);
	pthread_mutex_unlock(&vdev->lock);
}

unsigned int virtio_queue_depth_locked(const struct virtio_device *vdev,
				       unsigned int q)
{
	const struct virtqueue *vq = &vdev->vq[q];

	return vq->live ? virtq_depth(vq) + vq->nr_in_flight : 0;
}

void virtio_config_changed_locked(struct virtio_device *vdev)
{
	/* virtio 1.2 §4.2.2.1: changes whenever the driver could see half */
	vdev->config_generation++;
	if (vdev->status & S_DRIVER_OK)
		virtio_interrupt(vdev, VIRTIO_MMIO_INT_CONFIG);
}
