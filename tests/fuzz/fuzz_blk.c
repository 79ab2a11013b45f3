// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_blk.c - hostile block requests
 *
 * The first byte chooses features, and one of two ways to read the rest.
 *
 * Requests: each takes a few bytes, which give its type, sector, lengths and
 * how it is cut into descriptors, over disjoint memory.  A model of the disk
 * and of all guest memory says what must be there afterwards, to the byte.
 *
 * With a ring the host's operations end in an order that the input chooses, in
 * pieces and after interruptions; the outcome is the same.
 *
 * Rings: the bytes are the start of guest memory, descriptors and available
 * ring included.  What is required is that nothing breaks, that a read-only
 * disk stays as it is, and that no more is used than was made available.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/mman.h>

#include <linux/virtio_blk.h>
#include <linux/virtio_ring.h>

#include "tests/fuzz/fuzz.h"
#include "tests/unit/fake_ring.h"
#include "virtio/blk.h"

#define RAM_SIZE   (16u * PAGE_SIZE)
#define QUEUE_SIZE 64u
#define DESC	   0x000u
#define AVAIL	   0x800u
#define USED	   0xc00u
#define TABLE	   0x1000u /* the indirect table */
#define DATA	   0x2000u
#define SECTORS	   20u /* two and a half units of discard */
#define BYTES	   (SECTORS * SECTOR_SIZE)
#define MAX_LEN	   0x1400u /* of data each way */

enum {
	IS_RINGS = 1,
	IS_READ_ONLY = 2,
	HAS_FLUSH = 4,
	HAS_INDIRECT = 8,
	HAS_CLEARING = 16, /* discard and write zeroes */
	HAS_RING = 32,
	HAS_CACHE = 64, /* with a ring: reads are in the page cache */
};

typedef struct virtio_blk_discard_write_zeroes range_t;

struct fuzz {
	struct guest_memory gm;
	uint8_t *ram;
	struct irq_line irq;
	struct loop loop;
	struct virtio_device *vdev;
	struct disk *disk;
	struct disk_ring *ring;
	int fd;
	uint8_t flags;
	/* What the disk and guest memory hold. */
	uint8_t model[BYTES];
	uint8_t shadow[RAM_SIZE] __attribute__((aligned(16)));
	uint16_t avail_idx;
	struct fuzz_input in;
};

/* One request as the model sees it. */
struct request {
	struct virtio_blk_outhdr hdr;
	uint32_t hdr_len;
	uint32_t out_len, room; /* bytes after the header; writable bytes */
	uint64_t r, w;		/* where they are */
};

static uint8_t take(struct fuzz *f)
{
	return fuzz_take(&f->in);
}

static void set_up(struct fuzz *f)
{
	struct virtio_env env = { &f->gm, &f->irq, &f->loop };
	const struct virtq_config config = { QUEUE_SIZE, DESC, AVAIL, USED };
	uint32_t low = 0;
	char path[32];

	f->irq.pulse = fuzz_irq_ignore;
	f->ram = fuzz_memory(&f->gm, RAM_SIZE);
	must(loop_init(&f->loop) == 0);
	f->fd = memfd_create("disk", MFD_CLOEXEC);
	for (uint32_t i = 0; i < BYTES; i++)
		f->model[i] = (uint8_t)(i * 7 + i / SECTOR_SIZE);
	must(pwrite(f->fd, f->model, BYTES, 0) == BYTES);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", f->fd);
	must(disk_open(path, f->flags & IS_READ_ONLY, false, &f->disk) == 0);
	must(disk_ring_create(&f->loop, &f->ring) == 0);
	fake_ring = f->ring;
	if (f->flags & HAS_CACHE)
		f->ring->try_result = 0;
	if (f->flags & HAS_RING)
		must(disk_set_ring(f->disk, f->ring) == 0);
	must(virtio_blk_create(&env, f->disk, &f->vdev) == 0);

	if (f->flags & HAS_FLUSH)
		low |= 1u << VIRTIO_BLK_F_FLUSH;
	if (f->flags & HAS_INDIRECT)
		low |= 1u << VIRTIO_RING_F_INDIRECT_DESC;
	if (f->flags & IS_READ_ONLY)
		f->flags &= (uint8_t)~HAS_CLEARING;
	if (f->flags & HAS_CLEARING)
		low |= 1u << VIRTIO_BLK_F_DISCARD |
		       1u << VIRTIO_BLK_F_WRITE_ZEROES;
	virtio_set_status_locked(f->vdev, 1);
	virtio_set_status_locked(f->vdev, 3);
	virtio_set_features_locked(f->vdev, 0, low);
	virtio_set_features_locked(f->vdev, 1, 1); /* VERSION_1 */
	virtio_set_status_locked(f->vdev, 11);
	must(virtq_enable(&f->vdev->vq[0], &f->gm, &config, 256,
			  f->vdev->driver_features) == 0);
	virtio_set_status_locked(f->vdev, 15);
	must(virtio_driver_ok(f->vdev));
}

