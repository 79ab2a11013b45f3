// SPDX-License-Identifier: Apache-2.0
/*
 * test_blk_ring.c - virtio block: many requests under way, which end in any
 * order, late, short, with errors, or not at all
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/mman.h>

#include <linux/virtio_blk.h>

#include "base/util.h"
#include "tests/unit/fake_driver.h"
#include "tests/unit/fake_ring.h"
#include "tests/unit/unit.h"
#include "virtio/blk.h"

#define SECTORS 4096u
#define BYTES	((size_t)SECTORS * SECTOR_SIZE)
#define PENDING 0xff /* no status byte was returned */
#define MS	1000000u

#define F(bit) (1ull << VIRTIO_BLK_F_##bit)
#define ALL    (FD_FEATURES | F(FLUSH) | F(CONFIG_WCE))

#define FAILED_BIT VIRTIO_CONFIG_S_FAILED

#define IN    VIRTIO_BLK_T_IN
#define OUT   VIRTIO_BLK_T_OUT
#define FLUSH VIRTIO_BLK_T_FLUSH
#define OK    VIRTIO_BLK_S_OK
#define IOERR VIRTIO_BLK_S_IOERR

/* A request as its driver sees it. */
struct asked {
	uint16_t head;
	uint32_t room;
	uint64_t sector, data, status;
	size_t len;
	unsigned int answers;
};

static struct fake_driver fd;
static struct disk_ring *ring;
static struct disk *disk;
static int image_fd;
static uint8_t image[BYTES];
static uint32_t rnd;

static uint32_t next_random(void)
{
	rnd = rnd * 1664525u + 1013904223u;
	return rnd >> 8;
}

/* A file with PATTERN, opened as a disk with the ring. */
static struct disk *open_disk(int *file, size_t bytes, uint8_t pattern)
{
	struct disk *opened;
	char path[32];

	*file = memfd_create("disk", MFD_CLOEXEC);
	for (size_t i = 0; i < bytes; i++)
		image[i] = (uint8_t)(pattern + i * 7 + i / SECTOR_SIZE);
	ck_assert_int_eq(write(*file, image, bytes), (ssize_t)bytes);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", *file);
	ck_assert_int_eq(disk_open(path, false, false, &opened), 0);
	ck_assert_int_eq(disk_set_ring(opened, ring), 0);
	return opened;
}

static void set_up_queues(unsigned int queues)
{
	struct virtio_device *vdev;

	rnd = 1;
	ck_assert_int_eq(disk_ring_create(NULL, &ring), 0);
	fake_ring = ring;
	disk = open_disk(&image_fd, BYTES, 0);
	fd_init(&fd);
	ck_assert_int_eq(virtio_blk_create(&fd.env, disk, &vdev), 0);
	virtio_blk_set_queues(vdev, queues);
	fd_attach(&fd, vdev);
	ck_assert(fd_start(&fd, ALL | (queues > 1 ? F(MQ) : 0)));
	fd_run_loop(&fd);
}

static void set_up(void)
{
	set_up_queues(1);
}

static void tear_down(void)
{
	fd_fini(&fd);
	disk_ring_destroy(ring);
	close(image_fd);
}

/* Publishes a request of LEN bytes.  No doorbell. */
static struct asked post(unsigned int q, uint32_t type, uint64_t sector,
			 size_t len)
{
	struct virtio_blk_outhdr hdr = { .type = type, .sector = sector };
	struct asked a = { .sector = sector, .len = len };
	struct fd_seg seg[3];
	unsigned int n = 0;

	seg[n++] = (struct fd_seg){ fd_put(&fd, &hdr, sizeof(hdr)), 16 };
	a.data = fd_alloc(&fd, len);
	a.status = fd_alloc(&fd, 1);
	memset(fd_ptr(&fd, a.data, len), 0xee, len);
	*(uint8_t *)fd_ptr(&fd, a.status, 1) = PENDING;
	if (len > 0)
		seg[n++] = (struct fd_seg){ a.data, (uint32_t)len };
	seg[n++] = (struct fd_seg){ a.status, 1 };
	a.room = (type == IN ? (uint32_t)len : 0) + 1;
	a.head = fd_post(&fd, q, seg, type == IN ? 1 : n - 1,
			 type == IN ? n - 1 : 1, FD_INDIRECT);
	return a;
}

