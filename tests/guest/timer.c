// SPDX-License-Identifier: Apache-2.0
/*
 * timer.c - a halted CPU is woken by its local APIC timer
 *
 * One shot first, then the TSC deadline mode, which mote must offer: without it
 * Linux calibrates for 100 ms.
 */
#include "irq.h"

#define MSR_TSC_DEADLINE 0x6e0
#define LVT_TSC_DEADLINE (2u << 17)

static int has_tsc_deadline(void)
{
	uint32_t eax = 1, ebx, ecx = 0, edx;

	__asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
	return ecx >> 24 & 1;
}

void guest_main(uintptr_t boot)
{
	uint64_t deadline;

	(void)boot;
	irq_init();
	apic_write(APIC_TIMER_DIVIDE, 0xb); /* by 1 */
	apic_write(APIC_LVT_TIMER, IRQ_VECTOR);
	apic_write(APIC_TIMER_COUNT, 1000000);
	irq_wait(0);
	say("one shot\n");

	CHECK(has_tsc_deadline(), "no TSC deadline timer");
	apic_write(APIC_LVT_TIMER, (IRQ_VECTOR + 1) | LVT_TSC_DEADLINE);
	deadline = __builtin_ia32_rdtsc() + 1000000;
	__asm__ volatile("wrmsr" ::"A"(deadline), "c"(MSR_TSC_DEADLINE));
	irq_wait(1);
	CHECK(__builtin_ia32_rdtsc() >= deadline, "the timer fired too early");
	say("deadline\n");
	CHECK(irq_count[0] == 1 && irq_count[1] == 1,
	      "more than one interrupt");
	pass();
}
