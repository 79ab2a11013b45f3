// SPDX-License-Identifier: Apache-2.0
/*
 * test_balloon.c - virtio balloon: pages really leave, and only those that the
 * driver gave; statistics; hostile page numbers
 *
 * Guest memory is mapped, as a machine's is, so that mincore(2) tells what of it
 * takes memory of the host.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include <sys/mman.h>
#include <sys/syscall.h>

#include <linux/virtio_balloon.h>
#include <linux/virtio_ids.h>

#include "base/util.h"
#include "tests/unit/fake_driver.h"
#include "tests/unit/unit.h"
#include "virtio/balloon.h"

#define F(bit)	 (1ull << VIRTIO_BALLOON_F_##bit)
#define FEATURES (FD_FEATURES | F(STATS_VQ) | F(DEFLATE_ON_OOM) | F(REPORTING))

enum { INFLATE, DEFLATE, STATISTICS, COUNTED, REPORTING, NR_QUEUES };

#define RAM_SIZE   MIB(64)
#define RAM_PAGES  (unsigned int)(RAM_SIZE / PAGE_SIZE)
#define HIGH_PFN   (unsigned int)(FD_HIGH_BASE / PAGE_SIZE)
#define HIGH_PAGES (FD_HIGH_SIZE / PAGE_SIZE)
#define POOL	   MIB(32) /* pages from here on are the tests' to give */
#define POOL_PFN   (unsigned int)(POOL / PAGE_SIZE)
#define MINE	   0x5a

#define CHAIN_MOST 1024u /* page numbers served of one chain */

static struct fake_driver fd;
static const struct virtio_balloon_stats *stats;

static void set_up(void)
{
	struct virtio_device *vdev;

	fd_init(&fd);
	memset(&fd.gm, 0, sizeof(fd.gm));
	ck_assert_int_eq(gmem_map(&fd.gm, 0, RAM_SIZE), 0);
	ck_assert_int_eq(gmem_map(&fd.gm, FD_HIGH_BASE, FD_HIGH_SIZE), 0);
	ck_assert_int_eq(virtio_balloon_create(&fd.env, &vdev), 0);
	stats = virtio_balloon_stats(vdev);
	fd_attach(&fd, vdev);
	fd.alloc = MIB(1); /* the first pages are the tests' to give, too */
	ck_assert(fd_start(&fd, FEATURES));
	fd_run_loop(&fd);
}

static void tear_down(void)
{
	fd_fini(&fd);
}

static uint32_t status(void)
{
	return fd_reg(&fd, VIRTIO_MMIO_STATUS);
}

/* Pages of [GPA, GPA + LEN) that take memory of the host. */
static unsigned int resident(uint64_t gpa, size_t len)
{
	static unsigned char page[RAM_SIZE / PAGE_SIZE];
	unsigned int n = 0;

	ck_assert_int_eq(mincore(fd_ptr(&fd, gpa, len), len, page), 0);
	for (size_t i = 0; i < len / PAGE_SIZE; i++)
		n += page[i] & 1;
	return n;
}

static void touch(unsigned int pfn, unsigned int n)
{
	memset(fd_ptr(&fd, (uint64_t)pfn * PAGE_SIZE, (size_t)n * PAGE_SIZE),
	       MINE, (size_t)n * PAGE_SIZE);
}

/* Whether all bytes of N pages from PFN are VALUE. */
static bool filled(unsigned int pfn, unsigned int n, uint8_t value)
{
	const uint8_t *p =
		fd_ptr(&fd, (uint64_t)pfn * PAGE_SIZE, (size_t)n * PAGE_SIZE);

	return p[0] == value &&
	       memcmp(p, p + 1, (size_t)n * PAGE_SIZE - 1) == 0;
}

/* Sends N page numbers on queue Q in one segment; the chain must come back. */
static void send(unsigned int q, const uint32_t *pfn, unsigned int n)
{
	uint64_t memory = fd.alloc;
	struct fd_seg seg = { fd_put(&fd, pfn, 4 * n), 4 * n };
	uint32_t len;

	fd_post(&fd, q, &seg, 1, 0, FD_DIRECT);
	fd_kick(&fd, q);
	ck_assert(fd_used(&fd, q, NULL, &len));
	ck_assert_uint_eq(len, 0);
	fd.alloc = memory;
}