/* Rings, and lets the device have all the turns that it wants. */
static void kick(unsigned int q)
{
	fd_kick(&fd, q);
	fd_run_loop(&fd);
}

static uint8_t status_of(const struct asked *a)
{
	return *(uint8_t *)fd_ptr(&fd, a->status, 1);
}

static const uint8_t *data_of(const struct asked *a)
{
	return fd_ptr(&fd, a->data, a->len);
}

/* Takes what was used of queue Q and counts it; each head but once. */
static unsigned int take_used(unsigned int q, struct asked *a, unsigned int nr)
{
	unsigned int taken = 0;
	uint16_t head;
	uint32_t len;

	for (; fd_used(&fd, q, &head, &len); taken++) {
		unsigned int i = 0;

		while (i < nr && (a[i].head != head || a[i].answers))
			i++;
		ck_assert_uint_lt(i, nr);
		ck_assert_uint_eq(len, a[i].room);
		a[i].answers++;
	}
	return taken;
}

static uint32_t status_reg(void)
{
	return fd_reg(&fd, VIRTIO_MMIO_STATUS);
}

static uint64_t in_hand(void)
{
	return counter_get(&virtio_blk_stats(fd.vdev)->in_hand);
}

/* V4: a full queue of reads, which end in an order that is nobody's */
START_TEST(any_order)
{
	static struct asked a[256];

	for (unsigned int round = 0; round < 8; round++) {
		uint64_t start = fd.alloc;

		for (unsigned int i = 0; i < 256; i++)
			a[i] = post(0, IN, next_random() % (SECTORS - 8),
				    512 * (1 + next_random() % 8));
		kick(0);
		ck_assert_uint_eq(ring->nr, 256);
		ck_assert_uint_eq(ring->nr_submitted, 256);
		ck_assert_uint_eq(in_hand(), 256);
		ck_assert_uint_eq(take_used(0, a, 256), 0);
		while (ring->nr > 0) {
			fake_end(ring, next_random() % ring->nr, FAKE_REAL);
			if (next_random() % 4 == 0)
				fake_reap(ring);
		}
		fake_reap(ring);
		ck_assert_uint_eq(take_used(0, a, 256), 256);
		for (unsigned int i = 0; i < 256; i++) {
			ck_assert_uint_eq(status_of(&a[i]), OK);
			ck_assert_mem_eq(data_of(&a[i]),
					 image + a[i].sector * 512, a[i].len);
		}
		ck_assert_uint_eq(in_hand(), 0);
		fd.alloc = start;
	}
	ck_assert_uint_eq(counter_get(&virtio_blk_stats(fd.vdev)->in_hand_peak),
			  256);
	ck_assert_uint_eq(counter_get(&virtio_blk_stats(fd.vdev)->reads),
			  8 * 256);
}
END_TEST

/* V17: requests that come back in pieces, are interrupted, or fail: one answer
 * each, and no byte of memory that is not the disk's or zero.
 */
START_TEST(pieces_and_errors)
{
	static struct asked a[200];
	static bool failed[200];
	unsigned int nr_failed = 0;

	for (unsigned int i = 0; i < 200; i++)
		a[i] = post(0, IN, i * 16, 512 * 8);
	kick(0);
	while (ring->nr > 0) {
		unsigned int at = next_random() % ring->nr;
		unsigned int i =
			(unsigned int)(ring->op[at]->offset / 512 / 16);
		unsigned int what = next_random() % 10;

		failed[i] = what == 0;
		nr_failed += failed[i];
		fake_end(ring, at,
			 what == 0   ? -EIO
			 : what == 1 ? -EINTR
			 : what < 8  ? FAKE_SHORT
				     : FAKE_REAL);
		fake_reap(ring);
	}
	ck_assert_uint_eq(take_used(0, a, 200), 200);
	ck_assert_uint_gt(nr_failed, 10);
	for (unsigned int i = 0; i < 200; i++) {
		const uint8_t *data = data_of(&a[i]);
		const uint8_t *want = image + a[i].sector * 512;
		bool zeros = false;

		ck_assert_uint_eq(status_of(&a[i]), failed[i] ? IOERR : OK);
		for (size_t s = 0; s < 8; s++, data += 512, want += 512) {
			zeros |= memcmp(data, want, 512) != 0;
			if (zeros)
				ck_assert_uint_eq(data[0] | data[511], 0);
		}
		ck_assert_uint_eq(zeros, failed[i]);
	}
	ck_assert_uint_eq(counter_get(&virtio_blk_stats(fd.vdev)->errors),
			  nr_failed);
}
END_TEST

