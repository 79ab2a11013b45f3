// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_net.c - a network device between a moody driver and a moody wire
 *
 * The input is a list of actions: chains with any header in either direction,
 * doorbells, frames with any header from the host, a wire that is full, fails or
 * goes away, resets.  Every chain comes back once, what the driver receives
 * is what the host sent and what the driver asked for, what the host receives
 * is what a device may pass on.  One action writes anywhere into the rings: from
 * then on until the next reset only memory safety is required.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/eventfd.h>

#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>

#include "tests/fuzz/fuzz.h"
#include "virtio/net.h"

#define QUEUE_SIZE 16u
#define NR_SLOTS   16u /* chains a queue, in 4 descriptors of a table each */
#define RINGS	   0x1000u /* bytes a queue: table, available, used */
#define AVAIL	   0x400u
#define USED	   0x600u
#define TABLES	   0x2000u /* 4 descriptors for each slot */
#define DATA	   0x4000u
#define SLOT_SIZE  0x1100u
#define RAM_SIZE   (DATA + 2 * NR_SLOTS * SLOT_SIZE)
#define HDR	   NET_HDR_BYTES
#define MTU	   1400u
#define HOST_BYTE  0x5a /* of which its frames consist */
#define USO                                                                    \
	(1ull << VIRTIO_NET_F_GUEST_USO4 | 1ull << VIRTIO_NET_F_GUEST_USO6 |   \
	 1ull << VIRTIO_NET_F_HOST_USO)
#define ALL_OFFLOADS                                                           \
	((1u << VIRTIO_NET_F_CSUM) | (1u << VIRTIO_NET_F_GUEST_CSUM) |         \
	 (1u << VIRTIO_NET_F_GUEST_TSO4) | (1u << VIRTIO_NET_F_GUEST_TSO6) |   \
	 (1u << VIRTIO_NET_F_GUEST_ECN) | (1u << VIRTIO_NET_F_HOST_TSO4) |     \
	 (1u << VIRTIO_NET_F_HOST_TSO6) | (1u << VIRTIO_NET_F_HOST_ECN) | USO)

enum { RX, TX };

static const uint8_t our_mac[6] = { 2, 0, 0, 0, 0, 1 };

struct fuzz_queue {
	uint16_t avail_idx, used_idx;
	bool posted[NR_SLOTS];
	uint32_t len[NR_SLOTS];
};

struct fuzz {
	struct guest_memory gm;
	uint8_t *ram;
	struct irq_line irq;
	struct loop loop;
	struct net_backend backend;
	struct virtio_device *vdev;
	struct fuzz_queue queue[2];
	bool wild;  /* the rings are not the model's any more */
	int answer; /* what the wire says instead of moving a frame, or 0 */
	/* The frame that the host sends next; none when 0. */
	uint32_t in_len;
	struct virtio_net_hdr_v1 in_hdr;
	/* Of the frame being merged. */
	unsigned int parts;
	struct fuzz_input in;
};

static uint8_t take(struct fuzz *f)
{
	return fuzz_take(&f->in);
}

static bool has(const struct fuzz *f, unsigned int feature)
{
	return f->vdev->driver_features & 1ull << feature;
}

static struct fuzz *backend_fuzz(struct net_backend *backend)
{
	return container_of(backend, struct fuzz, backend);
}

/* What may be asked of the kernel, whoever the driver is. */
static void check_sent(const struct fuzz *f,
		       const struct virtio_net_hdr_v1 *hdr, size_t len)
{
	bool needs = hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM;
	uint8_t type = hdr->gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;

	must((hdr->flags & ~VIRTIO_NET_HDR_F_NEEDS_CSUM) == 0);
	must(!needs || has(f, VIRTIO_NET_F_CSUM));
	must(!needs || hdr->csum_start + hdr->csum_offset + 2ul <= len);
	if (hdr->gso_type == VIRTIO_NET_HDR_GSO_NONE)
		return;
	must(needs && hdr->gso_size > 0);
	must(type == hdr->gso_type || has(f, VIRTIO_NET_F_HOST_ECN));
	must((type == VIRTIO_NET_HDR_GSO_TCPV4 &&
	      has(f, VIRTIO_NET_F_HOST_TSO4)) ||
	     (type == VIRTIO_NET_HDR_GSO_TCPV6 &&
	      has(f, VIRTIO_NET_F_HOST_TSO6)) ||
	     (hdr->gso_type == VIRTIO_NET_HDR_GSO_UDP_L4 &&
	      has(f, VIRTIO_NET_F_HOST_USO)));
}

