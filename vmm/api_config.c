// SPDX-License-Identifier: Apache-2.0
/*
 * api_config.c - a machine in Firecracker's words, put together request by
 * request
 *
 * What a request names on the host is opened to see whether it can be, and
 * closed again: the machine opens it when it starts.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/log.h"
#include "virtio/disk.h"
#include "virtio/net.h"
#include "virtio/tap.h"
#include "virtio/vsock.h"
#include "virtio/vsock_listener.h"
#include "vmm/api_config.h"

#define BACKING_FILE                                                           \
	"Unable to create the virtio block device: Virtio backend error: "     \
	"Error manipulating the backing file: "

bool api_refuse(struct api_error *error, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(error->text, sizeof(error->text), fmt, args);
	va_end(args);
	return false;
}

const char *api_os_error(int err, char *buf, size_t size)
{
	snprintf(buf, size, "%s (os error %d)", log_errno(err),
		 err < 0 ? -err : err);
	return buf;
}

void api_config_init(struct api_config *config)
{
	config->machine.vcpu_count = 1;
	config->machine.mem_size_mib = 128;
	config->machine.given = 3; /* both are printed */
}

/* 0 when PATH is a regular file that can be read. */
static int try_image(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	int ret = 0;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		ret = -errno;
	else if (!S_ISREG(st.st_mode))
		ret = S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	close(fd);
	return ret;
}

bool api_put_boot_source(struct api_config *config,
			 const struct api_boot_source *boot,
			 struct api_error *error)
{
	char text[80];
	int ret = try_image(boot->kernel_image_path);

	if (ret < 0)
		return api_refuse(error, "The kernel file cannot be opened: %s",
				  api_os_error(ret, text, sizeof(text)));
	if (schema_has(&api_boot_source_schema, boot, "initrd_path")) {
		ret = try_image(boot->initrd_path);
		if (ret < 0)
			return api_refuse(
				error,
				"The initrd file cannot be opened due to "
				"invalid path or invalid permissions. %s",
				api_os_error(ret, text, sizeof(text)));
	}
	for (const char *c = boot->boot_args; *c; c++) {
		if ((unsigned char)*c < ' ' && *c != '\t')
			return api_refuse(error,
					  "The kernel command line is invalid: "
					  "it holds a control character.");
	}
	config->boot = *boot;
	config->has_boot = true;
	return true;
}

/* What this monitor has no counterpart for. */
static bool check_machine_features(const struct api_machine *m,
				   struct api_error *error)
{
	if (m->cpu_template != 0)
		return api_refuse(error, "CPU templates are not supported.");
	if (m->track_dirty_pages)
		return api_refuse(error, "track_dirty_pages is not supported "
					 "before snapshots are.");
	if (m->huge_pages != API_PAGES_NONE)
		return api_refuse(error, "huge_pages is not supported; the "
					 "host's setting of transparent huge "
					 "pages holds.");
	return true;
}

bool api_put_machine(struct api_config *config,
		     const struct api_machine *machine, struct api_error *error)
{
	uint64_t most = CONFIG_MAX_MEMORY >> 20,
		 least = CONFIG_MIN_MEMORY >> 20;

	if (machine->vcpu_count == 0 || machine->vcpu_count > API_MAX_VCPUS ||
	    (machine->smt && machine->vcpu_count > 1 &&
	     machine->vcpu_count % 2 == 1))
		return api_refuse(
			error, "The vCPU number is invalid! The vCPU number "
			       "can only be greater than 0, less than 32 and "
			       "must be 1 or an even number if SMT is "
			       "enabled.");
	if (machine->mem_size_mib == 0)
		return api_refuse(error, "The memory size (MiB) is either 0, "
					 "or not a multiple of the configured "
					 "page size.");
	if (machine->mem_size_mib < least || machine->mem_size_mib > most)
		return api_refuse(error,
				  "The memory size (MiB) can only be from %llu "
				  "to %llu.",
				  (unsigned long long)least,
				  (unsigned long long)most);
	if (config->has_balloon &&
	    config->balloon.amount_mib >= machine->mem_size_mib)
		return api_refuse(error, "The memory size (MiB) is smaller "
					 "than the previously set balloon "
					 "device target size.");
	if (!check_machine_features(machine, error))
		return false;
	config->machine = *machine;
	return true;
}

struct api_drive *api_find_drive(struct api_config *config, const char *id)
{
	for (unsigned int i = 0; i < config->nr_drives; i++) {
		if (strcmp(config->drive[i].drive_id, id) == 0)
			return &config->drive[i];
	}
	return NULL;
}

struct api_net *api_find_net(struct api_config *config, const char *id)
{
	for (unsigned int i = 0; i < config->nr_nets; i++) {
		if (strcmp(config->net[i].iface_id, id) == 0)
			return &config->net[i];
	}
	return NULL;
}

/* Opens the file as the machine would. */
static bool try_drive(const struct api_drive *drive, struct api_error *error)
{
	struct disk *disk;
	char text[80];
	int ret;

	if (schema_has(&api_drive_schema, drive, "socket"))
		return api_refuse(error, "vhost-user drives (socket) are not "
					 "supported.");
	if (!*drive->path_on_host)
		return api_refuse(error, BACKING_FILE "path_on_host is "
						      "missing");
	ret = disk_open(drive->path_on_host, drive->is_read_only, false, &disk);
	if (ret < 0)
		return api_refuse(error, BACKING_FILE "%s %s",
				  api_os_error(ret, text, sizeof(text)),
				  drive->path_on_host);
	disk_close(disk);
	return true;
}

