// SPDX-License-Identifier: Apache-2.0
/*
 * tap.c - a tap interface (Documentation/networking/tuntap.rst)
 *
 * With IFF_VNET_HDR the kernel speaks of each frame in the header that virtio
 * has, so that checksums and segmentation are left to whoever is last.
 * TUNSETOFFLOAD says what we take off its hands; what it takes off ours needs
 * no asking.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <linux/if_tun.h>

#include "base/fd.h"
#include "base/util.h"
#include "virtio/tap.h"

#define F(name) (1ull << VIRTIO_NET_F_##name)

/* Linux 6.2, <linux/if_tun.h> */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

#define GUEST_USO (F(GUEST_USO4) | F(GUEST_USO6))

static_assert(TAP_MAX_NAME == IFNAMSIZ - 1, "netdevice(7)");

/* What comes from the host: the driver's features, and ours of the kernel,
 * which knows the last two together only (drivers/net/tun.c, set_offload()).
 */
static const struct {
	uint64_t features;
	unsigned int flags;
} offload_table[] = {
	{ F(GUEST_CSUM), TUN_F_CSUM },		{ F(GUEST_TSO4), TUN_F_TSO4 },
	{ F(GUEST_TSO6), TUN_F_TSO6 },		{ F(GUEST_ECN), TUN_F_TSO_ECN },
	{ GUEST_USO, TUN_F_USO4 | TUN_F_USO6 },
};

/* An interface that is being deleted, or is: tun_do_read() and
 * tun_chr_write_iter() in drivers/net/tun.c.
 */
static bool tap_is_gone(int err)
{
	return err == EBADFD || err == ENODEV || err == ENXIO;
}

static ssize_t tap_result(ssize_t ret)
{
	if (ret >= 0)
		return ret;
	return tap_is_gone(errno) ? -ENODEV : -errno;
}

static ssize_t tap_receive(struct net_backend *backend, const struct iovec *iov,
			   int nr)
{
	ssize_t ret;

	do {
		ret = readv(backend->fd, iov, nr);
	} while (ret < 0 && errno == EINTR);
	/* EIO: the interface is no longer registered.  (When we write, it is
	 * down, and may come up again.)
	 */
	if (ret < 0 && errno == EIO)
		return -ENODEV;
	return tap_result(ret);
}

static ssize_t tap_send(struct net_backend *backend, const struct iovec *iov,
			int nr)
{
	ssize_t ret;

	do {
		ret = writev(backend->fd, iov, nr);
	} while (ret < 0 && errno == EINTR);
	return tap_result(ret);
}

static unsigned int tap_flags(uint64_t features)
{
	unsigned int flags = 0;

	/* Without checksums there is no segmentation (virtio 1.2 §5.1.3.1). */
	if (!(features & F(GUEST_CSUM)))
		return 0;
	for (unsigned int i = 0; i < ARRAY_SIZE(offload_table); i++) {
		uint64_t these = offload_table[i].features;

		if ((features & these) == these)
			flags |= offload_table[i].flags;
	}
	return flags;
}

static void tap_set_offloads(struct net_backend *backend, uint64_t features)
{
	/* Fails only when the interface is gone, which the next read says. */
	ioctl(backend->fd, TUNSETOFFLOAD, (long)tap_flags(features));
}

/* The offloads that the kernel knows; it refuses a set with one that it does
 * not.
 */
static uint64_t tap_probe(int fd)
{
	uint64_t features = F(CSUM) | F(HOST_TSO4) | F(HOST_TSO6) | F(HOST_ECN);
	uint64_t known = F(GUEST_CSUM);

	if (ioctl(fd, TUNSETOFFLOAD, (long)tap_flags(known)) < 0)
		return features;
	for (unsigned int i = 0; i < ARRAY_SIZE(offload_table); i++) {
		uint64_t more = known | offload_table[i].features;

		/* ECN is asked for with the segmentation that it is about. */
		if (ioctl(fd, TUNSETOFFLOAD, (long)tap_flags(more)) == 0)
			known = more;
	}
	/* What it can take apart for one side, it can for the other. */
	return features | known | (known & GUEST_USO ? F(HOST_USO) : 0);
}

static void tap_close(struct net_backend *backend)
{
	close(backend->fd);
	free(backend);
}

/* FD is attached to an interface. */
static int tap_create(int fd, struct net_backend **owned)
{
	const int hdr = (int)NET_HDR_BYTES;
	int flags = fcntl(fd, F_GETFL);
	struct net_backend *tap;

	if (ioctl(fd, TUNSETVNETHDRSZ, &hdr) < 0 || flags < 0 ||
	    fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return -errno;
	tap = calloc(1, sizeof(*tap));
	if (!tap)
		return -ENOMEM;
	*tap = (struct net_backend){
		.name = "the tap interface",
		.fd = fd_place(fd, FD_NETS, FD_NR_NETS),
		.receive = tap_receive,
		.send = tap_send,
		.set_offloads = tap_set_offloads,
		.close = tap_close,
	};
	tap->features = tap_probe(tap->fd);
	*owned = tap;
	return 0;
}

/* TUNSETIFF would make an interface that does not exist, which would then be
 * gone with us: nobody could have given it an address.
 */
static int tap_exists(const char *name)
{
	return if_nametoindex(name) > 0 ? 0 : -ENODEV;
}

int tap_open(const char *name, struct net_backend **owned)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int fd, ret;

	if (strlen(name) > TAP_MAX_NAME)
		return -EINVAL;
	memcpy(ifr.ifr_name, name, strlen(name));
	ret = tap_exists(name);
	if (ret < 0)
		return ret;
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return errno == EACCES ? -EPERM : -errno;
	ret = ioctl(fd, TUNSETIFF, &ifr) < 0 ? -errno : tap_create(fd, owned);
	if (ret < 0)
		close(fd);
	return ret;
}

int tap_adopt(int fd, struct net_backend **owned)
{
	const int needed = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
	struct ifreq ifr = { 0 };

	if (ioctl(fd, TUNGETIFF, &ifr) < 0)
		return errno == EBADF ? -EBADF : -ENOTTY;
	if ((ifr.ifr_flags & needed) != needed)
		return -EPROTO;
	return tap_create(fd, owned);
}
