// SPDX-License-Identifier: Apache-2.0
/*
 * vsock_host.c - the host's side of the vsock device: clients, sockets, time
 */
#include <unistd.h>

#include <sys/epoll.h>

#include "virtio/vsock_device.h"

#define VSOCK_REQUEST_NS UINT64_C(2000000000)  /* for the guest's answer */
#define VSOCK_HELLO_NS	 UINT64_C(60000000000) /* for a client's CONNECT */
#define VSOCK_TICK_NS	 UINT64_C(100000000)

/* Host ports of host clients: no guest listens for them. */
#define VSOCK_HOST_PORTS 0x40000000u

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
		vsock_drop(v, conn);
		return;
	}
	conn->guest_port = port;
	conn->host_port = host_port(v, port);
	conn->state = VSOCK_REQUESTED;
	conn->owed = VSOCK_OWE_REQUEST;
	vsock_table_publish(&v->table, conn);
	vsock_set_deadline(v, conn, VSOCK_REQUEST_NS);
	vsock_settle(v, conn);
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
		vsock_end(v, conn);
		return;
	}
	if (events & EPOLLOUT)
		vsock_conn_flush(conn);
	if (events & EPOLLIN)
		conn->readable = true;
	if (events & over)
		vsock_conn_host_gone(conn);
	vsock_settle(v, conn);
}

static void conn_ready(struct loop_source *source, uint32_t events)
{
	struct vsock_conn *conn =
		container_of(source, struct vsock_conn, source);
	struct virtio_vsock *v = conn->owner;

	pthread_mutex_lock(&v->vdev.lock);
	if (v->was_reset)
		vsock_drop_all(v);
	else
		conn_event(v, conn, events);
	virtio_run_queue_locked(&v->vdev, RX);
	pthread_mutex_unlock(&v->vdev.lock);
}

struct vsock_conn *vsock_take(struct virtio_vsock *v, int fd,
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

void vsock_client_comes(struct vsock_listener *listener, int fd)
{
	struct virtio_vsock *v =
		container_of(listener, struct virtio_vsock, listener);
	struct vsock_conn *conn;

	pthread_mutex_lock(&v->vdev.lock);
	if (v->was_reset)
		vsock_drop_all(v);
	conn = vsock_take(v, fd, VSOCK_HELLO);
	if (conn) {
		vsock_set_deadline(v, conn, VSOCK_HELLO_NS);
		vsock_settle(v, conn);
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
	vsock_end(v, conn);
}

void vsock_timer_expired(struct loop_timer *timer)
{
	struct virtio_vsock *v =
		container_of(timer, struct virtio_vsock, timer);
	uint64_t now = now_ns(), next = UINT64_MAX;

	pthread_mutex_lock(&v->vdev.lock);
	if (v->was_reset)
		vsock_drop_all(v);
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
