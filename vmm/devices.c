// SPDX-License-Identifier: Apache-2.0
/*
 * devices.c - the virtio devices of a machine, as the operator asked for them
 *
 * Each add_ function makes one device and says what is wrong with what it was
 * asked for; the order in devices_add() is the order of the windows, and so of
 * the interrupt lines and of the names that a guest gives.
 */
#include <errno.h>

#include <sys/random.h>

#include "base/fd.h"
#include "base/log.h"
#include "virtio/balloon.h"
#include "virtio/blk.h"
#include "virtio/console.h"
#include "virtio/rng.h"
#include "virtio/tap.h"
#include "virtio/vsock.h"
#include "vmm/confine.h"
#include "vmm/devices.h"

#define VSOCK_DESCRIPTORS 2048 /* all connections, and the machine's own */

/* Places VDEV in the next window and gives it a bus range. */
static int add_device(struct machine *m, struct virtio_device *vdev)
{
	struct machine_device *d = &m->device[m->nr_devices];
	int ret;

	d->vdev = vdev;
	m->nr_devices++;
	virtio_mmio_init(&d->mmio, vdev);
	ret = bus_add(&m->vm.mmio, d->base, VIRTIO_MMIO_WINDOW,
		      &d->mmio.target);
	if (ret == 0)
		ret = virtio_device_start(vdev);
	if (ret == 0)
		log_info("virtio %s at 0x%llx, interrupt %u", vdev->ops->name,
			 (unsigned long long)d->base, d->irq.gsi);
	return ret;
}

/* What the device about to be created may use. */
static struct virtio_env next_env(struct machine *m)
{
	struct machine_device *d = &m->device[m->nr_devices];

	d->base = LAYOUT_VIRTIO_MMIO +
		  (uint64_t)m->nr_devices * VIRTIO_MMIO_WINDOW;
	vm_irq_init(&d->irq, &m->vm, LAYOUT_GSI_VIRTIO + m->nr_devices);
	return (struct virtio_env){
		.gm = &m->vm.mem,
		.irq = &d->irq.line,
		.loop = m->loop,
	};
}

static_assert(CONFIG_SERIAL_LEN == DISK_ID_BYTES, "-d FILE,serial=");

static const char *disk_remedy(int err)
{
	switch (err) {
	case -EAGAIN:
		return "another process uses it; share it read-only (,ro) or "
		       "give each machine its own copy";
	case -EISDIR:
		return "is a directory; name a raw image in it";
	case -ENOTSUP:
		return "neither a regular file nor a block device";
	case -EINVAL:
		return "this file system has no direct I/O; leave out ,direct";
	case -EROFS:
		return "read-only file system; add ,ro";
	default:
		return log_errno(err);
	}
}

static int add_disk(struct machine *m, const struct disk_config *config)
{
	struct virtio_env env = next_env(m);
	struct virtio_device *vdev;
	struct disk *disk;
	int ret = disk_open(config->path, config->read_only, config->direct,
			    &disk);

	if (ret < 0) {
		log_error("-d %s: %s%s", config->path, disk_remedy(ret),
			  ret == -EACCES && !config->read_only
				  ? " for writing; perhaps add ,ro"
				  : "");
		return ret;
	}
	if (config->writethrough)
		disk_set_writethrough(disk);
	if (config->serial)
		disk_set_id(disk, config->serial);
	ret = virtio_blk_create(&env, disk, &vdev);
	if (ret < 0)
		disk_close(disk);
	else
		ret = add_device(m, vdev);
	if (ret < 0)
		log_error("-d %s: %s", config->path, log_errno(ret));
	return ret;
}

static int add_rng(struct machine *m)
{
	const struct rate_bucket_config rate = {
		.size = m->config->rng_rate,
		.refill_ns = 1000000000,
	};
	struct virtio_env env = next_env(m);
	struct virtio_device *vdev;
	int ret = virtio_rng_create(&env, &vdev);

	if (ret < 0)
		return ret;
	virtio_rng_set_rate(vdev, &rate);
	return add_device(m, vdev);
}

/* Always there, for the memory that a guest reports free. */
static int add_balloon(struct machine *m)
{
	struct virtio_env env = next_env(m);
	struct virtio_device *vdev;
	int ret = virtio_balloon_create(&env, &vdev);

	if (ret == 0)
		ret = add_device(m, vdev);
	if (ret == 0)
		ret = virtio_balloon_set_target(vdev, m->config->balloon);
	if (ret == 0)
		virtio_balloon_set_interval(vdev, m->config->balloon_stats_ns);
	return ret;
}

