// SPDX-License-Identifier: Apache-2.0
/*
 * vsock.c - one stream to the host, from it, or there and back (virtio 1.2
 * §5.10.6)
 *
 * As Linux's driver does it: packets of up to CHUNK bytes, cut where the host's
 * credit ends; buffers of CHUNK bytes for what comes; our own credit is renewed
 * when it is half used.
 */
#include "io.h"

#define HOST_CID  2u
#define OUR_PORT  1024u
#define OUR_ALLOC (256u << 10)
#define STREAM	  1
#define MAX_CHUNK 65536u
#define SLOTS	  64u

enum { REQUEST = 1, RESPONSE, RST, SHUTDOWN, RW, CREDIT_UPDATE };

/* Host's ports, one for each command. */
#define PORT_SINK   5000u
#define PORT_SOURCE 5001u
#define PORT_ECHO   5002u

struct header {
	uint64_t src_cid, dst_cid;
	uint32_t src_port, dst_port, len;
	uint16_t type, op;
	uint32_t flags, buf_alloc, fwd_cnt;
} __attribute__((packed));

struct vsock {
	struct queue rx, tx, event;
	uintptr_t window;
	uint64_t cid;
	uint32_t port, chunk;
	bool connected;
	uint32_t sent, received, told; /* bytes, free running */
	uint32_t peer_alloc, peer_fwd; /* its credit */
	uint16_t slot[SLOTS], nr_free; /* of the tx queue */
};

static struct ring rx_ring, tx_ring, event_ring;
static struct header tx_header[SLOTS];
static uint8_t payload[MAX_CHUNK];
static struct {
	struct header head;
	uint8_t bytes[MAX_CHUNK];
} __attribute__((packed, aligned(64))) rx_buffer[SLOTS];

static void reclaim(struct vsock *v)
{
	uint32_t head, len;

	while (io_used(&v->tx, &head, &len))
		v->slot[v->nr_free++] = (uint16_t)(head / 2);
}

static void transmit(struct vsock *v, uint16_t op, uint32_t len)
{
	volatile struct desc *d;
	uint16_t slot;

	while (v->nr_free == 0)
		reclaim(v);
	slot = v->slot[--v->nr_free];
	tx_header[slot] = (struct header){
		.src_cid = v->cid,
		.dst_cid = HOST_CID,
		.src_port = OUR_PORT,
		.dst_port = v->port,
		.len = len,
		.type = STREAM,
		.op = op,
		.buf_alloc = OUR_ALLOC,
		.fwd_cnt = v->received,
	};
	v->told = v->received;
	d = &v->tx.ring->desc[2 * slot];
	d[0].addr = (uintptr_t)&tx_header[slot];
	d[0].len = sizeof(struct header);
	d[0].flags = len ? DESC_NEXT : 0;
	d[0].next = (uint16_t)(2 * slot + 1);
	d[1].addr = (uintptr_t)payload;
	d[1].len = len;
	d[1].flags = 0;
	v->sent += len;
	io_add(&v->tx, (uint16_t)(2 * slot));
	io_publish(&v->tx);
}

/* Takes what has come. */
static void receive(struct vsock *v)
{
	uint32_t i, len;

	while (io_used(&v->rx, &i, &len)) {
		const struct header *h = &rx_buffer[i].head;

		CHECK(h->dst_port == OUR_PORT && h->op != RST, "reset");
		v->peer_alloc = h->buf_alloc;
		v->peer_fwd = h->fwd_cnt;
		v->connected |= h->op == RESPONSE;
		if (h->op == RW)
			v->received += h->len;
		io_add(&v->rx, (uint16_t)i);
	}
	io_publish(&v->rx);
	if (v->received - v->told >= OUR_ALLOC / 2)
		transmit(v, CREDIT_UPDATE, 0);
}

static uint32_t credit(const struct vsock *v)
{
	return v->peer_alloc - (v->sent - v->peer_fwd);
}

static void await_bytes(struct vsock *v, uint32_t received)
{
	while (v->received != received) {
		receive(v);
		io_wait(&v->rx);
	}
}

/* COUNT bytes to the host, which answers with one when it has them all. */
static void stream_out(struct vsock *v, uint64_t count)
{
	while (count > 0) {
		uint64_t len = count < v->chunk ? count : v->chunk;

		reclaim(v);
		receive(v);
		if (len > credit(v))
			len = credit(v);
		if (len > 0)
			transmit(v, RW, (uint32_t)len);
		count -= len;
	}
	await_bytes(v, 1);
}

static void stream_in(struct vsock *v, uint64_t count)
{
	while (v->received != (uint32_t)count) {
		reclaim(v);
		receive(v);
		io_wait(&v->rx);
	}
}

static void there_and_back(struct vsock *v, uint64_t count)
{
	for (uint32_t i = 1; i <= count; i++) {
		reclaim(v);
		CHECK(credit(v) > 0, "no credit for a byte");
		transmit(v, RW, 1);
		await_bytes(v, i);
	}
}

static void vsock_begin(struct vsock *v)
{
	v->window = io_find(ID_VSOCK, 0);
	CHECK(v->window, "no socket device");
	io_begin(v->window, 0);
	io_queue(&v->rx, v->window, 0, &rx_ring);
	io_queue(&v->tx, v->window, 1, &tx_ring);
	io_queue(&v->event, v->window, 2, &event_ring);
	v->cid = read32(v->window + REG_CONFIG);
	io_ok(v->window);
	for (uint16_t i = 0; i < SLOTS; i++) {
		volatile struct desc *d = &rx_ring.desc[i];

		d->addr = (uintptr_t)&rx_buffer[i];
		d->len = (uint32_t)sizeof(struct header) + v->chunk;
		d->flags = DESC_WRITE;
		io_add(&v->rx, i);
		v->slot[v->nr_free++] = i;
	}
	io_publish(&v->rx);
	transmit(v, REQUEST, 0);
	while (!v->connected) {
		receive(v);
		io_wait(&v->rx);
	}
}

void vsock_command(const uint64_t word[IO_WORDS])
{
	static struct vsock v;
	struct result result = { .done = word[2] };
	uint64_t start;

	CHECK(word[1] > 0 && word[1] <= MAX_CHUNK, "chunk");
	v = (struct vsock){ .chunk = (uint32_t)word[1] };
	v.port = word[0] == 'v'	  ? PORT_SINK
		 : word[0] == 'w' ? PORT_SOURCE
				  : PORT_ECHO;
	vsock_begin(&v);
	start = io_cycles();
	if (word[0] == 'v')
		stream_out(&v, word[2]);
	else if (word[0] == 'w')
		stream_in(&v, word[2]);
	else
		there_and_back(&v, word[2]);
	result.cycles = io_cycles() - start;
	write32(v.window + REG_STATUS, 0);
	io_report(&result, &v.tx);
}
