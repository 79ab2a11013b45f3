// SPDX-License-Identifier: Apache-2.0
/*
 * devices.c - the virtio devices of a machine, as the operator asked for them
 *
 * Each add_ function makes one device and says what is wrong with what it was
 * asked for; the order in devices_add() is the order of the windows, and so of
 * the interrupt lines and of the names that a guest gives.
 */
#include <errno.h>
#include <unistd.h>

#include <linux/virtio_balloon.h>
#include <linux/virtio_ids.h>
#include <sys/random.h>

#include "base/fd.h"
#include "base/log.h"
#include "virtio/balloon.h"
#include "virtio/blk.h"
#include "virtio/console.h"
#include "virtio/rng.h"
#include "virtio/stream.h"
#include "virtio/tap.h"
#include "virtio/vsock.h"
#include "vmm/confine.h"
#include "vmm/devices.h"
#include "vmm/passt.h"

/* How long a vCPU that stops a queue or resets a device waits until the host
 * has ended what is under way; far longer than a disk that works takes.
 */
#define PATIENCE_NS 500000000u

/* And how long the loop waits for it before another file takes its place. */
#define REPLACE_NS 200000000u

#define VSOCK_DESCRIPTORS 2048 /* all connections, and the machine's own */

/* Places VDEV in the next window and gives it a bus range. */
static int add_device(struct machine *m, struct virtio_device *vdev)
{
	struct machine_device *d = &m->device[m->nr_devices];
	int ret;

	d->vdev = vdev;
	vdev->patience_ns = PATIENCE_NS;
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

static_assert(CONFIG_MAX_QUEUES == BLK_MAX_QUEUES, "-d FILE,queues=");
static_assert(CONFIG_SERIAL_LEN == DISK_ID_BYTES, "-d FILE,serial=");

/* What the operator wants of both buckets. */
static struct rate_change all_of(const struct rate_config *config)
{
	return (struct rate_change){ &config->bytes, &config->ops };
}

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

/* Hands what would hold the loop to io_uring, if it is wanted and there. */
static int choose_engine(struct machine *m, const struct disk_config *config,
			 struct disk *disk)
{
	int ret = 0;

	if (config->engine == ENGINE_SYNC)
		return 0;
	if (!m->ring)
		ret = disk_ring_create(m->loop, &m->ring);
	if (ret == 0)
		ret = disk_set_ring(disk, m->ring);
	if (ret == 0)
		return 0;
	if (config->engine == ENGINE_URING) {
		log_error("-d %s,engine=uring: io_uring: %s; `mote doctor` "
			  "tells more, engine=auto does without",
			  config->path, log_errno(ret));
		return ret;
	}
	log_info("-d %s: no io_uring (%s)", config->path, log_errno(ret));
	return 0;
}

/* What CONFIG says of DISK besides its file.  -errno: choose_engine() has said
 * why, and DISK is closed.
 */
static int set_up_disk(struct machine *m, const struct disk_config *config,
		       struct disk *disk)
{
	int ret;

	if (config->writethrough)
		disk_set_writethrough(disk);
	if (config->serial)
		disk_set_id(disk, config->serial);
	ret = choose_engine(m, config, disk);
	if (ret < 0)
		disk_close(disk);
	return ret;
}

static int add_disk(struct machine *m, const struct disk_config *config)
{
	const struct rate_change rate = all_of(&config->rate);
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
	ret = set_up_disk(m, config, disk);
	if (ret < 0)
		return ret; /* it has said why */
	ret = virtio_blk_create(&env, disk, &vdev);
	if (ret < 0) {
		disk_close(disk);
	} else {
		virtio_blk_set_queues(vdev, config->queues);
		virtio_blk_set_rate(vdev, &rate);
		ret = add_device(m, vdev);
	}
	if (ret < 0)
		log_error("-d %s: %s", config->path, log_errno(ret));
	else
		log_info("-d %s: %s", config->path,
			 disk_has_ring(disk) ? "io_uring"
					     : "one request at a time");
	return ret;
}

static int add_console(struct machine *m, struct port *port)
{
	const struct rate_change rate = all_of(&m->config->console);
	struct virtio_env env = next_env(m);
	struct virtio_device *vdev;
	int ret = virtio_console_create(&env, port, &vdev);

	if (ret < 0)
		return ret;
	virtio_console_set_rate(vdev, &rate);
	return add_device(m, vdev);
}

static int add_rng(struct machine *m)
{
	const struct rate_change rate = all_of(&m->config->rng);
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

	if (ret == 0 && m->config->balloon_stays)
		vdev->features &= ~(1ull << VIRTIO_BALLOON_F_DEFLATE_ON_OOM);
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

static int open_passt(const struct net_config *config,
		      struct net_backend **backend)
{
	char text[300];
	int fd, ret = passt_start(config, &fd, text, sizeof(text));

	if (ret < 0) {
		log_error("--net user%s", text);
		return ret;
	}
	ret = stream_create(fd, "passt", backend);
	if (ret < 0) {
		log_error("--net user: %s", log_errno(ret));
		close(fd);
	}
	return ret;
}

static int open_net(const struct net_config *config,
		    struct net_backend **backend)
{
	int ret;

	switch (config->kind) {
	case NET_TAP:
		ret = tap_open(config->tap, backend);
		if (ret < 0)
			log_error("--net tap=%s: %s", config->tap,
				  net_remedy(ret));
		return ret;
	case NET_FD:
		ret = tap_adopt(config->fd, backend);
		if (ret < 0)
			log_error("--net fd=%d: %s", config->fd,
				  net_remedy(ret));
		return ret;
	case NET_USER:
		return open_passt(config, backend);
	}
	return -EINVAL;
}

static int add_net(struct machine *m, const struct net_config *config)
{
	struct virtio_net_params params = { .mtu = config->mtu };
	const struct rate_change rx = all_of(&config->rx);
	const struct rate_change tx = all_of(&config->tx);
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
	virtio_net_set_rates(vdev, &rx, &tx);
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
	int ret = check_room(m->config);

	if (ret < 0)
		return ret;
	ret = add_console(m, console);
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

struct virtio_device *devices_find(const struct machine *m, uint32_t device_id,
				   unsigned int number)
{
	for (unsigned int i = 0; i < m->nr_devices; i++) {
		if (m->device[i].vdev->ops->device_id == device_id &&
		    number-- == 0)
			return m->device[i].vdev;
	}
	return NULL;
}

int devices_replace_disk(struct machine *m, unsigned int number,
			 const char *path)
{
	const struct disk_config *config = &m->config->disk[number];
	struct virtio_device *vdev = devices_find(m, VIRTIO_ID_BLOCK, number);
	struct disk *disk;
	int ret = disk_open(path, config->read_only, config->direct, &disk);

	if (ret == 0)
		ret = set_up_disk(m, config, disk);
	if (ret < 0)
		return ret;
	ret = virtio_blk_replace(vdev, disk, REPLACE_NS);
	if (ret < 0)
		disk_close(disk);
	return ret;
}
