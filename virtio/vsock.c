// SPDX-License-Identifier: Apache-2.0
/*
 * vsock.c - virtio socket device (virtio 1.2 §5.10), stream sockets
 *
 * Theory of operation.  vsock_conn.c is one connection, vsock_table.c all of
 * them, vsock_listener.c the host's side; here they meet the queues.
 *
 * Nothing is queued for the guest but what fits a fixed place.  What a
 * connection owes the guest is a few bits in the connection, and payload stays
 * in its socket: the device keeps a list of the connections that have a packet,
 * and gives each buffer of the rx queue to the next of them, one packet a turn.
 * Answers to packets of no connection wait in a ring of RSTs.  So the tx queue
 * is served when rx is full (§5.10.6.1), until that ring is full, too: the
 * driver then gets on when it adds rx buffers.
 *
 * A packet is answered with RST, and its connection ends, when it makes no
 * sense for it.  Packets that claim to come from another guest are dropped;
 * there is nobody but the host to send to.
 *
 * A driver resets the device on a vCPU thread; sockets belong to the loop.  So
 * the reset leaves a flag and rings a bell; whoever is next on the loop drops
 * the connections first.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <linux/virtio_ids.h>

#include "virtio/chain.h"
#include "virtio/vsock.h"
#include "virtio/vsock_listener.h"
#include "virtio/vsock_table.h"

#define VSOCK_QUEUE_SIZE 256
#define VSOCK_RX_IOV	 32u
#define VSOCK_MAX_RST	 256u

#define VSOCK_TICK_NS	  UINT64_C(100000000)
#define VSOCK_REQUEST_NS  UINT64_C(2000000000)	/* for the guest's answer */
#define VSOCK_SHUTDOWN_NS UINT64_C(2000000000)	/* for the guest's RST */
#define VSOCK_HELLO_NS	  UINT64_C(60000000000) /* for a client's CONNECT */
#define VSOCK_LINGER_NS	  UINT64_C(60000000000) /* for bytes under way */

/* Host ports of host clients: no guest listens for them. */
#define VSOCK_HOST_PORTS 0x40000000u

/* virtio 1.2 §5.10.3 and, for the last, virtio 1.3: the UAPI has SEQPACKET
 * alone, which is not offered.
 */
#define VSOCK_F_STREAM		  0
#define VSOCK_F_NO_IMPLIED_STREAM 2

enum { RX, TX, EVENT, NR_QUEUES }; /* virtio 1.2 §5.10.2 */

struct vsock_rst {
	uint64_t src_cid;
	uint32_t src_port, dst_port;
	uint16_t type;
};

struct virtio_vsock {
	struct virtio_device vdev; /* its lock covers the rest */
	struct virtio_vsock_config config;
	struct virtio_vsock_stats stats;
	struct vsock_table table;
	uint32_t next_port; /* above VSOCK_HOST_PORTS */

	struct vsock_rst rst[VSOCK_MAX_RST];
	unsigned int first_rst, nr_rst;

	struct vsock_listener listener;
	struct loop_timer timer;

	bool was_reset;
	struct loop_source reset_bell;
	int reset_fd;

	struct chain rx, tx;
};

static_assert(sizeof(struct virtio_vsock_hdr) == 44, "virtio 1.2 §5.10.6");
static_assert(sizeof(struct virtio_vsock_config) == 8, "virtio 1.2 §5.10.4");
static_assert(offsetof(struct virtio_vsock, vdev) == 0, "virtio_vsock_stats");

static struct virtio_vsock *to_vsock(struct virtio_device *vdev)
{
	return container_of(vdev, struct virtio_vsock, vdev);
}

/* How connections end. */

static void set_deadline(struct virtio_vsock *v, struct vsock_conn *conn,
			 uint64_t ns)
{
	conn->deadline_ns = now_ns() + ns;
	if (v->timer.deadline_ns == 0 ||
	    v->timer.deadline_ns > conn->deadline_ns)
		loop_timer_arm(v->vdev.env.loop, &v->timer, conn->deadline_ns);
}

static void drop(struct virtio_vsock *v, struct vsock_conn *conn)
{
	vsock_table_free(&v->table, conn);
}

/* The connection is over and the guest does not know it yet. */
static void reset(struct virtio_vsock *v, struct vsock_conn *conn)
{
	if (conn->state == VSOCK_HELLO || conn->state == VSOCK_ORPHAN ||
	    conn->owed & VSOCK_OWE_REQUEST) {
		drop(v, conn); /* it knows nothing, or all */
		return;
	}
	vsock_conn_hang_up(conn);
	conn->state = VSOCK_DEAD;
	conn->owed = VSOCK_OWE_RST;
	conn->deadline_ns = 0;
	vsock_table_push_ready(&v->table, conn);
}

