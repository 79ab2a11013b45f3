// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_console.c - a console between a moody driver and a moody terminal
 *
 * The input is a list of actions: chains in either direction, doorbells, input,
 * a port that takes some bytes or none, emergency writes, resizes, resets.
 * Output and input are two counted streams, so every byte that arrives on
 * either side has one right value; what is lost, doubled or reordered shows.
 * One action writes anywhere into the rings: from then on until the next reset
 * only memory safety is required.
 */
#include <stdlib.h>
#include <string.h>

#include <linux/virtio_console.h>
#include <linux/virtio_ring.h>

#include "tests/fuzz/fuzz.h"
#include "virtio/console.h"

#define RAM_SIZE   (4u * PAGE_SIZE)
#define QUEUE_SIZE 64u
#define NR_SLOTS   16u /* chains a queue, 4 descriptors and 128 bytes each */
#define SLOT_SIZE  128u
#define RINGS	   0x1000u /* bytes a queue: table, available, used */
#define AVAIL	   0x400u
#define USED	   0x600u
#define DATA	   0x2000u /* a page a queue */
#define STREAM	   251u	   /* values of the streams; EMERGENCY is none */
#define EMERGENCY  0xffu
#define FIFO	   4096u

enum { RX, TX };

struct fuzz_queue {
	uint16_t avail_idx, used_idx;
	bool posted[NR_SLOTS];
	uint32_t len[NR_SLOTS];
	unsigned int nr_posted;
};

static const struct fuzz_layout layout = {
	2, QUEUE_SIZE, 0, RINGS, AVAIL, USED
};

struct fuzz {
	struct guest_memory gm;
	uint8_t *ram;
	struct irq_line irq;
	struct loop loop;
	struct port port;
	struct virtio_device *vdev;
	struct fuzz_queue queue[2];
	bool wild;	  /* the rings are not the model's any more */
	bool waiting;	  /* room() said 0, readable() has not been called */
	size_t port_room; /* bytes that the port still takes */
	uint64_t out_made, out_seen; /* positions in the stream of output */
	uint64_t in_typed, in_seen;  /* and of input */
	uint64_t emergencies, emergencies_seen;
	struct fuzz_input in;
};

static uint8_t take(struct fuzz *f)
{
	return fuzz_take(&f->in);
}

static size_t fuzz_write(struct port *port, const void *data, size_t len)
{
	struct fuzz *f = container_of(port, struct fuzz, port);
	const uint8_t *p = data;
	size_t n = MIN(len, f->port_room);

	must(len > 0);
	f->port_room -= n;
	for (size_t i = 0; i < n; i++) {
		if (p[i] == EMERGENCY)
			f->emergencies_seen++;
		else if (!f->wild)
			must(p[i] == f->out_seen++ % STREAM);
	}
	must(f->wild || (f->out_seen <= f->out_made &&
			 f->emergencies_seen <= f->emergencies));
	return n;
}

static void fuzz_readable(struct port *port)
{
	container_of(port, struct fuzz, port)->waiting = false;
}

static uint8_t *rings(struct fuzz *f, unsigned int q)
{
	return f->ram + (size_t)RINGS * q;
}

static uint64_t slot_gpa(unsigned int q, unsigned int slot)
{
	return DATA + q * PAGE_SIZE + slot * SLOT_SIZE;
}

/* Resets the device and drives it to DRIVER_OK; the input has the features. */
static void restart(struct fuzz *f)
{
	uint8_t features = take(f);

	fuzz_reset(f->vdev);
	memset(f->ram, 0, RAM_SIZE);
	memset(f->queue, 0, sizeof(f->queue));
	f->wild = false;
	f->waiting = true;
	f->out_made = f->out_seen = 0;
	f->in_seen = f->in_typed; /* the fifo is emptied */
	fuzz_bring_up(f->vdev, &layout,
		      (features & 5) | (features >> 3 & 1ull)
					       << VIRTIO_RING_F_EVENT_IDX);
}

/* Posts slot after slot; each is cut into up to 4 descriptors. */
static void post(struct fuzz *f, unsigned int q)
{
	struct fuzz_queue *fq = &f->queue[q];
	struct vring_desc *desc = (void *)rings(f, q);
	struct vring_avail *avail = (void *)(rings(f, q) + AVAIL);
	uint32_t len = take(f) % (SLOT_SIZE + 1);
	uint32_t piece = take(f) % SLOT_SIZE;
	unsigned int slot = 0, d;
	uint64_t gpa;

	piece = MAX(piece, len / 4 + 1);
	while (slot < NR_SLOTS && fq->posted[slot])
		slot++;
	if (slot == NR_SLOTS)
		return;
	if (q == RX)
		len = MAX(len, 1u);
	gpa = slot_gpa(q, slot);
	if (q == TX && !f->wild)
		for (uint32_t i = 0; i < len; i++)
			f->ram[gpa + i] = (uint8_t)(f->out_made++ % STREAM);

	d = slot * 4;
	fuzz_cut(desc + d, d, gpa, len, piece,
		 q == RX ? VRING_DESC_F_WRITE : 0);
	fq->posted[slot] = true;
	fq->len[slot] = len;
	fq->nr_posted++;
	avail->ring[fq->avail_idx++ % QUEUE_SIZE] = (uint16_t)(slot * 4);
	avail->idx = fq->avail_idx;
}