/* L1, virtio 1.2 §5.5.3.2; L4, §5.5.6.5.2; L5, §5.5.6.7.2: MUST_TELL_HOST, free
 * page hinting and PAGE_POISON are not offered, and not accepted
 */
START_TEST(identity)
{
	static const unsigned int absent[] = { VIRTIO_BALLOON_F_MUST_TELL_HOST,
					       VIRTIO_BALLOON_F_FREE_PAGE_HINT,
					       VIRTIO_BALLOON_F_PAGE_POISON };

	ck_assert_uint_eq(fd_reg(&fd, VIRTIO_MMIO_DEVICE_ID),
			  VIRTIO_ID_BALLOON);
	ck_assert_uint_eq(fd_device_features(&fd), FEATURES);
	for (unsigned int i = 0; i < ARRAY_SIZE(absent); i++)
		ck_assert(!fd_negotiate(&fd, FEATURES | 1ull << absent[i]));
	ck_assert(fd_negotiate(&fd, FD_FEATURES));
}
END_TEST

/* L6, virtio 1.2 §5.5.6.1: pages leave, in whatever order they are named; the
 * one that is not named stays as it is
 */
START_TEST(pages_leave)
{
	static const unsigned int step[] = { 1, 255, 77 }; /* up, down, about */
	const unsigned int n = 1024;
	uint32_t pfn[256];

	touch(POOL_PFN, n);
	ck_assert_uint_eq(resident(POOL, n * PAGE_SIZE), n);
	for (unsigned int done = 0; done < n; done += 256) {
		for (unsigned int i = 0; i < 256; i++)
			pfn[i] = POOL_PFN + done + i * step[_i] % 256;
		send(INFLATE, pfn, 255);
		ck_assert(filled(pfn[255], 1, MINE));
	}
	ck_assert_uint_eq(resident(POOL, n * PAGE_SIZE), n / 256);
	ck_assert_uint_eq(counter_get(&stats->inflated), n - n / 256);
	ck_assert_uint_eq(counter_get(&stats->refused), 0);
	ck_assert(filled(pfn[0], 1, 0));
}
END_TEST

/* L2, virtio 1.2 §5.5.6.2: not before the inflate request is seen, nor after it
 * is given back; taking a page back touches nothing
 */
START_TEST(only_while_asked)
{
	uint32_t pfn[3] = { POOL_PFN, POOL_PFN + 2, POOL_PFN + 1 };
	struct fd_seg seg = { fd_put(&fd, pfn, 8), 8 };

	touch(POOL_PFN, 3);
	fd_post(&fd, INFLATE, &seg, 1, 0, FD_DIRECT);
	ck_assert(filled(POOL_PFN, 3, MINE));
	fd_kick(&fd, INFLATE);
	ck_assert(fd_used(&fd, INFLATE, NULL, NULL));
	ck_assert(filled(POOL_PFN + 1, 1, MINE));
	ck_assert(filled(POOL_PFN, 1, 0) && filled(POOL_PFN + 2, 1, 0));
	touch(POOL_PFN, 3);
	for (unsigned int q = 0; q < NR_QUEUES; q++)
		fd_kick(&fd, q);
	fd_run_loop(&fd);
	send(DEFLATE, pfn, 3);
	fd_reset(&fd);
	fd_run_loop(&fd);
	ck_assert(filled(POOL_PFN, 3, MINE));
	ck_assert_uint_eq(counter_get(&stats->deflated), 3);
	ck_assert_uint_eq(counter_get(&stats->inflated), 2);
}
END_TEST

/* L6, V7, V18, virtio 1.2 §5.5.6.1: page numbers at every edge */
static const struct {
	uint32_t pfn;
	bool ram;
} edges[] = {
	{ 0, true },
	{ 1, true },
	{ RAM_PAGES - 1, true },
	{ RAM_PAGES, false },
	{ RAM_PAGES + 1, false },
	{ 0x7ffff, false }, /* 2 GiB */
	{ 0xc0000, false }, /* the boot timer, the hole's first page */
	{ 0xc0001, false }, /* a device's registers */
	{ 0xfec00, false }, /* the IOAPIC */
	{ 0xfee00, false }, /* the local APIC */
	{ HIGH_PFN - 1, false },
	{ HIGH_PFN, true },
	{ HIGH_PFN + HIGH_PAGES - 1, true },
	{ HIGH_PFN + HIGH_PAGES, false },
	{ 0x7fffffff, false },
	{ 0x80000000, false },
	{ 0xfffffffe, false },
	{ 0xffffffff, false },
};

