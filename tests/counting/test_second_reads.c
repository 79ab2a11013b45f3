// SPDX-License-Identifier: Apache-2.0
/*
 * test_second_reads.c - no byte that a driver wrote is read twice
 *
 * What is read twice may be two things: one that is checked and one that is
 * used.  Each device is given each kind of request, cut in several ways, and
 * what a driver may send in place of one.  From the doorbell until the device
 * rests, each byte of guest memory is read once at most, data included.  Not so
 * three words of a queue, which are there to be looked at again: the available
 * idx, its flags and used_event.
 */
#include "tests/counting/reads.h"
#include "tests/unit/each_device.h"

#include <sys/socket.h>
#include <sys/un.h>

#define REQUEST	   512u /* bytes of one, at most */
#define HOST_PORT  1u
#define GUEST_PORT 7u

/* One chain: what the device reads, and how much it may write. */
struct request {
	const char *what;
	unsigned int q;
	uint32_t reads, writes;
	bool unread; /* the device need not look at it */
	uint8_t bytes[REQUEST];
};

/* Words that the device polls. */
static bool polled(uint64_t gpa)
{
	for (unsigned int q = 0; q < VIRTIO_MAX_QUEUES; q++) {
		const struct fd_queue *fq = &fd.queue[q];
		uint64_t event = fq->avail + 4 + 2ull * fq->size;

		if (fq->size == 0)
			continue;
		if (gpa >= fq->avail && gpa < fq->avail + 4)
			return true;
		if (gpa >= event && gpa < event + 2)
			return true;
	}
	return false;
}

static void check_reads(const struct request *r, uint64_t request)
{
	const uint32_t *offset;
	uint32_t looked_at = 0;
	size_t nr;

	reads_end();
	nr = reads_touched(&offset);
	for (size_t i = 0; i < nr; i++) {
		uint32_t gpa = offset[i];

		if (reads_of(gpa) > 1 && !polled(gpa))
			ck_abort_msg("%s: %#x (%+ld) is read %u times", r->what,
				     gpa, (long)(gpa - request), reads_of(gpa));
	}
	/* The counting itself is alive. */
	for (uint32_t i = 0; i < r->reads; i++)
		looked_at += reads_of(request + i);
	ck_assert_msg(looked_at > 0 || r->reads == 0 || r->unread,
		      "%s: nobody looked at it", r->what);
}

/* Posts R cut into pieces of PIECE bytes and lets the device work. */
static void offer(const struct request *r, uint32_t piece,
		  enum fd_layout layout)
{
	uint64_t memory = fd.alloc;
	uint64_t in = fd_put(&fd, r->bytes, MAX(r->reads, 1u));
	uint64_t out_gpa = fd_alloc(&fd, MAX(r->writes, 1u));
	struct fd_seg seg[VIRTQ_MAX_SIZE];
	unsigned int nr = 0, nr_in;

	for (uint32_t at = 0; at < r->reads; at += piece)
		seg[nr++] =
			(struct fd_seg){ in + at, MIN(piece, r->reads - at) };
	nr_in = nr;
	for (uint32_t at = 0; at < r->writes; at += piece)
		seg[nr++] = (struct fd_seg){ out_gpa + at,
					     MIN(piece, r->writes - at) };
	fd_post(&fd, r->q, seg, nr_in, nr - nr_in, layout);
	reads_begin(fd.ram, FD_RAM_SIZE);
	fd_kick(&fd, r->q);
	fd_run_loop(&fd);
	/* What the kernel does beside us takes its time. */
	for (uint64_t end = now_ns() + PATIENCE;
	     disk_ring && fd.vdev->vq[0].nr_in_flight > 0;) {
		ck_assert_uint_lt(now_ns(), end);
		loop_step(&fd.loop, 1);
	}
	check_reads(r, in);
	while (fd_used(&fd, r->q, NULL, NULL))
		;
	fd.alloc = memory;
}