/* Looks at what was used, as a driver does. */
static void reap(struct fuzz *f, unsigned int q)
{
	struct fuzz_queue *fq = &f->queue[q];
	const struct vring_used *used = (void *)(rings(f, q) + USED);

	while (!f->wild && fq->used_idx != used->idx) {
		const struct vring_used_elem *e =
			&used->ring[fq->used_idx++ % QUEUE_SIZE];
		unsigned int slot = e->id / 4;

		must(e->id % 4 == 0 && slot < NR_SLOTS && fq->posted[slot]);
		fq->posted[slot] = false;
		fq->nr_posted--;
		if (q == TX) {
			must(e->len == 0);
			continue;
		}
		must(e->len > 0 && e->len <= fq->len[slot]);
		for (uint32_t i = 0; i < e->len; i++)
			must(f->ram[slot_gpa(q, slot) + i] ==
			     f->in_seen++ % STREAM);
	}
}

static void type(struct fuzz *f)
{
	struct port_user *user = f->port.user;
	uint8_t buf[FIFO];
	size_t room = user->room(user);
	size_t len = take(f) * 17u;

	len = MIN(len, room);
	must(room <= FIFO);
	f->waiting = room == 0;
	for (size_t i = 0; i < len; i++)
		buf[i] = (uint8_t)(f->in_typed++ % STREAM);
	if (len > 0)
		user->receive(user, buf, len);
}

static void emergency(struct fuzz *f)
{
	static const uint8_t value[8] = { EMERGENCY, EMERGENCY, EMERGENCY,
					  EMERGENCY, EMERGENCY, EMERGENCY,
					  EMERGENCY, EMERGENCY };
	size_t off = take(f) % 12;
	size_t len = 1 + take(f) % 8;

	if (off + len > 12)
		return;
	f->emergencies += off <= 8 && off + len > 8;
	pthread_mutex_lock(&f->vdev->lock);
	f->vdev->ops->config_write(f->vdev, off, value, len);
	pthread_mutex_unlock(&f->vdev->lock);
}

/* All that can happen has happened: what must be where? */
static void settle(struct fuzz *f)
{
	const struct virtio_console_stats *st = virtio_console_stats(f->vdev);
	struct port_user *user = f->port.user;
	size_t room;

	f->port_room = SIZE_MAX;
	user->writable(user);
	for (int i = 0; i < 8; i++)
		loop_step(&f->loop, 0);
	reap(f, TX);
	reap(f, RX);
	must(f->emergencies_seen + counter_get(&st->emerg_dropped) ==
	     f->emergencies);
	if (f->wild)
		return;
	must(f->vdev->status == 15);
	must(f->vdev->vq[TX].nr_in_flight == 0 &&
	     f->vdev->vq[RX].nr_in_flight == 0);

	virtio_doorbell(f->vdev, TX);
	virtio_doorbell(f->vdev, RX);
	reap(f, TX);
	reap(f, RX);
	must(f->queue[TX].nr_posted == 0 && f->out_seen == f->out_made);
	must(f->queue[RX].nr_posted == 0 || f->in_seen == f->in_typed);
	room = user->room(user);
	must(room == FIFO - (f->in_typed - f->in_seen));
	must(room == 0 || !f->waiting);
}

static void act(struct fuzz *f)
{
	struct port_user *user = f->port.user;
	uint8_t action = take(f);

	switch (action % 12) {
	case 0:
	case 1:
		post(f, action % 12);
		break;
	case 2:
	case 3:
		virtio_doorbell(f->vdev, action % 2);
		break;
	case 4:
	case 5:
		reap(f, action % 2);
		break;
	case 6:
		type(f);
		break;
	case 7:
		f->port_room = take(f);
		user->writable(user);
		break;
	case 8:
		emergency(f);
		break;
	case 9:
		user->resized(user, take(f), take(f));
		loop_step(&f->loop, 0);
		break;
	case 10:
		if (action < 192)
			settle(f);
		else
			restart(f);
		break;
	case 11:
		/* Somewhere in the rings. */
		f->wild = true;
		action = take(f);
		f->ram[(action * 256u + take(f)) % (2 * RINGS)] = take(f);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct fuzz *f = calloc(1, sizeof(*f));
	struct virtio_env env;

	must(f);
	f->in = (struct fuzz_input){ data, len };
	f->irq.pulse = fuzz_irq_ignore;
	f->port.write = fuzz_write;
	f->port.readable = fuzz_readable;
	f->ram = fuzz_memory(&f->gm, RAM_SIZE);
	must(loop_init(&f->loop) == 0);
	env = (struct virtio_env){ &f->gm, &f->irq, &f->loop };
	must(virtio_console_create(&env, &f->port, &f->vdev) == 0);
	must(virtio_device_start(f->vdev) == 0);

	restart(f);
	for (int i = 0; i < 500 && f->in.len > 0; i++)
		act(f);
	settle(f);

	virtio_device_destroy(f->vdev);
	loop_fini(&f->loop);
	gmem_fini(&f->gm);
	free(f->ram);
	free(f);
	return 0;
}
