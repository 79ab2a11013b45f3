// SPDX-License-Identifier: Apache-2.0
/*
 * vsock_conn.h - one vsock connection: a stream between a port of the guest and
 * a Unix socket of the host (virtio 1.2 §5.10.6)
 *
 * The connection knows its state, both sides' credit, its socket and the bytes
 * that the socket has not yet taken.  It knows nothing of queues: the device
 * asks it what the guest is to be told next, and gives it what the guest said.
 * Loop thread, device lock held.
 */
#ifndef MOTE_VIRTIO_VSOCK_CONN_H
#define MOTE_VIRTIO_VSOCK_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sys/uio.h>

#include <linux/virtio_vsock.h>

#include "base/fifo.h"
#include "base/loop.h"
#include "base/util.h"
#include "virtio/chain.h"

#define VSOCK_BUFFER   KIB(64) /* what we let the guest send ahead */
#define VSOCK_PEER_MAX MIB(1)  /* and at most send ahead ourselves */
#define VSOCK_LINE_MAX 32u     /* "CONNECT 4294967295\n" and some air */

#define VSOCK_NO_LINK UINT16_MAX /* no connection: the end of a list */

enum vsock_state {
	VSOCK_FREE,
	VSOCK_HELLO,	 /* a host client that has not said CONNECT yet */
	VSOCK_REQUESTED, /* the guest has been, or will be, asked */
	VSOCK_OPEN,
	VSOCK_DEAD,   /* nothing but an RST that the guest has yet to get */
	VSOCK_ORPHAN, /* the guest is done; bytes for the host remain */
};

/* Packets that the guest is owed, as bits of `owed`. */
enum vsock_owed {
	VSOCK_OWE_RST = 1,
	VSOCK_OWE_REQUEST = 2,
	VSOCK_OWE_RESPONSE = 4,
	VSOCK_OWE_CREDIT = 8,
};

struct vsock_conn {
	struct loop_source source; /* of fd, while there is a reason to wait */
	struct loop *loop;	   /* borrowed */
	void *owner;		   /* the device, for source.ready */
	int fd;			   /* owned; -1 once the host is gone */
	enum vsock_state state;
	uint32_t host_port, guest_port;

	uint8_t owed;	    /* enum vsock_owed */
	uint8_t guest_shut; /* VIRTIO_VSOCK_SHUTDOWN_*: the guest said */
	uint8_t host_shut;  /* the host's socket said */
	uint8_t told_shut;  /* and we have told the guest */
	bool readable;	    /* read(2) has not said EAGAIN since */
	bool gone;	    /* the host has closed its socket */
	bool asked;	    /* for credit, since it ran out */
	bool ready;	    /* in the device's list of those with packets */
	bool spilled;	    /* `out` has been used: its pages are touched */

	/* Free-running, modulo 2^32 (§5.10.6.3). */
	uint32_t sent;	      /* payload bytes to the guest */
	uint32_t peer_fwd;    /* of which it has consumed these */
	uint32_t peer_alloc;  /* its buffer, as it said last */
	uint32_t forwarded;   /* payload bytes that left `out` */
	uint32_t told_fwd;    /* as the guest knows it */
	struct fifo out;      /* from the guest, not yet in the socket */
	uint64_t deadline_ns; /* 0: none */
	uint64_t last_ns;     /* no later deadline than this */
	uint16_t hash_link;   /* next in the bucket, or in the free list */
	uint16_t ready_next;  /* in the list of ready ones */
	uint16_t ready_prev;
	uint16_t line_len; /* VSOCK_HELLO */
	char line[VSOCK_LINE_MAX];
};

/* Starts CONN, which is zeroed but for its table's links, on the socket FD
 * (owned from here).  BUFFER holds VSOCK_BUFFER bytes.
 */
void vsock_conn_init(struct vsock_conn *conn, int fd, enum vsock_state state,
		     void *buffer);

/* Closes the socket.  The state stays: what the guest is owed is still owed. */
void vsock_conn_hang_up(struct vsock_conn *conn);

/* Puts the socket into the loop for what the connection waits for, and out of
 * it where an event would only repeat what is known: nothing spins.  0, or
 * -errno when the loop has no room for it.
 */
int vsock_conn_watch(struct vsock_conn *conn);

/* The guest's header told its credit (any packet, §5.10.6.3). */
void vsock_conn_heard(struct vsock_conn *conn,
		      const struct virtio_vsock_hdr *hdr);

/* Payload bytes that the guest still takes; 0 for nonsense. */
uint32_t vsock_conn_credit(const struct vsock_conn *conn);

/* The guest sent the next LEN bytes of CHAIN, which holds as many.  -ENOBUFS
 * when that is more than its credit, -EPIPE after it said that it was done.
 */
int vsock_conn_receive(struct vsock_conn *conn, struct chain *chain,
		       uint32_t len);

/* The socket may take more of what waits. */
void vsock_conn_flush(struct vsock_conn *conn);

/* Reads from the socket for the guest, at most its credit.  Bytes, or 0 when
 * there are none now (or ever: host_shut then says so).
 */
uint32_t vsock_conn_read(struct vsock_conn *conn, struct iovec *iov,
			 unsigned int nr);

/* Reads the host client's first line, byte for byte, into `line`.  1 when it is
 * complete, 0 when there is more to come, -errno when there is not.
 */
int vsock_conn_read_line(struct vsock_conn *conn);

/* Tells the host client "OK host_port\n"; false when it is not there now. */
bool vsock_conn_greet(struct vsock_conn *conn);

/* The guest will not send, or not receive, any more: FLAGS of SHUTDOWN. */
void vsock_conn_shutdown(struct vsock_conn *conn, uint32_t flags);

/* The host has closed: what it sent before is still to be read. */
void vsock_conn_host_gone(struct vsock_conn *conn);

/* Both directions are over as far as the guest goes, and the host has all. */
bool vsock_conn_finished(const struct vsock_conn *conn);

/* The op of the packet that is due to the guest next; 0 when none is. */
uint16_t vsock_conn_due(const struct vsock_conn *conn);

/* Fills everything of HDR but the CIDs for a packet OP with LEN bytes, which is
 * then as good as sent.
 */
void vsock_conn_sent(struct vsock_conn *conn, uint16_t op, uint32_t len,
		     struct virtio_vsock_hdr *hdr);

#endif
