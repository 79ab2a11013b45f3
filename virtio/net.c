// SPDX-License-Identifier: Apache-2.0
/*
 * net.c - virtio network device (virtio 1.2 §5.1)
 *
 * Theory of operation.  One pair of queues; net_rx.c and net_tx.c move frames,
 * this file says when.  The back end's descriptor is one source of the loop.
 * It is waited for only while it can get us further: readable while the driver
 * has receive buffers and the rate limit lets frames pass, writable while a
 * frame is held back.  So a guest without buffers and a host that does not read
 * cost no time.
 *
 * A new driver's features reach the back end with its first doorbell, on the
 * loop: DRIVER_OK is set by a vCPU thread, which makes no system calls for us,
 * and rings every live queue.  Until then the back end gives what the driver
 * before wanted; net_rx.c drops what the new one did not ask for.
 *
 * A back end may gather frames.  What it was given goes out at the end of each
 * turn, or when there is room for it; as long as it has frames for us, its
 * descriptor says nothing, and the doorbell rings instead.
 *
 * When the back end is gone for good (its interface was deleted, its process
 * has ended), the link goes down (§5.1.4.2), with a configuration change
 * notification if the driver is there to hear it.  What the driver sends after
 * that is used and lost.
 */
#include <errno.h>
#include <stdlib.h>

#include <sys/epoll.h>

#include <linux/virtio_ids.h>

#include "base/log.h"
#include "base/util.h"
#include "virtio/net_rx.h"
#include "virtio/net_tx.h"

#define NET_QUEUE_SIZE 256
#define NET_PATIENCE   1000000000ull /* ns that a frame waits for buffers */

#define F(name) (1ull << VIRTIO_NET_F_##name)

#define RX_OFFLOADS                                                            \
	(F(GUEST_CSUM) | F(GUEST_TSO4) | F(GUEST_TSO6) | F(GUEST_ECN) |        \
	 F(GUEST_USO4) | F(GUEST_USO6))
#define TX_OFFLOADS                                                            \
	(F(CSUM) | F(HOST_TSO4) | F(HOST_TSO6) | F(HOST_ECN) | F(HOST_USO))

enum { RECEIVEQ, TRANSMITQ, NR_QUEUES }; /* virtio 1.2 §5.1.2 */

struct virtio_net {
	struct virtio_device vdev;   /* its lock covers the rest */
	struct net_backend *backend; /* owned */
	struct loop_source source;   /* in the loop while there is a link */
	struct loop_timer patience;
	bool begun;   /* the back end knows this driver's features */
	bool starved; /* no receive buffers */
	struct virtio_net_config config;
	struct virtio_net_stats stats;
	struct net_rx rx;
	struct net_tx tx;
};

/* virtio 1.2 §5.1.4: mac, status, max_virtqueue_pairs, mtu; what follows is of
 * features that are not offered.
 */
#define NET_CONFIG_BYTES (offsetof(struct virtio_net_config, mtu) + 2)

static_assert(NET_CONFIG_BYTES == 12, "virtio 1.2 §5.1.4");
static_assert(offsetof(struct virtio_net, vdev) == 0, "virtio_net_stats");

static struct virtio_net *to_net(struct virtio_device *vdev)
{
	return container_of(vdev, struct virtio_net, vdev);
}

static bool net_running(const struct virtio_net *net)
{
	const uint8_t broken = VIRTIO_CONFIG_S_NEEDS_RESET |
			       VIRTIO_CONFIG_S_FAILED;

	return net->begun && virtio_driver_ok(&net->vdev) &&
	       !(net->vdev.status & broken);
}

/* Waits for what can get us further; silent while there is no driver. */
static void net_watch(struct virtio_net *net)
{
	uint32_t events = 0;

	if (net->source.fd < 0)
		return;
	if (net_running(net)) {
		const struct virtqueue *vq = net->vdev.vq;

		/* The driver may have taken QueueReady back. */
		if (vq[RECEIVEQ].live && !net->starved &&
		    !gate_holds(&net->rx.gate, RECEIVEQ))
			events |= EPOLLIN;
		if (vq[TRANSMITQ].live && net->tx.held)
			events |= EPOLLOUT;
	}
	/* Half a frame must not wait for the next driver. */
	if (net->backend->unsent)
		events |= EPOLLOUT;
	loop_modify(net->vdev.env.loop, &net->source, events);
}

/* The back end is gone; more than once does no harm. */
static void net_link_down(struct virtio_net *net)
{
	if (net->source.fd < 0)
		return;
	log_warn("net: %s is gone, the link is down", net->backend->name);
	loop_remove(net->vdev.env.loop, &net->source);
	loop_timer_cancel(net->vdev.env.loop, &net->patience);
	net_rx_give_up(&net->rx);
	net->tx.backend = NULL;
	net->config.status &= (uint16_t)~VIRTIO_NET_S_LINK_UP;
	virtio_config_changed_locked(&net->vdev);
}

