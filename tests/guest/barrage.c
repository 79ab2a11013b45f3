// SPDX-License-Identifier: Apache-2.0
/*
 * barrage.c - a hostile driver in ring 3, where every KVM runs natively
 *
 * Each device in turn gets as many hostile operations as the command line says
 * (`ops=`): chains of any shape with any request in them, rewritten while the
 * device looks at them, one in a thousand malformed; beside them accesses to
 * any register, and resets with work in hand.  A chain counts when the device
 * has used it, each head once, or refused it with DEVICE_NEEDS_RESET.  After
 * every device the others must still serve.
 */
#include "driver.h"
#include "ring3.h"

#define ZP_CMD_LINE_PTR 0x228 /* Linux boot protocol, struct boot_params */

#define SIZE	  256u /* of our queues */
#define BATCH	  64u /* chains between two doorbells, three descriptors each */
#define FATAL	  1024 /* chains of which one is malformed */
#define PER_POKE  512  /* operations to POKES accesses of registers */
#define POKES	  8
#define PER_RESET 256 /* and to a reset with work in hand */
#define SPINS	  1000000000u
#define BUFFER	  256u /* bytes of a request */
#define ROOM	  4096u
#define PAGES	  0x4000000u /* 64 MiB: memory that the balloon may take */
#define NOT_RAM	  0xd0000000u

#define ID_NET	   1
#define ID_BLOCK   2
#define ID_BALLOON 5
#define ID_VSOCK   19

struct big_ring {
	struct desc desc[SIZE] __attribute__((aligned(16)));
	struct {
		uint16_t flags, idx, ring[SIZE], event;
	} avail;
	struct {
		uint16_t flags, idx;
		struct {
			uint32_t id, len;
		} ring[SIZE];
		uint16_t event;
	} used __attribute__((aligned(4)));
};

static uint64_t tables[6][512] __attribute__((aligned(4096)));
static volatile struct big_ring work, extra;
static volatile struct desc table[BATCH][4] __attribute__((aligned(16)));
static volatile uint8_t request[BATCH][BUFFER] __attribute__((aligned(16)));
static volatile uint8_t room[ROOM];
static uint32_t operations = 100000;

/* The device under fire. */
static struct {
	uintptr_t window;
	uint32_t id, q, size;
	uint16_t idx, seen; /* available; used, as far as we looked */
	uint8_t in_flight[SIZE];
	uint32_t done, refused, resets, pokes;
} target;

static uint32_t next_random(void)
{
	static uint32_t x = 2463534242u;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return x;
}

static uint32_t edge(void)
{
	static const uint32_t values[] = { 0,	 1,	15,	  16,
					   17,	 511,	512,	  513,
					   4096, 65535, 1u << 16, 1u << 31,
					   ~15u, ~0u };

	return values[next_random() % (sizeof(values) / sizeof(values[0]))];
}

static void set_queue(uint32_t q, volatile struct big_ring *ring)
{
	uintptr_t w = target.window;

	for (size_t i = 0; i < sizeof(*ring) / 8; i++)
		((volatile uint64_t *)(uintptr_t)ring)[i] = 0;
	write32(w + REG_QUEUE_SEL, q);
	target.size = read32(w + REG_QUEUE_MAX);
	CHECK(target.size <= SIZE, "QueueNumMax");
	write32(w + REG_QUEUE_NUM, target.size);
	write32(w + REG_QUEUE_DESC, (uint32_t)(uintptr_t)ring->desc);
	write32(w + REG_QUEUE_DRIVER, (uint32_t)(uintptr_t)&ring->avail);
	write32(w + REG_QUEUE_DEVICE, (uint32_t)(uintptr_t)&ring->used);
	write32(w + REG_QUEUE_READY, 1);
	CHECK(read32(w + REG_QUEUE_READY) == 1, "QueueReady");
}

