// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_mmio.c - a driver that writes registers in any order and shape
 *
 * The input is a program of short actions on a device with two queues: register
 * accesses by name or by offset, doorbells, bytes in guest memory, and the steps
 * of a good driver, so that deep states are near.  After each action the
 * invariants of the transport are checked.
 */
#include <stdlib.h>
#include <string.h>

#include <linux/virtio_mmio.h>

#include "tests/fuzz/fuzz.h"
#include "virtio/mmio.h"

#define RAM_SIZE    (16u * PAGE_SIZE)
#define NR_QUEUES   2u
#define QUEUE_SIZE  8u
#define CONFIG_SIZE 12u
#define FEATURE	    (1ull << 5)

struct fuzz_device {
	struct virtio_device vdev;
	uint8_t *config; /* a block of its own, for ASan */
};

struct fuzz_irq {
	struct irq_line line;
	uint64_t pulses;
};

struct fuzz {
	struct guest_memory gm;
	uint8_t *ram;
	struct fuzz_irq irq;
	struct loop loop;
	struct fuzz_device dev;
	struct virtio_mmio mmio;
	struct virtqueue frozen[NR_QUEUES]; /* as they were before the action */
	const uint8_t *data;
	size_t len;
};

static void irq_count(struct irq_line *line)
{
	container_of(line, struct fuzz_irq, line)->pulses++;
}

static int dev_queue_notify(struct virtio_device *vdev, unsigned int q)
{
	struct virtqueue *vq = &vdev->vq[q];
	uint32_t popped = 0;
	struct chain c;
	int ret;

	must(vq->live && virtio_driver_ok(vdev));
	must(!(vdev->status & VIRTIO_CONFIG_S_NEEDS_RESET));
	while ((ret = virtq_pop(vq, &c)) > 0) {
		must(++popped <= QUEUE_SIZE);
		ret = virtq_push(vq, &c,
				 (uint32_t)chain_write_zeros(&c, PAGE_SIZE));
		if (ret < 0)
			return ret;
	}
	return ret;
}

static void dev_config_read(struct virtio_device *vdev, size_t off, void *buf,
			    size_t len)
{
	struct fuzz_device *dev = container_of(vdev, struct fuzz_device, vdev);

	memcpy(buf, dev->config + off, len);
}

static void dev_config_write(struct virtio_device *vdev, size_t off,
			     const void *buf, size_t len)
{
	struct fuzz_device *dev = container_of(vdev, struct fuzz_device, vdev);

	memcpy(dev->config + off, buf, len);
}

static void dev_destroy(struct virtio_device *vdev)
{
	free(container_of(vdev, struct fuzz_device, vdev)->config);
}

static const struct virtio_device_ops dev_ops = {
	.name = "fuzz",
	.device_id = 99,
	.features = FEATURE,
	.nr_queues = NR_QUEUES,
	.queue_size = QUEUE_SIZE,
	.config_size = CONFIG_SIZE,
	.queue_notify = dev_queue_notify,
	.config_read = dev_config_read,
	.config_write = dev_config_write,
	.destroy = dev_destroy,
};

static const uint16_t registers[] = {
	VIRTIO_MMIO_DEVICE_FEATURES_SEL,
	VIRTIO_MMIO_DRIVER_FEATURES_SEL,
	VIRTIO_MMIO_DRIVER_FEATURES,
	VIRTIO_MMIO_QUEUE_SEL,
	VIRTIO_MMIO_QUEUE_NUM,
	VIRTIO_MMIO_QUEUE_READY,
	VIRTIO_MMIO_QUEUE_NOTIFY,
	VIRTIO_MMIO_INTERRUPT_ACK,
	VIRTIO_MMIO_STATUS,
	VIRTIO_MMIO_QUEUE_DESC_LOW,
	VIRTIO_MMIO_QUEUE_DESC_HIGH,
	VIRTIO_MMIO_QUEUE_AVAIL_LOW,
	VIRTIO_MMIO_QUEUE_AVAIL_HIGH,
	VIRTIO_MMIO_QUEUE_USED_LOW,
	VIRTIO_MMIO_QUEUE_USED_HIGH,
	VIRTIO_MMIO_CONFIG,
};

