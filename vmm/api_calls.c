// SPDX-License-Identifier: Apache-2.0
/*
 * api_calls.c - what each request of the control API does, in one table
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <linux/virtio_ids.h>

#include "base/log.h"
#include "virtio/balloon.h"
#include "virtio/blk.h"
#include "virtio/net.h"
#include "vmm/api_call.h"
#include "vmm/devices.h"
#include "vmm/json_pool.h"

#define NO_BALLOON	"No balloon device found."
#define NO_STATS	"Statistics for the balloon device are not enabled"
#define BALLOON_TOO_BIG "Amount of pages requested is too large."
#define STATS_TOGGLED                                                          \
	"Cannot enable/disable the statistics after device activation."
#define PATCH_DRIVE_FAILED                                                     \
	"Unable to patch the block device: %s Please verify the request "      \
	"arguments."

/* What is not offered. */
#define HINTING	 "Free page hinting is not supported."
#define MMDS	 "The metadata service (MMDS) is not supported yet."
#define SNAPSHOT "Snapshots are not supported yet."
#define SERIAL	 "A file for the serial port is not supported."
#define PMEM	 "Persistent memory devices are not supported."
#define MEMORY	 "Memory hotplug is not supported."

/* An error without the prefix of its row. */
static bool refuse_bare(struct api_call *call, const char *text)
{
	call->bare = true;
	return api_refuse(call->error, "%s", text);
}

/* --- before the start ---------------------------------------------------- */

static bool put_boot_source(struct api_call *call)
{
	return api_put_boot_source(&call->api->config, &call->body->boot,
				   call->error);
}

static bool put_machine(struct api_call *call)
{
	return api_put_machine(&call->api->config, &call->body->machine,
			       call->error);
}

static bool patch_machine(struct api_call *call)
{
	struct api_machine machine = call->api->config.machine;

	if (call->body->machine.given == 0)
		return refuse_bare(call, "Empty PATCH request.");
	schema_merge(&api_machine_schema, &machine, &api_machine_update_schema,
		     &call->body->machine);
	return api_put_machine(&call->api->config, &machine, call->error);
}

/* Devices come and go on a bus that can be enumerated, and there is none. */
static bool refuse_hotplug(struct api_call *call)
{
	return refuse_bare(call, "PCI is not enabled");
}

static bool put_drive(struct api_call *call)
{
	if (call->api->phase != API_NOT_STARTED)
		return refuse_hotplug(call);
	return api_put_drive(&call->api->config, &call->body->drive,
			     call->error);
}

static bool put_net(struct api_call *call)
{
	if (call->api->phase != API_NOT_STARTED)
		return refuse_hotplug(call);
	return api_put_net(&call->api->config, &call->body->net, call->error);
}

static bool put_vsock(struct api_call *call)
{
	return api_put_vsock(&call->api->config, &call->body->vsock,
			     call->error);
}

static bool put_balloon(struct api_call *call)
{
	return api_put_balloon(&call->api->config, &call->body->balloon,
			       call->error);
}

static bool put_entropy(struct api_call *call)
{
	return api_put_entropy(&call->api->config, &call->body->entropy,
			       call->error);
}

/* --- questions ----------------------------------------------------------- */

static bool get_instance(struct api_call *call)
{
	static const char *const phases[] = {
		[API_NOT_STARTED] = "Not started",
		[API_RUNNING] = "Running",
		[API_PAUSED] = "Paused",
	};

	call->answer = json_pack("{ss ss ss ss}", "id", call->api->id, "state",
				 phases[call->api->phase], "vmm_version",
				 API_VERSION, "app_name", "Firecracker");
	return true;
}

static bool get_version(struct api_call *call)
{
	call->answer = json_pack("{ss}", "firecracker_version", API_VERSION);
	return true;
}

static bool get_machine(struct api_call *call)
{
	call->answer =
		schema_print(&api_machine_schema, &call->api->config.machine);
	return true;
}

static bool get_config(struct api_call *call)
{
	call->answer = api_config_json(&call->api->config);
	return true;
}

static bool get_balloon(struct api_call *call)
{
	const struct api_config *config = &call->api->config;

	if (!config->has_balloon)
		return api_refuse(call->error, NO_BALLOON);
	call->answer = schema_print(&api_balloon_schema, &config->balloon);
	return true;
}

/* --- while it runs ------------------------------------------------------- */

