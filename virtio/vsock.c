// SPDX-License-Identifier: Apache-2.0
/*
 * vsock.c - virtio socket device (virtio 1.2 §5.10), stream sockets
 *
 * Theory of operation.  vsock_conn.c is one connection, vsock_table.c all of
 * them, vsock_listener.c the paths of the host.  vsock_guest.c has what packets
 * of the guest do, vsock_host.c what happens on the host's side; here are the
 * queues, what goes to the guest, and how connections end.
 *
 * Nothing is queued for the guest but what fits a fixed place.  What a
 * connection owes the guest is a few bits in the connection, and payload stays
 * in its socket: the device keeps a list of the connections that have a packet,
 * and gives each buffer of the rx queue to the next of them, one packet a turn.
 * Answers to packets of no connection wait in a ring of RSTs.  So the tx queue
 * is served when rx is full (§5.10.6.1), until that ring is full, too: the
 * driver then gets on when it adds rx buffers.
 *
 * A driver resets the device on a vCPU thread; sockets belong to the loop.  So
 * the reset leaves a flag and rings a bell; whoever is next on the loop drops
 * the connections first.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <sys/epoll.h>

#include <linux/virtio_ids.h>

#include "base/fd.h"
#include "virtio/vsock_device.h"

#define VSOCK_QUEUE_SIZE 256
#define VSOCK_RX_IOV	 32u

static_assert(sizeof(struct virtio_vsock_hdr) == 44, "virtio 1.2 §5.10.6");
static_assert(sizeof(struct virtio_vsock_config) == 8, "virtio 1.2 §5.10.4");
static_assert(offsetof(struct virtio_vsock, vdev) == 0, "virtio_vsock_stats");

static struct virtio_vsock *to_vsock(struct virtio_device *vdev)
{
	return container_of(vdev, struct virtio_vsock, vdev);
}

/* How connections end. */

void vsock_set_deadline(struct virtio_vsock *v, struct vsock_conn *conn,
			uint64_t ns)
{
	conn->deadline_ns = now_ns() + ns;
	if (v->timer.deadline_ns == 0 ||
	    v->timer.deadline_ns > conn->deadline_ns)
		loop_timer_arm(v->vdev.env.loop, &v->timer, conn->deadline_ns);
}

void vsock_drop(struct virtio_vsock *v, struct vsock_conn *conn)
{
	vsock_table_free(&v->table, conn);
}

/* The connection is over and the guest does not know it yet. */
void vsock_end(struct virtio_vsock *v, struct vsock_conn *conn)
{
	if (conn->state == VSOCK_HELLO || conn->state == VSOCK_ORPHAN ||
	    conn->owed & VSOCK_OWE_REQUEST) {
		vsock_drop(v, conn); /* it knows nothing, or all */
		return;
	}
	vsock_conn_hang_up(conn);
	conn->state = VSOCK_DEAD;
	conn->owed = VSOCK_OWE_RST;
	conn->deadline_ns = 0;
	vsock_table_push_ready(&v->table, conn);
}

/* After anything that may have changed what CONN waits for or has to say. */
void vsock_settle(struct virtio_vsock *v, struct vsock_conn *conn)
{
	if (conn->state == VSOCK_ORPHAN &&
	    (conn->out.used == 0 || conn->gone)) {
		vsock_drop(v, conn);
		return;
	}
	/* virtio 1.2 §5.10.6.5: RST says that all was received */
	if (conn->state == VSOCK_OPEN && vsock_conn_finished(conn)) {
		vsock_end(v, conn);
		return;
	}
	/* What a host that has closed left behind is nobody's. */
	if (conn->gone && conn->guest_shut & VIRTIO_VSOCK_SHUTDOWN_RCV)
		conn->host_shut |= VIRTIO_VSOCK_SHUTDOWN_SEND;
	if (conn->gone && conn->host_shut & VIRTIO_VSOCK_SHUTDOWN_SEND &&
	    conn->fd >= 0) {
		vsock_conn_hang_up(conn);
		conn->last_ns = now_ns() + VSOCK_LINGER_NS;
		vsock_set_deadline(v, conn, VSOCK_SHUTDOWN_NS);
	}
	if (vsock_conn_watch(conn) < 0) {
		vsock_end(v, conn);
		return;
	}
	vsock_table_push_ready(&v->table, conn);
}

void vsock_drop_all(struct virtio_vsock *v)
{
	for (unsigned int i = 0; i < v->table.nr_touched; i++) {
		if (v->table.conn[i].state != VSOCK_FREE)
			vsock_drop(v, &v->table.conn[i]);
	}
	v->nr_rst = 0;
	v->was_reset = false;
}

