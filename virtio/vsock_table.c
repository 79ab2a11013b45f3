// SPDX-License-Identifier: Apache-2.0
/*
 * vsock_table.c - a fixed table of connections
 */
#include <errno.h>
#include <stdlib.h>

#include <sys/mman.h>

#include "virtio/vsock_table.h"

#define BUFFERS_SIZE ((size_t)VSOCK_MAX_CONNS * VSOCK_BUFFER)

static_assert(VSOCK_MAX_CONNS < VSOCK_NO_LINK, "links are 16 bits");

int vsock_table_init(struct vsock_table *t)
{
	*t = (struct vsock_table){
		.free = VSOCK_NO_LINK,
		.first_ready = VSOCK_NO_LINK,
		.last_ready = VSOCK_NO_LINK,
	};
	memset(t->bucket, 0xff, sizeof(t->bucket));
	t->conn = calloc(VSOCK_MAX_CONNS, sizeof(*t->conn));
	if (!t->conn)
		return -ENOMEM;
	t->buffers = mmap(NULL, BUFFERS_SIZE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (t->buffers != MAP_FAILED)
		return 0;
	free(t->conn);
	return -ENOMEM;
}

void vsock_table_fini(struct vsock_table *t)
{
	for (unsigned int i = 0; i < t->nr_touched; i++) {
		if (t->conn[i].state != VSOCK_FREE)
			vsock_table_free(t, &t->conn[i]);
	}
	munmap(t->buffers, BUFFERS_SIZE);
	free(t->conn);
}

struct vsock_conn *vsock_table_take(struct vsock_table *t, int fd,
				    enum vsock_state state)
{
	struct vsock_conn *conn;
	unsigned int i = t->free;

	if (i != VSOCK_NO_LINK)
		t->free = t->conn[i].hash_link;
	else if (t->nr_touched < VSOCK_MAX_CONNS)
		i = t->nr_touched++;
	else
		return NULL;
	t->nr_used++;
	conn = &t->conn[i];
	*conn = (struct vsock_conn){
		.source.fd = -1,
		.hash_link = VSOCK_NO_LINK,
	};
	vsock_conn_init(conn, fd, state, t->buffers + i * VSOCK_BUFFER);
	return conn;
}

static uint16_t number(const struct vsock_table *t,
		       const struct vsock_conn *conn)
{
	return (uint16_t)(conn - t->conn);
}

static uint16_t *bucket(struct vsock_table *t, uint32_t host_port,
			uint32_t guest_port)
{
	/* Ports are counted up on either side: neighbours must not meet. */
	uint32_t hash = (host_port * 0x9e3779b1u) ^ (guest_port * 0x85ebca6bu);

	return &t->bucket[(hash ^ hash >> 16) % VSOCK_HASH_BUCKETS];
}

void vsock_table_publish(struct vsock_table *t, struct vsock_conn *conn)
{
	uint16_t *head = bucket(t, conn->host_port, conn->guest_port);

	conn->hash_link = *head;
	*head = number(t, conn);
}

void vsock_table_hide(struct vsock_table *t, struct vsock_conn *conn)
{
	uint16_t *at = bucket(t, conn->host_port, conn->guest_port);

	while (*at != VSOCK_NO_LINK && &t->conn[*at] != conn)
		at = &t->conn[*at].hash_link;
	if (*at != VSOCK_NO_LINK)
		*at = conn->hash_link;
	conn->hash_link = VSOCK_NO_LINK;
}

struct vsock_conn *vsock_table_find(struct vsock_table *t, uint32_t host_port,
				    uint32_t guest_port)
{
	uint16_t i = *bucket(t, host_port, guest_port);

	for (; i != VSOCK_NO_LINK; i = t->conn[i].hash_link) {
		if (t->conn[i].host_port == host_port &&
		    t->conn[i].guest_port == guest_port)
			return &t->conn[i];
	}
	return NULL;
}

void vsock_table_push_ready(struct vsock_table *t, struct vsock_conn *conn)
{
	if (conn->ready || vsock_conn_due(conn) == 0)
		return;
	conn->ready = true;
	conn->ready_next = VSOCK_NO_LINK;
	conn->ready_prev = t->last_ready;
	if (t->last_ready == VSOCK_NO_LINK)
		t->first_ready = number(t, conn);
	else
		t->conn[t->last_ready].ready_next = number(t, conn);
	t->last_ready = number(t, conn);
}

static void remove_ready(struct vsock_table *t, struct vsock_conn *conn)
{
	if (!conn->ready)
		return;
	conn->ready = false;
	if (conn->ready_prev == VSOCK_NO_LINK)
		t->first_ready = conn->ready_next;
	else
		t->conn[conn->ready_prev].ready_next = conn->ready_next;
	if (conn->ready_next == VSOCK_NO_LINK)
		t->last_ready = conn->ready_prev;
	else
		t->conn[conn->ready_next].ready_prev = conn->ready_prev;
}

struct vsock_conn *vsock_table_pop_ready(struct vsock_table *t)
{
	struct vsock_conn *conn;

	if (!vsock_table_any_ready(t))
		return NULL;
	conn = &t->conn[t->first_ready];
	remove_ready(t, conn);
	return conn;
}

void vsock_table_free(struct vsock_table *t, struct vsock_conn *conn)
{
	uint8_t *buffer = conn->out.buf;

	assert(conn->state != VSOCK_FREE);
	remove_ready(t, conn);
	vsock_table_hide(t, conn);
	vsock_conn_hang_up(conn);
	/* fifo_put() has been there when the guest sent ahead of the socket. */
	if (conn->spilled)
		madvise(buffer, VSOCK_BUFFER, MADV_DONTNEED);
	conn->state = VSOCK_FREE;
	conn->hash_link = t->free;
	t->free = number(t, conn);
	t->nr_used--;
}