/* Reset, INDIRECT_DESC and VERSION_1, the work queue, DRIVER_OK. */
static void bring_up(void)
{
	uintptr_t w = target.window;

	write32(w + REG_STATUS, 0);
	CHECK(read32(w + REG_STATUS) == 0, "status after a reset");
	write32(w + REG_STATUS, STATUS_ACKNOWLEDGE);
	write32(w + REG_STATUS, STATUS_ACKNOWLEDGE | STATUS_DRIVER);
	write32(w + REG_DRV_SEL, 0);
	write32(w + REG_DRV_FEATURES, 1u << 28);
	write32(w + REG_DRV_SEL, 1);
	write32(w + REG_DRV_FEATURES, 1);
	write32(w + REG_STATUS,
		STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK);
	if (target.id == ID_VSOCK)
		set_queue(0, &extra);
	set_queue(target.q, &work);
	write32(w + REG_STATUS, STATUS_ACKNOWLEDGE | STATUS_DRIVER |
					STATUS_FEATURES_OK | STATUS_DRIVER_OK);
	target.idx = target.seen = 0;
	for (uint32_t i = 0; i < SIZE; i++)
		target.in_flight[i] = 0;
}

/* vsock answers much of what it is told: always room for that. */
static void give_room(void)
{
	for (uint32_t i = 0; i < SIZE; i++) {
		extra.desc[i].addr = (uintptr_t)room;
		extra.desc[i].len = 64 + i;
		extra.desc[i].flags = DESC_WRITE;
		extra.avail.ring[i] = (uint16_t)i;
	}
	extra.avail.idx = (uint16_t)(extra.used.idx + 2 * BATCH);
	write32(target.window + REG_QUEUE_NOTIFY, 0);
}

static void put32(volatile uint8_t *p, uint32_t v)
{
	*(volatile uint32_t *)(uintptr_t)p = v;
}

/* A word of a request.  Page numbers are never of memory that we need. */
static uint32_t any_word(void)
{
	uint32_t r = next_random(), value = r & 1 ? edge() : next_random();

	if (target.id != ID_BALLOON)
		return value;
	return (r & 6 ? value & 0xfff : value) + (PAGES >> 12);
}

/* Any request, of the device's kind more often than not. */
static void fill_request(volatile uint8_t *p)
{
	uint32_t r = next_random();

	for (uint32_t i = 0; i < 128; i += 4)
		put32(p + i, any_word());
	switch (target.id) {
	case ID_BLOCK:
		/* One flush in 256: it may be slow. */
		put32(p, (r & 0xff) == 0 ? 4
			 : r >> 8 & 1	 ? r >> 9 & 1
					 : (r >> 9 & 15) | 8);
		put32(p + 8, r >> 16 & 1 ? edge() : r >> 24);
		put32(p + 12, (r >> 17 & 7) == 0 ? edge() : 0);
		break;
	case ID_VSOCK:
		put32(p, 3);
		put32(p + 4, 0);
		put32(p + 8, 2);
		put32(p + 12, 0);
		put32(p + 16, r & 15);
		put32(p + 20, r >> 4 & 7);
		put32(p + 24, 0);
		put32(p + 28,
		      (r >> 8 & 15) << 16 | (r >> 12 & 15 ? 1 : r >> 20));
		break;
	}
}

/* Lengths of what the device reads, and may write, in the chain that uses I. */
static void fill_chain(uint32_t i)
{
	volatile struct desc *d = &work.desc[3 * i];
	uint32_t reads = 64, writes = 0, r = next_random();

	if (target.id == ID_RNG) {
		reads = r & 31;
		writes = 1 + (r >> 5 & 63);
	} else if (target.id == ID_BLOCK) {
		reads = 16 + (r >> 5 & 3) * 16;
		writes = r >> 7 & 1 ? 513 : 1 + (r >> 8 & 1023);
	} else if (target.id != ID_VSOCK) {
		reads = r & (target.id == ID_CONSOLE ? 7 : 127);
		writes = r >> 7 & 3 ? 0 : r >> 9 & 63;
	}
	if (r >> 30) { /* most are in a table */
		d->addr = (uintptr_t)table[i];
		d->len = 48;
		d->flags = DESC_INDIRECT;
		d = table[i];
	}
	r = reads ? (r >> 16) % reads : 0; /* cut there */
	d[0] = (struct desc){ (uintptr_t)request[i], r, DESC_NEXT, 1 };
	d[1] = (struct desc){ (uintptr_t)request[i] + r, reads - r, DESC_NEXT,
			      2 };
	d[2] = (struct desc){ (uintptr_t)room + (r & 15), writes, DESC_WRITE,
			      0 };
	if (d != table[i]) {
		d[0].next = (uint16_t)(3 * i + 1);
		d[1].next = (uint16_t)(3 * i + 2);
	}
	if (writes == 0)
		d[1].flags = 0;
	fill_request(request[i]);
}

