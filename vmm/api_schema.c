// SPDX-License-Identifier: Apache-2.0
/*
 * api_schema.c - the bodies of Firecracker's API, field by field
 *
 * Names, types, order and presets are those of Firecracker's structs; the order
 * is the one in which its messages list them.
 */
#include "vmm/api_config.h"

#define AT(type, member)                                                       \
	.offset = offsetof(struct type, member),                               \
	.size = sizeof(((struct type *)0)->member)

#define TEXT(type, member, how)                                                \
	{                                                                      \
		.name = #member, .kind = FIELD_TEXT, .flags = (how),           \
		AT(type, member)                                               \
	}

#define BOOL(type, member, how)                                                \
	{                                                                      \
		.name = #member, .kind = FIELD_BOOL, .flags = (how),           \
		AT(type, member)                                               \
	}

#define UINT(type, member, how, most)                                          \
	{                                                                      \
		.name = #member, .kind = FIELD_UINT, .flags = (how),           \
		.max = (most), AT(type, member)                                \
	}

#define WORD(type, member, how, list)                                          \
	{                                                                      \
		.name = #member, .kind = FIELD_WORD, .flags = (how),           \
		.words = (list), AT(type, member)                              \
	}

#define OBJECT(type, member, how, what)                                        \
	{                                                                      \
		.name = #member, .kind = FIELD_OBJECT, .flags = (how),         \
		.object = &(what), AT(type, member)                            \
	}

/* C's and serde's names of one struct, and its table. */
#define SCHEMA(type, called, table)                                            \
	.name = (called), .field = (table), .nr_fields = ARRAY_SIZE(table),    \
	.size = sizeof(struct type)

#define REQUIRED   FIELD_REQUIRED
#define OPTIONAL   0
#define PRESET	   FIELD_PRESET
#define DEPRECATED (FIELD_DEPRECATED | FIELD_QUIET)

static const struct field bucket_fields[] = {
	UINT(api_bucket, size, REQUIRED, UINT64_MAX),
	UINT(api_bucket, one_time_burst, OPTIONAL, UINT64_MAX),
	UINT(api_bucket, refill_time, REQUIRED, UINT64_MAX),
};

static const struct schema bucket_schema = {
	SCHEMA(api_bucket, "TokenBucketConfig", bucket_fields),
	.lenient = true,
};

static const struct field limiter_fields[] = {
	OBJECT(api_limiter, bandwidth, OPTIONAL, bucket_schema),
	OBJECT(api_limiter, ops, OPTIONAL, bucket_schema),
};

const struct schema api_limiter_schema = {
	SCHEMA(api_limiter, "RateLimiterConfig", limiter_fields),
};

static const struct field boot_fields[] = {
	TEXT(api_boot_source, kernel_image_path, REQUIRED),
	TEXT(api_boot_source, initrd_path, OPTIONAL),
	TEXT(api_boot_source, boot_args, OPTIONAL),
};

const struct schema api_boot_source_schema = {
	SCHEMA(api_boot_source, "BootSourceConfig", boot_fields),
};

static const char *const templates[] = {
	"None", "C3", "T2", "T2S", "T2CL", "T2A", "V1N1", NULL,
};
static const char *const huge_pages[] = { "None", "Transparent", "2M", NULL };

static const struct field machine_fields[] = {
	UINT(api_machine, vcpu_count, REQUIRED, UINT8_MAX),
	UINT(api_machine, mem_size_mib, REQUIRED, UINT64_MAX),
	BOOL(api_machine, smt, PRESET),
	WORD(api_machine, cpu_template, DEPRECATED, templates),
	BOOL(api_machine, track_dirty_pages, PRESET),
	WORD(api_machine, huge_pages, PRESET, huge_pages),
};

const struct schema api_machine_schema = {
	SCHEMA(api_machine, "MachineConfig", machine_fields),
};

static const struct field machine_update_fields[] = {
	UINT(api_machine, vcpu_count, OPTIONAL, UINT8_MAX),
	UINT(api_machine, mem_size_mib, OPTIONAL, UINT64_MAX),
	BOOL(api_machine, smt, OPTIONAL),
	WORD(api_machine, cpu_template, DEPRECATED, templates),
	BOOL(api_machine, track_dirty_pages, OPTIONAL),
	WORD(api_machine, huge_pages, OPTIONAL, huge_pages),
};

const struct schema api_machine_update_schema = {
	SCHEMA(api_machine, "MachineConfigUpdate", machine_update_fields),
};

static const char *const caches[] = { "Unsafe", "Writeback", NULL };
static const char *const engines[] = { "Sync", "Async", NULL };