/* The balloon, if one was asked for; NULL after a refusal. */
static struct virtio_device *balloon_of(struct api_call *call)
{
	if (!call->api->config.has_balloon) {
		api_refuse(call->error, NO_BALLOON);
		return NULL;
	}
	return devices_find(call->api->machine, VIRTIO_ID_BALLOON, 0);
}

static bool patch_balloon(struct api_call *call)
{
	struct virtio_device *vdev = balloon_of(call);
	uint64_t mib = call->body->balloon.amount_mib;

	if (!vdev)
		return false;
	if (virtio_balloon_set_target(vdev, MIB(mib)) < 0)
		return api_refuse(call->error, BALLOON_TOO_BIG);
	call->api->config.balloon.amount_mib = mib;
	return true;
}

static bool patch_balloon_interval(struct api_call *call)
{
	struct virtio_device *vdev = balloon_of(call);
	uint64_t s = call->body->balloon.stats_polling_interval_s;
	struct api_balloon *balloon = &call->api->config.balloon;

	if (!vdev)
		return false;
	if ((s == 0) != (balloon->stats_polling_interval_s == 0))
		return api_refuse(call->error, STATS_TOGGLED);
	virtio_balloon_set_interval(vdev, s * 1000000000u);
	balloon->stats_polling_interval_s = s;
	return true;
}

static bool get_balloon_statistics(struct api_call *call)
{
	/* virtio 1.2 §5.5.6.4, and Linux's from 10 on */
	static const char *const name[BALLOON_NR_TAGS] = {
		"swap_in",	    "swap_out",	   "major_faults",
		"minor_faults",	    "free_memory", "total_memory",
		"available_memory", "disk_caches", "hugetlb_allocations",
		"hugetlb_failures", "oom_kill",	   "alloc_stall",
		"async_scan",	    "direct_scan", "async_reclaim",
		"direct_reclaim",
	};
	struct virtio_device *vdev = balloon_of(call);
	struct virtio_balloon_state state;

	if (!vdev)
		return false;
	if (call->api->config.balloon.stats_polling_interval_s == 0)
		return api_refuse(call->error, NO_STATS);
	virtio_balloon_get(vdev, &state);
	call->answer = json_pack("{sI sI sI sI}", "target_pages",
				 (json_int_t)(state.target / BALLOON_PAGE_SIZE),
				 "actual_pages",
				 (json_int_t)(state.actual / BALLOON_PAGE_SIZE),
				 "target_mib", (json_int_t)(state.target >> 20),
				 "actual_mib",
				 (json_int_t)(state.actual >> 20));
	for (unsigned int i = 0; i < BALLOON_NR_TAGS; i++) {
		if (state.known >> i & 1)
			json_object_set_new(
				call->answer, name[i],
				json_integer((json_int_t)state.value[i]));
	}
	return true;
}

/* What changes of a limiter that is in use. */
struct limiter_change {
	struct rate_bucket_config bytes, ops;
	struct rate_change change; /* points to the two */
};

/* UPDATE's buckets become LIMITER's, and C is what that means: a bucket that is
 * not given stays, one of nothing is no limit from now on.
 */
static void update_limiter(struct api_limiter *limiter,
			   const struct api_limiter *update,
			   struct limiter_change *c)
{
	const struct schema *s = &api_limiter_schema;

	schema_merge(s, limiter, s, update);
	c->bytes = api_bucket_rate(&update->bandwidth);
	c->ops = api_bucket_rate(&update->ops);
	c->change = (struct rate_change){ NULL, NULL };
	if (schema_has(s, update, "bandwidth"))
		c->change.bytes = &c->bytes;
	if (schema_has(s, update, "ops"))
		c->change.ops = &c->ops;
}

/* The file that the drive has is looked at again, another takes its place. */
static bool replace_file(struct api *api, struct api_drive *drive,
			 const char *path, struct api_error *error)
{
	bool same = strcmp(path, drive->path_on_host) == 0;
	char text[80];
	int ret;

	/* Under its filter the loop opens no file; the one that it has may
	 * have grown.
	 */
	if (api->machine->vm.confined && !same)
		return api_refuse(error, PATCH_DRIVE_FAILED,
				  "another file needs --no-seccomp");
	if (api->machine->vm.confined)
		ret = -EAGAIN;
	else
		ret = devices_replace_disk(api->machine, drive->number, path);
	if (ret == -EAGAIN && same) {
		/* We are who has it, and it may have grown. */
		virtio_blk_resized(devices_find(api->machine, VIRTIO_ID_BLOCK,
						drive->number));
		return true;
	}
	if (ret < 0)
		return api_refuse(error, PATCH_DRIVE_FAILED,
				  api_os_error(ret, text, sizeof(text)));
	memcpy(drive->path_on_host, path, strlen(path) + 1);
	return true;
}