/* To the guest. */

static void put_packet(struct virtio_vsock *v, struct virtio_vsock_hdr *hdr)
{
	hdr->dst_cid = v->config.guest_cid;
	if (hdr->op == VIRTIO_VSOCK_OP_RST)
		counter_add(&v->stats.resets, 1);
	chain_write(&v->rx, hdr, sizeof(*hdr));
}

static void put_rst(struct virtio_vsock *v)
{
	const struct vsock_rst *rst = &v->rst[v->first_rst];
	/* virtio 1.2 §5.10.6.3: buf_alloc and fwd_cnt in every packet; there is
	 * no buffer for a connection that does not exist.
	 */
	struct virtio_vsock_hdr hdr = {
		.src_cid = rst->src_cid,
		.src_port = rst->src_port,
		.dst_port = rst->dst_port,
		.type = rst->type,
		.op = VIRTIO_VSOCK_OP_RST,
	};

	v->first_rst = (v->first_rst + 1) % VSOCK_MAX_RST;
	v->nr_rst--;
	put_packet(v, &hdr);
}

/* Payload goes behind the header, whose `len` is known only after that. */
static uint32_t read_payload(struct virtio_vsock *v, struct vsock_conn *conn)
{
	struct virtio_vsock_hdr blank = { 0 };
	struct iovec iov[VSOCK_RX_IOV];
	struct chain *c = &v->rx;
	const uint16_t seg = c->write_seg;
	const size_t off = c->write_off;
	const uint64_t left = c->write_left;
	unsigned int nr;
	size_t room;
	uint32_t n;

	chain_write(c, &blank, sizeof(blank));
	nr = chain_write_iov(c, iov, VSOCK_RX_IOV, vsock_conn_credit(conn),
			     &room);
	n = vsock_conn_read(conn, iov, nr);
	c->write_seg = seg;
	c->write_off = off;
	c->write_left = left;
	counter_add(&v->stats.rx_bytes, n);
	return n;
}

/* Puts the next packet into v->rx, which holds a header and a byte at least.
 * The bytes that it has; 0 when there is none after all.
 */
static uint32_t next_packet(struct virtio_vsock *v)
{
	struct virtio_vsock_hdr hdr;
	struct vsock_conn *conn;

	if (v->nr_rst > 0) {
		put_rst(v);
		return sizeof(hdr);
	}
	while ((conn = vsock_table_pop_ready(&v->table))) {
		uint16_t op = vsock_conn_due(conn);
		uint32_t len = 0;

		if (op == VIRTIO_VSOCK_OP_RW)
			len = read_payload(v, conn);
		if (op == 0 || (op == VIRTIO_VSOCK_OP_RW && len == 0)) {
			vsock_settle(v, conn);
			continue;
		}
		vsock_conn_sent(conn, op, len, &hdr);
		hdr.src_cid = VSOCK_HOST_CID;
		put_packet(v, &hdr);
		if (op == VIRTIO_VSOCK_OP_RST)
			vsock_drop(v, conn);
		else
			vsock_settle(v,
				     conn); /* behind the others, if at all */
		return (uint32_t)sizeof(hdr) + len;
	}
	return 0;
}

static int vsock_receive(struct virtio_vsock *v)
{
	struct virtqueue *vq = &v->vdev.vq[RX];
	int ret = 0;

	while ((v->nr_rst > 0 || vsock_table_any_ready(&v->table)) &&
	       (ret = virtq_pop(vq, &v->rx)) > 0) {
		uint32_t used;

		/* The least that any packet fits into. */
		if (chain_writable(&v->rx) <= sizeof(struct virtio_vsock_hdr))
			return -EBADMSG;
		used = next_packet(v);
		if (used == 0) {
			virtq_unpop(vq, &v->rx);
			return 0;
		}
		ret = virtq_push(vq, &v->rx, used);
		if (ret < 0)
			return ret;
	}
	return ret < 0 ? ret : 0;
}

static int vsock_transmit(struct virtio_vsock *v)
{
	struct virtqueue *vq = &v->vdev.vq[TX];
	int ret = 0;

	while (v->nr_rst < VSOCK_MAX_RST && (ret = virtq_pop(vq, &v->tx)) > 0) {
		ret = vsock_tx_packet(v);
		/* virtio 1.2 §2.7.8.2: nothing was written to the chain */
		if (ret == 0)
			ret = virtq_push(vq, &v->tx, 0);
		if (ret < 0)
			return ret;
	}
	return ret < 0 ? ret : 0;
}