static void offer_all_ways(enum subject subject, const struct request *r)
{
	static const uint32_t pieces[] = { REQUEST, 16, 11, 5 };

	for (unsigned int i = 0; i < ARRAY_SIZE(pieces); i++) {
		for (int layout = FD_DIRECT; layout <= FD_MIXED; layout++) {
			/* What is held would be in the way. */
			if (status() & VIRTIO_CONFIG_S_NEEDS_RESET ||
			    fd.queue[r->q].nr_free < VIRTQ_MAX_SIZE)
				start(subject);
			offer(r, pieces[i], (enum fd_layout)layout);
		}
	}
}

static struct request new_request(const char *what, unsigned int q,
				  uint32_t reads, uint32_t writes)
{
	struct request r = { what, q, reads, writes, false, { 0 } };

	for (uint32_t i = 0; i < REQUEST; i++)
		r.bytes[i] = (uint8_t)(i * 7 + 1);
	return r;
}

static void offer_disk(enum subject subject)
{
	for (uint32_t type = 0; type < 20; type++) {
		bool range = type == VIRTIO_BLK_T_DISCARD ||
			     type == VIRTIO_BLK_T_WRITE_ZEROES;
		struct request r = new_request("disk", 0, 16, 513);

		if (type == VIRTIO_BLK_T_OUT || range)
			r = new_request("disk", 0, range ? 48 : 496, 1);
		if (type == VIRTIO_BLK_T_GET_ID)
			r.writes = 21;
		memset(r.bytes, 0, sizeof(r.bytes));
		put_le32(r.bytes, type);
		put_le64(r.bytes + 8, 1);
		for (uint32_t at = 16; range && at < 48; at += 16) {
			put_le64(r.bytes + at, at);
			put_le32(r.bytes + at + 8, 8);
		}
		offer_all_ways(subject, &r);
	}
}

static void offer_write(enum subject subject)
{
	struct request r = new_request("write", 0, REQUEST, 1);
	struct fd_seg seg[3];

	(void)subject;
	memset(r.bytes, 0, 16);
	put_le32(r.bytes, VIRTIO_BLK_T_OUT);
	seg[0] = (struct fd_seg){ fd_put(&fd, r.bytes, 16), 16 };
	seg[1] = (struct fd_seg){ fd_put(&fd, r.bytes, 512), 512 };
	seg[2] = (struct fd_seg){ fd_alloc(&fd, 1), 1 };
	for (int layout = FD_DIRECT; layout <= FD_MIXED; layout++) {
		fd_post(&fd, 0, seg, 2, 1, (enum fd_layout)layout);
		reads_begin(fd.ram, FD_RAM_SIZE);
		fd_kick(&fd, 0);
		fd_run_loop(&fd);
		check_reads(&r, seg[0].gpa);
	}
}

static void offer_terminal(enum subject subject)
{
	struct request line = new_request("line", 1, 100, 0);
	struct request input = new_request("input", 0, 0, 64);

	offer_all_ways(subject, &line);
	for (int i = 0; i < 20; i++) {
		offer(&input, 64, FD_INDIRECT);
		if (out.port.user->room(out.port.user) > 0)
			out.port.user->receive(out.port.user, "input", 5);
	}
}

static void offer_balloon(enum subject subject)
{
	struct request r = new_request("pages", 0, 64, 0);

	for (uint32_t i = 0; i < 16; i++)
		put_le32(r.bytes + 4 * i,
			 (uint32_t)(MIB(8) / PAGE_SIZE) + i * i);
	put_le32(r.bytes + 8, UINT32_MAX);
	offer_all_ways(subject, &r);
	r.q = 1;
	r.unread = true; /* their number is what counts */
	offer_all_ways(subject, &r);
	r = new_request("statistics", 2, 30, 0);
	offer_all_ways(subject, &r);
	r = new_request("report", 3, 0, 64);
	offer_all_ways(subject, &r);
}

