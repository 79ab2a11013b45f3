// SPDX-License-Identifier: Apache-2.0
/*
 * api_config.h - a machine in Firecracker's words: the bodies of requests
 *
 * Each struct is what its schema fills and prints (schema.h); together they are
 * what PUT requests build, GET /vm/config shows and --config-file brings at
 * once.  The machine itself is made of a struct vm_config, to which this is
 * turned.
 */
#ifndef MOTE_VMM_API_CONFIG_H
#define MOTE_VMM_API_CONFIG_H

#include <limits.h>

#include "boot/layout.h"
#include "vmm/config.h"
#include "vmm/schema.h"

#define API_ID_SIZE	65
#define API_SOCKET_SIZE 108
#define API_MAX_VCPUS	32

struct api_bucket {
	uint32_t given;
	uint64_t size, refill_time, one_time_burst; /* tokens, ms, tokens */
};

struct api_limiter {
	uint32_t given;
	struct api_bucket bandwidth, ops;
};

struct api_boot_source {
	uint32_t given;
	char kernel_image_path[PATH_MAX], initrd_path[PATH_MAX];
	char boot_args[LAYOUT_CMDLINE_MAX];
};

enum api_huge_pages { API_PAGES_NONE, API_PAGES_TRANSPARENT, API_PAGES_2M };

struct api_machine {
	uint32_t given;
	uint64_t vcpu_count, mem_size_mib;
	bool smt, track_dirty_pages;
	unsigned int cpu_template; /* 0: None */
	unsigned int huge_pages;   /* enum api_huge_pages */
};

enum api_cache { API_CACHE_UNSAFE, API_CACHE_WRITEBACK };
enum api_engine { API_ENGINE_SYNC, API_ENGINE_ASYNC };

struct api_drive {
	uint32_t given;
	char drive_id[API_ID_SIZE], partuuid[64];
	bool is_root_device, is_read_only;
	unsigned int cache_type, io_engine;
	char path_on_host[PATH_MAX], socket[API_SOCKET_SIZE];
	struct api_limiter rate_limiter;
	unsigned int number; /* of the machine's disks, once it is made */
};

struct api_net {
	uint32_t given;
	char iface_id[API_ID_SIZE], host_dev_name[16], guest_mac[18];
	uint64_t mtu;
	struct api_limiter rx_rate_limiter, tx_rate_limiter;
};

struct api_vsock {
	uint32_t given;
	char vsock_id[API_ID_SIZE], uds_path[API_SOCKET_SIZE];
	uint64_t guest_cid;
};

struct api_balloon {
	uint32_t given;
	uint64_t amount_mib, stats_polling_interval_s;
	bool deflate_on_oom, free_page_hinting, free_page_reporting;
};

struct api_entropy {
	uint32_t given;
	struct api_limiter rate_limiter;
};

extern const struct schema api_limiter_schema, api_boot_source_schema,
	api_machine_schema, api_machine_update_schema, api_drive_schema,
	api_drive_update_schema, api_net_schema, api_net_update_schema,
	api_vsock_schema, api_balloon_schema, api_balloon_update_schema,
	api_balloon_interval_schema, api_entropy_schema, api_action_schema,
	api_state_schema;

enum api_action { API_START, API_FLUSH_METRICS, API_CTRL_ALT_DEL };

struct api_action_body {
	uint32_t given;
	unsigned int action_type; /* enum api_action */
};

enum api_state_word { API_STATE_PAUSED, API_STATE_RESUMED };

struct api_state_body {
	uint32_t given;
	unsigned int state; /* enum api_state_word */
};

/* Any body. */
union api_body {
	struct api_boot_source boot;
	struct api_machine machine;
	struct api_drive drive;
	struct api_net net;
	struct api_vsock vsock;
	struct api_balloon balloon;
	struct api_entropy entropy;
	struct api_action_body action;
	struct api_state_body state;
};

/* Everything that was asked for so far. */
struct api_config {
	bool has_boot, has_vsock, has_balloon, has_entropy;
	struct api_boot_source boot;
	struct api_machine machine;
	struct api_drive drive[CONFIG_MAX_DISKS];
	unsigned int nr_drives;
	struct api_net net[CONFIG_MAX_NETS];
	unsigned int nr_nets;
	struct api_vsock vsock;
	struct api_balloon balloon;
	struct api_entropy entropy;
	char cmdline[LAYOUT_CMDLINE_MAX]; /* what api_config_machine() made */
};

struct api_error {
	char text[512];
};

/* Firecracker's machine before anybody asked for anything.  CONFIG is zeros. */
void api_config_init(struct api_config *config);

/* Each takes one body into CONFIG if it is good.  False: ERROR says why not,
 * and nothing has changed.  What a body names on the host is tried here (opened
 * and closed again), so that its error comes with the request that brought it.
 */
bool api_put_boot_source(struct api_config *config,
			 const struct api_boot_source *boot,
			 struct api_error *error);
bool api_put_machine(struct api_config *config,
		     const struct api_machine *machine,
		     struct api_error *error);
bool api_put_drive(struct api_config *config, const struct api_drive *drive,
		   struct api_error *error);
bool api_put_net(struct api_config *config, const struct api_net *net,
		 struct api_error *error);
bool api_put_vsock(struct api_config *config, const struct api_vsock *vsock,
		   struct api_error *error);
bool api_put_balloon(struct api_config *config,
		     const struct api_balloon *balloon,
		     struct api_error *error);
bool api_put_entropy(struct api_config *config,
		     const struct api_entropy *entropy,
		     struct api_error *error);

/* The drive or interface of that name, or NULL. */
struct api_drive *api_find_drive(struct api_config *config, const char *id);
struct api_net *api_find_net(struct api_config *config, const char *id);

/* A limiter, and one of its buckets, as the monitor has them; a bucket that was
 * not given is none.
 */
struct rate_bucket_config api_bucket_rate(const struct api_bucket *bucket);
struct rate_config api_limiter_rate(const struct api_limiter *limiter);

/* The machine that CONFIG asks for; VM points into CONFIG.  False: ERROR says
 * what is missing.
 */
bool api_config_machine(struct api_config *config, struct vm_config *vm,
			struct api_error *error);

/* The other way round, for a machine that the command line described: disks are
 * named vda, vdb, ..., interfaces eth0, eth1, ...
 */
void api_config_describe(struct api_config *config, const struct vm_config *vm);

/* Writes the sentence; returns false. */
bool api_refuse(struct api_error *error, const char *fmt, ...)
	PRINTF_LIKE(2, 3);

/* "No such file or directory (os error 2)". */
const char *api_os_error(int err, char *buf, size_t size);

#endif