/* More than was asked for is no answer that a kernel gives; nor is it taken. */
START_TEST(too_much)
{
	struct asked a = post(0, IN, 0, 512);

	kick(0);
	fake_end(ring, 0, 513);
	fake_reap(ring);
	ck_assert_uint_eq(take_used(0, &a, 1), 1);
	ck_assert_uint_eq(status_of(&a), IOERR);
}
END_TEST

/* V17: the end of a file that has shrunk: zeros; writes there fail. */
START_TEST(shrunk)
{
	struct asked a[2] = { post(0, IN, 8, 4096), post(0, OUT, 16, 512) };

	ck_assert_int_eq(ftruncate(image_fd, 8 * 512 + 512), 0);
	kick(0);
	ck_assert_uint_eq(ring->nr, 1);
	fake_end_all(ring);
	ck_assert_uint_eq(take_used(0, a, 2), 2);
	ck_assert_uint_eq(status_of(&a[0]), OK);
	ck_assert_mem_eq(data_of(&a[0]), image + 8 * 512, 512);
	for (size_t i = 512; i < 4096; i++)
		ck_assert_uint_eq(data_of(&a[0])[i], 0);
	ck_assert_uint_eq(status_of(&a[1]), IOERR);
	ck_assert_int_eq(lseek(image_fd, 0, SEEK_END), 9 * 512);
}
END_TEST

/* What is in the page cache does not go through the ring; nor is the ring asked
 * where the file cannot tell.
 */
START_TEST(page_cache)
{
	struct asked a[4];

	ring->try_result = 0;
	a[0] = post(0, IN, 3, 1024);
	a[1] = post(0, OUT, 3, 1024);
	kick(0);
	ck_assert_uint_eq(ring->starts, 0);
	ck_assert_uint_eq(take_used(0, a, 2), 2);
	ck_assert_uint_eq(status_of(&a[0]) | status_of(&a[1]), OK);
	ck_assert_mem_eq(data_of(&a[0]), image + 3 * 512, 1024);

	ring->tries = 0;
	ring->try_result = -EOPNOTSUPP;
	for (unsigned int i = 0; i < 4; i++)
		a[i] = post(0, i & 1 ? IN : OUT, i, 512);
	kick(0);
	ck_assert_uint_eq(ring->tries, 2); /* once each way */
	fake_end_all(ring);
	ck_assert_uint_eq(take_used(0, a, 4), 4);
}
END_TEST

/* A disk that does not answer holds up nobody: neither the loop nor requests
 * that it does answer.
 */
START_TEST(stalled)
{
	struct asked a[3];

	a[0] = post(0, IN, 0, 512);
	kick(0);
	a[1] = post(0, OUT, 8, 512);
	a[2] = post(0, VIRTIO_BLK_T_GET_ID, 0, 20);
	kick(0);
	ck_assert_uint_eq(ring->nr, 2);
	fake_end(ring, 1, FAKE_REAL);
	fake_reap(ring);
	ck_assert_uint_eq(take_used(0, a, 3), 2);
	ck_assert_uint_eq(status_of(&a[0]), PENDING);
	ck_assert_uint_eq(status_of(&a[1]), OK);
	fake_end_all(ring);
	ck_assert_uint_eq(take_used(0, a, 3), 1);
}
END_TEST

