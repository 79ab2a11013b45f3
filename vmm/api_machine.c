// SPDX-License-Identifier: Apache-2.0
/*
 * api_machine.c - from Firecracker's words to the monitor's own, and back
 */
#include <stdio.h>
#include <string.h>

#include "vmm/api_config.h"

/* Without the client's words, and after them: as Firecracker has it. */
#define DEFAULT_ARGS                                                           \
	"reboot=k panic=1 nomodule 8250.nr_uarts=0 i8042.noaux i8042.nomux "   \
	"i8042.dumbkbd swiotlb=noforce"

static const struct api_drive *root_drive(const struct api_config *config)
{
	for (unsigned int i = 0; i < config->nr_drives; i++) {
		if (config->drive[i].is_root_device)
			return &config->drive[i];
	}
	return NULL;
}

/* The words that are the monitor's stand before "--", behind which are
 * init's.
 */
static bool make_cmdline(struct api_config *config)
{
	const struct api_drive *root = root_drive(config);
	const char *args = DEFAULT_ARGS, *tail;
	size_t size = sizeof(config->cmdline);
	char device[96] = "";
	int n;

	if (schema_has(&api_boot_source_schema, &config->boot, "boot_args"))
		args = config->boot.boot_args;
	if (root)
		snprintf(device, sizeof(device), " root=%s%s %s",
			 *root->partuuid ? "PARTUUID=" : "/dev/vda",
			 root->partuuid, root->is_read_only ? "ro" : "rw");
	tail = strstr(args, " -- ");
	if (!tail)
		tail = args + strlen(args);
	n = snprintf(config->cmdline, size, "%.*s%spci=off%s%s",
		     (int)(tail - args), args, tail > args ? " " : "", device,
		     tail);
	return n >= 0 && (size_t)n < size;
}

struct rate_bucket_config api_bucket_rate(const struct api_bucket *bucket)
{
	uint64_t ms = MIN(bucket->refill_time, UINT64_MAX / 1000000);

	return (struct rate_bucket_config){
		.size = bucket->size,
		.refill_ns = ms * 1000000,
		.burst = bucket->one_time_burst,
	};
}

struct rate_config api_limiter_rate(const struct api_limiter *limiter)
{
	return (struct rate_config){
		.bytes = api_bucket_rate(&limiter->bandwidth),
		.ops = api_bucket_rate(&limiter->ops),
	};
}

static void add_drive(struct vm_config *vm, struct api_drive *drive)
{
	drive->number = vm->nr_disks++;
	vm->disk[drive->number] = (struct disk_config){
		.path = drive->path_on_host,
		.read_only = drive->is_read_only,
		.queues = 1,
		.rate = api_limiter_rate(&drive->rate_limiter),
	};
}

static void add_net(struct vm_config *vm, const struct api_net *net)
{
	struct net_config *n = &vm->net[vm->nr_nets++];

	*n = (struct net_config){
		.kind = NET_TAP,
		.tap = net->host_dev_name,
		.fd = -1,
		.mtu = (uint16_t)net->mtu,
		.rx = api_limiter_rate(&net->rx_rate_limiter),
		.tx = api_limiter_rate(&net->tx_rate_limiter),
	};
	n->has_mac = config_parse_mac(net->guest_mac, n->mac);
}

bool api_config_machine(struct api_config *config, struct vm_config *vm,
			struct api_error *error)
{
	if (!config->has_boot)
		return api_refuse(error, "Cannot start microvm without kernel "
					 "configuration.");
	if (!make_cmdline(config))
		return api_refuse(error,
				  "The kernel command line is longer "
				  "than %zu bytes.",
				  sizeof(config->cmdline) - 1);
	vm->kernel = config->boot.kernel_image_path;
	vm->initrd = *config->boot.initrd_path ? config->boot.initrd_path
					       : NULL;
	vm->cmdline = config->cmdline;
	vm->cmdline_whole = true;
	vm->nr_vcpus = (unsigned int)config->machine.vcpu_count;
	vm->memory = MIB(config->machine.mem_size_mib);
	/* The root drive is the first. */
	vm->nr_disks = 0;
	for (int root = 1; root >= 0; root--) {
		for (unsigned int i = 0; i < config->nr_drives; i++) {
			if (config->drive[i].is_root_device == root)
				add_drive(vm, &config->drive[i]);
		}
	}
	vm->nr_nets = 0;
	for (unsigned int i = 0; i < config->nr_nets; i++)
		add_net(vm, &config->net[i]);
	vm->vsock.path = config->has_vsock ? config->vsock.uds_path : NULL;
	vm->vsock.cid = (uint32_t)config->vsock.guest_cid;
	vm->rng = api_limiter_rate(&config->entropy.rate_limiter);
	vm->balloon_given = config->has_balloon;
	vm->balloon = MIB(config->balloon.amount_mib);
	vm->balloon_stats_ns =
		config->balloon.stats_polling_interval_s * 1000000000u;
	vm->balloon_stays = config->has_balloon &&
			    !config->balloon.deflate_on_oom;
	vm->early_serial = config_cmdline_has(vm->cmdline, "console=ttyS0") ||
			   strstr(vm->cmdline, "console=ttyS0,");
	vm->i8042 = true;
	vm->vcpu_name = "fc_vcpu "; /* clients look for it */
	return true;
}