/* The next LEN bytes of the program; zeros after its end. */
static uint64_t take(struct fuzz *f, size_t len)
{
	size_t n = MIN(len, f->len);
	uint64_t v = 0;

	memcpy(&v, f->data, n);
	f->data += n;
	f->len -= n;
	return v;
}

static void set_reg(struct fuzz *f, uint64_t offset, uint32_t value)
{
	f->mmio.target.write(&f->mmio.target, offset, &value, sizeof(value));
}

static void raw_read(struct fuzz *f, uint64_t offset, unsigned int len)
{
	uint8_t *buf = malloc(len);

	must(buf);
	memset(buf, 0x77, len);
	f->mmio.target.read(&f->mmio.target, offset, buf, len);
	/* No byte of ours shows through. */
	for (unsigned int i = 0; i < len; i++)
		must(offset < VIRTIO_MMIO_CONFIG
			     ? (len == 4 && offset % 4 == 0) || buf[i] == 0
			     : offset + i < VIRTIO_MMIO_CONFIG + CONFIG_SIZE ||
				       buf[i] == 0);
	free(buf);
}

static void raw_write(struct fuzz *f, uint64_t offset, unsigned int len)
{
	uint64_t value = take(f, 8);
	uint8_t *buf = malloc(len);

	must(buf);
	memcpy(buf, &value, len);
	f->mmio.target.write(&f->mmio.target, offset, buf, len);
	free(buf);
}

