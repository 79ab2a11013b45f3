// SPDX-License-Identifier: Apache-2.0
/*
 * console.c - virtio console device (virtio 1.2 §5.3)
 *
 * Theory of operation.  One port: a receive queue and a transmit queue, the
 * window's size, and the emergency write register.
 *
 * Output goes from guest memory to the port without a copy.  When the port is
 * full, the chain that is being written stays in flight, with what is left of
 * it in `rest`; nothing more is popped until the port is writable.  So a guest
 * that writes without end waits for its terminal and costs us nothing.
 *
 * With a rate limit the same chain is written in pieces for which there are
 * tokens: a piece is paid for before the port is offered it, and the chain
 * stays in flight while the gate holds it up.
 *
 * Input waits in a fifo until the driver has buffers.  The port is asked for no
 * more than fits.  Before DRIVER_OK nothing fits, so what was typed early (or
 * piped in) is not lost in the reset with which every driver begins.
 *
 * A driver may write emerg_wr before it has set up anything, on a vCPU thread
 * (§5.3.5.1).  The port belongs to the loop: the byte waits in a small fifo,
 * and an eventfd wakes the loop for the first one.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <sys/epoll.h>

#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>

#include "base/fd.h"
#include "base/fifo.h"
#include "base/util.h"
#include "virtio/chain.h"
#include "virtio/console.h"
#include "virtio/gate.h"

#define CONSOLE_QUEUE_SIZE 64
#define CONSOLE_INPUT	   4096 /* bytes that wait for buffers */
#define CONSOLE_EMERGENCY  256	/* bytes that wait for the port */
#define CONSOLE_CHUNK	   KIB(16)
#define CONSOLE_TURN	   KIB(256) /* bytes after which the loop gets a turn */

enum { RECEIVEQ, TRANSMITQ, NR_QUEUES }; /* virtio 1.2 §5.3.2 */

/* What passes the gate besides TRANSMITQ. */
enum { EMERGENCY = NR_QUEUES, NR_LINES };

struct virtio_console {
	struct virtio_device vdev; /* its lock covers the rest */
	struct port *port;	   /* borrowed */
	struct port_user user;
	struct virtio_console_config config;
	struct virtio_console_stats stats;

	struct fifo in;
	bool starved; /* the port was told 0, or nothing yet */
	struct chain rx;

	struct chain tx;
	bool tx_held;	   /* tx is in flight */
	struct iovec rest; /* taken from tx, not yet by the port */
	bool rest_paid;	   /* the gate let it pass */
	bool tx_begun;	   /* and something of tx */
	struct gate gate;

	struct fifo emerg;
	size_t emerg_paid; /* bytes at its front that the gate let pass */
	struct loop_source emerg_bell;
	int emerg_fd;

	uint8_t in_buf[CONSOLE_INPUT];
	uint8_t emerg_buf[CONSOLE_EMERGENCY];
};

static_assert(sizeof(struct virtio_console_config) == 12, "virtio 1.2 §5.3.4");
static_assert(offsetof(struct virtio_console, vdev) == 0,
	      "virtio_console_stats");

static struct virtio_console *to_console(struct virtio_device *vdev)
{
	return container_of(vdev, struct virtio_console, vdev);
}

static struct virtio_console *user_console(struct port_user *user)
{
	return container_of(user, struct virtio_console, user);
}

/* Input. */

static size_t console_room(const struct virtio_console *con)
{
	const struct virtio_device *vdev = &con->vdev;
	const uint8_t broken = VIRTIO_CONFIG_S_NEEDS_RESET |
			       VIRTIO_CONFIG_S_FAILED;

	if (!virtio_driver_ok(vdev) || vdev->status & broken ||
	    !vdev->vq[RECEIVEQ].live)
		return 0;
	return fifo_room(&con->in);
}

/* Moves input to one buffer; returns the bytes. */
static uint32_t console_fill(struct virtio_console *con, struct chain *c)
{
	size_t done = 0;

	while (con->in.used > 0 && chain_writable(c) > 0) {
		size_t len;
		const void *data = fifo_peek(&con->in, &len);

		len = chain_write(c, data, len);
		fifo_drop(&con->in, len);
		done += len;
	}
	return (uint32_t)done;
}

static int console_receive(struct virtio_console *con, struct virtqueue *vq)
{
	int ret = 0;

	/* An empty fifo takes no buffer: used buffers hold input. */
	while (con->in.used > 0 && (ret = virtq_pop(vq, &con->rx)) > 0) {
		uint32_t used = console_fill(con, &con->rx);

		if (used == 0)
			return -EBADMSG; /* a buffer that holds nothing */
		counter_add(&con->stats.in_bytes, used);
		ret = virtq_push(vq, &con->rx, used);
		if (ret < 0)
			return ret;
	}
	if (ret < 0)
		return ret;
	if (con->starved && console_room(con) > 0) {
		con->starved = false;
		con->port->readable(con->port);
	}
	return 0;
}

/* Output. */

