// SPDX-License-Identifier: Apache-2.0
/*
 * vsock_table.h - the connections of a vsock device: a fixed number, found by
 * their two ports
 *
 * All memory is asked of the host once and untouched until it is used: a slot
 * costs its 64 KiB buffer only while its socket does not keep up, and gives the
 * pages back when it is freed.
 */
#ifndef MOTE_VIRTIO_VSOCK_TABLE_H
#define MOTE_VIRTIO_VSOCK_TABLE_H

#include "virtio/vsock_conn.h"

#define VSOCK_MAX_CONNS	   1023u
#define VSOCK_HASH_BUCKETS 1024u

struct vsock_table {
	struct vsock_conn *conn; /* VSOCK_MAX_CONNS; the first nr_touched were
				  * ever in use
				  */
	unsigned int nr_touched;
	unsigned int nr_used;
	uint8_t *buffers; /* VSOCK_BUFFER for each */
	uint16_t free;	  /* list through hash_link */
	uint16_t first_ready, last_ready;
	uint16_t bucket[VSOCK_HASH_BUCKETS];
};

/* -ENOMEM. */
int vsock_table_init(struct vsock_table *t);
void vsock_table_fini(struct vsock_table *t);

/* A connection on the socket FD (owned from here) that cannot be found yet;
 * NULL when the table is full, and FD is still the caller's.
 */
struct vsock_conn *vsock_table_take(struct vsock_table *t, int fd,
				    enum vsock_state state);

/* CONN can be found by its two ports, which no other has, from now on; and not
 * any more.  Hiding what is hidden is harmless.
 */
void vsock_table_publish(struct vsock_table *t, struct vsock_conn *conn);
void vsock_table_hide(struct vsock_table *t, struct vsock_conn *conn);

/* The one with these ports, or NULL. */
struct vsock_conn *vsock_table_find(struct vsock_table *t, uint32_t host_port,
				    uint32_t guest_port);

/* The slot is free: CONN is hidden, not ready, and its socket is closed. */
void vsock_table_free(struct vsock_table *t, struct vsock_conn *conn);

/* Appends CONN to the list of those that have a packet for the guest, if it has
 * one and is not there yet.
 */
void vsock_table_push_ready(struct vsock_table *t, struct vsock_conn *conn);

/* Takes the first of that list; NULL when there is none. */
struct vsock_conn *vsock_table_pop_ready(struct vsock_table *t);

static inline bool vsock_table_any_ready(const struct vsock_table *t)
{
	return t->first_ready != VSOCK_NO_LINK;
}

#endif
