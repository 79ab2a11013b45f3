// SPDX-License-Identifier: Apache-2.0
/*
 * net.c - frames to and from a tap (virtio 1.2 §5.1.6)
 *
 * Frames are IPv4 and TCP, for nobody: the host's stack drops them at its first
 * look, and says how many came.  A frame longer than Ethernet's is one that is
 * to be segmented (TSO).  The host makes frames with a number behind the TCP
 * header, which is looked at in each.
 *
 * To the guest they come in bursts: the host fills the tap's queue while there
 * are no buffers, and the time runs from the first buffer to the last frame.
 * So no sender takes CPU time while frames are counted.
 */
#include "io.h"

#define WANTED                                                                 \
	(1u << 0 /* CSUM */ | 1u << 1 /* GUEST_CSUM */ | 1u << 5 /* MAC */ |   \
	 1u << 7 /* GUEST_TSO4 */ | 1u << 11 /* HOST_TSO4 */ |                 \
	 1u << 15 /* MRG_RXBUF */)

#define HEADERS	    54u /* Ethernet, IPv4, TCP */
#define SEGMENT	    1460u
#define MAX_FRAME   65536u
#define RX_BUFFER   4096u
#define NEEDS_CSUM  1
#define GSO_TCPV4   1
#define ETHER_FRAME 1514u

struct net_hdr {
	uint8_t flags, gso_type;
	uint16_t hdr_len, gso_size, csum_start, csum_offset, num_buffers;
};

struct net {
	struct queue rx, tx;
	uintptr_t window;
	uint8_t mac[6];
};

static struct ring rx_ring, tx_ring;
/* All frames are the same one: the device only reads it. */
static struct {
	struct net_hdr hdr;
	uint8_t bytes[MAX_FRAME];
} __attribute__((packed, aligned(4096))) frame;
static struct desc table[3];
static volatile uint8_t buffer[RING_SIZE][RX_BUFFER]
	__attribute__((aligned(4096)));

static void net_begin(struct net *net)
{
	net->window = io_find(ID_NET, 0);
	CHECK(net->window, "no network device");
	CHECK((io_begin(net->window, WANTED) & WANTED) == WANTED,
	      "a network feature is not offered");
	io_queue(&net->rx, net->window, 0, &rx_ring);
	io_queue(&net->tx, net->window, 1, &tx_ring);
	for (unsigned int i = 0; i < sizeof(net->mac); i++)
		net->mac[i] = read8(net->window + REG_CONFIG + i);
	io_ok(net->window);
}

static void put_be16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void make_frame(const struct net *net, uint32_t len)
{
	static const uint8_t ip[] = { 0x08, 0, 0x45, 0, 0, 0, 0,  0,
				      0x40, 0, 64,   6, 0, 0, 10, 9,
				      0,    2, 10,   9, 0, 1 };
	uint8_t *f = frame.bytes;

	for (uint32_t i = 0; i < len; i++)
		f[i] = 0;
	f[0] = 0x02; /* to nobody's address */
	f[5] = 0xee;
	for (unsigned int i = 0; i < 6; i++)
		f[6 + i] = net->mac[i];
	for (unsigned int i = 0; i < sizeof(ip); i++)
		f[12 + i] = ip[i];
	put_be16(f + 16, len - 14);
	f[46] = 5 << 4; /* the TCP header's length */
	frame.hdr = (struct net_hdr){ .flags = NEEDS_CSUM,
				      .csum_start = 34,
				      .csum_offset = 16 };
	if (len > ETHER_FRAME) {
		frame.hdr.gso_type = GSO_TCPV4;
		frame.hdr.gso_size = SEGMENT;
		frame.hdr.hdr_len = HEADERS;
	}
}

/* As Linux cuts them: a small frame is one piece, a large one has its headers
 * and up to 32 KiB in each other piece.
 */
