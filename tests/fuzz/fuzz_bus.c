// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_bus.c - all devices on one bus, and a driver that minds none of them
 *
 * The input is a list of actions on six devices that share memory, a loop and a
 * bus: register accesses of any place and width, descriptors, heads, bytes
 * anywhere, doorbells, what their back ends do.  An access to one device changes
 * nothing of another's registers; one that asks for a reset leaves the others
 * alone; and whatever has happened, after a reset each device serves a request.
 */
#include <stdio.h>
#include <unistd.h>

#include <sys/mman.h>
#include <sys/socket.h>

#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <linux/virtio_vsock.h>

#include "base/bus.h"
#include "base/port.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/fake_wire.h"
#include "virtio/balloon.h"
#include "virtio/blk.h"
#include "virtio/console.h"
#include "virtio/mmio.h"
#include "virtio/rng.h"
#include "virtio/vsock.h"

#define QUEUE_SIZE 16u
#define STRIDE	   0x800u /* bytes a queue: table, available, used */
#define AVAIL	   0x200u
#define USED	   0x300u
#define RINGS	   0x4000u /* bytes a device */
#define DATA	   (NR_DEVICES * RINGS)
#define DATA_SIZE  0x4000u
#define RAM_SIZE   (DATA + DATA_SIZE)
#define WINDOWS	   0xd0000000ull
#define CID	   3u
#define SECTORS	   16u

enum { CONSOLE, RNG, DISK, NET, BALLOON, VSOCK, NR_DEVICES };

static const struct {
	unsigned int queues, work; /* WORK: of settle()'s request */
	uint32_t reads, room;
} kind[NR_DEVICES] = {
	[CONSOLE] = { 2, 1, 16, 0 }, [RNG] = { 1, 0, 0, 16 },
	[DISK] = { 1, 0, 16, 513 },  [NET] = { 2, 1, 16, 0 },
	[BALLOON] = { 5, 1, 16, 0 }, [VSOCK] = { 3, 1, 44, 0 },
};

struct fuzz {
	struct fuzz_input in;
	struct guest_memory gm;
	uint8_t *ram;
	struct irq_line irq;
	struct loop loop;
	struct bus bus;
	struct virtio_mmio mmio[NR_DEVICES];
	struct virtio_device *vdev[NR_DEVICES];
	struct port port;
	size_t room; /* bytes that the terminal takes */
	struct fake_wire wire;
	char path[64];
	uint16_t avail_idx[NR_DEVICES][VIRTIO_MAX_QUEUES];
};

static uint8_t take(struct fuzz *f)
{
	return fuzz_take(&f->in);
}

static size_t port_write(struct port *port, const void *data, size_t len)
{
	struct fuzz *f = container_of(port, struct fuzz, port);
	volatile uint8_t sum = 0;

	len = MIN(len, f->room);
	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + ((const uint8_t *)data)[i]);
	f->room -= len;
	return len;
}

static void port_readable(struct port *port)
{
	(void)port;
}

static struct virtio_device *create_disk(const struct virtio_env *env)
{
	int fd = memfd_create("disk", MFD_CLOEXEC);
	struct virtio_device *vdev;
	struct disk *disk;
	char path[32];