/* What the back end has gathered; see above for what it could not pass on. */
static void net_flush(struct virtio_net *net)
{
	struct net_backend *backend = net->backend;

	if (net->source.fd >= 0 && backend->unsent &&
	    backend->flush(backend) == -ENODEV)
		net_link_down(net);
}

static void net_set_offloads(struct net_backend *backend, uint64_t features)
{
	if (backend->set_offloads)
		backend->set_offloads(backend, features);
}

/* The first doorbell of a driver. */
static void net_begin(struct virtio_net *net)
{
	struct virtio_device *vdev = &net->vdev;
	uint64_t features = vdev->driver_features;
	bool mtu = virtio_has_feature(vdev, VIRTIO_NET_F_MTU);

	/* virtio 1.2 §5.1.6.4.1: what was negotiated, and no more */
	if (net->source.fd >= 0)
		net_set_offloads(net->backend, features & RX_OFFLOADS);
	net_rx_begin(&net->rx, features, mtu ? net->config.mtu : 0);
	net_tx_begin(&net->tx, features);
	net->starved = true;
	net->begun = true;
}

static int net_receive(struct virtio_net *net, struct virtqueue *vq)
{
	struct loop *loop = net->vdev.env.loop;
	int ret;

	if (net->source.fd < 0)
		return 0;
	ret = net_rx_run(&net->rx, vq);
	if (ret < 0)
		return ret;
	net->starved = ret == NET_BLOCKED;
	if (ret == NET_IDLE && net->backend->unread)
		vq->budget = 0; /* the doorbell rings again for the rest */
	if (!net->rx.waiting)
		loop_timer_cancel(loop, &net->patience);
	else if (net->patience.deadline_ns == 0)
		loop_timer_arm(loop, &net->patience, now_ns() + NET_PATIENCE);
	return ret;
}

static int net_queue_notify(struct virtio_device *vdev, unsigned int q)
{
	struct virtio_net *net = to_net(vdev);
	int ret;

	if (!net->begun)
		net_begin(net);
	ret = q == RECEIVEQ ? net_receive(net, &vdev->vq[q])
			    : net_tx_run(&net->tx, &vdev->vq[q]);
	if (ret == NET_GONE)
		net_link_down(net);
	net_flush(net);
	net_watch(net);
	return MIN(ret, 0);
}

static void net_reset(struct virtio_device *vdev)
{
	struct virtio_net *net = to_net(vdev);

	net_rx_reset(&net->rx);
	net_tx_reset(&net->tx);
	net->begun = false;
}

/* What the loop calls. */

static void net_ready(struct loop_source *source, uint32_t events)
{
	struct virtio_net *net =
		container_of(source, struct virtio_net, source);

	pthread_mutex_lock(&net->vdev.lock);
	/* A tap says EPOLLERR when its interface was deleted, and then for ever
	 * (drivers/net/tun.c, tun_chr_poll); a socket EPOLLHUP.
	 */
	if (events & (EPOLLERR | EPOLLHUP)) {
		net_link_down(net);
	} else {
		if (events & EPOLLOUT)
			net_flush(net);
		if (events & EPOLLOUT)
			virtio_run_queue_locked(&net->vdev, TRANSMITQ);
		if (events & EPOLLIN)
			virtio_run_queue_locked(&net->vdev, RECEIVEQ);
	}
	/* The driver may have gone away since we were told what to wait for. */
	net_watch(net);
	pthread_mutex_unlock(&net->vdev.lock);
}

/* The driver has posted no buffers for a frame; perhaps it never will, because
 * all that it has are too small together.
 */
static void net_lost_patience(struct loop_timer *timer)
{
	struct virtio_net *net =
		container_of(timer, struct virtio_net, patience);

	pthread_mutex_lock(&net->vdev.lock);
	net_rx_give_up(&net->rx);
	virtio_run_queue_locked(&net->vdev, RECEIVEQ);
	pthread_mutex_unlock(&net->vdev.lock);
}

static void net_config_read(struct virtio_device *vdev, size_t off, void *buf,
			    size_t len)
{
	memcpy(buf, (const uint8_t *)&to_net(vdev)->config + off, len);
}

static void net_destroy(struct virtio_device *vdev)
{
	struct virtio_net *net = to_net(vdev);

	loop_remove(vdev->env.loop, &net->source);
	loop_timer_cancel(vdev->env.loop, &net->patience);
	gate_fini(&net->rx.gate);
	gate_fini(&net->tx.gate);
	net->backend->close(net->backend);
	free(net);
}