START_TEST(page_edges)
{
	/* Alone, twice, and as the end of a run in either direction. */
	const uint32_t list[] = { edges[_i].pfn, edges[_i].pfn };
	uint32_t run[] = { edges[_i].pfn - 1, edges[_i].pfn };
	unsigned int ram = edges[_i].ram ? 2 : 0;

	if (ram)
		touch(edges[_i].pfn, 1);
	send(INFLATE, list, 2);
	ck_assert_uint_eq(counter_get(&stats->inflated), ram);
	ck_assert_uint_eq(counter_get(&stats->refused), 2 - ram);
	ck_assert_uint_eq(counter_get(&stats->kept), 0);
	if (ram)
		ck_assert(filled(edges[_i].pfn, 1, 0));
	send(DEFLATE, list, 2);
	send(INFLATE, run, 2);
	run[0] += 2;
	send(INFLATE, run, 2);
	ck_assert_uint_eq(counter_get(&stats->inflated) +
				  counter_get(&stats->refused),
			  6);
	ck_assert_uint_eq(counter_get(&stats->kept), 0);
	ck_assert_uint_eq(status(), 15);
}
END_TEST

/* L6, §5.5.6.1: regions that touch are still two: a run does not cross */
START_TEST(no_run_across_regions)
{
	const uint32_t up[] = { RAM_PAGES - 1, RAM_PAGES, RAM_PAGES + 1 };
	const uint32_t down[] = { RAM_PAGES, RAM_PAGES - 1, RAM_PAGES - 2 };

	/* The high region, moved down to where the low one ends. */
	fd.gm.region[1].gpa = RAM_SIZE;
	send(INFLATE, up, 3);
	send(INFLATE, down, 3);
	ck_assert_uint_eq(counter_get(&stats->inflated), 6);
	ck_assert_uint_eq(counter_get(&stats->kept), 0);
}
END_TEST

/* L6, §5.5.6.1: the driver gives away what it needs itself, rings and list; after a reset
 * the device works again
 */
START_TEST(rings_and_list)
{
	uint32_t pfn[CHAIN_MOST];

	for (unsigned int i = 0; i < CHAIN_MOST; i++)
		pfn[i] = i;
	for (unsigned int i = 0; i < 2; i++) {
		struct fd_seg seg = { fd_put(&fd, pfn, sizeof(pfn)),
				      sizeof(pfn) };

		fd_post(&fd, INFLATE, &seg, 1, 0, FD_INDIRECT);
		fd_kick(&fd, INFLATE);
		fd_kick(&fd, INFLATE);
		fd_kick(&fd, REPORTING);
		fd_run_loop(&fd);
		ck_assert_uint_gt(counter_get(&stats->inflated), 255);
		fd.alloc = MIB(8) + i * MIB(1);
		fd_reset(&fd);
		ck_assert(fd_start(&fd, FEATURES));
		fd_run_loop(&fd);
		touch(POOL_PFN, 1);
		pfn[0] = POOL_PFN;
		send(INFLATE, pfn, 1);
		ck_assert(filled(POOL_PFN, 1, 0));
		pfn[0] = 0;
	}
}
END_TEST

/* C28, V8: the list in pieces of any size, odd bytes at its end, and nothing */
START_TEST(cut_lists)
{
	const uint32_t pfn[] = { POOL_PFN, POOL_PFN + 1, POOL_PFN + 2, 0, 0 };
	uint64_t gpa = fd_put(&fd, pfn, sizeof(pfn));

	for (uint32_t piece = 1; piece <= 15; piece++) {
		for (uint32_t len = 0; len <= 15; len++) {
			uint64_t before = counter_get(&stats->inflated);
			struct fd_seg seg[16] = { { gpa, 0 } };
			unsigned int n = 0;
			uint32_t used;

			for (uint32_t at = 0; at < len; at += piece)
				seg[n++] =
					(struct fd_seg){ gpa + at,
							 MIN(piece, len - at) };
			fd_post(&fd, INFLATE, seg, MAX(n, 1u), 0, FD_DIRECT);
			fd_kick(&fd, INFLATE);
			ck_assert(fd_used(&fd, INFLATE, NULL, &used));
			ck_assert_uint_eq(used, 0);
			ck_assert_uint_eq(counter_get(&stats->inflated),
					  before + len / 4);
		}
	}
	ck_assert_uint_eq(counter_get(&stats->refused), 0);
}
END_TEST

