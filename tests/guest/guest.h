// SPDX-License-Identifier: Apache-2.0
/*
 * guest.h - what every tiny guest shares: ports, registers, a voice, an end
 *
 * A guest proves one promise.  It says what it saw on the console, in lines
 * that tests/guest/run compares, and answers by how the machine ends: pass()
 * powers off (status 0), fail() says why and ends in a triple fault (255).
 *
 * The code runs on any KVM, the interpreted kind too, so it stays with plain
 * integer instructions and never uses IRET, which KVM's interpreter lacks.
 */
#ifndef MOTE_TESTS_GUEST_H
#define MOTE_TESTS_GUEST_H

#include <stddef.h>
#include <stdint.h>

#include "boot/layout.h"

/* virtio 1.2 §4.2.2: registers of a window. */
#define REG_MAGIC	    0x000
#define REG_VERSION	    0x004
#define REG_DEVICE_ID	    0x008
#define REG_VENDOR_ID	    0x00c
#define REG_FEATURES	    0x010
#define REG_FEATURES_SEL    0x014
#define REG_DRV_FEATURES    0x020
#define REG_DRV_SEL	    0x024
#define REG_QUEUE_SEL	    0x030
#define REG_QUEUE_MAX	    0x034
#define REG_QUEUE_NUM	    0x038
#define REG_QUEUE_READY	    0x044
#define REG_QUEUE_NOTIFY    0x050
#define REG_INTERRUPT	    0x060
#define REG_INTERRUPT_ACK   0x064
#define REG_STATUS	    0x070
#define REG_QUEUE_DESC	    0x080
#define REG_QUEUE_DESC_HI   0x084
#define REG_QUEUE_DRIVER    0x090
#define REG_QUEUE_DRIVER_HI 0x094
#define REG_QUEUE_DEVICE    0x0a0
#define REG_QUEUE_DEVICE_HI 0x0a4
#define REG_CONFIG	    0x100

#define VIRTIO_MAGIC 0x74726976u /* "virt" */
#define ID_CONSOLE   3
#define ID_RNG	     4

/* §2.1: bits of Status. */
#define STATUS_ACKNOWLEDGE 0x01
#define STATUS_DRIVER	   0x02
#define STATUS_DRIVER_OK   0x04
#define STATUS_FEATURES_OK 0x08
#define STATUS_NEEDS_RESET 0x40

/* Device n of the machine: the console is 0, the entropy device 1. */
#define WINDOW(n) ((uintptr_t)(LAYOUT_VIRTIO_MMIO + (n)*0x1000u))

static inline void out8(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" ::"a"(value), "Nd"(port) : "memory");
}

static inline uint8_t in8(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
	return value;
}

static inline uint16_t in16(uint16_t port)
{
	uint16_t value;

	__asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port) : "memory");
	return value;
}

static inline uint32_t in32(uint16_t port)
{
	uint32_t value;

	__asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port) : "memory");
	return value;
}

/* Device registers: one access of exactly this width, by a plain MOV. */
static inline uint8_t read8(uintptr_t addr)
{
	uint8_t value;

	__asm__ volatile("movb (%1), %0" : "=q"(value) : "r"(addr) : "memory");
	return value;
}

static inline uint16_t read16(uintptr_t addr)
{
	uint16_t value;

	__asm__ volatile("movw (%1), %0" : "=r"(value) : "r"(addr) : "memory");
	return value;
}

static inline uint32_t read32(uintptr_t addr)
{
	uint32_t value;

	__asm__ volatile("movl (%1), %0" : "=r"(value) : "r"(addr) : "memory");
	return value;
}

static inline void write8(uintptr_t addr, uint8_t value)
{
	__asm__ volatile("movb %0, (%1)" ::"q"(value), "r"(addr) : "memory");
}

static inline void write16(uintptr_t addr, uint16_t value)
{
	__asm__ volatile("movw %0, (%1)" ::"r"(value), "r"(addr) : "memory");
}

static inline void write32(uintptr_t addr, uint32_t value)
{
	__asm__ volatile("movl %0, (%1)" ::"r"(value), "r"(addr) : "memory");
}

static inline void halt(void)
{
	__asm__ volatile("hlt" ::: "memory");
}

/* No IDT: the first exception shuts the CPU down. */
static inline _Noreturn void triple_fault(void)
{
	const struct {
		uint16_t limit;
		uintptr_t base;
	} __attribute__((packed)) none = { 0, 0 };

	for (;;)
		__asm__ volatile("lidt %0; ud2" ::"m"(none));
}

/* One byte through the console's emergency write (virtio 1.2 §5.3.4), which
 * needs no driver.
 */
void put(char c);
void say(const char *text);
void say_hex(uint32_t value);
/* "NAME 0xVALUE" and the end of the line. */
void say_value(const char *name, uint32_t value);

/* ACPI 6.5 §4.8.3.7: sleep type in bits 2 to 4, sleep enable in bit 5. */
_Noreturn void power_off(void);
_Noreturn void pass(void);
_Noreturn void fail(const char *why);

#define CHECK(condition, why)                                                  \
	do {                                                                   \
		if (!(condition))                                              \
			fail(why);                                             \
	} while (0)

/* Where a guest starts: BOOT is RSI (Linux) or EBX (PVH). */
void guest_main(uintptr_t boot);

#endif