static const struct telemetry_field net_fields[] = {
	{ "rx_packets", offsetof(struct virtio_net, stats.rx_packets),
	  TELEMETRY_COUNTER },
	{ "rx_bytes", offsetof(struct virtio_net, stats.rx_bytes),
	  TELEMETRY_COUNTER },
	{ "rx_bad_size", offsetof(struct virtio_net, stats.rx_bad_size),
	  TELEMETRY_COUNTER },
	{ "rx_not_offered", offsetof(struct virtio_net, stats.rx_not_offered),
	  TELEMETRY_COUNTER },
	{ "rx_no_buffers", offsetof(struct virtio_net, stats.rx_no_buffers),
	  TELEMETRY_COUNTER },
	{ "rx_errors", offsetof(struct virtio_net, stats.rx_errors),
	  TELEMETRY_COUNTER },
	{ "tx_packets", offsetof(struct virtio_net, stats.tx_packets),
	  TELEMETRY_COUNTER },
	{ "tx_bytes", offsetof(struct virtio_net, stats.tx_bytes),
	  TELEMETRY_COUNTER },
	{ "tx_bad_size", offsetof(struct virtio_net, stats.tx_bad_size),
	  TELEMETRY_COUNTER },
	{ "tx_bad_header", offsetof(struct virtio_net, stats.tx_bad_header),
	  TELEMETRY_COUNTER },
	{ "tx_spoofed", offsetof(struct virtio_net, stats.tx_spoofed),
	  TELEMETRY_COUNTER },
	{ "tx_errors", offsetof(struct virtio_net, stats.tx_errors),
	  TELEMETRY_COUNTER },
	{ "tx_no_link", offsetof(struct virtio_net, stats.tx_no_link),
	  TELEMETRY_COUNTER },
	{ "tx_waits", offsetof(struct virtio_net, stats.tx_waits),
	  TELEMETRY_COUNTER },
	{ "rx_stall_ns", offsetof(struct virtio_net, rx.gate.stall_ns),
	  TELEMETRY_HISTOGRAM },
	{ "tx_stall_ns", offsetof(struct virtio_net, tx.gate.stall_ns),
	  TELEMETRY_HISTOGRAM },
};

/* No control queue, and so no CTRL_*, MQ, RSS or GUEST_ANNOUNCE. */
static const struct virtio_device_ops net_ops = {
	.name = "net",
	.device_id = VIRTIO_ID_NET,
	.features = RX_OFFLOADS | TX_OFFLOADS | F(MRG_RXBUF) | F(MAC) |
		    F(STATUS) | F(MTU),
	.fields = net_fields,
	.nr_fields = ARRAY_SIZE(net_fields),
	.nr_queues = NR_QUEUES,
	.queue_size = NET_QUEUE_SIZE,
	.config_size = NET_CONFIG_BYTES,
	.reset = net_reset,
	.queue_notify = net_queue_notify,
	.config_read = net_config_read,
	.destroy = net_destroy,
};

int virtio_net_create(const struct virtio_env *env,
		      const struct virtio_net_params *params,
		      struct net_backend *backend, struct virtio_device **owned)
{
	struct virtio_net *net = calloc(1, sizeof(*net));
	uint64_t features = F(MRG_RXBUF) | F(MAC) | F(STATUS);
	int ret;

	if (!net)
		return -ENOMEM;
	net->source.ready = net_ready;
	net->source.fd = -1;
	ret = loop_add(env->loop, &net->source, backend->fd, 0);
	if (ret < 0) {
		free(net);
		return ret;
	}
	net->patience.expired = net_lost_patience;
	net->backend = backend;
	net->rx.backend = backend;
	net->rx.stats = &net->stats;
	net->tx.backend = backend;
	net->tx.stats = &net->stats;
	memcpy(net->tx.mac, params->mac, NET_MAC_BYTES);
	memcpy(net->config.mac, params->mac, NET_MAC_BYTES);
	net->config.mtu = params->mtu;
	net->config.status = VIRTIO_NET_S_LINK_UP;
	/* Frames that come before there is a driver are whole. */
	net_set_offloads(backend, 0);

	features |= params->mtu ? F(MTU) : 0;
	features |= backend->features & (RX_OFFLOADS | TX_OFFLOADS);
	virtio_device_init(&net->vdev, &net_ops, env, features);
	gate_init(&net->rx.gate, &net->vdev, NR_QUEUES);
	gate_init(&net->tx.gate, &net->vdev, NR_QUEUES);
	*owned = &net->vdev;
	return 0;
}

void virtio_net_set_rates(struct virtio_device *vdev,
			  const struct rate_change *rx,
			  const struct rate_change *tx)
{
	struct virtio_net *net = to_net(vdev);

	assert(vdev->ops == &net_ops);
	pthread_mutex_lock(&vdev->lock);
	if (rx)
		gate_set(&net->rx.gate, rx);
	if (tx)
		gate_set(&net->tx.gate, tx);
	pthread_mutex_unlock(&vdev->lock);
}

const struct virtio_net_stats *
virtio_net_stats(const struct virtio_device *vdev)
{
	assert(vdev->ops == &net_ops);
	return &((const struct virtio_net *)vdev)->stats;
}
