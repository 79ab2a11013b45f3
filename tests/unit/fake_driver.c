// SPDX-License-Identifier: Apache-2.0
/*
 * fake_driver.c - plays the guest's driver (see the header)
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <linux/virtio_config.h>

#include "base/util.h"
#include "tests/unit/fake_driver.h"

/* Descriptors and both rings, with room for alignment. */
#define FD_RINGS_SIZE(size) ALIGN_UP(26u * (size) + 48, 16)

static void fd_irq_pulse(struct irq_line *line)
{
	container_of(line, struct fd_irq, line)->pulses++;
}

void fd_init(struct fake_driver *fd)
{
	int ret;

	memset(fd, 0, sizeof(*fd));
	fd->ram = aligned_alloc(PAGE_SIZE, FD_RAM_SIZE);
	fd->high = aligned_alloc(PAGE_SIZE, FD_HIGH_SIZE);
	assert(fd->ram && fd->high);
	memset(fd->high, 0, FD_HIGH_SIZE);
	ret = gmem_add(&fd->gm, 0, FD_RAM_SIZE, fd->ram);
	assert(ret == 0);
	ret = gmem_add(&fd->gm, FD_HIGH_BASE, FD_HIGH_SIZE, fd->high);
	assert(ret == 0);
	ret = loop_init(&fd->loop);
	assert(ret == 0);

	fd->alloc = PAGE_SIZE; /* address 0 stays unused */
	fd->irq.line.pulse = fd_irq_pulse;
	fd->env.gm = &fd->gm;
	fd->env.irq = &fd->irq.line;
	fd->env.loop = &fd->loop;
}

void fd_attach(struct fake_driver *fd, struct virtio_device *vdev)
{
	int ret;

	fd->vdev = vdev;
	virtio_mmio_init(&fd->mmio, vdev);
	ret = virtio_device_start(vdev);
	assert(ret == 0);
}

void fd_fini(struct fake_driver *fd)
{
	if (fd->vdev)
		virtio_device_destroy(fd->vdev);
	loop_fini(&fd->loop);
	gmem_fini(&fd->gm);
	free(fd->high);
	free(fd->ram);
}

void fd_mmio_read(struct fake_driver *fd, uint64_t offset, void *data,
		  unsigned int len)
{
	fd->mmio.target.read(&fd->mmio.target, offset, data, len);
}

void fd_mmio_write(struct fake_driver *fd, uint64_t offset, const void *data,
		   unsigned int len)
{
	fd->mmio.target.write(&fd->mmio.target, offset, data, len);
}

uint32_t fd_reg(struct fake_driver *fd, uint32_t offset)
{
	uint32_t value;

	fd_mmio_read(fd, offset, &value, sizeof(value));
	return value;
}

void fd_set_reg(struct fake_driver *fd, uint32_t offset, uint32_t value)
{
	fd_mmio_write(fd, offset, &value, sizeof(value));
}

void fd_config_read(struct fake_driver *fd, uint32_t off, void *buf,
		    unsigned int len)
{
	uint8_t *p = buf;

	for (unsigned int i = 0; i < len; i++)
		fd_mmio_read(fd, VIRTIO_MMIO_CONFIG + off + i, &p[i], 1);
}