/* Whether there is a piece of the chain in flight that may be written. */
static bool console_take(struct virtio_console *con)
{
	uint64_t most = MIN(CONSOLE_CHUNK, rate_most_bytes(&con->gate.rate));
	struct rate_amount want = { .ops = !con->tx_begun };
	size_t len;

	if (con->rest.iov_len == 0) {
		chain_read_iov(&con->tx, &con->rest, 1, most, &len);
		con->rest_paid = false;
	}
	want.bytes = con->rest.iov_len;
	if (!con->rest_paid && !gate_pass(&con->gate, TRANSMITQ, want))
		return false;
	con->rest_paid = true;
	con->tx_begun = true;
	return true;
}

/* Writes what is left of the chain in flight, until TURN is used up.  True when
 * all of it was taken.
 */
static bool console_send(struct virtio_console *con, size_t *turn)
{
	struct iovec *rest = &con->rest;

	while (rest->iov_len > 0 || chain_readable(&con->tx) > 0) {
		size_t n;

		if (*turn == 0)
			return false;
		if (!console_take(con))
			return false;
		n = con->port->write(con->port, rest->iov_base, rest->iov_len);
		counter_add(&con->stats.out_bytes, n);
		rest->iov_base = (uint8_t *)rest->iov_base + n;
		rest->iov_len -= n;
		*turn -= MIN(*turn, n);
		if (rest->iov_len > 0)
			return false;
	}
	return true;
}

static int console_transmit(struct virtio_console *con, struct virtqueue *vq)
{
	size_t turn = CONSOLE_TURN;
	int ret;

	for (;;) {
		if (!con->tx_held) {
			ret = virtq_pop(vq, &con->tx);
			if (ret <= 0)
				return ret;
			con->tx_held = true;
			con->tx_begun = false;
		}
		if (!console_send(con, &turn))
			break;
		con->tx_held = false;
		/* virtio 1.2 §2.7.8.2: nothing was written to the chain */
		ret = virtq_push(vq, &con->tx, 0);
		if (ret < 0)
			return ret;
	}
	/* The port is full and will call writable(), or there are no tokens and
	 * the gate goes on, or it is the others' turn: the generic code rings
	 * again when the budget is used up.
	 */
	if (turn == 0)
		vq->budget = 0;
	return 0;
}

static int console_queue_notify(struct virtio_device *vdev, unsigned int q)
{
	struct virtio_console *con = to_console(vdev);

	return q == RECEIVEQ ? console_receive(con, &vdev->vq[q])
			     : console_transmit(con, &vdev->vq[q]);
}

static void console_reset(struct virtio_device *vdev)
{
	struct virtio_console *con = to_console(vdev);

	con->tx_held = false;
	con->rest.iov_len = 0;
	fifo_drop(&con->in, con->in.used);
	con->starved = true;
}

/* Emergency write. */

static void console_send_emergency(struct virtio_console *con)
{
	while (con->emerg.used > 0) {
		size_t len;
		const void *data = fifo_peek(&con->emerg, &len);
		size_t n;

		if (con->emerg_paid == 0) {
			len = MIN(len, rate_most_bytes(&con->gate.rate));
			if (!gate_pass(&con->gate, EMERGENCY,
				       (struct rate_amount){ .bytes = len }))
				return;
			con->emerg_paid = len;
		}
		len = MIN(len, con->emerg_paid);
		n = con->port->write(con->port, data, len);
		counter_add(&con->stats.emerg_bytes, n);
		fifo_drop(&con->emerg, n);
		con->emerg_paid -= n;
		if (n < len)
			return; /* writable() goes on */
	}
}

static void console_resume(struct virtio_device *vdev, unsigned int line)
{
	if (line == EMERGENCY)
		console_send_emergency(to_console(vdev));
	else
		virtio_run_queue_locked(vdev, line);
}

static void console_emergency(struct loop_source *source, uint32_t events)
{
	struct virtio_console *con =
		container_of(source, struct virtio_console, emerg_bell);
	uint64_t rings;

	(void)events;
	/* Drained first: a byte that comes after this rings again. */
	if (read(con->emerg_fd, &rings, sizeof(rings)) < 0)
		return;
	pthread_mutex_lock(&con->vdev.lock);
	console_send_emergency(con);
	pthread_mutex_unlock(&con->vdev.lock);
}

/* Configuration space. */

static void console_config_read(struct virtio_device *vdev, size_t off,
				void *buf, size_t len)
{
	memcpy(buf, (const uint8_t *)&to_console(vdev)->config + off, len);
}

static void console_config_write(struct virtio_device *vdev, size_t off,
				 const void *buf, size_t len)
{
	const size_t at = offsetof(struct virtio_console_config, emerg_wr);
	struct virtio_console *con = to_console(vdev);
	const uint64_t one = 1;
	bool first = con->emerg.used == 0;

	/* virtio 1.2 §5.3.5.1: the lower byte, whatever the status.  The rest
	 * of the space is read-only.
	 */
	if (off > at || at - off >= len)
		return;
	if (fifo_put(&con->emerg, (const uint8_t *)buf + (at - off), 1) == 0)
		counter_add(&con->stats.emerg_dropped, 1);
	/* EAGAIN: it rings already. */
	if (first && write(con->emerg_fd, &one, sizeof(one)) < 0)
		return;
}