/* After anything that may have changed what CONN waits for or has to say. */
static void settle(struct virtio_vsock *v, struct vsock_conn *conn)
{
	if (conn->state == VSOCK_ORPHAN &&
	    (conn->out.used == 0 || conn->gone)) {
		drop(v, conn);
		return;
	}
	/* virtio 1.2 §5.10.6.5: RST says that all was received */
	if (conn->state == VSOCK_OPEN && vsock_conn_finished(conn)) {
		reset(v, conn);
		return;
	}
	/* What a host that has closed left behind is nobody's. */
	if (conn->gone && conn->guest_shut & VIRTIO_VSOCK_SHUTDOWN_RCV)
		conn->host_shut |= VIRTIO_VSOCK_SHUTDOWN_SEND;
	if (conn->gone && conn->host_shut & VIRTIO_VSOCK_SHUTDOWN_SEND &&
	    conn->fd >= 0) {
		vsock_conn_hang_up(conn);
		conn->last_ns = now_ns() + VSOCK_LINGER_NS;
		set_deadline(v, conn, VSOCK_SHUTDOWN_NS);
	}
	if (vsock_conn_watch(conn) < 0) {
		reset(v, conn);
		return;
	}
	vsock_table_push_ready(&v->table, conn);
}

static void drop_all(struct virtio_vsock *v)
{
	for (unsigned int i = 0; i < v->table.nr_touched; i++) {
		if (v->table.conn[i].state != VSOCK_FREE)
			drop(v, &v->table.conn[i]);
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
			settle(v, conn);
			continue;
		}
		vsock_conn_sent(conn, op, len, &hdr);
		hdr.src_cid = VSOCK_HOST_CID;
		put_packet(v, &hdr);
		if (op == VIRTIO_VSOCK_OP_RST)
			drop(v, conn);
		else
			settle(v, conn); /* behind the others, if at all */
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

/* From the guest. */

static void answer_rst(struct virtio_vsock *v,
		       const struct virtio_vsock_hdr *hdr)
{
	if (hdr->op == VIRTIO_VSOCK_OP_RST)
		return; /* no end otherwise */
	assert(v->nr_rst < VSOCK_MAX_RST);
	v->rst[(v->first_rst + v->nr_rst) % VSOCK_MAX_RST] = (struct vsock_rst){
		.src_cid = hdr->dst_cid,
		.src_port = hdr->dst_port,
		.dst_port = hdr->src_port,
		.type = hdr->type,
	};
	v->nr_rst++;
}

static void conn_ready(struct loop_source *source, uint32_t events);

static struct vsock_conn *take(struct virtio_vsock *v, int fd,
			       enum vsock_state state)
{
	struct vsock_conn *conn = vsock_table_take(&v->table, fd, state);

	if (!conn)
		return NULL;
	conn->owner = v;
	conn->loop = v->vdev.env.loop;
	conn->source.ready = conn_ready;
	return conn;
}

/* virtio 1.2 §5.10.6.5: answered by RESPONSE or RST */
static void guest_connects(struct virtio_vsock *v,
			   const struct virtio_vsock_hdr *hdr)
{
	struct vsock_conn *conn;
	int fd = -ENOSPC;

	if (v->table.nr_used < VSOCK_MAX_CONNS)
		fd = vsock_listener_connect(&v->listener, hdr->dst_port);
	/* Nobody listens, or the table or the descriptors are used up. */
	conn = fd < 0 ? NULL : take(v, fd, VSOCK_OPEN);
	if (!conn) {
		counter_add(&v->stats.refused, 1);
		answer_rst(v, hdr);
		return;
	}
	conn->host_port = hdr->dst_port;
	conn->guest_port = hdr->src_port;
	conn->owed = VSOCK_OWE_RESPONSE;
	vsock_conn_heard(conn, hdr);
	vsock_table_publish(&v->table, conn);
	counter_add(&v->stats.opened, 1);
	settle(v, conn);
}

/* The guest has accepted a host client, who is told its port. */
static void guest_accepts(struct virtio_vsock *v, struct vsock_conn *conn)
{
	if (!vsock_conn_greet(conn)) {
		reset(v, conn);
		return;
	}
	conn->state = VSOCK_OPEN;
	conn->deadline_ns = 0;
	counter_add(&v->stats.opened, 1);
	settle(v, conn);
}

/* The guest ended it.  What it sent before is still the host's. */
static void guest_resets(struct virtio_vsock *v, struct vsock_conn *conn)
{
	if (conn->state == VSOCK_REQUESTED)
		counter_add(&v->stats.refused, 1);
	if (conn->state != VSOCK_OPEN || conn->out.used == 0) {
		drop(v, conn);
		return;
	}
	vsock_table_hide(&v->table, conn);
	vsock_conn_shutdown(conn, VIRTIO_VSOCK_SHUTDOWN_RCV |
					  VIRTIO_VSOCK_SHUTDOWN_SEND);
	conn->state = VSOCK_ORPHAN;
	conn->owed = 0;
	set_deadline(v, conn, VSOCK_LINGER_NS);
	settle(v, conn);
}

/* A packet of an open connection; false when it makes no sense. */
static bool open_packet(struct virtio_vsock *v, struct vsock_conn *conn,
			const struct virtio_vsock_hdr *hdr)
{
	switch (hdr->op) {
	case VIRTIO_VSOCK_OP_RW:
		counter_add(&v->stats.tx_bytes, hdr->len);
		return vsock_conn_receive(conn, &v->tx, hdr->len) == 0;
	case VIRTIO_VSOCK_OP_SHUTDOWN:
		vsock_conn_shutdown(conn, hdr->flags);
		return true;
	case VIRTIO_VSOCK_OP_CREDIT_REQUEST:
		conn->owed |= VSOCK_OWE_CREDIT;
		return true;
	case VIRTIO_VSOCK_OP_CREDIT_UPDATE:
		return true;
	default:
		return false;
	}
}

static void conn_packet(struct virtio_vsock *v, struct vsock_conn *conn,
			const struct virtio_vsock_hdr *hdr)
{
	if (hdr->op == VIRTIO_VSOCK_OP_RST) {
		guest_resets(v, conn);
		return;
	}
	vsock_conn_heard(conn, hdr);
	if (conn->state == VSOCK_DEAD)
		return; /* its RST is on its way */
	if (conn->state == VSOCK_REQUESTED &&
	    !(conn->owed & VSOCK_OWE_REQUEST) &&
	    hdr->op == VIRTIO_VSOCK_OP_RESPONSE)
		guest_accepts(v, conn);
	else if (conn->state == VSOCK_OPEN && open_packet(v, conn, hdr))
		settle(v, conn);
	else
		reset(v, conn);
}

/* virtio 1.2 §5.10.6.4.2: RST to an unknown type */
static bool type_known(const struct virtio_vsock *v, uint16_t type)
{
	const struct virtio_device *vdev = &v->vdev;

	/* virtio 1.3 §5.10.3.2: a driver that takes no feature gets streams */
	return type == VIRTIO_VSOCK_TYPE_STREAM &&
	       (virtio_has_feature(vdev, VSOCK_F_STREAM) ||
		!virtio_has_feature(vdev, VSOCK_F_NO_IMPLIED_STREAM));
}

static int tx_packet(struct virtio_vsock *v)
{
	struct virtio_vsock_hdr hdr;
	struct vsock_conn *conn;

	if (chain_read(&v->tx, &hdr, sizeof(hdr)) != sizeof(hdr) ||
	    hdr.len > chain_readable(&v->tx))
		return -EBADMSG;
	/* virtio 1.2 §5.10.6.2: a guest speaks for itself alone */
	if (hdr.src_cid != v->config.guest_cid) {
		counter_add(&v->stats.dropped, 1);
		return 0;
	}
	if (hdr.dst_cid != VSOCK_HOST_CID || !type_known(v, hdr.type)) {
		answer_rst(v, &hdr);
		return 0;
	}
	conn = vsock_table_find(&v->table, hdr.dst_port, hdr.src_port);
	if (conn)
		conn_packet(v, conn, &hdr);
	else if (hdr.op == VIRTIO_VSOCK_OP_REQUEST)
		guest_connects(v, &hdr);
	else
		answer_rst(v, &hdr);
	return 0;
}

static int vsock_transmit(struct virtio_vsock *v)
{
	struct virtqueue *vq = &v->vdev.vq[TX];
	int ret = 0;

	while (v->nr_rst < VSOCK_MAX_RST && (ret = virtq_pop(vq, &v->tx)) > 0) {
		ret = tx_packet(v);
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
		drop_all(v);
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

/* From the host. */

/* A port that no connection with this port of the guest has. */
static uint32_t host_port(struct virtio_vsock *v, uint32_t guest_port)
{
	uint32_t port;

	/* Ends: there are more ports than connections. */
	do {
		port = VSOCK_HOST_PORTS + v->next_port;
		v->next_port = (v->next_port + 1) % VSOCK_HOST_PORTS;
	} while (vsock_table_find(&v->table, port, guest_port));
	return port;
}

static void client_speaks(struct virtio_vsock *v, struct vsock_conn *conn)
{
	uint32_t port;
	int ret = vsock_conn_read_line(conn);

	if (ret == 0)
		return;
	if (ret < 0 ||
	    !vsock_listener_parse(conn->line, conn->line_len, &port)) {
		counter_add(&v->stats.refused, 1);
		drop(v, conn);
		return;
	}
	conn->guest_port = port;
	conn->host_port = host_port(v, port);
	conn->state = VSOCK_REQUESTED;
	conn->owed = VSOCK_OWE_REQUEST;
	vsock_table_publish(&v->table, conn);
	set_deadline(v, conn, VSOCK_REQUEST_NS);
	settle(v, conn);
}

static void conn_event(struct virtio_vsock *v, struct vsock_conn *conn,
		       uint32_t events)
{
	const uint32_t over = EPOLLHUP | EPOLLERR;

	if (conn->state == VSOCK_HELLO) {
		client_speaks(v, conn);
		return;
	}
	if (conn->state == VSOCK_REQUESTED && events & over) {
		reset(v, conn);
		return;
	}
	if (events & EPOLLOUT)
		vsock_conn_flush(conn);
	if (events & EPOLLIN)
		conn->readable = true;
	if (events & over)
		vsock_conn_host_gone(conn);
	settle(v, conn);
}

static void conn_ready(struct loop_source *source, uint32_t events)
{
	struct vsock_conn *conn =
		container_of(source, struct vsock_conn, source);
	struct virtio_vsock *v = conn->owner;

	pthread_mutex_lock(&v->vdev.lock);
	if (v->was_reset)
		drop_all(v);
	else
		conn_event(v, conn, events);
	virtio_run_queue_locked(&v->vdev, RX);
	pthread_mutex_unlock(&v->vdev.lock);
}

static void client_comes(struct vsock_listener *listener, int fd)
{
	struct virtio_vsock *v =
		container_of(listener, struct virtio_vsock, listener);
	struct vsock_conn *conn;

	pthread_mutex_lock(&v->vdev.lock);
	if (v->was_reset)
		drop_all(v);
	conn = take(v, fd, VSOCK_HELLO);
	if (conn) {
		set_deadline(v, conn, VSOCK_HELLO_NS);
		settle(v, conn);
	} else {
		counter_add(&v->stats.refused, 1);
		close(fd);
	}
	pthread_mutex_unlock(&v->vdev.lock);
}

/* CONN's time is up. */
static void expire(struct virtio_vsock *v, struct vsock_conn *conn,
		   uint64_t now)
{
	/* The guest has not read all: an RST might cost it the rest. */
	if (conn->state == VSOCK_OPEN && now < conn->last_ns &&
	    conn->sent != conn->peer_fwd) {
		conn->deadline_ns = now + VSOCK_SHUTDOWN_NS;
		return;
	}
	if (conn->state == VSOCK_REQUESTED)
		counter_add(&v->stats.refused, 1);
	reset(v, conn);
}

static void timer_expired(struct loop_timer *timer)
{
	struct virtio_vsock *v =
		container_of(timer, struct virtio_vsock, timer);
	uint64_t now = now_ns(), next = UINT64_MAX;

	pthread_mutex_lock(&v->vdev.lock);
	if (v->was_reset)
		drop_all(v);
	for (unsigned int i = 0; i < v->table.nr_touched; i++) {
		struct vsock_conn *conn = &v->table.conn[i];

		if (conn->state == VSOCK_FREE || conn->deadline_ns == 0)
			continue;
		if (conn->deadline_ns <= now)
			expire(v, conn, now);
		if (conn->state != VSOCK_FREE && conn->deadline_ns != 0)
			next = MIN(next, conn->deadline_ns);
	}
	/* Not for every connection of its own: one round serves many. */
	if (next != UINT64_MAX)
		loop_timer_arm(v->vdev.env.loop, &v->timer,
			       MAX(next, now + VSOCK_TICK_NS));
	virtio_run_queue_locked(&v->vdev, RX);
	pthread_mutex_unlock(&v->vdev.lock);
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
		drop_all(v);
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
	v->reset_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (v->reset_fd < 0)
		return -errno;
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
	v->listener.client = client_comes;
	ret = vsock_listener_open(&v->listener, path, env->loop);
	if (ret < 0)
		goto err_table;
	ret = vsock_add_bell(v, env->loop);
	if (ret < 0)
		goto err_listener;
	v->config.guest_cid = cid;
	v->timer.expired = timer_expired;
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

const struct virtio_vsock_stats *
virtio_vsock_stats(const struct virtio_device *vdev)
{
	assert(vdev->ops == &vsock_ops);
	return &((const struct virtio_vsock *)vdev)->stats;
}
