// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_rng.c - the entropy device and a driver with odd ideas of a buffer
 *
 * The input is a list of actions: chains of up to four descriptors of any length
 * and direction, direct or in a table, doorbells, resets.  Every chain with room
 * comes back once with a byte at least, what lies behind the bytes that it is
 * said to hold is as it was, and a chain without room stops the device.  One
 * action writes anywhere into the rings: from then on until the next reset only
 * memory safety is required.
 */
#include <linux/virtio_ring.h>

#include "tests/fuzz/fuzz.h"
#include "virtio/rng.h"

#define QUEUE_SIZE 64u
#define NR_SLOTS   16u /* chains, of four descriptors each */
#define AVAIL	   0x400u
#define USED	   0x600u
#define TABLES	   0x1000u
#define DATA	   0x2000u
#define SLOT_SIZE  0x2000u
#define RAM_SIZE   (DATA + NR_SLOTS * SLOT_SIZE)
#define UNTOUCHED  0xee

static const struct fuzz_layout layout = { 1, QUEUE_SIZE, 0, 0, AVAIL, USED };

struct fuzz {
	struct fuzz_input in;
	struct guest_memory gm;
	uint8_t *ram;
	struct irq_line irq;
	struct loop loop;
	struct virtio_device *vdev;
	uint16_t avail_idx, used_idx;
	bool posted[NR_SLOTS];
	uint32_t reads[NR_SLOTS], room[NR_SLOTS];
	bool roomless; /* such a chain has been posted */
	bool wild;     /* the rings are not the model's any more */
};

static uint8_t take(struct fuzz *f)
{
	return fuzz_take(&f->in);
}

static void restart(struct fuzz *f)
{
	uint8_t features = take(f);

	fuzz_reset(f->vdev);
	memset(f->ram, 0, DATA);
	memset(f->posted, 0, sizeof(f->posted));
	f->avail_idx = f->used_idx = 0;
	f->roomless = f->wild = false;
	fuzz_bring_up(f->vdev, &layout,
		      1ull << VIRTIO_RING_F_INDIRECT_DESC |
			      (features & 1ull) << VIRTIO_RING_F_EVENT_IDX);
}

/* Posts the next free slot: readable bytes first, then room, each in pieces. */
static void post(struct fuzz *f)
{
	struct vring_avail *avail = (void *)(f->ram + AVAIL);
	struct vring_desc *desc = (void *)f->ram, *d;
	uint32_t reads, room, cut, slot = 0;
	uint8_t shape = take(f);
	uint64_t gpa;

	while (slot < NR_SLOTS && f->posted[slot])
		slot++;
	if (slot == NR_SLOTS)
		return;
	reads = shape & 1 ? take(f) : 0;
	room = shape & 2 ? take(f) * 30u : take(f);
	cut = take(f) * 8u;
	cut = MIN(cut, room);
	gpa = DATA + slot * SLOT_SIZE;
	memset(f->ram + gpa, UNTOUCHED, SLOT_SIZE);
	d = shape & 4 ? (void *)(f->ram + TABLES + slot * 64ul)
		      : desc + 4ul * slot;
	d[0] = (struct vring_desc){ gpa, reads, VRING_DESC_F_NEXT, 1 };
	d[1] = (struct vring_desc){ gpa + reads, cut,
				    VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, 2 };
	d[2] = (struct vring_desc){ gpa + reads + cut, room - cut,
				    VRING_DESC_F_WRITE, 0 };
	if (shape & 4) {
		desc[4ul * slot] =
			(struct vring_desc){ TABLES + slot * 64ull, 48,
					     VRING_DESC_F_INDIRECT, 0 };
	} else {
		d[0].next = (uint16_t)(4 * slot + 1);
		d[1].next = (uint16_t)(4 * slot + 2);
	}
	f->posted[slot] = true;
	f->reads[slot] = reads;
	f->room[slot] = room;
	f->roomless |= room == 0;
	avail->ring[f->avail_idx++ % QUEUE_SIZE] = (uint16_t)(4 * slot);
	avail->idx = f->avail_idx;
}

static void check_slot(const struct fuzz *f, uint32_t slot, uint32_t len)
{
	const uint8_t *p = f->ram + DATA + slot * (size_t)SLOT_SIZE;

	/* virtio 1.2 §5.4.6.2: a byte at least */
	must(len >= 1 && len <= f->room[slot]);
	for (uint32_t i = 0; i < f->reads[slot]; i++)
		must(p[i] == UNTOUCHED);
	for (uint32_t i = f->reads[slot] + len; i < SLOT_SIZE; i++)
		must(p[i] == UNTOUCHED);
}

static void reap(struct fuzz *f)
{
	const struct vring_used *used = (void *)(f->ram + USED);

	while (!f->wild && f->used_idx != used->idx) {
		const struct vring_used_elem *e =
			&used->ring[f->used_idx++ % QUEUE_SIZE];

		must(e->id % 4 == 0 && e->id / 4 < NR_SLOTS);
		must(f->posted[e->id / 4]);
		f->posted[e->id / 4] = false;
		check_slot(f, e->id / 4, e->len);
	}
}

static void act(struct fuzz *f)
{
	uint8_t action = take(f);

	switch (action % 8) {
	case 0:
	case 1:
	case 2:
		post(f);
		break;
	case 3:
	case 4:
		virtio_doorbell(f->vdev, action / 8 % 2);
		break;
	case 5:
		loop_step(&f->loop, 0);
		break;
	case 6:
		reap(f);
		if (action > 192)
			restart(f);
		break;
	case 7:
		if (action < 128)
			break;
		f->wild = true;
		action = take(f);
		f->ram[(action * 256u + take(f)) % DATA] = take(f);
		break;
	}
}

/* All that had room is used, unless something stopped the device. */
static void settle(struct fuzz *f)
{
	for (int i = 0; i < 4; i++) {
		virtio_doorbell(f->vdev, 0);
		loop_step(&f->loop, 0);
	}
	reap(f);
	if (f->wild)
		return;
	must(!(f->vdev->status & VIRTIO_CONFIG_S_NEEDS_RESET) == !f->roomless);
	for (uint32_t i = 0; i < NR_SLOTS; i++)
		must(!f->posted[i] || f->roomless);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct fuzz *f = calloc(1, sizeof(*f));
	struct virtio_env env;

	must(f);
	f->in = (struct fuzz_input){ data, len };
	f->irq.pulse = fuzz_irq_ignore;
	f->ram = fuzz_memory(&f->gm, RAM_SIZE);
	must(loop_init(&f->loop) == 0);
	env = (struct virtio_env){ &f->gm, &f->irq, &f->loop };
	must(virtio_rng_create(&env, &f->vdev) == 0);
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