static bool patch_drive(struct api_call *call)
{
	const struct api_drive *update = &call->body->drive;
	const struct schema *s = &api_drive_update_schema;
	struct api *api = call->api;
	struct api_drive *drive = api_find_drive(&api->config, call->id);
	struct virtio_device *vdev;
	struct limiter_change c;

	if (!drive)
		return api_refuse(call->error, PATCH_DRIVE_FAILED,
				  "Device not found.");
	vdev = devices_find(api->machine, VIRTIO_ID_BLOCK, drive->number);
	if (schema_has(s, update, "path_on_host") &&
	    !replace_file(api, drive, update->path_on_host, call->error))
		return false;
	if (schema_has(s, update, "rate_limiter")) {
		update_limiter(&drive->rate_limiter, &update->rate_limiter, &c);
		schema_set(&api_drive_schema, drive, "rate_limiter");
		virtio_blk_set_rate(vdev, &c.change);
	}
	return true;
}

static bool patch_net(struct api_call *call)
{
	const struct api_net *update = &call->body->net;
	const struct schema *s = &api_net_update_schema;
	struct api *api = call->api;
	struct api_net *net = api_find_net(&api->config, call->id);
	struct virtio_device *vdev;
	struct limiter_change rx, tx;

	if (!net)
		return refuse_bare(call, "Device not found");
	vdev = devices_find(api->machine, VIRTIO_ID_NET,
			    (unsigned int)(net - api->config.net));
	update_limiter(&net->rx_rate_limiter, &update->rx_rate_limiter, &rx);
	update_limiter(&net->tx_rate_limiter, &update->tx_rate_limiter, &tx);
	if (schema_has(s, update, "rx_rate_limiter"))
		schema_set(&api_net_schema, net, "rx_rate_limiter");
	if (schema_has(s, update, "tx_rate_limiter"))
		schema_set(&api_net_schema, net, "tx_rate_limiter");
	virtio_net_set_rates(vdev, &rx.change, &tx.change);
	return true;
}

static bool patch_vm(struct api_call *call)
{
	bool pause = call->body->state.state == API_STATE_PAUSED;
	struct api *api = call->api;

	if (pause && api->phase == API_RUNNING)
		vm_park(&api->machine->vm);
	else if (!pause && api->phase == API_PAUSED)
		vm_unpark(&api->machine->vm);
	api->phase = pause ? API_PAUSED : API_RUNNING;
	return true;
}

/* --- actions ------------------------------------------------------------- */

static bool start(struct api_call *call)
{
	if (call->api->phase != API_NOT_STARTED) {
		call->bare = true;
		return api_refuse(call->error, API_WRONG_TIME, "after");
	}
	return call->api->start(call->api, call->error);
}

static bool put_action(struct api_call *call)
{
	struct api *api = call->api;

	if (call->body->action.action_type == API_START)
		return start(call);
	if (api->phase == API_NOT_STARTED) {
		call->bare = true;
		return api_refuse(call->error, API_WRONG_TIME, "before");
	}
	/* There is no keyboard: what the keys are for is done by the button.
	 * Metrics that have no file go nowhere.
	 */
	if (call->body->action.action_type == API_CTRL_ALT_DEL)
		power_press_button(&api->machine->power);
	return true;
}

#define DRIVE	"Drive config error: "
#define NETWORK "Network config error: "
#define BALLOON "Balloon config error: "
#define UPDATE	"Balloon update error: "

#define LATER(what) what " not supported yet."