/* A chain larger than a slice is several operations, one at a time. */
START_TEST(slices)
{
	struct asked a = post(0, OUT, 1, MIB(1) + 1024);
	uint8_t *data = fd_ptr(&fd, a.data, a.len);
	static uint8_t got[MIB(1) + 1024];

	for (size_t i = 0; i < a.len; i++)
		data[i] = (uint8_t)(i * 3 + i / 512);
	kick(0);
	ck_assert_uint_eq(ring->nr, 1);
	fake_end(ring, 0, FAKE_SHORT);
	ck_assert_uint_eq(ring->nr, 1);
	fake_reap(ring);
	fake_end(ring, 0, FAKE_REAL);
	fake_reap(ring);
	ck_assert_uint_eq(ring->nr, 1);
	ck_assert_uint_eq(take_used(0, &a, 1), 0);
	fake_end(ring, 0, FAKE_REAL);
	fake_reap(ring);
	ck_assert_uint_eq(ring->starts, 3);
	ck_assert_uint_eq(take_used(0, &a, 1), 1);
	ck_assert_int_eq(pread(image_fd, got, a.len, 512), (ssize_t)a.len);
	ck_assert_mem_eq(got, data, a.len);
}
END_TEST

/* B6, virtio 1.2 §5.2.6.2: a flush covers what was completed before it.  One
 * that comes while another is under way has one of its own, after it; all that
 * come share that.
 */
START_TEST(flushes)
{
	struct asked a[5];

	a[0] = post(0, FLUSH, 0, 0);
	kick(0);
	ck_assert_uint_eq(ring->syncs, 1);
	for (unsigned int i = 1; i < 4; i++)
		a[i] = post(0, FLUSH, 0, 0);
	kick(0);
	ck_assert_uint_eq(ring->syncs, 1);
	fake_end(ring, 0, -EINTR);
	ck_assert_uint_eq(ring->syncs, 2);
	disk_ring_submit(ring);
	fake_end(ring, 0, 0);
	fake_reap(ring);
	ck_assert_uint_eq(take_used(0, a, 4), 1);
	ck_assert_uint_eq(a[0].answers, 1);
	ck_assert_uint_eq(ring->nr, 1);
	a[4] = post(0, IN, 0, 512); /* is not held up */
	kick(0);
	fake_end(ring, 1, FAKE_REAL);
	fake_reap(ring);
	ck_assert_uint_eq(take_used(0, a, 5), 1);
	fake_end_all(ring);
	ck_assert_uint_eq(ring->syncs, 3);
	ck_assert_uint_eq(take_used(0, a, 5), 3);
}
END_TEST

/* B6, virtio 1.2 §5.2.6.2: the kernel tells of a lost page once, so all flushes
 * fail from then on, those that were waiting too.
 */
START_TEST(flush_fails)
{
	struct asked a[4];

	for (unsigned int i = 0; i < 3; i++)
		a[i] = post(0, FLUSH, 0, 0);
	kick(0);
	fake_end(ring, 0, -ENOSPC);
	fake_reap(ring);
	a[3] = post(0, FLUSH, 0, 0);
	kick(0);
	ck_assert_uint_eq(ring->starts, 1);
	ck_assert_uint_eq(take_used(0, a, 4), 4);
	for (unsigned int i = 0; i < 4; i++)
		ck_assert_uint_eq(status_of(&a[i]), IOERR);
}
END_TEST

/* B6, virtio 1.2 §5.2.6.2: without writeback a write is stable when it is
 * completed
 */