static int vsock_queue_notify(struct virtio_device *vdev, unsigned int q)
{
	struct virtio_vsock *v = to_vsock(vdev);
	bool held;
	int ret;

	if (v->was_reset)
		vsock_drop_all(v);
	/* virtio 1.2 §5.10.6.7: there is no event to tell of */
	if (q == EVENT)
		return 0;
	do {
		ret = vsock_transmit(v);
		if (ret < 0)
			return ret;
		held = v->nr_rst == VSOCK_MAX_RST;
		ret = vsock_receive(v);
	} while (ret == 0 && held && v->nr_rst < VSOCK_MAX_RST);
	return ret;
}

/* The device. */

static void reset_rings(struct loop_source *source, uint32_t events)
{
	struct virtio_vsock *v =
		container_of(source, struct virtio_vsock, reset_bell);
	uint64_t rings;

	(void)events;
	if (read(v->reset_fd, &rings, sizeof(rings)) < 0)
		return;
	pthread_mutex_lock(&v->vdev.lock);
	if (v->was_reset)
		vsock_drop_all(v);
	pthread_mutex_unlock(&v->vdev.lock);
}

static void vsock_reset(struct virtio_device *vdev)
{
	struct virtio_vsock *v = to_vsock(vdev);
	const uint64_t one = 1;

	/* A driver that has never been up, has no connections: a client that
	 * came before it still waits for its answer.
	 */
	if (!virtio_driver_ok(vdev))
		return;
	v->was_reset = true;
	/* EAGAIN: it rings already. */
	if (write(v->reset_fd, &one, sizeof(one)) < 0)
		return;
}

static void vsock_config_read(struct virtio_device *vdev, size_t off, void *buf,
			      size_t len)
{
	memcpy(buf, (const uint8_t *)&to_vsock(vdev)->config + off, len);
}

static void vsock_destroy(struct virtio_device *vdev)
{
	struct virtio_vsock *v = to_vsock(vdev);

	loop_timer_cancel(vdev->env.loop, &v->timer);
	loop_remove(vdev->env.loop, &v->reset_bell);
	close(v->reset_fd);
	vsock_listener_close(&v->listener);
	vsock_table_fini(&v->table);
	free(v);
}

static const struct virtio_device_ops vsock_ops = {
	.name = "vsock",
	.device_id = VIRTIO_ID_VSOCK,
	.features = 1ull << VSOCK_F_STREAM | 1ull << VSOCK_F_NO_IMPLIED_STREAM,
	.nr_queues = NR_QUEUES,
	.queue_size = VSOCK_QUEUE_SIZE,
	.config_size = sizeof(struct virtio_vsock_config),
	.reset = vsock_reset,
	.queue_notify = vsock_queue_notify,
	.config_read = vsock_config_read,
	.destroy = vsock_destroy,
};

static int vsock_add_bell(struct virtio_vsock *v, struct loop *loop)
{
	int ret;

	v->reset_bell = (struct loop_source){ .ready = reset_rings, .fd = -1 };
	v->reset_fd = fd_event();
	if (v->reset_fd < 0)
		return v->reset_fd;
	ret = loop_add(loop, &v->reset_bell, v->reset_fd, EPOLLIN);
	if (ret < 0)
		close(v->reset_fd);
	return ret;
}

int virtio_vsock_create(const struct virtio_env *env, uint32_t cid,
			const char *path, struct virtio_device **owned)
{
	struct virtio_vsock *v = calloc(1, sizeof(*v));
	int ret;

	assert(cid >= VSOCK_MIN_CID && cid <= VSOCK_MAX_CID);
	if (!v)
		return -ENOMEM;
	ret = vsock_table_init(&v->table);
	if (ret < 0)
		goto err_free;
	v->listener.client = vsock_client_comes;
	ret = vsock_listener_open(&v->listener, path, env->loop);
	if (ret < 0)
		goto err_table;
	ret = vsock_add_bell(v, env->loop);
	if (ret < 0)
		goto err_listener;
	v->config.guest_cid = cid;
	v->timer.expired = vsock_timer_expired;
	virtio_device_init(&v->vdev, &vsock_ops, env, vsock_ops.features);
	*owned = &v->vdev;
	return 0;

err_listener:
	vsock_listener_close(&v->listener);
err_table:
	vsock_table_fini(&v->table);
err_free:
	free(v);
	return ret;
}

void virtio_vsock_leave(struct virtio_device *vdev)
{
	assert(vdev->ops == &vsock_ops);
	vsock_listener_remove(&to_vsock(vdev)->listener);
}

const struct virtio_vsock_stats *
virtio_vsock_stats(const struct virtio_device *vdev)
{
	assert(vdev->ops == &vsock_ops);
	return &((const struct virtio_vsock *)vdev)->stats;
}