static void tear_down(struct fuzz *f)
{
	virtio_device_destroy(f->vdev);
	disk_ring_destroy(f->ring);
	close(f->fd);
	loop_fini(&f->loop);
	gmem_fini(&f->gm);
	free(f->ram);
}

static void check_disk(const struct fuzz *f)
{
	uint8_t got[BYTES + 1];

	must(pread(f->fd, got, sizeof(got), 0) == BYTES);
	must(memcmp(got, f->model, BYTES) == 0);
}

/* Memory is as the shadow says. */
static void check_ram(const struct fuzz *f)
{
	must(memcmp(f->ram, f->shadow, RAM_SIZE) == 0);
}

static bool needs_reset(const struct fuzz *f)
{
	return f->vdev->status & VIRTIO_CONFIG_S_NEEDS_RESET;
}

/* Puts LEN bytes at GPA into TABLE from entry N on, PIECE at a time. */
static unsigned int cut(struct vring_desc *table, unsigned int n, uint64_t gpa,
			uint32_t len, uint32_t piece, uint16_t flags)
{
	piece = MAX(piece, len / 28 + 1);
	while (len > 0) {
		uint32_t here = MIN(len, piece);

		table[n].addr = gpa;
		table[n].len = here;
		table[n].flags = flags | VRING_DESC_F_NEXT;
		table[n].next = (uint16_t)(n + 1);
		gpa += here;
		len -= here;
		n++;
	}
	return n;
}

/* Makes REQ available.  Returns false when it has no descriptor at all. */
static bool publish(struct fuzz *f, const struct request *req)
{
	bool indirect = (f->flags & HAS_INDIRECT) && (take(f) & 1);
	uint8_t *ram = f->ram;
	struct vring_desc *table = (void *)(ram + (indirect ? TABLE : DESC));
	struct vring_avail *avail = (void *)(ram + AVAIL);
	unsigned int n;

	n = cut(table, 0, req->r, req->hdr_len + req->out_len, take(f), 0);
	n = cut(table, n, req->w, req->room, take(f), VRING_DESC_F_WRITE);
	if (n == 0)
		return false;
	table[n - 1].flags &= (uint16_t)~VRING_DESC_F_NEXT;
	if (indirect) {
		struct vring_desc *d = (void *)(ram + DESC);

		d->addr = TABLE;
		d->len = n * (uint32_t)sizeof(*d);
		d->flags = VRING_DESC_F_INDIRECT;
	}
	avail->ring[f->avail_idx++ % QUEUE_SIZE] = 0;
	avail->idx = f->avail_idx;
	return true;
}

static bool in_range(const struct request *req, uint32_t len)
{
	uint64_t first = req->hdr.sector;

	return len % SECTOR_SIZE == 0 && first <= SECTORS &&
	       first + len / SECTOR_SIZE <= SECTORS;
}

/* Clears what RANGE covers in the model.  A discard on this file system gives
 * zeros, of whole units.
 */
static void clear(struct fuzz *f, const range_t *range, bool zero)
{
	uint64_t start = range->sector * SECTOR_SIZE;
	uint64_t end = start + range->num_sectors * SECTOR_SIZE;

	if (!zero) {
		start = ALIGN_UP(start, PAGE_SIZE);
		end = ALIGN_DOWN(end, PAGE_SIZE);
	}
	if (start < end)
		memset(f->model + start, 0, end - start);
}

