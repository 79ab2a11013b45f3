// SPDX-License-Identifier: Apache-2.0
/*
 * test_race_devices.c - each device while another processor rewrites what it
 * looks at
 *
 * A thread changes descriptors, rings, tables and requests all the time: to
 * what makes sense, so that requests get far, and to what does not.  Meanwhile
 * doorbells ring and the back ends are busy.  A device may do with such a queue
 * what it likes inside guest memory, and nothing outside (the sanitizers look);
 * it comes to an end, it is up again after a reset, and it serves when the
 * thread is gone.
 */
#include <pthread.h>
#include <stdatomic.h>

#include <sys/socket.h>
#include <sys/un.h>

#include "tests/unit/each_device.h"

#define BUFFERS	   MIB(8) /* NR_BUFFERS requests, BUFFER bytes apart */
#define BUFFER	   64u
#define NR_BUFFERS 64u
#define DATA	   MIB(9)
#define ROUNDS	   30000
#define HOST_PORT  1u

struct rings {
	volatile struct vring_desc *desc, *table;
	volatile struct vring_avail *avail;
	volatile struct vring_used *used;
	uint16_t size;
};

static struct {
	enum subject subject;
	struct rings queue[VIRTIO_MAX_QUEUES];
	pthread_t thread;
	_Atomic bool stop;
	_Atomic unsigned long writes;
} race;

static uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

/* Scatters edges among values that make sense. */
static uint32_t edge(uint32_t rnd)
{
	static const uint32_t values[] = { 0,	      1,
					   2,	      16,
					   511,	      512,
					   4096,      65535,
					   65536,     FD_RAM_SIZE - 16,
					   1u << 31,  UINT32_MAX - 15,
					   UINT32_MAX };

	return values[rnd % ARRAY_SIZE(values)];
}

static void put_copy(uint64_t gpa, const void *data, size_t len)
{
	volatile uint8_t *p = fd_ptr(&fd, gpa, len);

	for (size_t i = 0; i < len; i++)
		p[i] = ((const uint8_t *)data)[i];
}

/* A request as a driver would send it; of all that fit the device. */
static void good_request(uint64_t gpa, uint32_t rnd)
{
	const struct virtio_blk_outhdr blk = {
		.type = rnd & 1 ? VIRTIO_BLK_T_IN : rnd >> 1 & 15,
		.sector = rnd >> 6 & 63,
	};
	const struct virtio_vsock_hdr packet = {
		.src_cid = CID,
		.dst_cid = VSOCK_HOST_CID,
		.src_port = rnd & 7,
		.dst_port = HOST_PORT,
		.len = rnd & 8 ? rnd >> 4 & 31 : 0,
		.type = VIRTIO_VSOCK_TYPE_STREAM,
		.op = (uint16_t)(1 + (rnd >> 9) % 7),
		.buf_alloc = KIB(64),
	};
	const struct virtio_net_hdr_v1 net = {
		.flags = rnd & 1,
		.gso_type = rnd >> 1 & 1,
		.gso_size = 100,
		.csum_offset = 6,
	};
	const uint8_t frame[] = { 1, 2, 3, 4, 5, 6, 2, 3, 4, 5, 6, 7, 8 };
	const uint32_t pfn[4] = { DATA / PAGE_SIZE + (rnd & 63), rnd,
				  DATA / PAGE_SIZE, rnd >> 1 };

	if (expected[race.subject].id == VIRTIO_ID_BLOCK)
		put_copy(gpa, &blk, sizeof(blk));
	else if (race.subject == SOCKETS)
		put_copy(gpa, &packet, sizeof(packet));
	else if (race.subject == BALLOONIST)
		put_copy(gpa, pfn, sizeof(pfn));
	if (race.subject != NETWORK)
		return;
	put_copy(gpa, &net, sizeof(net));
	put_copy(gpa + sizeof(net), frame, sizeof(frame));
}

/* Whether queue Q is for what the device writes. */
static bool is_input(unsigned int q)
{
	return race.subject == ENTROPY ||
	       (q == 0 &&
		(race.subject == TERMINAL || race.subject == NETWORK ||
		 race.subject == SOCKETS)) ||
	       (race.subject == BALLOONIST && q == 3);
}

