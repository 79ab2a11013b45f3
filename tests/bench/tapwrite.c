// SPDX-License-Identifier: Apache-2.0
/*
 * tapwrite.c - what a frame to a tap costs without a guest and a monitor
 *
 *	tapwrite TAP LENGTH COUNT
 *
 * Writes COUNT frames of LENGTH bytes, made like those of io-guest/net.c, to the
 * tap by one writev(2) each and prints the microseconds of CPU time that each
 * took.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>

#define HEADERS	    54u
#define SEGMENT	    1460u
#define ETHER_FRAME 1514u
#define ETHERNET    14u /* what a monitor copies and checks */

static struct {
	struct virtio_net_hdr_v1 hdr;
	uint8_t bytes[65536];
} frame;

static void fail(const char *what)
{
	perror(what);
	exit(EXIT_FAILURE);
}

static int open_tap(const char *name)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int size = sizeof(frame.hdr);
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	strncpy(ifr.ifr_name, name, sizeof(ifr.ifr_name) - 1);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr) < 0 ||
	    ioctl(fd, TUNSETVNETHDRSZ, &size) < 0)
		fail(name);
	return fd;
}

static void make_frame(size_t len)
{
	static const uint8_t ip[] = { 0x08, 0, 0x45, 0, 0, 0, 0,  0,
				      0x40, 0, 64,   6, 0, 0, 10, 9,
				      0,    2, 10,   9, 0, 1 };

	frame.hdr.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	frame.hdr.csum_start = 34;
	frame.hdr.csum_offset = 16;
	if (len > ETHER_FRAME) {
		frame.hdr.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
		frame.hdr.gso_size = SEGMENT;
		frame.hdr.hdr_len = HEADERS;
	}
	memcpy(frame.bytes, "\x02\0\0\0\0\xee\x02\0\0\0\0\x11", 12);
	memcpy(frame.bytes + 12, ip, sizeof(ip));
	frame.bytes[16] = (uint8_t)((len - ETHERNET) >> 8);
	frame.bytes[17] = (uint8_t)(len - ETHERNET);
	frame.bytes[46] = 5 << 4;
}

static double cpu_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

int main(int argc, char **argv)
{
	struct iovec iov[2] = { { &frame, sizeof(frame.hdr) + ETHERNET } };
	unsigned long len, count;
	double start;
	int fd;

	if (argc != 4) {
		fprintf(stderr, "usage: tapwrite TAP LENGTH COUNT\n");
		return EXIT_FAILURE;
	}
	len = strtoul(argv[2], NULL, 10);
	count = strtoul(argv[3], NULL, 10);
	if (len < HEADERS || len > sizeof(frame.bytes) || count == 0) {
		fprintf(stderr, "tapwrite: no such length or count\n");
		return EXIT_FAILURE;
	}
	fd = open_tap(argv[1]);
	make_frame(len);
	iov[1] = (struct iovec){ frame.bytes + ETHERNET, len - ETHERNET };
	start = cpu_us();
	for (unsigned long i = 0; i < count; i++) {
		if (writev(fd, iov, 2) < 0)
			fail("writev");
	}
	printf("%.3f\n", (cpu_us() - start) / (double)count);
	return EXIT_SUCCESS;
}
