// SPDX-License-Identifier: Apache-2.0
/*
 * vsock_guest.c - what the guest's packets do (virtio 1.2 §5.10.6)
 *
 * A packet that makes no sense for its connection is answered with RST, and the
 * connection ends.  Packets that claim to come from another guest are dropped;
 * there is nobody but the host to send to.
 */
#include <errno.h>

#include "virtio/vsock_device.h"

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

/* virtio 1.2 §5.10.6.5: answered by RESPONSE or RST */
static void guest_connects(struct virtio_vsock *v,
			   const struct virtio_vsock_hdr *hdr)
{
	struct vsock_conn *conn;
	int fd = -ENOSPC;

	if (v->table.nr_used < VSOCK_MAX_CONNS)
		fd = vsock_listener_connect(&v->listener, hdr->dst_port);
	/* Nobody listens, or the table or the descriptors are used up. */
	conn = fd < 0 ? NULL : vsock_take(v, fd, VSOCK_OPEN);
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
	vsock_settle(v, conn);
}

/* The guest has accepted a host client, who is told its port. */
static void guest_accepts(struct virtio_vsock *v, struct vsock_conn *conn)
{
	if (!vsock_conn_greet(conn)) {
		vsock_end(v, conn);
		return;
	}
	conn->state = VSOCK_OPEN;
	conn->deadline_ns = 0;
	counter_add(&v->stats.opened, 1);
	vsock_settle(v, conn);
}

/* The guest ended it.  What it sent before is still the host's. */
static void guest_resets(struct virtio_vsock *v, struct vsock_conn *conn)
{
	if (conn->state == VSOCK_REQUESTED)
		counter_add(&v->stats.refused, 1);
	if (conn->state != VSOCK_OPEN || conn->out.used == 0) {
		vsock_drop(v, conn);
		return;
	}
	vsock_table_hide(&v->table, conn);
	vsock_conn_shutdown(conn, VIRTIO_VSOCK_SHUTDOWN_RCV |
					  VIRTIO_VSOCK_SHUTDOWN_SEND);
	conn->state = VSOCK_ORPHAN;
	conn->owed = 0;
	vsock_set_deadline(v, conn, VSOCK_LINGER_NS);
	vsock_settle(v, conn);
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
		vsock_settle(v, conn);
	else
		vsock_end(v, conn);
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

int vsock_tx_packet(struct virtio_vsock *v)
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