bool api_put_drive(struct api_config *config, const struct api_drive *drive,
		   struct api_error *error)
{
	struct api_drive *old = api_find_drive(config, drive->drive_id);

	for (unsigned int i = 0; i < config->nr_drives; i++) {
		const struct api_drive *other = &config->drive[i];

		if (other != old && drive->is_root_device &&
		    other->is_root_device)
			return api_refuse(error, "A root block device already "
						 "exists!");
	}
	if (!old && config->nr_drives == CONFIG_MAX_DISKS)
		return api_refuse(error, "At most %d drives are supported.",
				  CONFIG_MAX_DISKS);
	for (const char *c = drive->partuuid; *c; c++) {
		if (*c <= ' ' || *c > '~' || *c == '"')
			return api_refuse(error, "Invalid partuuid.");
	}
	if (!try_drive(drive, error))
		return false;
	if (!old)
		old = &config->drive[config->nr_drives++];
	*old = *drive;
	return true;
}

static bool try_tap(const char *name, struct api_error *error)
{
	struct net_backend *backend;
	char text[80];
	int ret = tap_open(name, &backend);

	if (ret < 0)
		return api_refuse(error,
				  "Could not create the network device: Open "
				  "tap device failed: %s %s",
				  api_os_error(ret, text, sizeof(text)), name);
	backend->close(backend);
	return true;
}

/* Whether another interface has what may be there once only. */
static bool check_net(struct api_config *config, const struct api_net *net,
		      struct api_error *error)
{
	const struct api_net *old = api_find_net(config, net->iface_id);
	uint8_t mac[NET_MAC_BYTES], other_mac[NET_MAC_BYTES];
	bool has_mac = schema_has(&api_net_schema, net, "guest_mac");

	if (has_mac && !config_parse_mac(net->guest_mac, mac))
		return api_refuse(error, "Invalid MAC address: %s",
				  net->guest_mac);
	if (schema_has(&api_net_schema, net, "mtu") && net->mtu < NET_MIN_MTU)
		return api_refuse(error,
				  "Invalid MTU: %llu is not from %u to "
				  "%u",
				  (unsigned long long)net->mtu, NET_MIN_MTU,
				  NET_MAX_MTU);
	for (unsigned int i = 0; i < config->nr_nets; i++) {
		const struct api_net *other = &config->net[i];

		if (other == old)
			continue;
		if (has_mac && config_parse_mac(other->guest_mac, other_mac) &&
		    memcmp(mac, other_mac, sizeof(mac)) == 0)
			return api_refuse(error,
					  "The MAC address is already in use: "
					  "%s",
					  net->guest_mac);
		if (strcmp(net->host_dev_name, other->host_dev_name) == 0)
			return api_refuse(error,
					  "The host's device is already in "
					  "use: %s",
					  net->host_dev_name);
	}
	return true;
}

bool api_put_net(struct api_config *config, const struct api_net *net,
		 struct api_error *error)
{
	struct api_net *old = api_find_net(config, net->iface_id);

	if (!old && config->nr_nets == CONFIG_MAX_NETS)
		return api_refuse(error,
				  "At most %d network interfaces are "
				  "supported.",
				  CONFIG_MAX_NETS);
	if (!check_net(config, net, error) ||
	    !try_tap(net->host_dev_name, error))
		return false;
	if (!old)
		old = &config->net[config->nr_nets++];
	*old = *net;
	return true;
}

/* Makes the socket file and removes it again. */
static int try_socket(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd, ret = 0;

	if (!*path)
		return -ENOENT;
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		ret = -errno;
	else
		unlink(path);
	close(fd);
	return ret;
}

bool api_put_vsock(struct api_config *config, const struct api_vsock *vsock,
		   struct api_error *error)
{
	char text[80];
	int ret;

	if (vsock->guest_cid < VSOCK_MIN_CID ||
	    vsock->guest_cid > VSOCK_MAX_CID)
		return api_refuse(error,
				  "Invalid guest_cid: %llu is not from %u to "
				  "%u",
				  (unsigned long long)vsock->guest_cid,
				  VSOCK_MIN_CID, VSOCK_MAX_CID);
	ret = strlen(vsock->uds_path) >= VSOCK_PATH_MAX
		      ? -ENAMETOOLONG
		      : try_socket(vsock->uds_path);
	if (ret < 0)
		return api_refuse(error,
				  "Cannot create backend for vsock device: "
				  "Error binding to the host-side Unix socket: "
				  "%s",
				  api_os_error(ret, text, sizeof(text)));
	config->vsock = *vsock;
	config->has_vsock = true;
	return true;
}

bool api_put_balloon(struct api_config *config,
		     const struct api_balloon *balloon, struct api_error *error)
{
	if (balloon->amount_mib >= config->machine.mem_size_mib)
		return api_refuse(error, "Amount of pages requested is too "
					 "large.");
	if (balloon->free_page_hinting)
		return api_refuse(error, "free_page_hinting is not "
					 "supported.");
	config->balloon = *balloon;
	config->has_balloon = true;
	return true;
}

bool api_put_entropy(struct api_config *config,
		     const struct api_entropy *entropy, struct api_error *error)
{
	(void)error;
	config->entropy = *entropy;
	config->has_entropy = true;
	return true;
}
