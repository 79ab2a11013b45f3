// SPDX-License-Identifier: Apache-2.0
/*
 * test_tap.c - the tap back end on real interfaces, in a network namespace of
 * its own; skipped where that or /dev/net/tun is not to be had
 *
 * The other side of the tap is the kernel's: a packet socket sends into it and
 * listens behind it.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <net/if.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/utsname.h>

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <linux/virtio_mmio.h>

#include "base/fd.h"
#include "base/util.h"
#include "tests/unit/fake_driver.h"
#include "tests/unit/unit.h"
#include "virtio/tap.h"

#define NET(bit) (1ull << VIRTIO_NET_F_##bit)
#define HDR	 NET_HDR_BYTES
#define ETHER	 0x88b5 /* IEEE 802, for experiments */

static int other; /* packet socket on the interface */

/* An interface that stays: KEEP is its descriptor. */
static int make_tap(const char *name, int flags)
{
	struct ifreq ifr = { .ifr_flags = (short)flags };
	int tun = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

	ck_assert_int_ge(tun, 0);
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	ck_assert_int_eq(ioctl(tun, TUNSETIFF, &ifr), 0);
	return tun;
}

static void persist(const char *name, int flags, int on)
{
	int tun = make_tap(name, flags);

	ck_assert_int_eq(ioctl(tun, TUNSETPERSIST, on), 0);
	close(tun);
}

static void set_link(const char *name, bool up)
{
	struct ifreq ifr = { 0 };
	int sock = socket(AF_INET, SOCK_DGRAM, 0);

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	ck_assert_int_eq(ioctl(sock, SIOCGIFFLAGS, &ifr), 0);
	ifr.ifr_flags =
		(short)(up ? ifr.ifr_flags | IFF_UP : ifr.ifr_flags & ~IFF_UP);
	ck_assert_int_eq(ioctl(sock, SIOCSIFFLAGS, &ifr), 0);
	close(sock);
}

/* Also while somebody is attached. */
static void delete_interface(const char *name)
{
	struct {
		struct nlmsghdr head;
		struct ifinfomsg info;
	} message = {
		.head = { .nlmsg_len = sizeof(message),
			  .nlmsg_type = RTM_DELLINK,
			  .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK },
		.info = { .ifi_index = (int)if_nametoindex(name) },
	};
	int sock = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	char answer[1024];

	ck_assert_int_eq(send(sock, &message, sizeof(message), 0),
			 sizeof(message));
	ck_assert_int_gt(recv(sock, answer, sizeof(answer), 0), 0);
	ck_assert_uint_eq(if_nametoindex(name), 0);
	close(sock);
}

static int listen_on(const char *name)
{
	struct sockaddr_ll at = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETHER),
		.sll_ifindex = (int)if_nametoindex(name),
	};
	int sock = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC,
			  htons(ETHER));

	ck_assert_int_ge(sock, 0);
	ck_assert_int_eq(bind(sock, (void *)&at, sizeof(at)), 0);
	return sock;
}

#define PLAIN (IFF_TAP | IFF_NO_PI | IFF_VNET_HDR)

static uint8_t frame[1514];

static void set_up(void)
{
	for (size_t i = 0; i < sizeof(frame); i++)
		frame[i] = (uint8_t)(i * 5);
	memcpy(frame, "\2\0\0\0\0\1\2\0\0\0\0\2\x88\xb5", 14);
	persist("mote0", PLAIN, 1);
	set_link("mote0", true);
	other = listen_on("mote0");
}

static void tear_down(void)
{
	close(other);
	if (if_nametoindex("mote0"))
		persist("mote0", PLAIN, 0);
}

