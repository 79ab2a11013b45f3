// SPDX-License-Identifier: Apache-2.0
/*
 * irq.h - one interrupt line, as a device sees it
 *
 * Lines are edge triggered: the state that the edge announces (InterruptStatus,
 * say) is written first, the pulse follows, and an edge that arrives while the
 * guest handles an earlier one is latched by the interrupt controller.  The
 * machine provides the line; tests count pulses.
 */
#ifndef MOTE_BASE_IRQ_H
#define MOTE_BASE_IRQ_H

struct irq_line {
	/* Raises one edge, also when another thread does so at the same time.
	 * Any thread, with any lock held; does not block.
	 */
	void (*pulse)(struct irq_line *line);
};

static inline void irq_pulse(struct irq_line *line)
{
	line->pulse(line);
}

#endif
