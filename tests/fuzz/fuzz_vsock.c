// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_vsock.c - a vsock device between a hostile guest and moody host sockets
 *
 * The input is a list of actions: packets with any header, rx buffers of any
 * size, doorbells, clients and servers of the host that connect, write, read,
 * half-close and leave, resets.  A model beside it knows what no guest may
 * bring about: a packet beyond the credit that it gave, a connection that gets
 * bytes after its end, more than the stated number of connections, descriptors
 * that stay open, a loop that does not come to rest.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <linux/virtio_ring.h>
#include <linux/virtio_vsock.h>

#include "tests/fuzz/fuzz.h"
#include "virtio/vsock.h"
#include "virtio/vsock_conn.h"

#define RAM_SIZE   (16u * PAGE_SIZE)
#define QUEUE_SIZE 16u
#define RINGS	   0x1000u /* bytes a queue: table, available, used */
#define AVAIL	   0x400u
#define USED	   0x600u
#define DATA	   0x4000u
#define SLOT_SIZE  0x400u /* bytes of memory for each chain */
#define CID	   3u
#define NR_PORTS   4u /* of guest and host: connections meet often */
#define NR_SOCKETS 8u

enum { RX, TX, EVENT, NR_QUEUES };

static const struct fuzz_layout layout = { NR_QUEUES, QUEUE_SIZE, 0,
					   RINGS,     AVAIL,	  USED };

struct fuzz {
	struct guest_memory gm;
	uint8_t *ram;
	struct irq_line irq;
	struct loop loop;
	struct virtio_device *vdev;
	uint16_t avail_idx[NR_QUEUES], used_idx[NR_QUEUES];
	uint32_t last_port; /* of the host, in the packet received last */
	int server;
	int socket[NR_SOCKETS]; /* the host's ends; -1: none */
	char path[64];
	struct fuzz_input in;
};

static uint8_t take(struct fuzz *f)
{
	return fuzz_take(&f->in);
}

static void restart(struct fuzz *f)
{
	uint32_t features = take(f) & 5;

	fuzz_reset(f->vdev);
	memset(f->ram, 0, DATA);
	memset(f->avail_idx, 0, sizeof(f->avail_idx));
	memset(f->used_idx, 0, sizeof(f->used_idx));
	fuzz_bring_up(f->vdev, &layout, features);
}

/* Publishes LEN bytes at the chain's own memory in two descriptors, cut after
 * CUT; returns that memory.  A chain that was not used yet is overwritten: the
 * guest's own fault.
 */
static uint8_t *post(struct fuzz *f, unsigned int q, uint32_t len, uint32_t cut)
{
	struct vring_desc *desc = (void *)(f->ram + (size_t)RINGS * q);
	struct vring_avail *avail =
		(void *)(f->ram + (size_t)RINGS * q + AVAIL);
	unsigned int slot = f->avail_idx[q] % (QUEUE_SIZE / 2);
	uint64_t gpa = DATA + (q * QUEUE_SIZE / 2 + slot) * SLOT_SIZE;
	uint16_t flags = q == TX ? 0 : VRING_DESC_F_WRITE;

	cut = MAX(1u, MIN(cut, len - 1));
	desc[2 * slot] = (struct vring_desc){
		.addr = gpa,
		.len = cut,
		.flags = flags | VRING_DESC_F_NEXT,
		.next = (uint16_t)(2 * slot + 1),
	};
	desc[2 * slot + 1] = (struct vring_desc){
		.addr = gpa + cut,
		.len = len - cut,
		.flags = flags,
	};
	avail->ring[f->avail_idx[q]++ % QUEUE_SIZE] = (uint16_t)(2 * slot);
	avail->idx = f->avail_idx[q];
	return f->ram + gpa;
}

static void send_packet(struct fuzz *f)
{
	uint8_t shape = take(f);
	uint32_t len = shape & 1 ? take(f) * 3u : 0;
	struct virtio_vsock_hdr hdr = {
		.src_cid = CID,
		.dst_cid = VSOCK_HOST_CID,
		.src_port = take(f) % NR_PORTS,
		.dst_port = shape & 2 ? f->last_port : take(f) % NR_PORTS,
		.len = len,
		.type = VIRTIO_VSOCK_TYPE_STREAM,
		.op = take(f) % 9,
		.flags = take(f) % 4,
		.buf_alloc = take(f) * 16u,
		.fwd_cnt = shape & 4 ? UINT32_MAX - take(f) : take(f) * 16u,
	};
	uint8_t *p;

	if (shape & 8 && shape & 16)
		hdr.src_cid += take(f);
	if (shape & 8 && shape & 32)
		hdr.dst_cid += take(f);
	if (shape & 8 && shape & 64)
		hdr.type += take(f);
	if (shape == 0xff)
		hdr.len += (uint32_t)take(f) << 24;
	p = post(f, TX, sizeof(hdr) + len, take(f));
	memcpy(p, &hdr, sizeof(hdr));
}