/* One step of a good driver, or a good queue Q. */
static void good_step(struct fuzz *f, uint8_t step)
{
	uint32_t q = step >> 3 & 1;
	uint32_t base = q * 0x1000;

	switch (step & 7) {
	case 0:
	case 1:
	case 2:
	case 3:
		set_reg(f, VIRTIO_MMIO_STATUS,
			f->dev.vdev.status | 1u << (step & 3));
		break;
	case 4:
		set_reg(f, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
		set_reg(f, VIRTIO_MMIO_DRIVER_FEATURES, 1);
		break;
	default:
		set_reg(f, VIRTIO_MMIO_QUEUE_SEL, q);
		set_reg(f, VIRTIO_MMIO_QUEUE_NUM, 1u << (step >> 4 & 3));
		set_reg(f, VIRTIO_MMIO_QUEUE_DESC_LOW, base);
		set_reg(f, VIRTIO_MMIO_QUEUE_AVAIL_LOW, base + 0x100);
		set_reg(f, VIRTIO_MMIO_QUEUE_USED_LOW, base + 0x200);
		set_reg(f, VIRTIO_MMIO_QUEUE_READY, 1);
		break;
	}
}

/* The loop: it begins to poll, looks at rings, or takes its turn. */
static void turn(struct fuzz *f, unsigned int how)
{
	switch (how) {
	case 1:
		loop_set_polling(&f->loop, 1);
		f->loop.poll_score = 1;
		break;
	case 2:
		for (struct loop_poll *p = f->loop.polls; p; p = p->next)
			p->look(p);
		break;
	default:
		loop_step(&f->loop, 0);
		break;
	}
}

static void action(struct fuzz *f)
{
	uint8_t op = (uint8_t)take(f, 1);
	uint16_t offset;

	switch (op & 7) {
	case 0: /* a register by name, any value */
		set_reg(f, registers[op >> 4], (uint32_t)take(f, 4));
		break;
	case 1: /* a small value */
		set_reg(f, registers[op >> 4], (uint32_t)take(f, 1));
		break;
	case 2:
		offset = (uint16_t)take(f, 2) % (VIRTIO_MMIO_WINDOW - 8);
		raw_read(f, offset, 1 + (op >> 3) % 8u);
		break;
	case 3:
		offset = (uint16_t)take(f, 2) % 0x120;
		raw_write(f, offset, 1 + (op >> 3) % 8u);
		break;
	case 4:
		virtio_doorbell(&f->dev.vdev, op >> 3 & 3);
		break;
	case 5:
		good_step(f, (uint8_t)take(f, 1));
		break;
	case 6: /* rings and descriptors */
		offset = (uint16_t)take(f, 2) % 0x1300;
		f->ram[offset] = (uint8_t)take(f, 1);
		break;
	case 7:
		turn(f, op >> 3);
		break;
	}
}

static void check_queue(const struct fuzz *f, unsigned int q)
{
	const struct virtqueue *vq = &f->dev.vdev.vq[q];
	const struct virtqueue *was = &f->frozen[q];

	if (!vq->live)
		return;
	must(f->dev.vdev.status & VIRTIO_CONFIG_S_FEATURES_OK);
	must(vq->size > 0 && vq->size <= QUEUE_SIZE);
	must((vq->size & (vq->size - 1)) == 0);
	must(vq->desc % 16 == 0 && vq->avail % 2 == 0 && vq->used % 4 == 0);
	must(gmem_ptr(&f->gm, vq->desc, 16u * vq->size));
	must(gmem_ptr(&f->gm, vq->avail, 6 + 2u * vq->size));
	must(gmem_ptr(&f->gm, vq->used, 6 + 8u * vq->size));
	must(vq->nr_in_flight == 0 && vq->budget == VIRTQ_NO_BUDGET);
	must(vq->nr_seen <= vq->size && (vq->watched || !vq->unarmed));
	/* Frozen while live: one action may not both end and start it. */
	if (was->live)
		must(vq->size == was->size && vq->desc == was->desc &&
		     vq->avail == was->avail && vq->used == was->used);
}

static void check(const struct fuzz *f)
{
	const struct virtio_device *vdev = &f->dev.vdev;
	uint8_t s = vdev->status;

	must(!(s & 0x30) && vdev->interrupt_status <= 3);
	must(!(s & VIRTIO_CONFIG_S_DRIVER) || s & 1);
	must(!(s & VIRTIO_CONFIG_S_FEATURES_OK) || (s & 3) == 3);
	must(!(s & VIRTIO_CONFIG_S_DRIVER_OK) ||
	     s & VIRTIO_CONFIG_S_FEATURES_OK);
	if (s & VIRTIO_CONFIG_S_FEATURES_OK)
		must((vdev->driver_features & ~vdev->features) == 0 &&
		     virtio_has_feature(vdev, VIRTIO_F_VERSION_1));
	for (unsigned int q = 0; q < NR_QUEUES; q++) {
		if (!(s & VIRTIO_CONFIG_S_NEEDS_RESET))
			check_queue(f, q);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct fuzz f = { .data = data, .len = len };
	struct virtio_env env = { &f.gm, &f.irq.line, &f.loop };

	f.irq.line.pulse = irq_count;
	f.ram = aligned_alloc(PAGE_SIZE, RAM_SIZE);
	f.dev.config = calloc(1, CONFIG_SIZE);
	must(f.ram && f.dev.config && loop_init(&f.loop) == 0);
	memset(f.ram, 0, RAM_SIZE);
	gmem_add(&f.gm, 0, RAM_SIZE, f.ram);
	virtio_device_init(&f.dev.vdev, &dev_ops, &env, FEATURE);
	virtio_mmio_init(&f.mmio, &f.dev.vdev);
	must(virtio_device_start(&f.dev.vdev) == 0);

	while (f.len > 0) {
		memcpy(f.frozen, f.dev.vdev.vq, sizeof(f.frozen));
		action(&f);
		check(&f);
	}
	set_reg(&f, VIRTIO_MMIO_STATUS, 0);
	must(f.dev.vdev.status == 0 && !f.dev.vdev.interrupt_status);

	virtio_device_destroy(&f.dev.vdev);
	loop_fini(&f.loop);
	free(f.ram);
	return 0;
}
