// SPDX-License-Identifier: Apache-2.0
/*
 * gate.c - a rate limiter in front of a device's queues
 *
 * Theory of operation.  One timer serves all queues of the gate: it is armed
 * for the instant at which the request that was refused last may pass, and runs
 * its queue then.  So a limited device never looks twice in vain, and needs
 * nothing from its driver to go on.
 *
 * Queues take turns.  While one waits, the others may not pass it by, or a
 * stream of small requests would keep a large one waiting for ever: they line
 * up, too.  When the timer is due, the first in line goes on until it is
 * refused again, and is then the last.
 *
 * A reset leaves the timer armed, because it may come on a vCPU's thread.  The
 * timer then finds a queue that is not live, or the next driver's; neither is
 * harmed by a look.  The tokens stay taken: a reset does not buy new ones.
 */
#include "base/util.h"
#include "virtio/gate.h"

static uint32_t bit(unsigned int q)
{
	return UINT32_C(1) << q;
}

/* Nobody waits for the timer any more. */
static void gate_end_stall(struct gate *gate)
{
	if (gate->timer.deadline_ns == 0)
		return;
	loop_timer_cancel(gate->vdev->env.loop, &gate->timer);
	histogram_add(&gate->stall_ns, now_ns() - gate->since_ns);
}

/* Runs the queues in line until one is refused. */
static void gate_serve(struct gate *gate)
{
	unsigned int nr = gate->nr_lines;
	unsigned int first = gate->next;

	gate->serving = true;
	for (unsigned int i = 0; i < nr; i++) {
		unsigned int q = (first + i) % nr;

		if (!gate_holds(gate, q))
			continue;
		gate->waiting &= ~bit(q);
		gate->passed = false;
		gate->resume(gate->vdev, q);
		/* A turn is worth one request at least. */
		gate->next = gate->passed ? (q + 1) % nr : q;
		if (gate_holds(gate, q))
			break;
	}
	gate->serving = false;
}

static void gate_expired(struct loop_timer *timer)
{
	struct gate *gate = container_of(timer, struct gate, timer);

	pthread_mutex_lock(&gate->vdev->lock);
	histogram_add(&gate->stall_ns, now_ns() - gate->since_ns);
	gate_serve(gate);
	pthread_mutex_unlock(&gate->vdev->lock);
}

void gate_init(struct gate *gate, struct virtio_device *vdev,
	       unsigned int nr_lines)
{
	assert(nr_lines > 0 && nr_lines <= 8 * sizeof(gate->waiting));
	gate->nr_lines = nr_lines;
	gate->vdev = vdev;
	gate->timer.expired = gate_expired;
	gate->resume = virtio_run_queue_locked;
}

void gate_fini(struct gate *gate)
{
	loop_timer_cancel(gate->vdev->env.loop, &gate->timer);
}

static bool gate_try(struct gate *gate, unsigned int q, struct rate_amount want,
		     bool take)
{
	struct loop *loop = gate->vdev->env.loop;
	uint64_t now, ready;

	if (!rate_limits(&gate->rate))
		return true;
	if (!gate->serving && gate->waiting == 0)
		gate->next = q; /* first in line, if it has to wait */
	if (!gate->serving && gate->waiting & ~bit(q)) {
		gate->waiting |= bit(q);
		return false;
	}
	now = now_ns();
	ready = rate_ready_ns(&gate->rate, want, now);
	if (ready > now) {
		gate->waiting |= bit(q);
		if (gate->timer.deadline_ns == 0)
			gate->since_ns = now;
		loop_timer_arm(loop, &gate->timer, ready);
		return false;
	}
	gate->passed = true;
	if (take)
		rate_charge(&gate->rate, want, now);
	/* A doorbell came before the timer, which is late. */
	if (gate_holds(gate, q)) {
		gate->waiting &= ~bit(q);
		gate_end_stall(gate);
	}
	return true;
}

bool gate_pass(struct gate *gate, unsigned int q, struct rate_amount want)
{
	return gate_try(gate, q, want, true);
}

bool gate_is_open(struct gate *gate, unsigned int q)
{
	return gate_try(gate, q, (struct rate_amount){ 0, 1 }, false);
}

void gate_charge(struct gate *gate, struct rate_amount gone)
{
	if (rate_limits(&gate->rate))
		rate_charge(&gate->rate, gone, now_ns());
}

void gate_set(struct gate *gate, const struct rate_change *change)
{
	rate_set(&gate->rate, change, now_ns());
	gate_end_stall(gate);
	gate_serve(gate);
}