static void good_desc(volatile struct vring_desc *d, unsigned int q,
		      uint32_t rnd)
{
	bool disk = expected[race.subject].id == VIRTIO_ID_BLOCK;
	bool last = !(rnd & 1);

	if (is_input(q)) {
		d->addr = DATA + (rnd >> 8 & 0xfff);
		d->flags = VRING_DESC_F_WRITE;
		d->len = rnd >> 4 & 4095;
	} else if (disk && last) {
		d->addr = DATA + (rnd >> 8 & 0xfff);
		d->flags = VRING_DESC_F_WRITE;
		d->len = (rnd >> 4 & 3) * 512 + 1;
	} else {
		d->addr = BUFFERS + (rnd >> 8) % NR_BUFFERS * BUFFER;
		d->flags = disk ? VRING_DESC_F_NEXT : 0;
		d->len = disk	      ? 16
			 : rnd & 0x30 ? 2 * BUFFER
				      : (rnd >> 4 & 63) + 1;
	}
	d->next = (uint16_t)((rnd >> 9) % 256 & ~1u);
}

static void bad_desc(volatile struct vring_desc *d, uint32_t rnd)
{
	switch (rnd & 3) {
	case 0:
		d->len = edge(rnd >> 2);
		break;
	case 1:
		d->addr = edge(rnd >> 2) * (rnd & 64 ? 1ull : 0x100000001ull);
		break;
	case 2:
		d->next = (uint16_t)edge(rnd >> 2);
		break;
	case 3:
		d->flags = rnd >> 2 & 7;
		break;
	}
}

static void rewrite_rings(struct rings *r, uint32_t rnd)
{
	uint32_t at = rnd >> 3 & (r->size - 1u);

	switch (rnd & 7) {
	case 0:
		r->used->ring[at].id = edge(rnd >> 8);
		break;
	case 1:
		r->used->idx = (uint16_t)edge(rnd >> 8);
		break;
	case 2:
		r->avail->ring[r->size] = (uint16_t)rnd; /* used_event */
		break;
	case 3:
		r->avail->flags = rnd >> 8 & 1;
		break;
	case 4:
		if (rnd >> 8 & 0xff)
			break;
		r->avail->idx = (uint16_t)edge(rnd >> 16);
		break;
	default:
		r->avail->ring[at] = rnd >> 12 & (r->size - 1u);
		if ((rnd & 0x7f0000) == 0)
			r->avail->ring[at] = (uint16_t)edge(rnd >> 3);
		break;
	}
}

static void *rewriting_driver(void *arg)
{
	uint32_t state = 1;

	while (!race.stop) {
		uint32_t rnd = next_random(&state), more = next_random(&state);
		unsigned int q = rnd % expected[race.subject].queues;
		struct rings *r = &race.queue[q];
		uint32_t at = rnd >> 4 & (r->size - 1u);
		uint64_t gpa = BUFFERS + (rnd >> 4) % NR_BUFFERS * BUFFER;
		volatile struct vring_desc *d = &r->desc[at];

		if (r->size == 0)
			continue;
		if (rnd >> 13 & 1)
			d = &r->table[at % 8];
		if ((rnd >> 14 & 0xff) == 0)
			bad_desc(d, more);
		else if ((rnd >> 14 & 15) == 1)
			rewrite_rings(r, more);
		else if (rnd >> 14 & 1)
			good_desc(d, q, more);
		else if (rnd >> 15 & 1)
			good_request(gpa, more);
		else
			put_copy(gpa + (more & 47),
				 (uint32_t[]){ edge(more >> 6) }, 4);
		if ((more & 31) == 0) {
			r->desc[at].addr = (uint64_t)((uintptr_t)r->table -
						      (uintptr_t)fd.ram);
			r->desc[at].len = 16 * (1 + (more >> 5 & 7));
			r->desc[at].flags = VRING_DESC_F_INDIRECT;
		}
		race.writes++;
	}
	return arg;
}

/* All of it as it should be, for a start. */
static void make_good(void)
{
	uint32_t state = 3;

	for (unsigned int q = 0; q < expected[race.subject].queues; q++) {
		struct rings *r = &race.queue[q];

		for (uint32_t i = 0; i < r->size; i++) {
			good_desc(&r->desc[i], q, next_random(&state));
			r->avail->ring[i] = (uint16_t)i;
		}
	}
	for (uint32_t i = 0; i < NR_BUFFERS; i++)
		good_request(BUFFERS + i * BUFFER, next_random(&state));
}