const struct api_endpoint api_endpoints[] = {
	{ HTTP_GET, "", API_ANY, .act = get_instance },
	{ HTTP_GET, "version", API_ANY, .act = get_version },
	{ HTTP_GET, "vm/config", API_ANY, .act = get_config },
	{ HTTP_PATCH, "vm", API_AFTER, .body = &api_state_schema,
	  .act = patch_vm },
	{ HTTP_PUT, "actions", API_ANY, .body = &api_action_schema,
	  .prefix = "Start microvm error: ", .act = put_action },
	{ HTTP_PUT, "boot-source", API_BEFORE, .body = &api_boot_source_schema,
	  .prefix = "Boot source error: ", .act = put_boot_source },
	{ HTTP_GET, "machine-config", API_ANY, .act = get_machine },
	{ HTTP_PUT, "machine-config", API_BEFORE, .body = &api_machine_schema,
	  .prefix = "Machine config error: ", .act = put_machine },
	{ HTTP_PATCH, "machine-config", API_BEFORE,
	  .body = &api_machine_update_schema,
	  .prefix = "Machine config error: ", .act = patch_machine },
	{ HTTP_PUT, "drives/*", API_ANY, .body = &api_drive_schema,
	  .id_field = "drive_id", .prefix = DRIVE, .act = put_drive },
	{ HTTP_PATCH, "drives/*", API_AFTER, .body = &api_drive_update_schema,
	  .id_field = "drive_id", .prefix = DRIVE, .act = patch_drive },
	{ HTTP_DELETE, "drives/*", API_AFTER, .act = refuse_hotplug },
	{ HTTP_PUT, "network-interfaces/*", API_ANY, .body = &api_net_schema,
	  .id_field = "iface_id", .prefix = NETWORK, .act = put_net },
	{ HTTP_PATCH, "network-interfaces/*", API_AFTER,
	  .body = &api_net_update_schema, .id_field = "iface_id",
	  .prefix = NETWORK, .act = patch_net },
	{ HTTP_DELETE, "network-interfaces/*", API_AFTER,
	  .act = refuse_hotplug },
	{ HTTP_PUT, "vsock", API_BEFORE, .body = &api_vsock_schema,
	  .prefix = "Vsock config error: ", .act = put_vsock },
	{ HTTP_GET, "balloon/statistics", API_AFTER, .prefix = BALLOON,
	  .act = get_balloon_statistics },
	{ HTTP_PATCH, "balloon/statistics", API_AFTER,
	  .body = &api_balloon_interval_schema, .prefix = UPDATE,
	  .act = patch_balloon_interval },
	{ HTTP_GET, "balloon/hinting/status", API_AFTER, .refusal = HINTING },
	{ HTTP_PATCH, "balloon/hinting/start", API_AFTER, .refusal = HINTING },
	{ HTTP_PATCH, "balloon/hinting/stop", API_AFTER, .refusal = HINTING },
	{ HTTP_GET, "balloon", API_ANY, .prefix = BALLOON, .act = get_balloon },
	{ HTTP_PUT, "balloon", API_BEFORE, .body = &api_balloon_schema,
	  .prefix = BALLOON, .act = put_balloon },
	{ HTTP_PATCH, "balloon", API_AFTER, .body = &api_balloon_update_schema,
	  .prefix = UPDATE, .act = patch_balloon },
	{ HTTP_PUT, "entropy", API_BEFORE, .body = &api_entropy_schema,
	  .prefix = "Entropy config error: ", .act = put_entropy },

	{ HTTP_PUT, "cpu-config", API_BEFORE,
	  .refusal = "CPU configurations are not supported." },
	{ HTTP_PUT, "logger", API_BEFORE, .refusal = LATER("A log file is") },
	{ HTTP_PUT, "metrics", API_BEFORE,
	  .refusal = LATER("A metrics file is") },
	{ HTTP_GET, "mmds", API_ANY, .refusal = MMDS },
	{ HTTP_PUT, "mmds/config", API_BEFORE, .refusal = MMDS },
	{ HTTP_PUT, "mmds", API_ANY, .refusal = MMDS },
	{ HTTP_PATCH, "mmds", API_ANY, .refusal = MMDS },
	{ HTTP_PUT, "snapshot/create", API_AFTER, .refusal = SNAPSHOT },
	{ HTTP_PUT, "snapshot/load", API_BEFORE, .refusal = SNAPSHOT },
	{ HTTP_PUT, "serial", API_BEFORE, .refusal = SERIAL },
	{ HTTP_PUT, "pmem/*", API_ANY, .refusal = PMEM },
	{ HTTP_PATCH, "pmem/*", API_AFTER, .refusal = PMEM },
	{ HTTP_DELETE, "pmem/*", API_AFTER, .refusal = PMEM },
	{ HTTP_GET, "hotplug/memory", API_AFTER, .refusal = MEMORY },
	{ HTTP_PUT, "hotplug/memory", API_BEFORE, .refusal = MEMORY },
	{ HTTP_PATCH, "hotplug/memory", API_AFTER, .refusal = MEMORY },
};

const size_t api_nr_endpoints = ARRAY_SIZE(api_endpoints);