static void make_chains(struct net *net, uint32_t len)
{
	const uint32_t head = sizeof(struct net_hdr) + HEADERS;
	uint32_t left = len - HEADERS;
	uint32_t half = left < 32768 ? left : 32768;
	uint64_t at = (uintptr_t)&frame;

	table[0] = (struct desc){ at, head, DESC_NEXT, 1 };
	table[1] = (struct desc){ at + head, half, DESC_NEXT, 2 };
	table[2] = (struct desc){ at + head + half, left - half, 0, 0 };
	for (unsigned int i = 0; i < RING_SIZE; i++) {
		volatile struct desc *d = &net->tx.ring->desc[i];
		bool large = len > ETHER_FRAME;

		d->addr = large ? (uintptr_t)table : at;
		d->len = large ? sizeof(table)
			       : (uint32_t)sizeof(struct net_hdr) + len;
		d->flags = large ? DESC_INDIRECT : 0;
	}
}

static void net_send(struct net *net, uint64_t count, struct result *result)
{
	uint64_t submitted = 0;
	uint64_t start = io_cycles();
	uint32_t i, len;

	for (; submitted < RING_SIZE && submitted < count; submitted++) {
		io_add(&net->tx, (uint16_t)submitted);
		io_publish(&net->tx);
	}
	while (result->done < count) {
		if (!io_used(&net->tx, &i, &len)) {
			io_wait(&net->tx);
			continue;
		}
		result->done++;
		result->bad += len != 0 || i >= RING_SIZE;
		if (submitted < count) {
			io_add(&net->tx, (uint16_t)i);
			io_publish(&net->tx);
			submitted++;
		}
	}
	result->cycles = io_cycles() - start;
}

/* The number that the host put into the frame in buffer I. */
static uint32_t number_in(uint32_t i)
{
	volatile uint32_t *at =
		(volatile uint32_t *)(buffer[i] + sizeof(struct net_hdr) +
				      HEADERS);

	return *at;
}

/* One burst of COUNT frames of LEN bytes. */
static void net_burst(struct net *net, uint32_t length, uint64_t count,
		      struct result *result)
{
	const uint32_t room = length + sizeof(struct net_hdr);
	const uint32_t pieces = (room + RX_BUFFER - 1) / RX_BUFFER;
	uint64_t left = count * pieces; /* buffers to be used */
	uint64_t more = left;		/* to be posted */
	uint32_t at = 0, got = 0, i, len;
	uint64_t start = io_cycles();

	for (uint16_t n = 0; n < RING_SIZE && more > 0; n++, more--)
		io_add(&net->rx, n);
	io_publish(&net->rx);
	while (left > 0) {
		if (!io_used(&net->rx, &i, &len)) {
			io_publish(&net->rx);
			io_wait(&net->rx);
			continue;
		}
		if (at == 0) {
			volatile struct net_hdr *hdr =
				(volatile struct net_hdr *)buffer[i];

			result->bad += hdr->num_buffers != pieces ||
				       number_in(i) != (uint32_t)result->done;
			got = 0;
		}
		got += len;
		left--;
		if (++at == pieces) {
			result->bad += got != room;
			result->done++;
			at = 0;
		}
		if (more > 0) {
			io_add(&net->rx, (uint16_t)i);
			more--;
		}
	}
	result->cycles += io_cycles() - start;
}

static void net_receive(struct net *net, const uint64_t word[IO_WORDS],
			struct result *result)
{
	for (unsigned int i = 0; i < RING_SIZE; i++) {
		net->rx.ring->desc[i].addr = (uintptr_t)buffer[i];
		net->rx.ring->desc[i].len = RX_BUFFER;
		net->rx.ring->desc[i].flags = DESC_WRITE;
	}
	for (uint64_t burst = 0; burst < word[3]; burst++) {
		say("burst\n");
		io_next();
		net_burst(net, (uint32_t)word[1], word[2], result);
	}
}

/* x LEN COUNT; r LEN COUNT BURSTS */
void net_command(const uint64_t word[IO_WORDS])
{
	static struct net net;
	struct result result = { 0 };

	CHECK(word[1] > HEADERS && word[1] + 64 < MAX_FRAME, "length");
	net_begin(&net);
	if (word[0] == 'x') {
		make_frame(&net, (uint32_t)word[1]);
		make_chains(&net, (uint32_t)word[1]);
		net_send(&net, word[2], &result);
	} else {
		net_receive(&net, word, &result);
	}
	write32(net.window + REG_STATUS, 0);
	io_report(&result, word[0] == 'x' ? &net.tx : &net.rx);
}