static ssize_t fuzz_send(struct net_backend *backend, const struct iovec *iov,
			 int nr)
{
	struct fuzz *f = backend_fuzz(backend);
	struct virtio_net_hdr_v1 hdr;
	size_t total = 0;

	if (f->answer)
		return f->answer;
	must(nr >= 1 && nr <= (int)CHAIN_MAX_SEGMENTS + 1);
	must(iov[0].iov_len == HDR + NET_MIN_FRAME);
	must(memcmp((uint8_t *)iov[0].iov_base + HDR + 6, our_mac, 6) == 0);
	for (int i = 0; i < nr; i++)
		total += iov[i].iov_len;
	memcpy(&hdr, iov[0].iov_base, HDR);
	must(total - HDR <= NET_MAX_FRAME);
	check_sent(f, &hdr, total - HDR);
	return (ssize_t)total;
}

static ssize_t fuzz_receive(struct net_backend *backend,
			    const struct iovec *iov, int nr)
{
	struct fuzz *f = backend_fuzz(backend);
	size_t left = f->in_len, total = HDR;

	if (f->answer)
		return f->answer;
	if (f->in_len == 0)
		return -EAGAIN;
	must(nr >= 1 && iov[0].iov_len >= HDR);
	memcpy(iov[0].iov_base, &f->in_hdr, HDR);
	for (int i = 0; i < nr && left > 0; i++) {
		size_t skip = i == 0 ? HDR : 0;
		size_t here = MIN(left, iov[i].iov_len - skip);

		memset((uint8_t *)iov[i].iov_base + skip, HOST_BYTE, here);
		left -= here;
		total += here;
	}
	must(left == 0 || total == HDR + NET_MAX_FRAME + 1);
	f->in_len = 0;
	return (ssize_t)total;
}

static void fuzz_set_offloads(struct net_backend *backend, uint64_t features)
{
	must((features & ~backend->features) == 0);
}

static void fuzz_close(struct net_backend *backend)
{
	close(backend->fd);
}

static uint8_t *rings(struct fuzz *f, unsigned int q)
{
	return f->ram + (size_t)RINGS * q;
}

static uint64_t slot_gpa(unsigned int q, unsigned int slot)
{
	return DATA + (q * NR_SLOTS + slot) * (uint64_t)SLOT_SIZE;
}

/* Resets the device and drives it to DRIVER_OK; the input has the features. */
static void restart(struct fuzz *f)
{
	uint64_t features = take(f) | (uint32_t)take(f) << 8 |
			    (uint32_t)take(f) << 16 | 1ull << 32 | 1ull << 28;
	/* That bit itself is no feature of ours. */
	uint64_t uso = features & 1u << 22 ? USO : 0;

	pthread_mutex_lock(&f->vdev->lock);
	virtio_set_status_locked(f->vdev, 0);
	memset(f->ram, 0, DATA);
	memset(f->queue, 0, sizeof(f->queue));
	f->wild = false;
	f->parts = 0;
	features = (features | uso) & f->vdev->features;
	virtio_set_status_locked(f->vdev, 1);
	virtio_set_status_locked(f->vdev, 3);
	virtio_set_features_locked(f->vdev, 0, (uint32_t)features);
	/* VERSION_1, and what is above */
	virtio_set_features_locked(f->vdev, 1, (uint32_t)(features >> 32));
	virtio_set_status_locked(f->vdev, 11);
	for (unsigned int q = 0; q < 2; q++) {
		const struct virtq_config config = {
			.num = QUEUE_SIZE,
			.desc = RINGS * q,
			.driver = RINGS * q + AVAIL,
			.device = RINGS * q + USED,
		};

		must(virtq_enable(&f->vdev->vq[q], &f->gm, &config, QUEUE_SIZE,
				  f->vdev->driver_features) == 0);
	}
	virtio_set_status_locked(f->vdev, 15);
	pthread_mutex_unlock(&f->vdev->lock);
}