	must(ftruncate(fd, SECTORS * 512) == 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	must(disk_open(path, false, false, &disk) == 0);
	close(fd);
	must(virtio_blk_create(env, disk, &vdev) == 0);
	return vdev;
}

static void set_up(struct fuzz *f)
{
	const struct virtio_env env = { &f->gm, &f->irq, &f->loop };
	/* (Frames of zeros have this address.) */
	const struct virtio_net_params params = { { 0 }, 0 };

	f->irq.pulse = fuzz_irq_ignore;
	f->ram = fuzz_memory(&f->gm, RAM_SIZE);
	must(loop_init(&f->loop) == 0);
	f->port.write = port_write;
	f->port.readable = port_readable;
	f->room = SIZE_MAX;
	wire_init(&f->wire);
	snprintf(f->path, sizeof(f->path), "/tmp/mote-fuzz-bus-%d", getpid());
	unlink(f->path);
	must(virtio_console_create(&env, &f->port, &f->vdev[CONSOLE]) == 0);
	must(virtio_rng_create(&env, &f->vdev[RNG]) == 0);
	f->vdev[DISK] = create_disk(&env);
	must(virtio_net_create(&env, &params, &f->wire.backend,
			       &f->vdev[NET]) == 0);
	must(virtio_balloon_create(&env, &f->vdev[BALLOON]) == 0);
	must(virtio_vsock_create(&env, CID, f->path, &f->vdev[VSOCK]) == 0);
	for (unsigned int d = 0; d < NR_DEVICES; d++) {
		virtio_mmio_init(&f->mmio[d], f->vdev[d]);
		must(virtio_device_start(f->vdev[d]) == 0);
		must(bus_add(&f->bus, WINDOWS + d * VIRTIO_MMIO_WINDOW,
			     VIRTIO_MMIO_WINDOW, &f->mmio[d].target) == 0);
	}
}

static void tear_down(struct fuzz *f)
{
	for (unsigned int d = 0; d < NR_DEVICES; d++)
		virtio_device_destroy(f->vdev[d]);
	wire_fini(&f->wire);
	loop_fini(&f->loop);
	gmem_fini(&f->gm);
	free(f->ram);
	free(f);
}

static void bring_up(struct fuzz *f, unsigned int d, uint64_t features)
{
	const struct fuzz_layout layout = { kind[d].queues, QUEUE_SIZE,
					    RINGS * d,	    STRIDE,
					    AVAIL,	    USED };

	fuzz_reset(f->vdev[d]);
	memset(f->ram + (size_t)RINGS * d, 0, RINGS);
	memset(f->avail_idx[d], 0, sizeof(f->avail_idx[d]));
	fuzz_bring_up(f->vdev[d], &layout, features);
}

static void access_register(struct fuzz *f, unsigned int d, uint8_t how)
{
	static const uint8_t widths[] = { 4, 4, 4, 4, 1, 2, 8, 3 };
	uint64_t offset = take(f) * (how & 1 ? 4u : 2u) + (how & 2 ? 0x100 : 0);
	unsigned int len = widths[how >> 4 & 7];
	uint64_t value = 0;

	if (how & 8) {
		bus_read(&f->bus, WINDOWS + d * VIRTIO_MMIO_WINDOW + offset,
			 &value, len);
		return;
	}
	value = how & 4 ? take(f) : take(f) * 0x01010101ull + take(f);
	bus_write(&f->bus, WINDOWS + d * VIRTIO_MMIO_WINDOW + offset, &value,
		  len);
}

static void write_desc(struct fuzz *f, unsigned int d, unsigned int q)
{
	uint8_t at = take(f), shape = take(f), where = take(f), n = take(f);
	struct vring_desc *desc =
		(void *)(f->ram + RINGS * (size_t)d + STRIDE * (size_t)q);
	const uint64_t places[] = { DATA + where * 16ull, RAM_SIZE - where,
				    where * 0x1000ull, WINDOWS + where };

	desc[at % QUEUE_SIZE] = (struct vring_desc){
		.addr = places[shape >> 6],
		.len = at & 0x80 ? n * 0x01010101u : n * (at >> 4 & 7u) + n,
		.flags = shape & 7,
		.next = shape & 0x20 ? n : (at + 1) % QUEUE_SIZE,
	};
	if (shape & 0x18)
		desc[at % QUEUE_SIZE].flags &= (uint16_t)~VRING_DESC_F_INDIRECT;
}

static void publish(struct fuzz *f, unsigned int d, unsigned int q)
{
	struct vring_avail *avail = (void *)(f->ram + RINGS * (size_t)d +
					     STRIDE * (size_t)q + AVAIL);
	uint8_t head = take(f);
	uint16_t *idx = &f->avail_idx[d][q];

	avail->ring[*idx % QUEUE_SIZE] = head & 0x80 ? head * 257u
						     : head % QUEUE_SIZE;
	*idx = (uint16_t)(*idx + (head == 0xff ? 200 : 1));
	avail->idx = *idx;
}

/* The beginning of a request that makes sense, where descriptors look for it. */
static void good_request(struct fuzz *f, unsigned int d, uint8_t what)
{
	uint8_t *p = f->ram + DATA + take(f) * 16u;
	const struct virtio_vsock_hdr packet = {
		.src_cid = CID,
		.dst_cid = VSOCK_HOST_CID,
		.src_port = what >> 6,
		.dst_port = 1,
		.type = VIRTIO_VSOCK_TYPE_STREAM,
		.op = what / NR_DEVICES % 9,
		.buf_alloc = KIB(64),
	};

	if (d == VSOCK)
		memcpy(p, &packet, sizeof(packet));
	else
		memset(p, 0, 44);
	if (d == DISK)
		*p = what / NR_DEVICES % 16;
	if (d == NET)
		*p = what >> 7; /* NEEDS_CSUM */
	if (d == BALLOON)
		*p = DATA / PAGE_SIZE;
}

/* What a device's back end may do at any time. */
static void back_end(struct fuzz *f, unsigned int d)
{
	uint8_t n = take(f), bytes[300] = { 0 };
	ssize_t ret = 0;

	if (d == CONSOLE) {
		f->room = n;
		f->port.user->writable(f->port.user);
		if (f->port.user->room(f->port.user) > 0)
			f->port.user->receive(f->port.user, &n, 1);
		f->port.user->resized(f->port.user, n, 25);
	} else if (d == NET) {
		f->wire.send_error = n & 1 ? -EAGAIN : n & 2 ? -EIO : 0;
		ret = send(f->wire.host, bytes, n + 12u, MSG_NOSIGNAL);
		while (read(f->wire.host, bytes, sizeof(bytes)) > 0)
			;
	} else if (d == BALLOON) {
		must(virtio_balloon_set_target(f->vdev[d],
					       n % (RAM_SIZE / PAGE_SIZE) *
						       PAGE_SIZE) == 0);
	}
	must(ret >= -1);
}

static void act(struct fuzz *f)
{
	uint8_t action = take(f), on = take(f);
	unsigned int d = on % NR_DEVICES;
	unsigned int q = on / 8 % kind[d].queues;
	uint8_t was[NR_DEVICES];
	uint32_t generation[NR_DEVICES];

	for (unsigned int i = 0; i < NR_DEVICES; i++) {
		was[i] = f->vdev[i]->status;
		generation[i] = f->vdev[i]->config_generation;
	}
	switch (action % 16) {
	case 0:
	case 1:
	case 2:
		access_register(f, d, take(f));
		break;
	case 3:
	case 4:
	case 5:
		write_desc(f, d, q);
		break;
	case 6:
	case 7:
		publish(f, d, q);
		break;
	case 8:
	case 9:
		virtio_doorbell(f->vdev[d], q);
		break;
	case 10:
		bring_up(f, d, action & 16 ? UINT64_MAX : 1ull << 28);
		break;
	case 11:
		back_end(f, d);
		break;
	case 12:
	case 13: /* bytes: requests, rings */
		q = (take(f) << 8 | take(f)) * 4u % RAM_SIZE;
		f->ram[q] = take(f);
		break;
	case 14:
		good_request(f, d, on);
		break;
	case 15:
		loop_step(&f->loop, 0);
		return;
	}
	for (unsigned int i = 0; i < NR_DEVICES; i++)
		must(i == d ||
		     (f->vdev[i]->status == was[i] &&
		      f->vdev[i]->config_generation == generation[i]));
}

/* One request that whoever is alive completes. */
static void serve(struct fuzz *f, unsigned int d)
{
	uint8_t *rings =
		f->ram + RINGS * (size_t)d + STRIDE * (size_t)kind[d].work;
	struct vring_desc *desc = (void *)rings;
	struct vring_avail *avail = (void *)(rings + AVAIL);
	const struct vring_used *used = (void *)(rings + USED);
	bool reads = kind[d].reads > 0, writes = kind[d].room > 0;

	bring_up(f, d, UINT64_MAX);
	memset(f->ram + DATA, 0, DATA_SIZE);
	desc[0] = (struct vring_desc){ DATA, kind[d].reads, 0, 1 };
	if (reads && writes)
		desc[0].flags = VRING_DESC_F_NEXT;
	desc[reads] = (struct vring_desc){ DATA + 1024, kind[d].room,
					   VRING_DESC_F_WRITE, 0 };
	avail->idx = 1;
	for (int i = 0; i < 4; i++) {
		virtio_doorbell(f->vdev[d], kind[d].work);
		loop_step(&f->loop, 0);
	}
	must(f->vdev[d]->status == 15);
	must(used->idx == 1 && used->ring[0].id == 0);
	must(used->ring[0].len == kind[d].room);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct fuzz *f = calloc(1, sizeof(*f));

	must(f);
	f->in = (struct fuzz_input){ data, len };
	set_up(f);
	for (int i = 0; i < 1000 && f->in.len > 0; i++)
		act(f);
	f->room = SIZE_MAX;
	f->wire.send_error = 0;
	for (unsigned int d = 0; d < NR_DEVICES; d++)
		serve(f, d);
	tear_down(f);
	return 0;
}