/* C28: what is device-writable is no list, and stays as it is */
START_TEST(wrong_direction)
{
	struct fd_seg seg = { POOL, PAGE_SIZE };

	touch(POOL_PFN, 1);
	for (unsigned int q = INFLATE; q <= DEFLATE; q++) {
		fd_post(&fd, q, &seg, 0, 1, FD_DIRECT);
		fd_kick(&fd, q);
		ck_assert(fd_used(&fd, q, NULL, NULL));
	}
	/* Nor is what is device-readable free memory. */
	fd_post(&fd, REPORTING, &seg, 1, 0, FD_DIRECT);
	fd_kick(&fd, REPORTING);
	ck_assert(fd_used(&fd, REPORTING, NULL, NULL));
	ck_assert(filled(POOL_PFN, 1, MINE));
	ck_assert_uint_eq(counter_get(&stats->inflated), 0);
	ck_assert_uint_eq(counter_get(&stats->deflated), 0);
	ck_assert_uint_eq(counter_get(&stats->reported_bytes), 0);
}
END_TEST

/* V12: of a list of millions 1024 numbers are served, and four such lists a
 * turn of the loop
 */
START_TEST(bounded_work)
{
	static uint32_t pfn[2 * CHAIN_MOST];
	uint64_t gpa;
	struct fd_seg seg[60];

	for (unsigned int i = 0; i < ARRAY_SIZE(pfn); i++)
		pfn[i] = POOL_PFN + i;
	gpa = fd_put(&fd, pfn, sizeof(pfn));
	touch(POOL_PFN, ARRAY_SIZE(pfn));
	for (unsigned int i = 0; i < ARRAY_SIZE(seg); i++)
		seg[i] = (struct fd_seg){ gpa, i ? MIB(16) : sizeof(pfn) };
	for (unsigned int q = INFLATE; q <= DEFLATE; q++) {
		const struct counter *c = q == INFLATE ? &stats->inflated
						       : &stats->deflated;

		for (unsigned int i = 0; i < 10; i++)
			fd_post(&fd, q, seg, ARRAY_SIZE(seg), 0, FD_INDIRECT);
		fd_kick(&fd, q);
		ck_assert_uint_eq(counter_get(c), 4 * CHAIN_MOST);
		fd_run_loop(&fd);
		ck_assert_uint_eq(counter_get(c), 10 * CHAIN_MOST);
		for (unsigned int i = 0; i < 10; i++)
			ck_assert(fd_used(&fd, q, NULL, NULL));
	}
	ck_assert(filled(POOL_PFN, CHAIN_MOST, 0));
	ck_assert(filled(POOL_PFN + CHAIN_MOST, CHAIN_MOST, MINE));
}
END_TEST

/* What the host does not take is counted, and stays. */
START_TEST(host_keeps)
{
	const uint32_t pfn = POOL_PFN;
	struct fd_seg seg = { POOL, PAGE_SIZE };

	touch(POOL_PFN, 1);
	/* ASan's mlock() does nothing. */
	ck_assert_int_eq(
		syscall(SYS_mlock, fd_ptr(&fd, POOL, PAGE_SIZE), PAGE_SIZE), 0);
	send(INFLATE, &pfn, 1);
	fd_post(&fd, REPORTING, &seg, 0, 1, FD_DIRECT);
	fd_kick(&fd, REPORTING);
	ck_assert(fd_used(&fd, REPORTING, NULL, NULL));
	ck_assert_uint_eq(counter_get(&stats->kept), 2);
	ck_assert_uint_eq(counter_get(&stats->inflated), 0);
	ck_assert_uint_eq(counter_get(&stats->reported_bytes), 0);
	ck_assert(filled(POOL_PFN, 1, MINE));
	ck_assert_uint_eq(status(), 15);
}
END_TEST