/* Bytes of the input, as a header and the beginning of a frame. */
static void fill(struct fuzz *f, uint8_t *frame, uint32_t len)
{
	struct virtio_net_hdr_v1 hdr = {
		.flags = take(f),
		.gso_type = take(f),
		.gso_size = take(f),
		.csum_start = (uint16_t)(take(f) * 17u),
		.csum_offset = take(f),
		.hdr_len = take(f),
	};

	if (len >= HDR)
		memcpy(frame, &hdr, HDR);
	if (len >= HDR + NET_MIN_FRAME && take(f) % 4)
		memcpy(frame + HDR + 6, our_mac, 6);
}

/* Posts the next free slot, cut into up to 4 descriptors of a table. */
static void post(struct fuzz *f, unsigned int q)
{
	struct fuzz_queue *fq = &f->queue[q];
	struct vring_desc *desc = (void *)rings(f, q);
	struct vring_avail *avail = (void *)(rings(f, q) + AVAIL);
	uint32_t len = take(f) * 17u, piece = take(f) * 16u + 1;
	unsigned int slot = 0, n;
	struct vring_desc *table;
	uint64_t gpa;

	while (slot < NR_SLOTS && fq->posted[slot])
		slot++;
	if (slot == NR_SLOTS)
		return;
	if (q == RX)
		len = MAX(len, HDR);
	piece = MAX(piece, len / 4 + 1);
	gpa = slot_gpa(q, slot);
	if (q == TX)
		fill(f, f->ram + gpa, len);
	else
		memset(f->ram + gpa, 0, len);
	table = (void *)(f->ram + TABLES + (q * NR_SLOTS + slot) * 64ul);
	n = fuzz_cut(table, 0, gpa, len, piece,
		     q == RX ? VRING_DESC_F_WRITE : 0);
	desc[slot] = (struct vring_desc){
		.addr = (uint64_t)((uint8_t *)table - f->ram),
		.len = n * (uint32_t)sizeof(*table),
		.flags = VRING_DESC_F_INDIRECT,
	};
	fq->posted[slot] = true;
	fq->len[slot] = len;
	avail->ring[fq->avail_idx++ % QUEUE_SIZE] = (uint16_t)slot;
	avail->idx = fq->avail_idx;
}

/* virtio 1.2 §5.1.6.4.1, for the first buffer of a frame. */
static void check_received(const struct fuzz *f,
			   const struct virtio_net_hdr_v1 *hdr)
{
	bool needs = hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM;
	uint8_t type = hdr->gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;

	must(hdr->num_buffers >= 1 && hdr->num_buffers <= QUEUE_SIZE);
	must(hdr->num_buffers == 1 || has(f, VIRTIO_NET_F_MRG_RXBUF));
	must(hdr->flags == 0 || has(f, VIRTIO_NET_F_GUEST_CSUM));
	must((hdr->flags & ~3) == 0);
	if (hdr->gso_type == VIRTIO_NET_HDR_GSO_NONE)
		return;
	must(needs && hdr->gso_size > 0);
	must(type == hdr->gso_type || has(f, VIRTIO_NET_F_GUEST_ECN));
	must((type == VIRTIO_NET_HDR_GSO_TCPV4 &&
	      has(f, VIRTIO_NET_F_GUEST_TSO4)) ||
	     (type == VIRTIO_NET_HDR_GSO_TCPV6 &&
	      has(f, VIRTIO_NET_F_GUEST_TSO6)) ||
	     (hdr->gso_type == VIRTIO_NET_HDR_GSO_UDP_L4 &&
	      has(f, VIRTIO_NET_F_GUEST_USO4) &&
	      has(f, VIRTIO_NET_F_GUEST_USO6)));
}

static void reap_rx(struct fuzz *f, unsigned int slot, uint32_t len)
{
	const uint8_t *got = f->ram + slot_gpa(RX, slot);
	uint32_t at = 0;

	must(len > 0 && len <= f->queue[RX].len[slot]);
	if (f->parts == 0) {
		struct virtio_net_hdr_v1 hdr;

		must(len >= HDR);
		memcpy(&hdr, got, HDR);
		check_received(f, &hdr);
		f->parts = hdr.num_buffers;
		at = HDR;
	}
	f->parts--;
	/* virtio 1.2 §5.1.6.4.1: all but the last are filled */
	must(f->parts == 0 || len == f->queue[RX].len[slot]);
	for (; at < len; at++)
		must(got[at] == HOST_BYTE);
}