/* Makes the chain that uses I wrong in one way (virtio 1.2 §2.7). */
static void break_chain(uint32_t i)
{
	volatile struct desc *d = &work.desc[3 * i];

	d->flags = DESC_NEXT;
	switch (next_random() % 8) {
	case 0:
		*d = (struct desc){ NOT_RAM, 16, 0, 0 };
		break;
	case 1:
		*d = (struct desc){ ~0ull - 1, 16, 0, 0 };
		break;
	case 2:
		*d = (struct desc){ 4096, ~0u, 0, 0 };
		break;
	case 3:
		d->next = (uint16_t)(3 * i);
		break;
	case 4:
		d->next = (uint16_t)SIZE;
		break;
	case 5:
		d->flags = DESC_NEXT | DESC_INDIRECT;
		break;
	case 6:
		*d = (struct desc){ (uintptr_t)table[i], 17, DESC_INDIRECT, 0 };
		break;
	case 7:
		*d = (struct desc){ (uintptr_t)table[i], 32, DESC_INDIRECT, 0 };
		table[i][0] = (struct desc){ (uintptr_t)table[i], 32,
					     DESC_INDIRECT, 0 };
		break;
	}
}

/* Looks at what was used since the last time: each head once. */
static void reap(void)
{
	uint16_t idx = work.used.idx;

	__asm__ volatile("" ::: "memory");
	while (target.seen != idx) {
		uint32_t id = work.used.ring[target.seen % target.size].id;

		CHECK(id < target.size && target.in_flight[id],
		      "a chain that was not available is used");
		target.in_flight[id] = 0;
		target.seen++;
		target.done++;
	}
}

static int needs_reset(void)
{
	return (read32(target.window + REG_STATUS) & STATUS_NEEDS_RESET) != 0;
}

/* Requests change while the device is at them. */
static void rewrite(void)
{
	for (uint32_t n = 0; n < BATCH; n++) {
		uint32_t r = next_random();
		volatile struct desc *d = &work.desc[r % (3 * BATCH)];

		put32(request[r >> 8 & (BATCH - 1)] + (r >> 16 & 63 & ~3u),
		      any_word());
		if ((r >> 22 & 15) == 0)
			d->len = edge() &
				 (target.id == ID_CONSOLE ? 15 : 0x3ff);
		work.used.ring[r >> 4 & 31].len = r;
	}
}

/* Until all is used or the device asks for a reset; brings it up again then. */
static void settle(void)
{
	for (uint32_t spins = 1; target.seen != target.idx; spins++) {
		reap();
		if (spins % 1024)
			continue;
		if (needs_reset()) {
			reap();
			target.refused++;
			target.done++;
			bring_up();
			return;
		}
		CHECK(spins < SPINS, "the device is stuck");
	}
}

static void batch(void)
{
	uint32_t chains = target.size / 4; /* of three descriptors */
	uint32_t fatal = next_random() % (FATAL / chains);

	for (uint32_t i = 0; i < chains; i++) {
		fill_chain(i);
		target.in_flight[3 * i] = 1;
		work.avail.ring[target.idx++ % target.size] = (uint16_t)(3 * i);
	}
	if (fatal == 0)
		break_chain(next_random() % chains);
	if (target.id == ID_VSOCK)
		give_room();
	__asm__ volatile("" ::: "memory");
	work.avail.idx = target.idx;
	write32(target.window + REG_QUEUE_NOTIFY, target.q);
	rewrite();
}