/* What the port calls, on the loop. */

static size_t user_room(struct port_user *user)
{
	struct virtio_console *con = user_console(user);
	size_t room;

	pthread_mutex_lock(&con->vdev.lock);
	room = console_room(con);
	con->starved = room == 0;
	pthread_mutex_unlock(&con->vdev.lock);
	return room;
}

static void user_receive(struct port_user *user, const void *data, size_t len)
{
	struct virtio_console *con = user_console(user);

	pthread_mutex_lock(&con->vdev.lock);
	fifo_put(&con->in, data, len);
	virtio_run_queue_locked(&con->vdev, RECEIVEQ);
	pthread_mutex_unlock(&con->vdev.lock);
}

static void user_writable(struct port_user *user)
{
	struct virtio_console *con = user_console(user);

	pthread_mutex_lock(&con->vdev.lock);
	console_send_emergency(con);
	virtio_run_queue_locked(&con->vdev, TRANSMITQ);
	pthread_mutex_unlock(&con->vdev.lock);
}

static void user_resized(struct port_user *user, uint16_t cols, uint16_t rows)
{
	struct virtio_console *con = user_console(user);

	pthread_mutex_lock(&con->vdev.lock);
	if (cols != con->config.cols || rows != con->config.rows) {
		con->config.cols = cols;
		con->config.rows = rows;
		virtio_config_changed_locked(&con->vdev);
	}
	pthread_mutex_unlock(&con->vdev.lock);
}

static void console_destroy(struct virtio_device *vdev)
{
	struct virtio_console *con = to_console(vdev);

	con->port->user = NULL;
	gate_fini(&con->gate);
	loop_remove(vdev->env.loop, &con->emerg_bell);
	close(con->emerg_fd);
	free(con);
}

static const struct telemetry_field console_fields[] = {
	{ "out_bytes", offsetof(struct virtio_console, stats.out_bytes),
	  TELEMETRY_COUNTER },
	{ "in_bytes", offsetof(struct virtio_console, stats.in_bytes),
	  TELEMETRY_COUNTER },
	{ "emerg_bytes", offsetof(struct virtio_console, stats.emerg_bytes),
	  TELEMETRY_COUNTER },
	{ "emerg_dropped", offsetof(struct virtio_console, stats.emerg_dropped),
	  TELEMETRY_COUNTER },
	{ "stall_ns", offsetof(struct virtio_console, gate.stall_ns),
	  TELEMETRY_HISTOGRAM },
};

static const struct virtio_device_ops console_ops = {
	.name = "console",
	.device_id = VIRTIO_ID_CONSOLE,
	.features = 1ull << VIRTIO_CONSOLE_F_SIZE |
		    1ull << VIRTIO_CONSOLE_F_EMERG_WRITE,
	.fields = console_fields,
	.nr_fields = ARRAY_SIZE(console_fields),
	.nr_queues = NR_QUEUES,
	.queue_size = CONSOLE_QUEUE_SIZE,
	.config_size = sizeof(struct virtio_console_config),
	.reset = console_reset,
	.queue_notify = console_queue_notify,
	.config_read = console_config_read,
	.config_write = console_config_write,
	.destroy = console_destroy,
};

int virtio_console_create(const struct virtio_env *env, struct port *port,
			  struct virtio_device **owned)
{
	struct virtio_console *con = calloc(1, sizeof(*con));
	int ret;

	if (!con)
		return -ENOMEM;
	con->port = port;
	con->user = (struct port_user){
		.room = user_room,
		.receive = user_receive,
		.writable = user_writable,
		.resized = user_resized,
	};
	con->config.max_nr_ports = 1;
	con->starved = true;
	fifo_init(&con->in, con->in_buf, sizeof(con->in_buf));
	fifo_init(&con->emerg, con->emerg_buf, sizeof(con->emerg_buf));

	con->emerg_bell.ready = console_emergency;
	con->emerg_bell.fd = -1;
	con->emerg_fd = fd_event();
	if (con->emerg_fd < 0) {
		ret = con->emerg_fd;
		goto err_free;
	}
	ret = loop_add(env->loop, &con->emerg_bell, con->emerg_fd, EPOLLIN);
	if (ret < 0)
		goto err_close;
	virtio_device_init(&con->vdev, &console_ops, env, console_ops.features);
	gate_init(&con->gate, &con->vdev, NR_LINES);
	con->gate.resume = console_resume;
	port->user = &con->user;
	*owned = &con->vdev;
	return 0;

err_close:
	close(con->emerg_fd);
err_free:
	free(con);
	return ret;
}

void virtio_console_set_rate(struct virtio_device *vdev,
			     const struct rate_change *change)
{
	struct virtio_console *con = to_console(vdev);

	assert(vdev->ops == &console_ops);
	pthread_mutex_lock(&vdev->lock);
	gate_set(&con->gate, change);
	pthread_mutex_unlock(&vdev->lock);
}

const struct virtio_console_stats *
virtio_console_stats(const struct virtio_device *vdev)
{
	assert(vdev->ops == &console_ops);
	return &((const struct virtio_console *)vdev)->stats;
}