static uint8_t expect_clearing(struct fuzz *f, const struct request *req)
{
	bool zero = req->hdr.type == VIRTIO_BLK_T_WRITE_ZEROES;
	uint32_t nr = req->out_len / sizeof(range_t);
	uint8_t status = VIRTIO_BLK_S_OK;
	range_t range[64];

	if (!(f->flags & HAS_CLEARING))
		return VIRTIO_BLK_S_UNSUPP;
	if (nr == 0 || nr > 64 || req->out_len % sizeof(range_t))
		return VIRTIO_BLK_S_IOERR;
	memcpy(range, f->shadow + req->r + sizeof(req->hdr), req->out_len);
	for (uint32_t i = 0; i < nr; i++) {
		if (range[i].flags > zero)
			return VIRTIO_BLK_S_UNSUPP;
		if (range[i].sector > SECTORS ||
		    range[i].sector + range[i].num_sectors > SECTORS)
			status = VIRTIO_BLK_S_IOERR;
	}
	for (uint32_t i = 0; i < nr && status == VIRTIO_BLK_S_OK; i++)
		clear(f, &range[i], zero);
	return status;
}

/* What the specification says REQ gives, done to the model and the shadow. */
static uint8_t expect(struct fuzz *f, const struct request *req)
{
	uint8_t *w = f->shadow + req->w;
	uint32_t in_len = req->room - 1;

	memset(w, 0, in_len);
	if (req->hdr_len < sizeof(req->hdr))
		return VIRTIO_BLK_S_IOERR;
	switch (req->hdr.type) {
	case VIRTIO_BLK_T_IN:
		if (!in_range(req, in_len))
			return VIRTIO_BLK_S_IOERR;
		memcpy(w, f->model + req->hdr.sector * SECTOR_SIZE, in_len);
		return VIRTIO_BLK_S_OK;
	case VIRTIO_BLK_T_OUT:
		if (f->flags & IS_READ_ONLY || !in_range(req, req->out_len))
			return VIRTIO_BLK_S_IOERR;
		memcpy(f->model + req->hdr.sector * SECTOR_SIZE,
		       f->shadow + req->r + sizeof(req->hdr), req->out_len);
		return VIRTIO_BLK_S_OK;
	case VIRTIO_BLK_T_FLUSH:
		return VIRTIO_BLK_S_OK;
	case VIRTIO_BLK_T_GET_ID:
		if (in_len != 20)
			return VIRTIO_BLK_S_IOERR;
		disk_id(f->disk, (char *)w);
		return VIRTIO_BLK_S_OK;
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
		return expect_clearing(f, req);
	default:
		return VIRTIO_BLK_S_UNSUPP;
	}
}

static uint32_t take_len(struct fuzz *f)
{
	uint32_t len = take(f);

	/* Whole sectors most of the time. */
	return len & 0x80 ? (len & 0x7f) * 41 % MAX_LEN
			  : (len % 10) * SECTOR_SIZE;
}

static const uint64_t edge[] = { UINT64_MAX, 1ull << 55, 1ull << 63,
				 UINT64_MAX / 512 + 1, UINT32_MAX };

/* The segments of a request that clears; also none, too many, and half ones. */
static void take_ranges(struct fuzz *f, struct request *req)
{
	uint8_t kind = take(f);
	uint32_t nr = kind < 0xf0 ? kind % 4 + 1 : (kind & 1) * 65;
	range_t range[65] = { 0 };

	for (uint32_t i = 0; i < MIN(nr, 4u); i++) {
		uint8_t where = take(f), len = take(f), flags = take(f);

		range[i].sector = where < 0xf0 ? where % 22 : edge[where % 5];
		range[i].num_sectors = len < 0xf0 ? len % 22 : 0xffffff00 | len;
		if (flags >= 0x80)
			range[i].flags = flags < 0xe0 ? 1 : 1u << (flags & 31);
	}
	req->out_len = nr * (uint32_t)sizeof(range_t) + (kind == 0xef);
	memcpy(f->ram + req->r + sizeof(req->hdr), range, req->out_len);
}

