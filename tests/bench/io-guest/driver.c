// SPDX-License-Identifier: Apache-2.0
/*
 * driver.c - a virtio-mmio driver that only measures (virtio 1.2 §2.7, §4.2)
 */
#include "io.h"

/* QEMU's microvm: hw/i386/microvm.c. */
#define QEMU_WINDOWS	 0xfeb00000u
#define QEMU_WINDOW_SIZE 0x200u
#define QEMU_NR_WINDOWS	 24u

static void full_fence(void)
{
	__asm__ volatile("lock; addl $0, -4(%%rsp)" ::: "memory", "cc");
}

static void compiler_fence(void)
{
	__asm__ volatile("" ::: "memory");
}

uint64_t io_cycles(void)
{
	uint32_t low, high;

	__asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high)::"memory");
	return (uint64_t)high << 32 | low;
}

static bool is_device(uintptr_t window, uint32_t id)
{
	return read32(window + REG_MAGIC) == VIRTIO_MAGIC &&
	       read32(window + REG_VERSION) == 2 &&
	       read32(window + REG_DEVICE_ID) == id;
}

uintptr_t io_find(uint32_t id, unsigned int n)
{
	for (unsigned int i = 0; i < LAYOUT_MAX_DEVICES; i++) {
		if (is_device(WINDOW(i), id) && n-- == 0)
			return WINDOW(i);
	}
	/* The first device has the last window there. */
	for (unsigned int i = QEMU_NR_WINDOWS; i > 0; i--) {
		uintptr_t w = QEMU_WINDOWS + (i - 1) * QEMU_WINDOW_SIZE;

		if (is_device(w, id) && n-- == 0)
			return w;
	}
	return 0;
}

uint64_t io_begin(uintptr_t window, uint64_t wanted)
{
	const uint64_t needed = 1ull << F_INDIRECT_DESC | 1ull << F_EVENT_IDX |
				1ull << F_VERSION_1;
	uint64_t features;

	write32(window + REG_STATUS, 0);
	write32(window + REG_STATUS, STATUS_ACKNOWLEDGE);
	write32(window + REG_STATUS, STATUS_ACKNOWLEDGE | STATUS_DRIVER);
	write32(window + REG_FEATURES_SEL, 1);
	features = (uint64_t)read32(window + REG_FEATURES) << 32;
	write32(window + REG_FEATURES_SEL, 0);
	features |= read32(window + REG_FEATURES);
	features &= needed | wanted;
	CHECK((features & needed) == needed, "a feature is not offered");
	write32(window + REG_DRV_SEL, 1);
	write32(window + REG_DRV_FEATURES, (uint32_t)(features >> 32));
	write32(window + REG_DRV_SEL, 0);
	write32(window + REG_DRV_FEATURES, (uint32_t)features);
	write32(window + REG_STATUS,
		STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK);
	CHECK(read32(window + REG_STATUS) & STATUS_FEATURES_OK,
	      "FEATURES_OK did not stay");
	return features;
}

void io_queue(struct queue *queue, uintptr_t window, uint32_t q,
	      volatile struct ring *ring)
{
	for (size_t i = 0; i < sizeof(*ring); i++)
		((volatile uint8_t *)ring)[i] = 0;
	*queue = (struct queue){ .window = window, .q = q, .ring = ring };
	write32(window + REG_QUEUE_SEL, q);
	CHECK(read32(window + REG_QUEUE_MAX) >= RING_SIZE, "QueueNumMax");
	write32(window + REG_QUEUE_NUM, RING_SIZE);
	write32(window + REG_QUEUE_DESC, (uint32_t)(uintptr_t)ring->desc);
	write32(window + REG_QUEUE_DESC_HI, 0);
	write32(window + REG_QUEUE_DRIVER, (uint32_t)(uintptr_t)&ring->avail);
	write32(window + REG_QUEUE_DRIVER_HI, 0);
	write32(window + REG_QUEUE_DEVICE, (uint32_t)(uintptr_t)&ring->used);
	write32(window + REG_QUEUE_DEVICE_HI, 0);
	write32(window + REG_QUEUE_READY, 1);
	CHECK(read32(window + REG_QUEUE_READY) == 1, "QueueReady");
	ring->avail.used_event = 0x8000;
}

void io_ok(uintptr_t window)
{
	write32(window + REG_STATUS,
		read32(window + REG_STATUS) | STATUS_DRIVER_OK);
}

void io_add(struct queue *queue, uint16_t head)
{
	queue->ring->avail.ring[queue->avail++ % RING_SIZE] = head;
}

void io_publish(struct queue *queue)
{
	uint16_t old = queue->told;
	uint16_t event;

	if (queue->avail == old)
		return;
	compiler_fence(); /* §2.7.13.3: stores stay in order on x86 */
	queue->ring->avail.idx = queue->avail;
	queue->told = queue->avail;
	full_fence(); /* §2.7.13.4.1 */
	event = queue->ring->used.avail_event;
	/* §2.7.10.1 */
	if ((uint16_t)(queue->told - event - 1) <
	    (uint16_t)(queue->told - old)) {
		write32(queue->window + REG_QUEUE_NOTIFY, queue->q);
		queue->kicks++;
	}
}

/* What an interrupt handler does (§4.2.3.4).  No interrupt is delivered: ring 0
 * would be interpreted.  The device may be on its way to raise it, so what is
 * counted is that it has to (§2.7.7.2).
 */
static void answer(struct queue *queue)
{
	uint32_t cause = read32(queue->window + REG_INTERRUPT);

	if (cause)
		write32(queue->window + REG_INTERRUPT_ACK, cause);
	queue->raised++;
}

bool io_used(struct queue *queue, uint32_t *head, uint32_t *len)
{
	volatile struct ring *ring = queue->ring;
	uint16_t at = queue->used % RING_SIZE;

	if (ring->used.idx == queue->used)
		return false;
	compiler_fence(); /* §2.7.14: loads stay in order on x86 */
	if (queue->interrupts && ring->avail.used_event == queue->used)
		answer(queue);
	*head = ring->used.ring[at].id;
	*len = ring->used.ring[at].len;
	queue->used++;
	/* Never, as far as the next 2^15 chains go (§2.7.7.1). */
	if (!queue->interrupts)
		ring->avail.used_event = (uint16_t)(queue->used + 0x8000);
	return true;
}

void io_wait(struct queue *queue)
{
	if (queue->interrupts && queue->ring->avail.used_event != queue->used) {
		queue->ring->avail.used_event = queue->used;
		full_fence(); /* the caller looks at the ring again */
	}
	__builtin_ia32_pause();
}

static void say_number(const char *name, uint64_t value)
{
	say(name);
	say_hex((uint32_t)(value >> 32));
	say(":");
	say_hex((uint32_t)value);
}

void io_report(const struct result *result, const struct queue *queue)
{
	say_number("cycles ", result->cycles);
	say_number(" done ", result->done);
	say_number(" bad ", result->bad);
	say_number(" kicks ", queue->kicks);
	say_number(" raised ", queue->raised);
	put('\n');
}