uint64_t fd_device_features(struct fake_driver *fd)
{
	uint64_t high;

	fd_set_reg(fd, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
	high = fd_reg(fd, VIRTIO_MMIO_DEVICE_FEATURES);
	fd_set_reg(fd, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
	return high << 32 | fd_reg(fd, VIRTIO_MMIO_DEVICE_FEATURES);
}

void fd_add_status(struct fake_driver *fd, uint8_t bit)
{
	uint32_t status = fd_reg(fd, VIRTIO_MMIO_STATUS);

	fd_set_reg(fd, VIRTIO_MMIO_STATUS, status | bit);
}

void fd_reset(struct fake_driver *fd)
{
	fd_set_reg(fd, VIRTIO_MMIO_STATUS, 0);
	memset(fd->queue, 0, sizeof(fd->queue));
	fd->features = 0;
}

bool fd_negotiate(struct fake_driver *fd, uint64_t features)
{
	fd_reset(fd);
	fd_add_status(fd, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	fd_add_status(fd, VIRTIO_CONFIG_S_DRIVER);
	for (uint32_t word = 0; word < 2; word++) {
		fd_set_reg(fd, VIRTIO_MMIO_DRIVER_FEATURES_SEL, word);
		fd_set_reg(fd, VIRTIO_MMIO_DRIVER_FEATURES,
			   (uint32_t)(features >> (32 * word)));
	}
	fd->features = features;
	fd_add_status(fd, VIRTIO_CONFIG_S_FEATURES_OK);
	return fd_reg(fd, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_FEATURES_OK;
}

static void fd_set_addr(struct fake_driver *fd, uint32_t low, uint64_t gpa)
{
	fd_set_reg(fd, low, (uint32_t)gpa);
	fd_set_reg(fd, low + 4, (uint32_t)(gpa >> 32));
}

bool fd_setup_queue(struct fake_driver *fd, unsigned int q, uint16_t size)
{
	struct fd_queue *fq = &fd->queue[q];
	size_t tables = (size_t)size * size * 16;

	memset(fq, 0, sizeof(*fq));
	fq->size = size;
	/* Rings of a size that was used before are at the same place. */
	if (fd->rings_of[q] != size) {
		fd->rings[q] = fd_alloc(fd, FD_RINGS_SIZE(size) + tables);
		fd->rings_of[q] = size;
	}
	memset(fd_ptr(fd, fd->rings[q], FD_RINGS_SIZE(size) + tables), 0,
	       FD_RINGS_SIZE(size) + tables);
	fq->desc = fd->rings[q];
	fq->avail = fq->desc + 16u * size;
	fq->used = ALIGN_UP(fq->avail + 6 + 2u * size, 16);
	fq->tables = fd->rings[q] + FD_RINGS_SIZE(size);
	fq->nr_free = size;
	for (unsigned int i = 0; i < size; i++)
		fq->next[i] = (uint16_t)(i + 1);

	fd_set_reg(fd, VIRTIO_MMIO_QUEUE_SEL, q);
	fd_set_reg(fd, VIRTIO_MMIO_QUEUE_NUM, size);
	fd_set_addr(fd, VIRTIO_MMIO_QUEUE_DESC_LOW, fq->desc);
	fd_set_addr(fd, VIRTIO_MMIO_QUEUE_AVAIL_LOW, fq->avail);
	fd_set_addr(fd, VIRTIO_MMIO_QUEUE_USED_LOW, fq->used);
	fd_set_reg(fd, VIRTIO_MMIO_QUEUE_READY, 1);
	return fd_reg(fd, VIRTIO_MMIO_QUEUE_READY) == 1;
}

bool fd_start(struct fake_driver *fd, uint64_t features)
{
	if (!fd_negotiate(fd, features))
		return false;
	for (unsigned int q = 0; q < VIRTIO_MAX_QUEUES; q++) {
		uint32_t max;

		fd_set_reg(fd, VIRTIO_MMIO_QUEUE_SEL, q);
		max = fd_reg(fd, VIRTIO_MMIO_QUEUE_NUM_MAX);
		if (max && !fd_setup_queue(fd, q, (uint16_t)max))
			return false;
	}
	fd_add_status(fd, VIRTIO_CONFIG_S_DRIVER_OK);
	return fd_reg(fd, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_DRIVER_OK;
}

uint64_t fd_alloc(struct fake_driver *fd, size_t len)
{
	uint64_t gpa = fd->alloc;

	memset(fd_ptr(fd, gpa, len), 0, len);
	fd->alloc = ALIGN_UP(gpa + len, 16);
	return gpa;
}

uint64_t fd_put(struct fake_driver *fd, const void *data, size_t len)
{
	uint64_t gpa = fd_alloc(fd, len);

	memcpy(fd_ptr(fd, gpa, len), data, len);
	return gpa;
}

void *fd_ptr(struct fake_driver *fd, uint64_t gpa, size_t len)
{
	void *p = gmem_ptr_mut(&fd->gm, gpa, len);

	assert(p);
	return p;
}

static uint16_t fd_take_desc(struct fd_queue *fq)
{
	uint16_t d = fq->free_head;

	assert(fq->nr_free > 0);
	fq->nr_free--;
	fq->free_head = fq->next[d];
	return d;
}

/* Fills TABLE[0..NR) with a chain over consecutive entries. */
static void fd_fill_table(struct vring_desc *table, const struct fd_seg *seg,
			  unsigned int nr, unsigned int nr_readable)
{
	for (unsigned int i = 0; i < nr; i++) {
		table[i].addr = seg[i].gpa;
		table[i].len = seg[i].len;
		table[i].flags = i < nr_readable ? 0 : VRING_DESC_F_WRITE;
		if (i + 1 < nr)
			table[i].flags |= VRING_DESC_F_NEXT;
		table[i].next = (uint16_t)(i + 1);
	}
}

uint16_t fd_post(struct fake_driver *fd, unsigned int q,
		 const struct fd_seg *seg, unsigned int nr_readable,
		 unsigned int nr_writable, enum fd_layout layout)
{
	struct fd_queue *fq = &fd->queue[q];
	struct vring_desc *desc = fd_desc(fd, q);
	unsigned int nr = nr_readable + nr_writable;
	unsigned int nr_direct;
	uint16_t head = fq->free_head;
	uint16_t d = head;

	nr_direct = layout == FD_DIRECT ? nr : layout == FD_MIXED ? 1 : 0;
	assert(nr > 0 && nr >= nr_direct);
	for (unsigned int i = 0; i < nr_direct; i++) {
		d = fd_take_desc(fq);
		desc[d].addr = seg[i].gpa;
		desc[d].len = seg[i].len;
		desc[d].flags = i < nr_readable ? 0 : VRING_DESC_F_WRITE;
		if (i + 1 < nr)
			desc[d].flags |= VRING_DESC_F_NEXT;
		desc[d].next = fq->free_head;
	}
	if (nr_direct < nr) {
		unsigned int left = nr - nr_direct;

		d = fd_take_desc(fq);
		desc[d].addr = fq->tables + head * (uint64_t)fq->size * 16;
		desc[d].len = left * 16;
		desc[d].flags = VRING_DESC_F_INDIRECT;
		desc[d].next = 0;
		fd_fill_table(fd_table(fd, q, head), seg + nr_direct, left,
			      nr_readable - MIN(nr_readable, nr_direct));
	}
	fq->count[head] = (uint16_t)(nr_direct + (nr_direct < nr));
	fd_publish(fd, q, head);
	return head;
}

void fd_publish(struct fake_driver *fd, unsigned int q, uint16_t head)
{
	struct fd_queue *fq = &fd->queue[q];
	struct vring_avail *avail = fd_avail_ring(fd, q);

	avail->ring[fq->avail_idx & (fq->size - 1)] = head;
	fq->avail_idx++;
	/* virtio 1.2 §2.7.13.3: idx after the ring; pairs with virtq_pop() */
	__atomic_store_n(&avail->idx, fq->avail_idx, __ATOMIC_RELEASE);
}

void fd_kick(struct fake_driver *fd, unsigned int q)
{
	virtio_doorbell(fd->vdev, q);
}

bool fd_kick_wanted(struct fake_driver *fd, unsigned int q, uint16_t count)
{
	uint16_t idx = fd->queue[q].avail_idx;

	/* Orders the avail idx before the look, as a driver has to. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (fd->features & 1ull << VIRTIO_RING_F_EVENT_IDX)
		return vring_need_event(*fd_avail_event(fd, q), idx,
					(uint16_t)(idx - count));
	return !(fd_used_ring(fd, q)->flags & VRING_USED_F_NO_NOTIFY);
}

void fd_run_loop(struct fake_driver *fd)
{
	for (int round = 0; round < 16; round++)
		loop_step(&fd->loop, 0);
}

bool fd_used(struct fake_driver *fd, unsigned int q, uint16_t *head,
	     uint32_t *len)
{
	struct fd_queue *fq = &fd->queue[q];
	struct vring_used *used = fd_used_ring(fd, q);
	struct vring_used_elem *elem;
	uint16_t last;

	/* Pairs with the release in virtq_push(). */
	if (__atomic_load_n(&used->idx, __ATOMIC_ACQUIRE) == fq->used_idx)
		return false;
	elem = &used->ring[fq->used_idx & (fq->size - 1)];
	fq->used_idx++;
	if (head)
		*head = (uint16_t)elem->id;
	if (len)
		*len = elem->len;

	assert(elem->id < fq->size);
	if (fq->count[elem->id] == 0)
		return true; /* published by hand */
	last = (uint16_t)elem->id;
	for (unsigned int i = 1; i < fq->count[elem->id]; i++)
		last = fq->next[last];
	fq->nr_free = (uint16_t)(fq->nr_free + fq->count[elem->id]);
	fq->next[last] = fq->free_head;
	fq->free_head = (uint16_t)elem->id;
	fq->count[elem->id] = 0;
	return true;
}

void fd_want_irq(struct fake_driver *fd, unsigned int q, bool want)
{
	struct fd_queue *fq = &fd->queue[q];

	if (fd->features & 1ull << VIRTIO_RING_F_EVENT_IDX)
		*fd_used_event(fd, q) = want ? fq->used_idx
					     : (uint16_t)(fq->used_idx - 1);
	else
		fd_avail_ring(fd, q)->flags = want ? 0
						   : VRING_AVAIL_F_NO_INTERRUPT;
}

struct vring_desc *fd_desc(struct fake_driver *fd, unsigned int q)
{
	return fd_ptr(fd, fd->queue[q].desc, 16u * fd->queue[q].size);
}

struct vring_desc *fd_table(struct fake_driver *fd, unsigned int q,
			    uint16_t head)
{
	struct fd_queue *fq = &fd->queue[q];

	return fd_ptr(fd, fq->tables + head * (uint64_t)fq->size * 16,
		      16u * fq->size);
}

struct vring_avail *fd_avail_ring(struct fake_driver *fd, unsigned int q)
{
	return fd_ptr(fd, fd->queue[q].avail, 6 + 2u * fd->queue[q].size);
}

struct vring_used *fd_used_ring(struct fake_driver *fd, unsigned int q)
{
	return fd_ptr(fd, fd->queue[q].used, 6 + 8u * fd->queue[q].size);
}

uint16_t *fd_used_event(struct fake_driver *fd, unsigned int q)
{
	return &fd_avail_ring(fd, q)->ring[fd->queue[q].size];
}

uint16_t *fd_avail_event(struct fake_driver *fd, unsigned int q)
{
	struct fd_queue *fq = &fd->queue[q];

	return fd_ptr(fd, fq->used + 4 + 8ull * fq->size, 2);
}