/* Frames both ways, with a header of 12 bytes. */
static void check_both_ways(struct net_backend *tap)
{
	struct virtio_net_hdr_v1 hdr = { 0 };
	uint8_t got[2000];
	struct iovec out[2] = { { &hdr, HDR }, { frame, sizeof(frame) } };
	struct iovec in[2] = { { &hdr, HDR }, { got, sizeof(got) } };
	ssize_t n;

	ck_assert_int_eq(tap->send(tap, out, 2), HDR + 1514);
	ck_assert_int_eq(recv(other, got, sizeof(got), 0), 1514);
	ck_assert_mem_eq(got, frame, 1514);

	/* The kernel notices in its own time that somebody listens, and drops
	 * what comes before that.  The interface may have words of its own, of
	 * IPv6.
	 */
	for (int tries = 0; tries < 3000; tries++) {
		struct pollfd wait = { .fd = tap->fd, .events = POLLIN };

		ck_assert_int_eq(send(other, frame, 100, 0), 100);
		memset(&hdr, 0xff, HDR);
		poll(&wait, 1, 1);
		n = tap->receive(tap, in, 2);
		if (n >= 0 && memcmp(got + 12, "\x88\xb5", 2) == 0)
			break;
	}
	ck_assert_int_eq(n, HDR + 100);
	ck_assert_mem_eq(got, frame, 100);
	ck_assert_uint_eq(hdr.flags, 0);
	ck_assert_uint_eq(hdr.gso_type, VIRTIO_NET_HDR_GSO_NONE);
	while ((n = tap->receive(tap, in, 2)) > 0)
		;
	ck_assert_int_eq(n, -EAGAIN);
}

START_TEST(by_name)
{
	struct net_backend *tap, *second;

	ck_assert_int_eq(tap_open("mote0", &tap), 0);
	ck_assert(tap->features & NET(CSUM));
	ck_assert(tap->features & NET(GUEST_CSUM));
	ck_assert(tap->features & NET(GUEST_TSO4));
	ck_assert(tap->features & NET(GUEST_TSO6));
	ck_assert(tap->features & NET(GUEST_ECN));
	check_both_ways(tap);
	ck_assert_int_eq(tap_open("mote0", &second), -EBUSY);
	tap->set_offloads(tap, tap->features);
	check_both_ways(tap);
	tap->close(tap);
	ck_assert_int_eq(tap_open("mote0", &tap), 0);
	tap->close(tap);
}
END_TEST

/* virtio 1.3 §5.1.3.1: large UDP packets, where the kernel takes them (Linux 6.2
 * and later), for both kinds of address or none; and it does take them
 */
START_TEST(large_udp)
{
	static const uint64_t uso = NET(GUEST_USO4) | NET(GUEST_USO6) |
				    NET(HOST_USO);
	struct virtio_net_hdr_v1 hdr = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = VIRTIO_NET_HDR_GSO_UDP_L4,
		.hdr_len = 42,
		.gso_size = 1000,
		.csum_start = 34,
		.csum_offset = 6,
	};
	uint8_t packet[42 + 5000] = { 2, 0, 0, 0, 0, 1, 2,   0,
				      0, 0, 0, 2, 8, 0, 0x45 };
	struct iovec out[2] = { { &hdr, HDR }, { packet, sizeof(packet) } };
	struct net_backend *tap;
	struct utsname host;
	int major, minor;
	bool newer;

	ck_assert_int_eq(uname(&host), 0);
	ck_assert_int_eq(sscanf(host.release, "%d.%d", &major, &minor), 2);
	newer = major > 6 || (major == 6 && minor >= 2);
	ck_assert_int_eq(tap_open("mote0", &tap), 0);
	ck_assert_uint_eq(tap->features & uso, newer ? uso : 0);

	packet[16] = (28 + 5000) >> 8;
	packet[17] = (28 + 5000) & 255;
	packet[22] = 64; /* hops */
	packet[23] = IPPROTO_UDP;
	packet[26] = packet[30] = 10;
	packet[38] = (8 + 5000) >> 8;
	packet[39] = (8 + 5000) & 255;
	tap->set_offloads(tap, tap->features);
	ck_assert_int_eq(tap->send(tap, out, 2),
			 newer ? (int)(HDR + sizeof(packet)) : -EINVAL);
	tap->set_offloads(tap, NET(GUEST_CSUM) | NET(GUEST_USO4));
	tap->close(tap);
}
END_TEST

START_TEST(by_descriptor)
{
	struct net_backend *tap;
	int plain = make_tap("mote0", PLAIN);

	/* As a parent may leave it. */
	fcntl(plain, F_SETFL, 0);
	fcntl(plain, F_SETFD, 0);
	ck_assert_int_eq(tap_adopt(plain, &tap), 0);
	/* It has a number of its own now. */
	plain = tap->fd;
	ck_assert_int_eq(plain, FD_NETS);
	ck_assert_int_eq(fcntl(plain, F_GETFD), FD_CLOEXEC);
	ck_assert_int_ne(fcntl(plain, F_GETFL) & O_NONBLOCK, 0);
	check_both_ways(tap);
	tap->close(tap);
	ck_assert_int_eq(fcntl(plain, F_GETFD), -1);
}
END_TEST