/* L6, §5.5.6.1: a page of the kernel's file does not come back with the file's bytes */
START_TEST(mapped_file)
{
	const uint32_t pfn[] = { POOL_PFN + 2, POOL_PFN + 3 };
	struct fd_seg seg = { POOL + 5 * PAGE_SIZE, PAGE_SIZE };
	int file = memfd_create("kernel", MFD_CLOEXEC);
	uint8_t page[PAGE_SIZE];

	memset(page, MINE, sizeof(page));
	for (int i = 0; i < 8; i++)
		ck_assert_int_eq(write(file, page, sizeof(page)), PAGE_SIZE);
	ck_assert_int_eq(
		gmem_load_file(&fd.gm, POOL, file, 0, 8 * PAGE_SIZE, false), 0);
	close(file);
	send(INFLATE, pfn, 2);
	fd_post(&fd, REPORTING, &seg, 0, 1, FD_DIRECT);
	fd_kick(&fd, REPORTING);
	ck_assert(filled(POOL_PFN, 2, MINE));
	ck_assert(filled(POOL_PFN + 2, 2, 0));
	ck_assert(filled(POOL_PFN + 4, 1, MINE));
	ck_assert(filled(POOL_PFN + 5, 1, 0));
	ck_assert(filled(POOL_PFN + 6, 2, MINE));
}
END_TEST

static void config_write(uint32_t off, const void *data, unsigned int len)
{
	fd_mmio_write(&fd, VIRTIO_MMIO_CONFIG + off, data, len);
}

static struct virtio_balloon_state state(void)
{
	struct virtio_balloon_state now;

	virtio_balloon_get(fd.vdev, &now);
	return now;
}

/* L6, virtio 1.2 §5.5.4: `actual` is the driver's word, in any width, and never
 * more than there is; num_pages is not the driver's to write
 */
START_TEST(actual_is_clamped)
{
	static const uint32_t row[] = { 0,	    1,		0xff,
					0x100,	    RAM_PAGES,	RAM_PAGES + 1,
					0x7fffffff, 0x80000000, 0xffffffff };
	const uint64_t most = RAM_SIZE + FD_HIGH_SIZE;
	uint32_t ones[2] = { UINT32_MAX, UINT32_MAX }, got[2];

	ck_assert_int_eq(virtio_balloon_set_target(fd.vdev, MIB(1)), 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(row); i++) {
		for (unsigned int width = 1; width <= 4; width *= 2) {
			const uint8_t *p = (const uint8_t *)&row[i];
			uint64_t want = MIN(row[i] * (uint64_t)PAGE_SIZE, most);

			for (unsigned int at = 0; at < 4; at += width)
				config_write(4 + at, p + at, width);
			ck_assert_uint_eq(state().actual, want);
			fd_config_read(&fd, 4, got, 4);
			ck_assert_uint_eq(got[0], row[i]);
		}
	}
	config_write(0, ones, 4);
	config_write(0, ones, 8);
	fd_config_read(&fd, 0, got, 8);
	ck_assert_uint_eq(got[0], MIB(1) / PAGE_SIZE);
	ck_assert_uint_eq(state().target, MIB(1));
	fd_reset(&fd);
	ck_assert_uint_eq(state().actual, 0);
	ck_assert_uint_eq(state().target, MIB(1));
}
END_TEST

/* virtio 1.2 §5.5.6: a new target is announced, also to a driver to come */
START_TEST(target)
{
	const uint64_t most = RAM_SIZE + FD_HIGH_SIZE;
	uint32_t generation = fd_reg(&fd, VIRTIO_MMIO_CONFIG_GENERATION);
	uint32_t pages;

	fd.irq.pulses = 0;
	ck_assert_int_eq(virtio_balloon_set_target(fd.vdev, MIB(8) + 4095), 0);
	ck_assert_uint_eq(fd.irq.pulses, 1);
	ck_assert_uint_eq(fd_reg(&fd, VIRTIO_MMIO_INTERRUPT_STATUS),
			  VIRTIO_MMIO_INT_CONFIG);
	ck_assert_uint_ne(fd_reg(&fd, VIRTIO_MMIO_CONFIG_GENERATION),
			  generation);
	fd_config_read(&fd, 0, &pages, 4);
	ck_assert_uint_eq(pages, 2048);
	ck_assert_uint_eq(state().target, MIB(8));

	ck_assert_int_eq(virtio_balloon_set_target(fd.vdev, most + 4096),
			 -EINVAL);
	ck_assert_int_eq(virtio_balloon_set_target(fd.vdev, UINT64_MAX),
			 -EINVAL);
	ck_assert_uint_eq(fd.irq.pulses, 1);
	fd_reset(&fd);
	ck_assert_int_eq(virtio_balloon_set_target(fd.vdev, most), 0);
	ck_assert_uint_eq(fd.irq.pulses, 1);
	fd_config_read(&fd, 0, &pages, 4);
	ck_assert_uint_eq(pages, most / PAGE_SIZE);
	ck_assert_int_eq(virtio_balloon_set_target(fd.vdev, 0), 0);
	ck_assert_uint_eq(state().target, 0);
}
END_TEST