static void race_start(enum subject subject)
{
	set_up(subject);
	start(subject);
	memset(&race, 0, sizeof(race));
	race.subject = subject;
	for (unsigned int q = 0; q < expected[subject].queues; q++) {
		struct rings *r = &race.queue[q];

		if (fd.queue[q].size == 0)
			continue;
		r->size = fd.queue[q].size;
		r->desc = fd_desc(&fd, q);
		r->table = fd_table(&fd, q, 0);
		r->avail = fd_avail_ring(&fd, q);
		r->used = fd_used_ring(&fd, q);
	}
	make_good();
	ck_assert_int_eq(
		pthread_create(&race.thread, NULL, rewriting_driver, NULL), 0);
}

static void race_stop(void)
{
	race.stop = true;
	pthread_join(race.thread, NULL);
}

/* Host sockets: a server that the guest may call, and one call taken. */
static struct {
	int server, taken;
} host = { -1, -1 };

static void host_listen(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	host.taken = -1;
	host.server =
		socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/tmp/mote-each-%d_%u",
		 getpid(), HOST_PORT);
	unlink(addr.sun_path);
	ck_assert_int_eq(bind(host.server, (void *)&addr, sizeof(addr)), 0);
	ck_assert_int_eq(listen(host.server, 16), 0);
}

static void host_hang_up(void)
{
	char path[48];

	if (host.taken >= 0)
		close(host.taken);
	close(host.server);
	snprintf(path, sizeof(path), "/tmp/mote-each-%d_%u", getpid(),
		 HOST_PORT);
	unlink(path);
}

static void host_talks(uint32_t rnd)
{
	static char bytes[4096];
	ssize_t n = 0;

	if (host.taken < 0)
		host.taken = accept4(host.server, NULL, NULL, SOCK_NONBLOCK);
	if (host.taken < 0)
		return;
	n += send(host.taken, bytes, rnd & 4095, MSG_NOSIGNAL);
	n += read(host.taken, bytes, sizeof(bytes));
	if ((rnd & 0x700) == 0 || n < -2) {
		close(host.taken);
		host.taken = -1;
	}
}

/* What happens on the host's side of the device. */
static void back_end(enum subject subject, uint32_t rnd)
{
	static uint8_t bytes[2048];
	size_t len = rnd % sizeof(bytes);

	if (subject == TERMINAL) {
		struct port_user *user = out.port.user;

		out.room = rnd & 4095;
		user->writable(user);
		if (user->room(user) > 0)
			user->receive(user, bytes, 1);
	} else if (subject == NETWORK) {
		while (read(wire.host, bytes, sizeof(bytes)) > 0)
			;
		memset(bytes, 0, sizeof(struct virtio_net_hdr_v1));
		ck_assert_int_ge(send(wire.host, bytes, len, MSG_NOSIGNAL), -1);
	} else if (subject == BALLOONIST) {
		MUST(virtio_balloon_set_target(fd.vdev, MIB(len & 15)) == 0);
	} else if (subject == SOCKETS) {
		host_talks(rnd);
	}
}

/* V9, V11: everything is rewritten while each device runs.  What was checked is
 * what is used; requests get through, malformed ones stop the device, and it
 * comes back.
 */
START_TEST(test_rewritten_under_a_device)
{
	unsigned long used = 0, bad = 0;
	uint32_t state = (uint32_t)_i + 7;

	if (_i == SOCKETS)
		host_listen();
	race_start(_i);
	for (unsigned int i = 0; i < ROUNDS || !used || !bad; i++) {
		for (unsigned int q = 0; q < expected[_i].queues; q++) {
			struct virtqueue *vq = &fd.vdev->vq[q];
			uint16_t before = vq->next_used;

			if (!race.queue[q].size)
				continue;
			__atomic_store_n(&race.queue[q].avail->idx,
					 (uint16_t)(vq->next_avail + (i & 3)),
					 __ATOMIC_RELAXED);
			back_end(_i, next_random(&state));
			fd_kick(&fd, q);
			loop_step(&fd.loop, 0);
			MUST(vq->nr_in_flight <= vq->size);
			used += (uint16_t)(vq->next_used - before);
		}
		MUST(i < 1000 * ROUNDS);
		if (!(status() & VIRTIO_CONFIG_S_NEEDS_RESET))
			continue;
		bad++;
		start(_i);
		make_good();
	}
	race_stop();
	ck_assert_uint_gt(race.writes, ROUNDS);
	out.room = SIZE_MAX;
	start(_i);
	serve(_i);
	if (_i == SOCKETS)
		host_hang_up();
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("race devices");
	TCase *tc = tcase_create("each device");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, NULL, tear_down); /* set_up() needs _i */
	tcase_add_loop_test(tc, test_rewritten_under_a_device, 0, NR_SUBJECTS);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