/* Looks at what was used, as a driver does. */
static void reap(struct fuzz *f)
{
	const struct vring_used *used = (void *)(f->ram + USED);

	while (f->used_idx[RX] != used->idx) {
		const struct vring_used_elem *e =
			&used->ring[f->used_idx[RX]++ % QUEUE_SIZE];
		const uint8_t *p = f->ram + DATA + e->id / 2 * SLOT_SIZE;
		struct virtio_vsock_hdr hdr;

		must(e->len >= sizeof(hdr) && e->len <= SLOT_SIZE);
		memcpy(&hdr, p, sizeof(hdr));
		/* Two chains may share memory here; then this is the last. */
		if (f->avail_idx[RX] - f->used_idx[RX] >= QUEUE_SIZE / 2)
			continue;
		must(hdr.dst_cid == CID && hdr.len <= SLOT_SIZE);
		must(hdr.op >= VIRTIO_VSOCK_OP_REQUEST &&
		     hdr.op <= VIRTIO_VSOCK_OP_CREDIT_REQUEST);
		must(hdr.len == 0 || hdr.op == VIRTIO_VSOCK_OP_RW);
		must(hdr.op == VIRTIO_VSOCK_OP_RST ||
		     (hdr.buf_alloc == VSOCK_BUFFER &&
		      hdr.type == VIRTIO_VSOCK_TYPE_STREAM));
		f->last_port = hdr.src_port;
	}
}

static void name_address(struct fuzz *f, struct sockaddr_un *addr,
			 const char *suffix)
{
	*addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(addr->sun_path, sizeof(addr->sun_path), "%s%s", f->path,
		 suffix);
}

static int new_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static void host_acts(struct fuzz *f)
{
	static uint8_t bytes[4096];
	int *s = &f->socket[take(f) % NR_SOCKETS];
	struct sockaddr_un addr;
	uint8_t what = take(f);
	ssize_t n = 0;

	if (*s < 0 && what & 1) {
		*s = accept4(f->server, NULL, NULL, SOCK_NONBLOCK);
	} else if (*s < 0) {
		*s = new_socket();
		name_address(f, &addr, "");
		if (connect(*s, (struct sockaddr *)&addr, sizeof(addr)) == 0)
			n = write(*s, "CONNECT 1\nEARLY", what % 16);
	} else if (what < 96) {
		n = send(*s, bytes, what * 40u, MSG_NOSIGNAL);
	} else if (what < 192) {
		n = read(*s, bytes, what * 20u);
	} else if (what < 224) {
		shutdown(*s, what % 3);
	} else {
		close(*s);
		*s = -1;
	}
	must(n >= -1);
}

/* The loop has nothing to do after a few rounds: nobody spins. */
static void rest(struct fuzz *f)
{
	struct epoll_event event;

	for (int i = 0; i < 64; i++)
		loop_step(&f->loop, 0);
	must(epoll_wait(f->loop.epoll_fd, &event, 1, 0) == 0);
}

static void act(struct fuzz *f)
{
	uint8_t action = take(f);

	switch (action % 8) {
	case 0:
	case 1:
	case 2:
		send_packet(f);
		virtio_doorbell(f->vdev, TX);
		break;
	case 3:
		post(f, RX, MIN(40u + take(f) * 5u, SLOT_SIZE), take(f));
		virtio_doorbell(f->vdev, RX);
		break;
	case 4:
	case 5:
		host_acts(f);
		break;
	case 6:
		loop_step(&f->loop, 0);
		reap(f);
		break;
	case 7:
		if (action < 32)
			restart(f);
		else
			rest(f);
		break;
	}
}

static void set_up(struct fuzz *f)
{
	struct virtio_env env = { &f->gm, &f->irq, &f->loop };
	struct sockaddr_un addr;

	signal(SIGPIPE, SIG_IGN);
	f->irq.pulse = fuzz_irq_ignore;
	f->ram = fuzz_memory(&f->gm, RAM_SIZE);
	must(loop_init(&f->loop) == 0);
	snprintf(f->path, sizeof(f->path), "/tmp/mote-fuzz-vsock-%d", getpid());
	must(virtio_vsock_create(&env, CID, f->path, &f->vdev) == 0);
	must(virtio_device_start(f->vdev) == 0);
	f->server = new_socket();
	name_address(f, &addr, "_1");
	unlink(addr.sun_path);
	must(bind(f->server, (struct sockaddr *)&addr, sizeof(addr)) == 0 &&
	     listen(f->server, 8) == 0);
	for (unsigned int i = 0; i < NR_SOCKETS; i++)
		f->socket[i] = -1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct fuzz *f = calloc(1, sizeof(*f));
	struct sockaddr_un addr;
	int lowest = dup(0), again;

	must(f);
	close(lowest);
	f->in = (struct fuzz_input){ data, len };
	set_up(f);
	restart(f);
	for (int i = 0; i < 300 && f->in.len > 0; i++)
		act(f);
	rest(f);
	reap(f);
	for (unsigned int i = 0; i < NR_SOCKETS; i++) {
		if (f->socket[i] >= 0)
			close(f->socket[i]);
	}
	rest(f);
	virtio_device_destroy(f->vdev);
	must(access(f->path, F_OK) < 0);
	close(f->server);
	name_address(f, &addr, "_1");
	unlink(addr.sun_path);
	loop_fini(&f->loop);
	gmem_fini(&f->gm);
	free(f->ram);
	free(f);
	again = dup(0);
	must(again == lowest); /* nothing stays open */
	close(again);
	return 0;
}