/* L5, virtio 1.2 §5.5.6.7: reported memory leaves and is zeros (there is no
 * other poison), on the queue of the specification and on Linux's; what is no
 * whole page stays
 */
START_TEST(reporting)
{
	const unsigned int n = 512;
	struct fd_seg seg[5] = {
		{ POOL, n * PAGE_SIZE },
		{ POOL + (n + 1) * PAGE_SIZE, PAGE_SIZE },
		{ POOL + (n + 2) * PAGE_SIZE + 2048, PAGE_SIZE },
		{ POOL + (n + 4) * PAGE_SIZE, 2048 },
		{ FD_HIGH_BASE, PAGE_SIZE },
	};
	unsigned int q = _i == 2 ? STATISTICS : (unsigned int)_i + COUNTED;
	uint32_t len;

	if (q == STATISTICS)
		ck_assert(fd_start(&fd, FEATURES & ~F(STATS_VQ)));
	touch(POOL_PFN, n + 5);
	fd_post(&fd, q, seg, 0, 5, FD_INDIRECT);
	fd_kick(&fd, q);
	ck_assert(fd_used(&fd, q, NULL, &len));
	ck_assert_uint_eq(len, 0);
	ck_assert_uint_eq(resident(POOL, (n + 5) * PAGE_SIZE), 4);
	ck_assert(filled(POOL_PFN, n, 0));
	ck_assert(filled(POOL_PFN + n, 1, MINE));
	ck_assert(filled(POOL_PFN + n + 2, 3, MINE));
	ck_assert_uint_eq(counter_get(&stats->reported), 1);
	ck_assert_uint_eq(counter_get(&stats->reported_bytes),
			  (n + 2) * PAGE_SIZE);
	ck_assert_uint_eq(counter_get(&stats->refused), 2);
}
END_TEST

/* V12: at most 1 GiB of a chain, and the loop gets its turn between chains */
START_TEST(bounded_reports)
{
	struct fd_seg seg[60];

	for (unsigned int i = 0; i < 60; i++)
		seg[i] = (struct fd_seg){ POOL, MIB(32) };
	for (unsigned int i = 0; i < 3; i++)
		fd_post(&fd, REPORTING, seg, 0, 60, FD_INDIRECT);
	fd_kick(&fd, REPORTING);
	ck_assert_uint_eq(counter_get(&stats->reported_bytes), GIB(1));
	fd_run_loop(&fd);
	ck_assert_uint_eq(counter_get(&stats->reported_bytes), GIB(3));
	ck_assert_uint_eq(counter_get(&stats->reported), 3);
}
END_TEST

/* V18: a report of registers is no report */
START_TEST(report_outside)
{
	static const struct fd_seg row[] = {
		{ 0xc0001000, PAGE_SIZE },
		{ RAM_SIZE, PAGE_SIZE },
		{ RAM_SIZE - PAGE_SIZE, 2 * PAGE_SIZE },
	};

	fd_post(&fd, REPORTING, &row[_i], 0, 1, FD_DIRECT);
	fd_kick(&fd, REPORTING);
	ck_assert(status() & VIRTIO_CONFIG_S_NEEDS_RESET);
	ck_assert_uint_eq(counter_get(&stats->reported), 0);
	ck_assert(fd_start(&fd, FEATURES));
	ck_assert_uint_eq(status(), 15);
}
END_TEST

/* virtio 1.2 §5.5.2: the queue of a feature that was not negotiated is none */
START_TEST(queues_without_features)
{
	struct fd_seg seg = { POOL, PAGE_SIZE };

	ck_assert(fd_start(&fd, FD_FEATURES));
	touch(POOL_PFN, 1);
	for (unsigned int q = STATISTICS; q < NR_QUEUES; q++) {
		fd_post(&fd, q, &seg, 0, 1, FD_DIRECT);
		fd_kick(&fd, q);
		ck_assert(!fd_used(&fd, q, NULL, NULL));
	}
	fd_run_loop(&fd);
	ck_assert(filled(POOL_PFN, 1, MINE));
	ck_assert_uint_eq(status(), 15);
}
END_TEST