/* Looks at what was used, as a driver does. */
static void reap(struct fuzz *f, unsigned int q)
{
	struct fuzz_queue *fq = &f->queue[q];
	const struct vring_used *used = (void *)(rings(f, q) + USED);

	if (f->wild)
		return;
	while (fq->used_idx != used->idx) {
		const struct vring_used_elem *e =
			&used->ring[fq->used_idx++ % QUEUE_SIZE];

		must(e->id < NR_SLOTS && fq->posted[e->id]);
		fq->posted[e->id] = false;
		if (q == TX)
			must(e->len == 0);
		else
			reap_rx(f, e->id, e->len);
	}
	/* All buffers of a frame become visible together. */
	must(q == TX || f->parts == 0);
}

/* The host has a frame; the loop brings it. */
static void host_sends(struct fuzz *f)
{
	if (f->in_len > 0)
		return;
	f->in_hdr.flags = take(f);
	f->in_hdr.gso_type = take(f);
	f->in_hdr.gso_size = take(f);
	f->in_len = take(f) * 260u + take(f);
}

static void act(struct fuzz *f)
{
	static const int answers[] = { 0,	-EAGAIN, -EIO, 0,
				       -ENOMEM, 0,	 0,    -EINVAL };
	uint8_t action = take(f);

	switch (action % 8) {
	case 0:
	case 1:
		post(f, action % 8);
		break;
	case 2:
	case 3:
		virtio_doorbell(f->vdev, action % 2);
		reap(f, RX);
		reap(f, TX);
		break;
	case 4:
		host_sends(f);
		virtio_doorbell(f->vdev, RX);
		reap(f, RX);
		break;
	case 5:
		f->answer = answers[take(f) % ARRAY_SIZE(answers)];
		if (action > 250)
			f->answer = -ENODEV;
		break;
	case 6:
		if (action > 128) {
			restart(f);
			break;
		}
		if (f->loop.timers)
			f->loop.timers->deadline_ns = 1;
		loop_step(&f->loop, 0);
		reap(f, RX);
		reap(f, TX);
		break;
	case 7:
		/* Somewhere in the rings or tables. */
		if (action < 128)
			break;
		f->wild = true;
		action = take(f);
		f->ram[(action * 256u + take(f)) % DATA] = take(f);
		break;
	}
}

/* Nothing is held for long once the wire takes everything. */
static void settle(struct fuzz *f)
{
	f->answer = 0;
	if (f->loop.timers)
		f->loop.timers->deadline_ns = 1;
	for (int i = 0; i < 4; i++) {
		virtio_doorbell(f->vdev, TX);
		virtio_doorbell(f->vdev, RX);
		loop_step(&f->loop, 0);
	}
	reap(f, RX);
	reap(f, TX);
	if (f->wild)
		return;
	must(f->vdev->status == 15);
	must(f->vdev->vq[TX].nr_in_flight == 0);
	for (unsigned int i = 0; i < NR_SLOTS; i++)
		must(!f->queue[TX].posted[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct virtio_net_params params = { .mtu = MTU };
	struct fuzz *f = calloc(1, sizeof(*f));
	struct virtio_env env;

	must(f);
	f->in = (struct fuzz_input){ data, len };
	f->irq.pulse = fuzz_irq_ignore;
	f->ram = fuzz_memory(&f->gm, ALIGN_UP(RAM_SIZE, PAGE_SIZE));
	must(loop_init(&f->loop) == 0);
	f->backend = (struct net_backend){
		.name = "the wire",
		/* Always readable and writable, as far as epoll knows. */
		.fd = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC),
		.features = ALL_OFFLOADS,
		.receive = fuzz_receive,
		.send = fuzz_send,
		.set_offloads = fuzz_set_offloads,
		.close = fuzz_close,
	};
	memcpy(params.mac, our_mac, 6);
	env = (struct virtio_env){ &f->gm, &f->irq, &f->loop };
	must(virtio_net_create(&env, &params, &f->backend, &f->vdev) == 0);
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