START_TEST(writethrough)
{
	const uint8_t off = 0;
	struct asked a[2];

	fd_mmio_write(&fd,
		      VIRTIO_MMIO_CONFIG +
			      offsetof(struct virtio_blk_config, wce),
		      &off, 1);
	a[0] = post(0, OUT, 0, 512);
	a[1] = post(0, OUT, 1, 512);
	kick(0);
	ck_assert_uint_eq(ring->nr, 2);
	fake_end(ring, 1, FAKE_REAL);
	fake_reap(ring);
	ck_assert_uint_eq(ring->syncs, 1);
	ck_assert_uint_eq(take_used(0, a, 2), 0);
	/* The second write was not there when the flush began. */
	fake_end(ring, 0, FAKE_REAL);
	fake_reap(ring);
	ck_assert_uint_eq(ring->nr, 1);
	fake_end(ring, 0, 0);
	fake_reap(ring);
	ck_assert_uint_eq(take_used(0, a, 2), 1);
	ck_assert_uint_eq(a[1].answers, 1);
	fake_end_all(ring);
	ck_assert_uint_eq(ring->syncs, 2);
	ck_assert_uint_eq(take_used(0, a, 2), 1);
}
END_TEST

/* C13, V19, virtio 1.2 §2.4.1, §4.2.3.1: a reset with 1 to 256 requests under
 * way.  Status is 0 when the last of them has ended; not one is answered, and
 * from then on guest memory is left alone.
 */