static void describe_drive(struct api_drive *to, unsigned int index,
			   const struct disk_config *disk)
{
	const struct schema *s = &api_drive_schema;

	schema_init(s, to);
	snprintf(to->drive_id, sizeof(to->drive_id), "vd%c", 'a' + index);
	snprintf(to->path_on_host, sizeof(to->path_on_host), "%s", disk->path);
	to->is_read_only = disk->read_only;
	to->number = index;
	to->cache_type = API_CACHE_WRITEBACK;
	schema_set(s, to, "drive_id");
	schema_set(s, to, "is_root_device");
	schema_set(s, to, "path_on_host");
}

static void describe_net(struct api_net *to, unsigned int index,
			 const struct net_config *net)
{
	const struct schema *s = &api_net_schema;
	const uint8_t *mac = net->mac;

	schema_init(s, to);
	snprintf(to->iface_id, sizeof(to->iface_id), "eth%u", index);
	if (net->kind == NET_FD)
		snprintf(to->host_dev_name, sizeof(to->host_dev_name), "fd=%d",
			 net->fd);
	else
		snprintf(to->host_dev_name, sizeof(to->host_dev_name), "%s",
			 net->kind == NET_TAP ? net->tap : "user");
	schema_set(s, to, "iface_id");
	schema_set(s, to, "host_dev_name");
	if (net->has_mac) {
		snprintf(to->guest_mac, sizeof(to->guest_mac),
			 "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1],
			 mac[2], mac[3], mac[4], mac[5]);
		schema_set(s, to, "guest_mac");
	}
	if (net->mtu) {
		to->mtu = net->mtu;
		schema_set(s, to, "mtu");
	}
}

static void describe_boot(struct api_boot_source *to,
			  const struct vm_config *vm)
{
	const struct schema *s = &api_boot_source_schema;

	schema_init(s, to);
	snprintf(to->kernel_image_path, sizeof(to->kernel_image_path), "%s",
		 vm->kernel);
	schema_set(s, to, "kernel_image_path");
	if (vm->initrd) {
		snprintf(to->initrd_path, sizeof(to->initrd_path), "%s",
			 vm->initrd);
		schema_set(s, to, "initrd_path");
	}
	if (config_cmdline(vm, to->boot_args, sizeof(to->boot_args)))
		schema_set(s, to, "boot_args");
}

void api_config_describe(struct api_config *config, const struct vm_config *vm)
{
	describe_boot(&config->boot, vm);
	config->has_boot = true;
	config->machine.vcpu_count = vm->nr_vcpus;
	config->machine.mem_size_mib = vm->memory >> 20;
	for (unsigned int i = 0; i < vm->nr_disks; i++)
		describe_drive(&config->drive[i], i, &vm->disk[i]);
	config->nr_drives = vm->nr_disks;
	for (unsigned int i = 0; i < vm->nr_nets; i++)
		describe_net(&config->net[i], i, &vm->net[i]);
	config->nr_nets = vm->nr_nets;
	if (vm->vsock.path) {
		schema_init(&api_vsock_schema, &config->vsock);
		config->vsock.guest_cid = vm->vsock.cid;
		snprintf(config->vsock.uds_path, sizeof(config->vsock.uds_path),
			 "%s", vm->vsock.path);
		schema_set(&api_vsock_schema, &config->vsock, "guest_cid");
		schema_set(&api_vsock_schema, &config->vsock, "uds_path");
		config->has_vsock = true;
	}
	/* A machine has one always; statistics come in whole seconds here. */
	schema_init(&api_balloon_schema, &config->balloon);
	config->balloon.amount_mib = vm->balloon >> 20;
	config->balloon.stats_polling_interval_s =
		(vm->balloon_stats_ns + 999999999) / 1000000000;
	config->balloon.deflate_on_oom = true;
	config->balloon.free_page_reporting = true;
	schema_set(&api_balloon_schema, &config->balloon, "amount_mib");
	schema_set(&api_balloon_schema, &config->balloon, "deflate_on_oom");
	config->has_balloon = true;
}
