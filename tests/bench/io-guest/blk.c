// SPDX-License-Identifier: Apache-2.0
/*
 * blk.c - random reads of 4 KiB, DEPTH of them in flight (virtio 1.2 §5.2.6)
 *
 * Each request is one indirect table of three, as Linux's are.  Each block of
 * the image begins with its own number, which is looked at in every answer.
 */
#include "io.h"

#define MAX_DEPTH     64u
#define BLOCK	      4096u
#define BLOCK_SECTORS 8u

struct request {
	struct desc table[3];
	struct {
		uint32_t type, reserved;
		uint64_t sector;
	} head;
	volatile uint8_t status;
} __attribute__((aligned(128)));

struct blk {
	struct queue queue;
	uint64_t blocks;
	uint64_t think; /* cycles after each answer */
	uint32_t random;
};

static struct ring ring;
static struct request request[MAX_DEPTH];
static volatile uint8_t data[MAX_DEPTH][BLOCK] __attribute__((aligned(4096)));

/* Marsaglia's xorshift. */
static uint32_t next_random(struct blk *blk)
{
	uint32_t x = blk->random;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	blk->random = x;
	return x;
}

static void prepare(volatile struct ring *r, uint16_t i)
{
	struct request *req = &request[i];

	req->table[0] = (struct desc){ (uintptr_t)&req->head, sizeof(req->head),
				       DESC_NEXT, 1 };
	req->table[1] = (struct desc){ (uintptr_t)data[i], BLOCK,
				       DESC_NEXT | DESC_WRITE, 2 };
	req->table[2] =
		(struct desc){ (uintptr_t)&req->status, 1, DESC_WRITE, 0 };
	r->desc[i].addr = (uintptr_t)req->table;
	r->desc[i].len = sizeof(req->table);
	r->desc[i].flags = DESC_INDIRECT;
}

static void submit(struct blk *blk, uint16_t i)
{
	uint64_t block = (uint64_t)next_random(blk) % blk->blocks;

	request[i].head.sector = block * BLOCK_SECTORS;
	request[i].status = 0xff;
	io_add(&blk->queue, i);
}

static bool is_right(uint32_t i)
{
	volatile uint64_t *number = (volatile uint64_t *)data[i];

	return request[i].status == 0 &&
	       *number * BLOCK_SECTORS == request[i].head.sector;
}

/* What a program does with its data. */
static void think(uint64_t cycles)
{
	uint64_t start = io_cycles();

	while (io_cycles() - start < cycles)
		__builtin_ia32_pause();
}

static void run(struct blk *blk, uint64_t depth, uint64_t count,
		struct result *result)
{
	uint64_t submitted = 0;
	uint64_t start = io_cycles();
	uint32_t i, len;

	for (; submitted < depth && submitted < count; submitted++)
		submit(blk, (uint16_t)submitted);
	io_publish(&blk->queue);
	while (result->done < count) {
		if (!io_used(&blk->queue, &i, &len)) {
			io_publish(&blk->queue);
			io_wait(&blk->queue);
			continue;
		}
		result->bad += len != BLOCK + 1 || !is_right(i);
		result->done++;
		if (blk->think)
			think(blk->think);
		if (submitted < count) {
			submit(blk, (uint16_t)i);
			submitted++;
		}
	}
	result->cycles = io_cycles() - start;
}

void blk_command(const uint64_t word[IO_WORDS])
{
	uintptr_t window = io_find(ID_BLOCK, 0);
	struct blk blk = { .random = 2463534242u };
	struct result result = { 0 };

	CHECK(window, "no block device");
	CHECK(word[1] > 0 && word[1] <= MAX_DEPTH, "depth");
	io_begin(window, 0);
	io_queue(&blk.queue, window, 0, &ring);
	blk.queue.interrupts = word[3] != 0;
	blk.think = word[4];
	for (uint16_t i = 0; i < MAX_DEPTH; i++)
		prepare(&ring, i);
	blk.blocks = (read32(window + REG_CONFIG) |
		      (uint64_t)read32(window + REG_CONFIG + 4) << 32) /
		     BLOCK_SECTORS;
	io_ok(window);
	run(&blk, word[1], word[2], &result);
	write32(window + REG_STATUS, 0);
	io_report(&result, &blk.queue);
}