START_TEST(reset)
{
	static struct asked a[256];

	for (unsigned int nr = 1; nr <= 256; nr += nr < 4 ? 1 : 21) {
		uint64_t start = fd.alloc;
		uint32_t before;

		for (unsigned int i = 0; i < nr; i++)
			a[i] = post(0, IN, i, 512);
		kick(0);
		ck_assert_uint_eq(ring->nr, nr);
		fd_set_reg(&fd, VIRTIO_MMIO_STATUS, 0);
		while (ring->nr > 0) {
			ck_assert_uint_ne(status_reg(), 0);
			/* Nothing but another reset is heard. */
			before = status_reg();
			fd_set_reg(&fd, VIRTIO_MMIO_STATUS,
				   next_random() & 1 ? 0 : before | FAILED_BIT);
			ck_assert_uint_eq(status_reg(), before);
			kick(0);
			fd_set_reg(&fd, VIRTIO_MMIO_QUEUE_SEL, 0);
			fd_set_reg(&fd, VIRTIO_MMIO_QUEUE_READY, 1);
			ck_assert_uint_eq(fd_reg(&fd, VIRTIO_MMIO_QUEUE_READY),
					  1);
			fake_end(ring, next_random() % ring->nr, FAKE_REAL);
			fake_reap(ring);
		}
		ck_assert_uint_eq(status_reg(), 0);
		ck_assert_uint_eq(fd_reg(&fd, VIRTIO_MMIO_QUEUE_READY), 0);
		ck_assert_uint_eq(fd_reg(&fd, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
		ck_assert_uint_eq(fd_used_ring(&fd, 0)->idx, 0);
		for (unsigned int i = 0; i < nr; i++)
			ck_assert_uint_eq(status_of(&a[i]), PENDING);
		ck_assert_uint_eq(in_hand(), 0);
		ck_assert(fd_start(&fd, ALL));
		fd_run_loop(&fd);
		fd.alloc = start;
	}
}
END_TEST

/* C13, V19, virtio 1.2 §2.4.1: the same when the last ones end in the same
 * breath as the reset comes.
 */
START_TEST(reset_before_the_device_hears)
{
	struct asked a[2] = { post(0, IN, 0, 512), post(0, IN, 1, 512) };

	kick(0);
	fake_end(ring, 0, FAKE_REAL);
	fake_end(ring, 0, FAKE_REAL);
	fd_set_reg(&fd, VIRTIO_MMIO_STATUS, 0);
	ck_assert_uint_ne(status_reg(), 0);
	fake_reap(ring);
	ck_assert_uint_eq(status_reg(), 0);
	ck_assert_uint_eq(status_of(&a[0]) & status_of(&a[1]), PENDING);
	ck_assert_uint_eq(fd_used_ring(&fd, 0)->idx, 0);
}
END_TEST

/* C18, virtio 1.2 §4.2.2.1, §4.2.2.2: QueueReady, too, is read back as 0 when
 * the queue is not in use any more.
 */
START_TEST(queue_ready)
{
	struct asked a = post(0, IN, 0, 512);

	kick(0);
	fd_set_reg(&fd, VIRTIO_MMIO_QUEUE_SEL, 0);
	fd_set_reg(&fd, VIRTIO_MMIO_QUEUE_READY, 0);
	ck_assert_uint_eq(fd_reg(&fd, VIRTIO_MMIO_QUEUE_READY), 1);
	fake_end_all(ring);
	ck_assert_uint_eq(fd_reg(&fd, VIRTIO_MMIO_QUEUE_READY), 0);
	ck_assert_uint_eq(status_of(&a), PENDING);
	ck_assert_uint_eq(fd_used_ring(&fd, 0)->idx, 0);
	fd_reset(&fd);
	ck_assert_uint_eq(status_reg(), 0);
}
END_TEST

/* V19, virtio 1.2 §2.4.1: a queue turns out to be malformed with requests under
 * way: they end, unanswered, and the reset waits for them as for any other.
 */
START_TEST(needs_reset)
{
	struct asked a = post(0, IN, 0, 512);

	kick(0);
	fd_avail_ring(&fd, 0)->idx =
		(uint16_t)(fd_avail_ring(&fd, 0)->idx + 300);
	kick(0);
	ck_assert(status_reg() & VIRTIO_CONFIG_S_NEEDS_RESET);
	fake_end(ring, 0, FAKE_REAL);
	fake_reap(ring);
	ck_assert_uint_eq(status_of(&a), PENDING);
	ck_assert_uint_eq(fd_used_ring(&fd, 0)->idx, 0);
	fd_reset(&fd);
	ck_assert_uint_eq(status_reg(), 0);
	ck_assert_uint_eq(in_hand(), 0);
	ck_assert(fd_start(&fd, ALL));
}
END_TEST

static void *writes_zero(void *arg)
{
	fd_set_reg(&fd, VIRTIO_MMIO_STATUS, 0);
	return arg;
}

/* C13, virtio 1.2 §2.4.1: a vCPU that does not look at Status.  Its write takes
 * as long as the requests under way, within the device's patience.
 */
START_TEST(patience)
{
	pthread_t vcpu;
	uint64_t begin;

	post(0, IN, 0, 512);
	kick(0);
	fd.vdev->patience_ns = 20000ull * MS;
	begin = now_ns();
	ck_assert_int_eq(pthread_create(&vcpu, NULL, writes_zero, NULL), 0);
	usleep(20000);
	ck_assert_uint_ne(status_reg(), 0);
	fake_end_all(ring);
	pthread_join(vcpu, NULL);
	ck_assert_uint_lt(now_ns() - begin, 10000ull * MS);
	ck_assert_uint_eq(status_reg(), 0);

	ck_assert(fd_start(&fd, ALL));
	post(0, IN, 0, 512);
	kick(0);
	fd.vdev->patience_ns = 20 * MS;
	begin = now_ns();
	fd_set_reg(&fd, VIRTIO_MMIO_STATUS, 0);
	ck_assert_uint_ge(now_ns() - begin, 20 * MS);
	ck_assert_uint_ne(status_reg(), 0);
	fake_end_all(ring);
	ck_assert_uint_eq(status_reg(), 0);
}
END_TEST

/* virtio_blk_drain(): what is in hand is answered, what waits in the queue goes
 * on waiting.
 */
START_TEST(drain)
{
	static struct asked a[20];

	for (unsigned int i = 0; i < 10; i++)
		a[i] = post(0, i & 1 ? IN : OUT, i, MIB(1) / 4);
	a[10] = post(0, IN, 0, MIB(1) + 512);
	kick(0);
	for (unsigned int i = 11; i < 20; i++)
		a[i] = post(0, FLUSH, 0, 0);
	ring->stalled = true;
	ck_assert_int_eq(virtio_blk_drain(fd.vdev, MS), -ETIMEDOUT);
	ring->stalled = false;
	ck_assert_int_eq(virtio_blk_drain(fd.vdev, 1000ull * MS), 0);
	ck_assert_uint_eq(ring->nr, 0);
	ck_assert_uint_eq(take_used(0, a, 20), 11);
	ck_assert_uint_eq(a[10].answers, 1);
	ck_assert_uint_eq(in_hand(), 0);
	kick(0);
	ck_assert_uint_eq(in_hand(), 0);
	virtio_blk_resume(fd.vdev);
	ck_assert_uint_eq(in_hand(), 9);
	fake_end_all(ring);
	ck_assert_uint_eq(take_used(0, a, 20), 9);
}
END_TEST

/* Another file comes into the disk's place: what was under way is done on the
 * old one, what comes later on the new one.  C17, virtio 1.2 §4.2.2.1, and B7,
 * §5.2.6.2: the driver hears of the capacity.
 */
START_TEST(replace)
{
	static uint8_t old[BYTES];
	struct asked a[3];
	struct disk *other;
	uint64_t capacity;
	uint32_t generation = fd_reg(&fd, VIRTIO_MMIO_CONFIG_GENERATION);
	int other_fd;

	memcpy(old, image, BYTES);
	other = open_disk(&other_fd, BYTES / 2, 99);
	a[0] = post(0, IN, 5, 512);
	a[1] = post(0, OUT, 7, 512);
	kick(0);
	a[2] = post(0, IN, 5, 512);

	ring->stalled = true;
	ck_assert_int_eq(virtio_blk_replace(fd.vdev, other, MS), -ETIMEDOUT);
	ck_assert_uint_eq(fd_reg(&fd, VIRTIO_MMIO_CONFIG_GENERATION),
			  generation);
	ring->stalled = false;
	fd_set_reg(&fd, VIRTIO_MMIO_INTERRUPT_ACK, ~0u);
	ck_assert_int_eq(virtio_blk_replace(fd.vdev, other, MS), 0);
	ck_assert_uint_ne(fd_reg(&fd, VIRTIO_MMIO_CONFIG_GENERATION),
			  generation);
	ck_assert(fd_reg(&fd, VIRTIO_MMIO_INTERRUPT_STATUS) &
		  VIRTIO_MMIO_INT_CONFIG);
	fd_config_read(&fd, 0, &capacity, sizeof(capacity));
	ck_assert_uint_eq(capacity, SECTORS / 2);
	fake_end_all(ring);
	ck_assert_uint_eq(take_used(0, a, 3), 3);
	ck_assert_mem_eq(data_of(&a[0]), old + 5 * 512, 512);

	a[0] = post(0, IN, 5, 512);
	a[1] = post(0, IN, SECTORS / 2, 512);
	kick(0);
	fake_end_all(ring);
	ck_assert_uint_eq(take_used(0, a, 2), 2);
	ck_assert_mem_eq(data_of(&a[0]), image + 5 * 512, 512);
	ck_assert_uint_eq(status_of(&a[1]), IOERR);
	close(other_fd);
}
END_TEST

START_TEST(replace_refuses)
{
	struct disk *other;
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", image_fd);
	close(image_fd);
	image_fd = memfd_create("ro", MFD_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", image_fd);
	ck_assert_int_eq(disk_open(path, true, false, &other), 0);
	ck_assert_int_eq(virtio_blk_replace(fd.vdev, other, MS), -EINVAL);
	disk_close(other);
}
END_TEST

/* The machine ends with requests under way. */
START_TEST(destroy)
{
	for (unsigned int i = 0; i < 100; i++)
		post(0, i & 1 ? IN : OUT, i, 512);
	kick(0);
	ck_assert_uint_eq(ring->nr, 100);
	virtio_device_destroy(fd.vdev);
	fd.vdev = NULL;
	ck_assert_uint_eq(ring->nr, 0);
}
END_TEST

/* virtio 1.2 §5.2.3, §5.2.4: MQ and num_queues; queues share the disk and the
 * table of requests, and one does not starve the others.
 */
START_TEST(queues)
{
	static struct asked a[2][256];
	uint16_t nr;

	tear_down();
	set_up_queues(2);
	ck_assert(fd_device_features(&fd) & F(MQ));
	fd_config_read(&fd, offsetof(struct virtio_blk_config, num_queues), &nr,
		       sizeof(nr));
	ck_assert_uint_eq(nr, 2);
	fd_set_reg(&fd, VIRTIO_MMIO_QUEUE_SEL, 2);
	ck_assert_uint_eq(fd_reg(&fd, VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
	for (unsigned int i = 0; i < 200; i++) {
		a[0][i] = post(0, IN, i, 512);
		a[1][i] = post(1, IN, i + 1, 512);
	}
	kick(0);
	kick(1);
	ck_assert_uint_eq(ring->nr, 256);
	/* Nobody rings again; what does not fit comes when there is room. */
	while (ring->nr > 0) {
		fake_end(ring, next_random() % ring->nr, FAKE_REAL);
		fake_reap(ring);
	}
	ck_assert_uint_eq(take_used(0, a[0], 200), 200);
	ck_assert_uint_eq(take_used(1, a[1], 200), 200);
	for (unsigned int i = 0; i < 200; i++)
		ck_assert_mem_eq(data_of(&a[1][i]), image + (i + 1) * 512, 512);
}
END_TEST

/* The table is full of one queue's requests, which then are all dropped: the
 * other queue goes on.
 */
START_TEST(starved_by_a_queue_that_stops)
{
	struct asked b;

	tear_down();
	set_up_queues(2);
	for (unsigned int i = 0; i < 256; i++)
		post(0, IN, i, 512);
	kick(0);
	ck_assert_uint_eq(ring->nr, 256);
	b = post(1, IN, 9, 512);
	kick(1);
	ck_assert_uint_eq(ring->nr, 256);
	fd_set_reg(&fd, VIRTIO_MMIO_QUEUE_SEL, 0);
	fd_set_reg(&fd, VIRTIO_MMIO_QUEUE_READY, 0);
	fake_end_all(ring);
	ck_assert_uint_eq(take_used(1, &b, 1), 1);
	ck_assert_uint_eq(fd_reg(&fd, VIRTIO_MMIO_QUEUE_READY), 0);
	ck_assert_uint_eq(fd_used_ring(&fd, 0)->idx, 0);
}
END_TEST

/* What one queue frees when its requests are answered is for the others, too,
 * when nothing else is under way that could tell them.
 */
START_TEST(starved_until_the_last_answer)
{
	static struct asked a[256], b;

	tear_down();
	set_up_queues(2);
	for (unsigned int i = 0; i < 256; i++)
		a[i] = post(1, IN, i, 512);
	kick(1);
	b = post(0, IN, 9, 512);
	kick(0);
	ck_assert_uint_eq(ring->nr, 256);
	while (ring->nr > 0)
		fake_end(ring, 0, FAKE_REAL);
	fake_reap(ring);
	fd_run_loop(&fd);
	ck_assert_uint_eq(take_used(1, a, 256), 256);
	ck_assert_uint_eq(ring->nr, 1);
	fake_end_all(ring);
	ck_assert_uint_eq(take_used(0, &b, 1), 1);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("blk_ring");
	TCase *tc = tcase_create("ring");

	tcase_set_timeout(tc, 30);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, any_order);
	tcase_add_test(tc, pieces_and_errors);
	tcase_add_test(tc, too_much);
	tcase_add_test(tc, shrunk);
	tcase_add_test(tc, page_cache);
	tcase_add_test(tc, stalled);
	tcase_add_test(tc, slices);
	tcase_add_test(tc, flushes);
	tcase_add_test(tc, flush_fails);
	tcase_add_test(tc, writethrough);
	tcase_add_test(tc, reset);
	tcase_add_test(tc, reset_before_the_device_hears);
	tcase_add_test(tc, queue_ready);
	tcase_add_test(tc, needs_reset);
	tcase_add_test(tc, patience);
	tcase_add_test(tc, drain);
	tcase_add_test(tc, replace);
	tcase_add_test(tc, replace_refuses);
	tcase_add_test(tc, destroy);
	tcase_add_test(tc, queues);
	tcase_add_test(tc, starved_by_a_queue_that_stops);
	tcase_add_test(tc, starved_until_the_last_answer);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