static const char *net_remedy(int err)
{
	switch (err) {
	case -ENODEV:
		return "no such interface; make it with: ip tuntap add dev "
		       "NAME mode tap user USER";
	case -ENOENT:
	case -ENXIO:
		return "no /dev/net/tun; load the host's module tun";
	case -EPERM:
		return "not ours to use; make it with `user` and the name of "
		       "who runs mote";
	case -EBUSY:
		return "another process uses it; make one for each machine";
	case -EINVAL:
		return "not a tap interface with one queue";
	case -EBADF:
		return "not an open descriptor";
	case -ENOTTY:
		return "not a tap descriptor";
	case -EPROTO:
		return "not opened with IFF_TAP, IFF_NO_PI and IFF_VNET_HDR";
	default:
		return log_errno(err);
	}
}

/* The operator's address, or a random one that is locally administered. */
static int choose_mac(const struct net_config *config, uint8_t mac[6])
{
	memcpy(mac, config->mac, sizeof(config->mac));
	if (config->has_mac)
		return 0;
	if (getrandom(mac, 6, 0) != 6)
		return -EIO;
	mac[0] = (uint8_t)((mac[0] & ~1) | 2);
	return 0;
}

static int open_net(const struct net_config *config,
		    struct net_backend **backend)
{
	int ret;

	if (config->tap) {
		ret = tap_open(config->tap, backend);
		if (ret < 0)
			log_error("--net tap=%s: %s", config->tap,
				  net_remedy(ret));
		return ret;
	}
	ret = tap_adopt(config->fd, backend);
	if (ret < 0)
		log_error("--net fd=%d: %s", config->fd, net_remedy(ret));
	return ret;
}

static int add_net(struct machine *m, const struct net_config *config)
{
	struct virtio_net_params params = { .mtu = config->mtu };
	struct net_backend *backend;
	struct virtio_device *vdev;
	struct virtio_env env;
	int ret;

	ret = open_net(config, &backend);
	if (ret < 0)
		return ret;
	env = next_env(m);
	ret = choose_mac(config, params.mac);
	if (ret == 0)
		ret = virtio_net_create(&env, &params, backend, &vdev);
	if (ret < 0) {
		log_error("--net: %s", log_errno(ret));
		backend->close(backend);
		return ret;
	}
	return add_device(m, vdev);
}

static void report_vsock(const char *path, int err)
{
	switch (err) {
	case -EADDRINUSE:
		log_error("--vsock path=%s: is there already; if no other "
			  "machine uses it, remove it: rm %s",
			  path, path);
		break;
	case -ENAMETOOLONG:
		log_error("--vsock path=%s: longer than the 96 bytes that a "
			  "Unix socket leaves; choose a shorter path",
			  path);
		break;
	default:
		log_error("--vsock path=%s: %s", path, log_errno(err));
	}
}

static int add_vsock(struct machine *m, const struct vsock_config *config)
{
	struct virtio_env env = next_env(m);
	struct virtio_device *vdev;
	int ret;

	/* Fewer are no harm: connections are then refused. */
	fd_raise_limit(VSOCK_DESCRIPTORS);
	ret = virtio_vsock_create(&env, config->cid,
				  confine_socket(m->confine, config->path),
				  &vdev);
	confine_socket_made(m->confine, ret == 0);
	if (ret < 0) {
		report_vsock(config->path, ret);
		return ret;
	}
	return add_device(m, vdev);
}

/* Console, entropy source and balloon are always there; the interrupt lines of
 * the rest are the operator's to divide.
 */
static int check_room(const struct vm_config *config)
{
	unsigned int wanted = config->nr_disks + config->nr_nets +
			      (config->vsock.path ? 1 : 0);

	if (wanted <= LAYOUT_MAX_DEVICES - 3)
		return 0;
	log_error("-d, --net, --vsock: a machine has room for %d of these "
		  "devices, not "
		  "for %u; leave one out",
		  LAYOUT_MAX_DEVICES - 3, wanted);
	return -ENOSPC;
}

int devices_add(struct machine *m, struct port *console)
{
	struct virtio_env env = next_env(m);
	struct virtio_device *vdev;
	int ret = check_room(m->config);

	if (ret < 0)
		return ret;
	ret = virtio_console_create(&env, console, &vdev);
	if (ret == 0)
		ret = add_device(m, vdev);
	if (ret < 0)
		goto err;
	ret = add_rng(m);
	if (ret < 0)
		goto err;
	for (unsigned int i = 0; i < m->config->nr_disks; i++) {
		ret = add_disk(m, &m->config->disk[i]);
		if (ret < 0)
			return ret; /* the disk's message stands */
	}
	for (unsigned int i = 0; i < m->config->nr_nets; i++) {
		ret = add_net(m, &m->config->net[i]);
		if (ret < 0)
			return ret; /* likewise */
	}
	ret = add_balloon(m);
	if (ret < 0)
		goto err;
	if (m->config->vsock.path)
		return add_vsock(m, &m->config->vsock); /* and so does its */
	return 0;

err:
	log_error("virtio device: %s", log_errno(ret));
	return ret;
}