/* What is no interface for us; nothing stays open or comes into being. */
START_TEST(refusals)
{
	struct net_backend *tap;
	int before = dup(0), tun, after;

	close(before);
	ck_assert_int_eq(tap_open("nosuch0", &tap), -ENODEV);
	ck_assert_uint_eq(if_nametoindex("nosuch0"), 0);
	ck_assert_int_eq(tap_open("lo", &tap), -EINVAL);
	persist("tun0", IFF_TUN | IFF_NO_PI, 1);
	ck_assert_int_eq(tap_open("tun0", &tap), -EINVAL);
	persist("tun0", IFF_TUN | IFF_NO_PI, 0);

	tun = make_tap("bare0", IFF_TAP | IFF_NO_PI);
	ck_assert_int_eq(tap_adopt(tun, &tap), -EPROTO);
	close(tun);
	tun = make_tap("tun0", IFF_TUN | IFF_NO_PI | IFF_VNET_HDR);
	ck_assert_int_eq(tap_adopt(tun, &tap), -EPROTO);
	close(tun);
	tun = open("/dev/net/tun", O_RDWR | O_CLOEXEC); /* not attached */
	ck_assert_int_eq(tap_adopt(tun, &tap), -ENOTTY);
	close(tun);
	ck_assert_int_eq(tap_adopt(other, &tap), -ENOTTY);
	ck_assert_int_eq(tap_adopt(-1, &tap), -EBADF);
	after = dup(0);
	close(after);
	ck_assert_int_eq(before, after);
}
END_TEST

/* The device on a tap that goes down, comes up, and is deleted. */
START_TEST(deleted)
{
	const struct virtio_net_params params = { .mac = { 2, 0, 0, 0, 0, 2 } };
	static struct fake_driver fd;
	struct virtio_device *vdev;
	struct net_backend *tap;
	struct fd_seg seg;
	unsigned int turns = 0;
	uint8_t link;

	fd_init(&fd);
	ck_assert_int_eq(tap_open("mote0", &tap), 0);
	ck_assert_int_eq(virtio_net_create(&fd.env, &params, tap, &vdev), 0);
	fd_attach(&fd, vdev);
	ck_assert(fd_start(&fd, FD_FEATURES | tap->features));
	seg = (struct fd_seg){ fd_alloc(&fd, 200), 112 };
	memcpy(fd_ptr(&fd, seg.gpa + HDR, 100), frame, 100);
	for (int up = 1; up >= -1; up--) {
		if (up >= 0)
			set_link("mote0", up);
		else
			delete_interface("mote0");
		fd_post(&fd, 1, &seg, 1, 0, FD_DIRECT);
		fd_kick(&fd, 1);
		fd_run_loop(&fd);
		ck_assert(fd_used(&fd, 1, NULL, NULL));
		fd_config_read(&fd, 6, &link, 1);
		ck_assert_uint_eq(link, up >= 0);
	}
	ck_assert_uint_eq(counter_get(&virtio_net_stats(vdev)->tx_packets), 1);
	ck_assert_uint_eq(counter_get(&virtio_net_stats(vdev)->tx_errors), 1);
	for (int i = 0; i < 32; i++) {
		struct epoll_event event;

		turns += epoll_wait(fd.loop.epoll_fd, &event, 1, 0) > 0;
		loop_step(&fd.loop, 0);
	}
	ck_assert_uint_eq(turns, 0);
	fd_fini(&fd);
}
END_TEST

/* A network of our own, and a tap in it. */
static const char *why_not(void)
{
	int tun;

	if (unshare(CLONE_NEWNET) < 0)
		return "no network namespace (root only)";
	tun = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (tun < 0)
		return "no /dev/net/tun";
	close(tun);
	return NULL;
}

static Suite *suite(void)
{
	Suite *s = suite_create("tap");
	TCase *tc = tcase_create("tap");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, by_name);
	tcase_add_test(tc, large_udp);
	tcase_add_test(tc, by_descriptor);
	tcase_add_test(tc, refusals);
	tcase_add_test(tc, deleted);
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	const char *why = why_not();

	if (!why)
		return unit_run(suite());
	printf("ok tap # SKIP %s\n", why);
	return EXIT_SUCCESS;
}