static void offer_frames(enum subject subject)
{
	static const struct virtio_net_hdr_v1 hdr[] = {
		{ 0 },
		{ .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		  .csum_start = 34,
		  .csum_offset = 6 },
		{ .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		  .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
		  .gso_size = 100,
		  .csum_start = 34,
		  .csum_offset = 16,
		  .hdr_len = 54 },
		{ .flags = 0xff, .gso_type = 0xff },
	};
	struct request r = new_request("frame", 1, 200, 0);
	struct request room = new_request("frame's room", 0, 0, 400);

	memcpy(r.bytes + 18, (uint8_t[]){ 2, 3, 4, 5, 6, 7, 8, 0 }, 8);
	for (unsigned int i = 0; i < ARRAY_SIZE(hdr); i++) {
		memcpy(r.bytes, &hdr[i], sizeof(hdr[i]));
		offer_all_ways(subject, &r);
		ck_assert_int_eq(send(wire.host, r.bytes, 300, MSG_NOSIGNAL),
				 300);
		memset(r.bytes, 0, sizeof(hdr[i]));
		ck_assert_int_eq(send(wire.host, r.bytes, 300, MSG_NOSIGNAL),
				 300);
		offer_all_ways(subject, &room);
	}
}

static void offer_packets(enum subject subject)
{
	struct request room = new_request("packet's room", 0, 0, 400);
	struct virtio_vsock_hdr hdr = {
		.src_cid = CID,
		.dst_cid = VSOCK_HOST_CID,
		.src_port = GUEST_PORT,
		.dst_port = HOST_PORT,
		.type = VIRTIO_VSOCK_TYPE_STREAM,
		.buf_alloc = KIB(64),
	};
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "/tmp/mote-each-%d_%u",
		 getpid(), HOST_PORT);
	unlink(addr.sun_path);
	ck_assert_int_eq(bind(server, (void *)&addr, sizeof(addr)), 0);
	ck_assert_int_eq(listen(server, 64), 0);
	for (uint16_t op = 0; op < 9; op++) {
		struct request r = new_request("packet", 1, 200, 0);

		/* On a connection, if a REQUEST makes one. */
		for (int again = 0; again < 2; again++) {
			hdr.op = again ? op : VIRTIO_VSOCK_OP_REQUEST;
			hdr.len = hdr.op == VIRTIO_VSOCK_OP_RW ? 100 : 0;
			hdr.src_port += !again;
			memcpy(r.bytes, &hdr, sizeof(hdr));
			if (again)
				offer_all_ways(subject, &r);
			else
				offer(&r, REQUEST, FD_DIRECT);
			offer(&room, 100, FD_INDIRECT);
		}
	}
	ck_assert_uint_ge(counter_get(&virtio_vsock_stats(fd.vdev)->opened), 5);
	ck_assert_uint_gt(counter_get(&virtio_vsock_stats(fd.vdev)->tx_bytes),
			  0);
	close(server);
	unlink(addr.sun_path);
}

/* V9: from doorbell to rest no byte of a request is read twice */
START_TEST(test_second_reads)
{
	struct request fill = new_request("room for random bytes", 0, 0, 64);

	set_up(_i);
	start(_i);
	switch ((enum subject)_i) {
	case DISK:
	case READ_ONLY_DISK:
	case RING_DISK:
		offer_disk(_i);
		offer_write(_i);
		break;
	case TERMINAL:
		offer_terminal(_i);
		break;
	case ENTROPY:
		offer_all_ways(_i, &fill);
		break;
	case BALLOONIST:
		offer_balloon(_i);
		break;
	case NETWORK:
		offer_frames(_i);
		break;
	case SOCKETS:
		offer_packets(_i);
		break;
	case NR_SUBJECTS:
		break;
	}
}
END_TEST

/* A byte that is read twice is seen, by a load and by a copy. */
START_TEST(test_counting_counts)
{
	static uint8_t ram[64];
	volatile uint8_t *byte = ram + 7;
	uint8_t copy[8];

	reads_begin(ram, sizeof(ram));
	copy[0] = *byte;
	memcpy(copy, ram + 6, 2 + (copy[0] & 1));
	reads_end();
	ck_assert_uint_eq(copy[0] + copy[1], 0);
	ck_assert_uint_eq(reads_of(6), 1);
	ck_assert_uint_eq(reads_of(7), 2);
	ck_assert_uint_eq(reads_of(8), 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("second reads");
	TCase *tc = tcase_create("each device");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, NULL, tear_down); /* set_up() needs _i */
	tcase_add_loop_test(tc, test_second_reads, 0, NR_SUBJECTS);
	suite_add_tcase(s, tc);
	tc = tcase_create("counting");
	tcase_add_test(tc, test_counting_counts);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