static void take_request(struct fuzz *f, struct request *req)
{
	static const uint32_t type[] = { 0, 1, 4, 8, 0, 1, 11, 13 };
	uint8_t kind = take(f), where = take(f);

	*req = (struct request){ .hdr_len = sizeof(req->hdr) };
	req->hdr.type = kind < 0xf0 ? type[kind % 8] : take(f) * 0x01000101u;
	req->hdr.sector = where < 0xf0 ? where % 24 : edge[where % 5];
	req->out_len = take_len(f);
	req->room = take_len(f) + 1;
	if (req->hdr.type == VIRTIO_BLK_T_GET_ID && where & 1)
		req->room = 21;
	if (where >= 0xe0 && where < 0xe8) {
		req->hdr_len = where & 7;
		req->out_len = 0;
	}
	if (where == 0xe8)
		req->room = 0;
	req->r = DATA + (take(f) & 15);
	req->w = DATA + 0x4000 + (take(f) & 15);
}

/* Ends one of the operations that are under way, or a part of it. */
static void end_one(struct fuzz *f)
{
	static const int result[] = { FAKE_REAL, FAKE_REAL, FAKE_SHORT,
				      -EINTR };
	uint8_t how = take(f);

	if (f->ring->nr == 0)
		return;
	fake_end(f->ring, (how >> 2) % f->ring->nr,
		 f->in.len > 0 ? result[how & 3] : FAKE_REAL);
	fake_reap(f->ring);
}

/* Rings, and again until nothing is in hand: a turn may end within a request,
 * after a while too.  A turn uses no more chains than the queue has entries.
 */
static void ring(struct fuzz *f)
{
	const struct virtqueue *vq = &f->vdev->vq[0];

	do {
		uint16_t before = vq->next_used;

		virtio_doorbell(f->vdev, 0);
		must((uint16_t)(vq->next_used - before) <= QUEUE_SIZE);
		must(vq->nr_in_flight <= 1 || f->flags & HAS_RING);
		end_one(f);
	} while (!needs_reset(f) && vq->nr_in_flight > 0);
	fake_end_all(f->ring);
}

/* One request.  False when there is to be no other. */
static bool run_request(struct fuzz *f)
{
	struct vring_used *used = (void *)(f->shadow + USED);
	struct request req;

	take_request(f, &req);
	for (uint32_t i = 0; i < req.out_len; i++)
		f->ram[req.r + sizeof(req.hdr) + i] = (uint8_t)(i + f->in.len);
	if ((req.hdr.type == VIRTIO_BLK_T_DISCARD ||
	     req.hdr.type == VIRTIO_BLK_T_WRITE_ZEROES) &&
	    req.hdr_len == sizeof(req.hdr))
		take_ranges(f, &req);
	memcpy(f->ram + req.r, &req.hdr, sizeof(req.hdr));
	if (!publish(f, &req))
		return true;
	memcpy(f->shadow, f->ram, RAM_SIZE);
	ring(f);

	must(needs_reset(f) == (req.room == 0));
	if (req.room > 0) {
		uint8_t status = expect(f, &req);

		f->shadow[req.w + req.room - 1] = status;
		used->ring[used->idx % QUEUE_SIZE].id = 0;
		used->ring[used->idx % QUEUE_SIZE].len = req.room;
		used->idx++;
	}
	check_ram(f);
	check_disk(f);
	return req.room > 0;
}

static void run_rings(struct fuzz *f)
{
	memcpy(f->ram, f->in.data, MIN(f->in.len, RAM_SIZE));
	ring(f);
	/* Nothing stays in flight, but for the one that was malformed, and with
	 * a ring what was under way then.
	 */
	must(f->vdev->vq[0].nr_in_flight <= needs_reset(f) ||
	     (needs_reset(f) && f->flags & HAS_RING));
	must(lseek(f->fd, 0, SEEK_END) == BYTES);
	if (f->flags & IS_READ_ONLY)
		check_disk(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct fuzz *f = calloc(1, sizeof(*f));

	must(f);
	f->in = (struct fuzz_input){ data, len };
	f->flags = take(f);
	set_up(f);
	if (f->flags & IS_RINGS)
		run_rings(f);
	else
		for (int i = 0; i < 100 && f->in.len > 0 && run_request(f); i++)
			;
	tear_down(f);
	free(f);
	return 0;
}