static const struct field drive_fields[] = {
	TEXT(api_drive, drive_id, REQUIRED),
	TEXT(api_drive, partuuid, OPTIONAL),
	BOOL(api_drive, is_root_device, REQUIRED),
	WORD(api_drive, cache_type, PRESET, caches),
	BOOL(api_drive, is_read_only, PRESET),
	TEXT(api_drive, path_on_host, OPTIONAL),
	OBJECT(api_drive, rate_limiter, OPTIONAL, api_limiter_schema),
	WORD(api_drive, io_engine, PRESET, engines),
	TEXT(api_drive, socket, OPTIONAL),
};

const struct schema api_drive_schema = {
	SCHEMA(api_drive, "BlockDeviceConfig", drive_fields),
};

static const struct field drive_update_fields[] = {
	TEXT(api_drive, drive_id, REQUIRED),
	TEXT(api_drive, path_on_host, OPTIONAL),
	OBJECT(api_drive, rate_limiter, OPTIONAL, api_limiter_schema),
};

const struct schema api_drive_update_schema = {
	SCHEMA(api_drive, "BlockDeviceUpdateConfig", drive_update_fields),
};

static const struct field net_fields[] = {
	TEXT(api_net, iface_id, REQUIRED),
	TEXT(api_net, host_dev_name, REQUIRED),
	TEXT(api_net, guest_mac, OPTIONAL),
	UINT(api_net, mtu, OPTIONAL, UINT16_MAX),
	OBJECT(api_net, rx_rate_limiter, OPTIONAL, api_limiter_schema),
	OBJECT(api_net, tx_rate_limiter, OPTIONAL, api_limiter_schema),
};

const struct schema api_net_schema = {
	SCHEMA(api_net, "NetworkInterfaceConfig", net_fields),
};

static const struct field net_update_fields[] = {
	TEXT(api_net, iface_id, REQUIRED),
	OBJECT(api_net, rx_rate_limiter, OPTIONAL, api_limiter_schema),
	OBJECT(api_net, tx_rate_limiter, OPTIONAL, api_limiter_schema),
};

const struct schema api_net_update_schema = {
	SCHEMA(api_net, "NetworkInterfaceUpdateConfig", net_update_fields),
};

static const struct field vsock_fields[] = {
	TEXT(api_vsock, vsock_id, DEPRECATED),
	UINT(api_vsock, guest_cid, REQUIRED, UINT32_MAX),
	TEXT(api_vsock, uds_path, REQUIRED),
};

const struct schema api_vsock_schema = {
	SCHEMA(api_vsock, "VsockDeviceConfig", vsock_fields),
};

static const struct field balloon_fields[] = {
	UINT(api_balloon, amount_mib, REQUIRED, UINT32_MAX),
	BOOL(api_balloon, deflate_on_oom, REQUIRED),
	UINT(api_balloon, stats_polling_interval_s, PRESET, UINT16_MAX),
	BOOL(api_balloon, free_page_hinting, PRESET),
	BOOL(api_balloon, free_page_reporting, PRESET),
};

const struct schema api_balloon_schema = {
	SCHEMA(api_balloon, "BalloonDeviceConfig", balloon_fields),
};

static const struct field balloon_update_fields[] = {
	UINT(api_balloon, amount_mib, REQUIRED, UINT32_MAX),
};

const struct schema api_balloon_update_schema = {
	SCHEMA(api_balloon, "BalloonUpdateConfig", balloon_update_fields),
};

static const struct field balloon_interval_fields[] = {
	UINT(api_balloon, stats_polling_interval_s, REQUIRED, UINT16_MAX),
};

const struct schema api_balloon_interval_schema = {
	SCHEMA(api_balloon, "BalloonUpdateStatsConfig",
	       balloon_interval_fields),
};

static const struct field entropy_fields[] = {
	OBJECT(api_entropy, rate_limiter, OPTIONAL, api_limiter_schema),
};

const struct schema api_entropy_schema = {
	SCHEMA(api_entropy, "EntropyDeviceConfig", entropy_fields),
};

static const char *const actions[] = {
	[API_START] = "InstanceStart",
	[API_FLUSH_METRICS] = "FlushMetrics",
	[API_CTRL_ALT_DEL] = "SendCtrlAltDel",
	NULL,
};

static const struct field action_fields[] = {
	WORD(api_action_body, action_type, REQUIRED, actions),
};

const struct schema api_action_schema = {
	SCHEMA(api_action_body, "ActionBody", action_fields),
};

static const char *const states[] = {
	[API_STATE_PAUSED] = "Paused",
	[API_STATE_RESUMED] = "Resumed",
	NULL,
};

static const struct field state_fields[] = {
	WORD(api_state_body, state, REQUIRED, states),
};

const struct schema api_state_schema = {
	SCHEMA(api_state_body, "Vm", state_fields),
};
