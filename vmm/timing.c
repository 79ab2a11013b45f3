// SPDX-License-Identifier: Apache-2.0
/*
 * timing.c - marks and telemetry as one JSON line
 */
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>
#include <sys/mman.h>

#include "base/log.h"
#include "virtio/balloon.h"
#include "vmm/kvm.h"
#include "vmm/timing.h"

/* Every JSON value there is to be, freed with the process: no system call gives
 * memory once the filters are on.  A page that is not written costs nothing.
 * 64 vCPUs with every kind of exit need less.
 */
#define JSON_ARENA MIB(8)

/* Process-wide by nature: libjansson has one allocator. */
static struct {
	uint8_t *memory;
	size_t used;
} json_arena;

static void *json_arena_alloc(size_t size)
{
	size_t at = json_arena.used;

	if (!json_arena.memory || size > JSON_ARENA - at - 16)
		return NULL;
	json_arena.used = at + ALIGN_UP(size, (size_t)16);
	return json_arena.memory + at;
}

static void json_arena_free(void *p)
{
	(void)p;
}

void timing_prepare(struct machine *m)
{
	void *memory = mmap(NULL, JSON_ARENA, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	kvm_hardware(&m->kvm_module);
	/* libjansson would read it from a file. */
	json_object_seed(1);
	json_arena.memory = memory == MAP_FAILED ? NULL : memory;
}

uint64_t timing_exec_ns(uint64_t main_ns)
{
	const char *word = getenv("MOTE_T0_NS");
	uint64_t ns = word ? strtoull(word, NULL, 10) : 0;

	return ns <= main_ns ? ns : 0;
}

static json_t *mark(uint64_t ns, uint64_t t0)
{
	return ns >= t0 && ns ? json_integer((json_int_t)((ns - t0) / 1000))
			      : json_null();
}

static json_t *histogram_json(const struct histogram *h)
{
	json_int_t count = (json_int_t)h->count;

	return json_pack("{sI sI sI sI sI}", "count", count, "mean",
			 count ? (json_int_t)h->sum / count : 0, "p50",
			 (json_int_t)histogram_percentile(h, 50), "p99",
			 (json_int_t)histogram_percentile(h, 99), "max",
			 (json_int_t)h->max);
}

static json_t *vcpu_json(const struct vcpu *vcpu)
{
	json_t *exits = json_object();

	for (uint32_t i = 0; i <= EXIT_REASON_MAX; i++) {
		if (vcpu->exit_ns[i].count > 0)
			json_object_set_new(exits, exit_reason_name(i),
					    histogram_json(&vcpu->exit_ns[i]));
	}
	return exits;
}

/* What the driver sent last, by the names of its tags (virtio 1.2 §5.5.6.4, and
 * Linux's from 10 on).
 */
static json_t *guest_json(const struct virtio_balloon_state *state)
{
	static const char *const name[BALLOON_NR_TAGS] = {
		"swap-in",	    "swap-out",	    "major-faults",
		"minor-faults",	    "free-memory",  "total-memory",
		"available-memory", "disk-caches",  "hugetlb-allocations",
		"hugetlb-failures", "oom-kills",    "alloc-stalls",
		"async-scans",	    "direct-scans", "async-reclaims",
		"direct-reclaims",
	};
	json_t *guest = json_object();

	for (unsigned int i = 0; i < ARRAY_SIZE(name); i++) {
		if (state->known >> i & 1)
			json_object_set_new(
				guest, name[i],
				json_integer((json_int_t)state->value[i]));
	}
	return guest;
}

static json_t *integer(uint64_t value)
{
	return json_integer((json_int_t)value);
}

static void add_balloon(json_t *device, struct virtio_device *vdev)
{
	struct virtio_balloon_state state;

	virtio_balloon_get(vdev, &state);
	json_object_set_new(device, "target_bytes", integer(state.target));
	json_object_set_new(device, "actual_bytes", integer(state.actual));
	json_object_set_new(device, "guest", guest_json(&state));
}

static json_t *queues_json(struct virtio_device *vdev)
{
	json_t *queues = json_array();

	pthread_mutex_lock(&vdev->lock);
	for (unsigned int q = 0; q < vdev->nr_queues; q++) {
		const struct virtio_queue_stats *st = &vdev->queue_stats[q];
		json_int_t depth = virtio_queue_depth_locked(vdev, q);

		json_array_append_new(
			queues,
			json_pack("{sI sI sI sI sI}", "kicks",
				  (json_int_t)counter_get(&st->kicks), "used",
				  (json_int_t)counter_get(&st->used),
				  "suppressed",
				  (json_int_t)counter_get(&st->suppressed),
				  "depth", depth, "peak",
				  (json_int_t)counter_get(&st->peak)));
	}
	pthread_mutex_unlock(&vdev->lock);
	return queues;
}

/* What this kind of device counts, by the names that it gives. */
static void add_fields(json_t *device, const struct virtio_device *vdev)
{
	for (unsigned int i = 0; i < vdev->ops->nr_fields; i++) {
		const struct telemetry_field *f = &vdev->ops->fields[i];
		const void *at = (const char *)vdev + f->offset;

		json_object_set_new(device, f->name,
				    f->kind == TELEMETRY_COUNTER
					    ? integer(counter_get(at))
					    : histogram_json(at));
	}
}

static json_t *device_json(struct virtio_device *vdev)
{
	json_t *device = json_pack(
		"{ss sI sI sI so so so}", "name", vdev->ops->name, "doorbells",
		(json_int_t)counter_get(&vdev->doorbells), "interrupts",
		(json_int_t)counter_get(&vdev->interrupts), "needs_reset",
		(json_int_t)counter_get(&vdev->resets_needed), "queue_depth",
		histogram_json(&vdev->queue_depth), "run_ns",
		histogram_json(&vdev->run_ns), "queues", queues_json(vdev));

	add_fields(device, vdev);
	json_object_set_new(
		device, "looks",
		json_integer((json_int_t)counter_get(&vdev->looks)));
	if (virtio_balloon_is(vdev))
		add_balloon(device, vdev);
	return device;
}

static void add_marks(json_t *line, const struct machine *m, uint64_t t0,
		      uint64_t main_ns, uint64_t end_ns)
{
	const struct vcpu *boot = m->vm.vcpu;
	const struct {
		const char *key;
		uint64_t ns;
	} marks[] = {
		{ "main_us", main_ns },
		{ "loaded_us", m->marks.loaded },
		{ "vm_us", m->marks.vm },
		{ "state_us", m->marks.state },
		{ "first_run_us", boot->first_run_ns },
		{ "first_exit_us", boot->first_exit_ns },
		{ "ready_us", m->boot_timer.ready_ns },
		{ "end_us", end_ns },
	};

	for (size_t i = 0; i < ARRAY_SIZE(marks); i++)
		json_object_set_new(line, marks[i].key, mark(marks[i].ns, t0));
}

/* What became of the console's bytes behind the devices. */
static json_t *terminal_json(const struct terminal *t)
{
	return json_pack("{sI sI}", "output_dropped",
			 (json_int_t)counter_get(&t->sink.dropped),
			 "keys_dropped",
			 (json_int_t)counter_get(&t->keys_dropped));
}

void timing_print(struct machine *m, const struct terminal *terminal,
		  uint64_t t0, uint64_t main_ns, uint64_t end_ns)
{
	json_t *line, *vcpus, *devices;
	const char *module = m->kvm_module;
	char *text;

	json_set_alloc_funcs(json_arena_alloc, json_arena_free);
	line = json_object();
	vcpus = json_array();
	devices = json_array();
	json_object_set_new(line, "mote", json_string(MOTE_VERSION));
	json_object_set_new(line, "kvm",
			    module ? json_string(module) : json_null());
	json_object_set_new(line, "t0", json_string(t0 ? "exec" : "main"));
	add_marks(line, m, t0 ? t0 : main_ns, main_ns, end_ns);
	for (unsigned int i = 0; i < m->vm.nr_vcpus; i++)
		json_array_append_new(vcpus, vcpu_json(&m->vm.vcpu[i]));
	for (unsigned int i = 0; i < m->nr_devices; i++)
		json_array_append_new(devices, device_json(m->device[i].vdev));
	json_object_set_new(line, "exit_ns", vcpus);
	json_object_set_new(line, "devices", devices);
	json_object_set_new(line, "terminal", terminal_json(terminal));
	json_object_set_new(
		line, "polling",
		json_pack("{sI sI}", "hits",
			  (json_int_t)counter_get(&m->loop->poll_hits),
			  "misses",
			  (json_int_t)counter_get(&m->loop->poll_misses)));
	text = json_dumps(line, JSON_PRESERVE_ORDER);
	if (text)
		fprintf(stderr, "%s\n", text);
	else
		log_error("--timing: out of memory");
	json_decref(line);
}