static void poke(void)
{
	uint32_t r = next_random(), value = r >> 30 & 1 ? r & 0xff : edge();
	uintptr_t at = target.window + (r >> 8 & 0x1ff);

	target.pokes++;
	target.done++;
	/* What we say is compared: the voice is left alone. */
	if ((r >> 8 & 0x1ff) + 4 > 0x108 && (r >> 8 & 0x1ff) < 0x10c)
		return;
	switch (r & 7) {
	case 0:
		write8(at, (uint8_t)value);
		break;
	case 1:
		write16(at, (uint16_t)value);
		break;
	case 2:
		(void)read8(at);
		break;
	case 3:
		(void)read32(at);
		break;
	default:
		write32(at & ~(uintptr_t)3, value);
		break;
	}
}

static const char *name_of(uint32_t id)
{
	return id == ID_NET	  ? "net"
	       : id == ID_BLOCK	  ? "blk"
	       : id == ID_CONSOLE ? "console"
	       : id == ID_RNG	  ? "rng"
	       : id == ID_BALLOON ? "balloon"
				  : "vsock";
}

static void attack(uintptr_t window, uint32_t id)
{
	uint32_t poked = 0;

	target.window = window;
	target.id = id;
	target.q = id == ID_NET || id == ID_CONSOLE || id == ID_VSOCK;
	target.done = target.refused = target.resets = target.pokes = 0;
	bring_up();
	while (target.done < operations) {
		batch();
		/* In the middle of it all, not at the end. */
		if (target.done >= (target.resets + 1) * PER_RESET) {
			target.resets++;
			bring_up();
			continue;
		}
		settle();
		if (target.done < poked)
			continue;
		poked = target.done + PER_POKE;
		for (uint32_t i = 0; i < POKES; i++)
			poke();
		bring_up();
	}
	bring_up();
	say(name_of(id));
	say_value(" done", target.done);
	say_value("  refused", target.refused);
	say_value("  resets", target.resets);
}

/* One request that whoever is alive completes. */
static void check_alive(uintptr_t window, uint32_t id)
{
	target.window = window;
	target.id = id;
	target.q = 0;
	bring_up();
	target.done = 0;
	work.desc[0] = (struct desc){ (uintptr_t)request[0], 16,
				      id == ID_RNG ? DESC_WRITE : DESC_NEXT,
				      1 };
	work.desc[1] = (struct desc){ (uintptr_t)room, 513, DESC_WRITE, 0 };
	for (uint32_t i = 0; i < 16; i++)
		request[0][i] = 0;
	room[512] = 0xff;
	target.in_flight[0] = 1;
	work.avail.idx = target.idx = 1;
	write32(window + REG_QUEUE_NOTIFY, 0);
	settle();
	CHECK(target.refused == 0 && target.done == 1, "the other is silent");
	CHECK(id == ID_RNG || room[512] == 0, "the disk cannot be read");
}

void user_main(void)
{
	uintptr_t rng = 0, disk = 0;

	for (unsigned int n = 0; n < LAYOUT_MAX_DEVICES; n++) {
		uint32_t id = read32(WINDOW(n) + REG_DEVICE_ID);

		if (read32(WINDOW(n) + REG_MAGIC) != VIRTIO_MAGIC)
			break;
		if (id == ID_RNG)
			rng = WINDOW(n);
		if (id == ID_BLOCK)
			disk = WINDOW(n);
	}
	for (unsigned int n = 0; n < LAYOUT_MAX_DEVICES; n++) {
		uint32_t id = read32(WINDOW(n) + REG_DEVICE_ID);

		if (read32(WINDOW(n) + REG_MAGIC) != VIRTIO_MAGIC)
			break;
		attack(WINDOW(n), id);
		target.refused = 0;
		check_alive(id == ID_RNG ? disk : rng,
			    id == ID_RNG ? ID_BLOCK : ID_RNG);
	}
	pass();
}

/* The digits after "ops=" on the command line. */
static void read_operations(uintptr_t zero_page)
{
	const char *c =
		(const char *)(uintptr_t)read32(zero_page + ZP_CMD_LINE_PTR);

	for (; c[0]; c++) {
		if (c[0] != 'o' || c[1] != 'p' || c[2] != 's' || c[3] != '=')
			continue;
		operations = 0;
		for (c += 4; *c >= '0' && *c <= '9'; c++)
			operations = operations * 10 + (uint32_t)(*c - '0');
		return;
	}
}

void guest_main(uintptr_t zero_page)
{
	read_operations(zero_page);
	ring3(tables);
}
