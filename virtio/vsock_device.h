// SPDX-License-Identifier: Apache-2.0
/*
 * vsock_device.h - what the files of the vsock device share; for them alone
 *
 * vsock.c has the queues and the ends of connections, vsock_guest.c what the
 * guest's packets do, vsock_host.c what happens on the host's side.  Loop
 * thread, device lock held, unless it says otherwise.
 */
#ifndef MOTE_VIRTIO_VSOCK_DEVICE_H
#define MOTE_VIRTIO_VSOCK_DEVICE_H

#include "virtio/chain.h"
#include "virtio/vsock.h"
#include "virtio/vsock_listener.h"
#include "virtio/vsock_table.h"

#define VSOCK_MAX_RST 256u

#define VSOCK_SHUTDOWN_NS UINT64_C(2000000000)	/* for the guest's RST */
#define VSOCK_LINGER_NS	  UINT64_C(60000000000) /* for bytes under way */

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

/* Ends CONN, which the guest knows nothing of, or is told by its own RST. */
void vsock_drop(struct virtio_vsock *v, struct vsock_conn *conn);

/* Ends CONN with an RST to the guest, if it has heard of CONN. */
void vsock_end(struct virtio_vsock *v, struct vsock_conn *conn);

/* Drops everything, after a reset of the device. */
void vsock_drop_all(struct virtio_vsock *v);

/* After anything that may have changed what CONN waits for or has to say; CONN
 * may be gone on return.
 */
void vsock_settle(struct virtio_vsock *v, struct vsock_conn *conn);

/* NS from now CONN's time is up. */
void vsock_set_deadline(struct virtio_vsock *v, struct vsock_conn *conn,
			uint64_t ns);

/* The packet in v->tx.  0, or -EBADMSG when it is malformed.  There is room for
 * one more in v->rst.
 */
int vsock_tx_packet(struct virtio_vsock *v);

/* A connection on the socket FD (owned from here), or NULL when the table is
 * full, and FD is still the caller's.
 */
struct vsock_conn *vsock_take(struct virtio_vsock *v, int fd,
			      enum vsock_state state);

/* Callbacks of the listener and of the timer, without the lock. */
void vsock_client_comes(struct vsock_listener *listener, int fd);
void vsock_timer_expired(struct loop_timer *timer);

#endif