/* Offers N statistics with TRAILING odd bytes behind them. */
static uint16_t offer(const struct virtio_balloon_stat *stat, unsigned int n,
		      unsigned int trailing)
{
	uint64_t gpa = fd_alloc(&fd, n * sizeof(*stat) + trailing + 1);
	struct fd_seg seg[2] = { { gpa, 3 } };
	uint16_t head;

	memcpy(fd_ptr(&fd, gpa, n * sizeof(*stat)), stat, n * sizeof(*stat));
	seg[1].gpa = gpa + 3;
	seg[1].len = (uint32_t)(n * sizeof(*stat)) + trailing - 3;
	head = fd_post(&fd, STATISTICS, seg, 2, 0, FD_DIRECT);
	fd_kick(&fd, STATISTICS);
	return head;
}

/* L3, virtio 1.2 §5.5.6.3.2: any order, unknown tags, twice the same, bytes
 * that make no number, more than there can be
 */
START_TEST(statistics_are_read)
{
	static const struct virtio_balloon_stat row[] = {
		{ VIRTIO_BALLOON_S_AVAIL, 6 },
		{ 16, 100 },
		{ VIRTIO_BALLOON_S_SWAP_IN, 1 },
		{ 0xffff, 101 },
		{ 15, UINT64_MAX },
		{ VIRTIO_BALLOON_S_AVAIL, 7 },
		{ 0x8000, 102 },
	};
	static struct virtio_balloon_stat many[200];
	struct virtio_balloon_state s;

	ck_assert_uint_eq(state().known, 0);
	for (unsigned int trailing = 0; trailing < 10; trailing++) {
		offer(row, ARRAY_SIZE(row), trailing);
		s = state();
		ck_assert_uint_eq(s.known, 1u << 0 | 1u << 6 | 1u << 15);
		ck_assert_uint_eq(s.value[0], 1);
		ck_assert_uint_eq(s.value[6], 7);
		ck_assert_uint_eq(s.value[15], UINT64_MAX);
	}
	/* What is not sent any more is not known any more. */
	offer(row, 1, 0);
	ck_assert_uint_eq(state().known, 1u << 6);
	for (unsigned int i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = (struct virtio_balloon_stat){ i < 64 ? 1 : 2, i };
	offer(many, ARRAY_SIZE(many), 0);
	s = state();
	ck_assert_uint_eq(s.known, 1u << 1);
	ck_assert_uint_eq(s.value[1], 63);
	ck_assert_uint_eq(counter_get(&stats->updates), 12);
	/* The last word of a guest that powers off: it resets its devices. */
	fd_reset(&fd);
	ck_assert_uint_eq(state().known, 1u << 1);
}
END_TEST

/* Lets MS milliseconds pass in the loop. */
static void pass(unsigned int ms)
{
	uint64_t end = now_ns() + ms * 1000000ull;

	while (now_ns() < end)
		ck_assert_int_eq(loop_step(&fd.loop, 1), 0);
}

/* virtio 1.2 §5.5.6.3: the buffer is held, and given back to ask for numbers;
 * never before there is an interval, and not twice
 */
START_TEST(statistics_interval)
{
	const struct virtio_balloon_stat stat = { VIRTIO_BALLOON_S_AVAIL, 6 };
	uint16_t first, second, got;
	uint32_t len;

	first = offer(&stat, 1, 0);
	pass(5);
	ck_assert(!fd_used(&fd, STATISTICS, NULL, NULL));
	fd_want_irq(&fd, STATISTICS, true);
	fd.irq.pulses = 0;
	virtio_balloon_set_interval(fd.vdev, 2000000);
	pass(20);
	ck_assert(fd_used(&fd, STATISTICS, &got, &len));
	ck_assert_uint_eq(got, first);
	ck_assert_uint_eq(len, 0);
	ck_assert_uint_eq(fd.irq.pulses, 1);
	ck_assert(!fd_used(&fd, STATISTICS, NULL, NULL));
	for (int i = 0; i < 3; i++) {
		first = offer(&stat, 1, 0);
		pass(20);
		ck_assert(fd_used(&fd, STATISTICS, &got, NULL));
		ck_assert_uint_eq(got, first);
	}
	virtio_balloon_set_interval(fd.vdev, 0);
	first = offer(&stat, 1, 0);
	pass(20);
	ck_assert(!fd_used(&fd, STATISTICS, NULL, NULL));
	/* A second buffer sends the first one home (§5.5.6.3.1 forbids it). */
	second = offer(&stat, 1, 0);
	ck_assert(fd_used(&fd, STATISTICS, &got, NULL));
	ck_assert_uint_eq(got, first);
	ck_assert(!fd_used(&fd, STATISTICS, NULL, NULL));
	ck_assert_uint_ne(first, second);
}
END_TEST

/* V19: a buffer that is held is forgotten by a reset; the timer goes on */
START_TEST(reset_while_held)
{
	const struct virtio_balloon_stat stat = { VIRTIO_BALLOON_S_AVAIL, 6 };
	uint8_t *before = malloc(MIB(1));

	virtio_balloon_set_interval(fd.vdev, 2000000);
	for (int i = 0; i < 3; i++) {
		offer(&stat, 1, 0);
		fd_reset(&fd);
		memcpy(before, fd_ptr(&fd, 0, MIB(1)), MIB(1));
		fd.irq.pulses = 0;
		pass(10);
		ck_assert_uint_eq(fd.irq.pulses, 0);
		ck_assert_mem_eq(before, fd_ptr(&fd, 0, MIB(1)), MIB(1));
		ck_assert(fd_start(&fd, FEATURES));
		pass(10);
		ck_assert(!fd_used(&fd, STATISTICS, NULL, NULL));
		offer(&stat, 1, 0);
		pass(10);
		ck_assert(fd_used(&fd, STATISTICS, NULL, NULL));
	}
	free(before);
}
END_TEST

static struct {
	_Atomic bool stop;
	uint64_t gpa;
} race;

/* Turns good page numbers into bad ones and back, as fast as it can. */
static void *racer(void *arg)
{
	uint32_t *pfn = fd_ptr(&fd, race.gpa, 4 * 256);

	(void)arg;
	for (uint32_t i = 0; !race.stop; i++)
		__atomic_store_n(&pfn[i % 256],
				 i / 256 % 2 ? 0xc0001 + i : POOL_PFN + i % 256,
				 __ATOMIC_RELAXED);
	return NULL;
}

/* V9: a list that changes while it is read: each number is judged as it was
 * read, and nothing but the pool leaves
 */
START_TEST(racing_list)
{
	struct fd_seg seg = { fd_alloc(&fd, 4096), 4 * 256 };
	pthread_t thread;

	race.gpa = seg.gpa;
	race.stop = false;
	memset(fd_ptr(&fd, seg.gpa, 4096), 0xff, 4096);
	touch(POOL_PFN, 1024);
	ck_assert_int_eq(pthread_create(&thread, NULL, racer, NULL), 0);
	for (unsigned int i = 1; i <= 2000; i++) {
		fd_post(&fd, INFLATE, &seg, 1, 0, FD_DIRECT);
		fd_kick(&fd, INFLATE);
		ck_assert(fd_used(&fd, INFLATE, NULL, NULL));
		ck_assert_uint_eq(counter_get(&stats->inflated) +
					  counter_get(&stats->refused),
				  256 * i);
	}
	race.stop = true;
	pthread_join(thread, NULL);
	ck_assert_uint_eq(counter_get(&stats->kept), 0);
	ck_assert(filled(POOL_PFN + 256, 768, MINE));
	ck_assert_uint_eq(status(), 15);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("balloon");
	TCase *tc = tcase_create("balloon");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, identity);
	tcase_add_loop_test(tc, pages_leave, 0, 3);
	tcase_add_test(tc, only_while_asked);
	tcase_add_loop_test(tc, page_edges, 0, ARRAY_SIZE(edges));
	tcase_add_test(tc, no_run_across_regions);
	tcase_add_test(tc, rings_and_list);
	tcase_add_test(tc, cut_lists);
	tcase_add_test(tc, wrong_direction);
	tcase_add_test(tc, bounded_work);
	tcase_add_test(tc, host_keeps);
	tcase_add_test(tc, mapped_file);
	tcase_add_test(tc, actual_is_clamped);
	tcase_add_test(tc, target);
	tcase_add_loop_test(tc, reporting, 0, 3);
	tcase_add_test(tc, bounded_reports);
	tcase_add_loop_test(tc, report_outside, 0, 3);
	tcase_add_test(tc, queues_without_features);
	tcase_add_test(tc, statistics_are_read);
	tcase_add_test(tc, statistics_interval);
	tcase_add_test(tc, reset_while_held);
	tcase_add_test(tc, racing_list);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
