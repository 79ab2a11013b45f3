// SPDX-License-Identifier: Apache-2.0
/*
 * vsock.c - many streams between a Linux guest and its host, at once
 *
 *	vsock guest		in the guest
 *	vsock host SOCKET	on the host, beside mote --vsock path=SOCKET
 *
 * Each side serves the other: a server reads a stream to its end, which the
 * client marks by closing one direction, and sends it all back; the client
 * compares.  Exit status 0 when every stream came back whole.
 */
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <linux/vm_sockets.h>

#define GUEST_PORT   5000
#define HOST_PORT    52
#define FROM_GUEST   200 /* streams, all at once */
#define FROM_HOST    50
#define STREAM_BYTES 100000u
#define PATIENCE_S   40
#define GOODBYE	     2 /* status of a child that was told so */

static void die(const char *what)
{
	fprintf(stderr, "vsock: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint8_t stream_byte(unsigned int seed, uint32_t at)
{
	return (uint8_t)(seed * 151 + at * 31 + (at >> 8) * 7);
}

static void write_all(int s, const uint8_t *p, size_t len)
{
	while (len > 0) {
		ssize_t n = write(s, p, len);

		if (n < 0)
			die("write");
		p += n;
		len -= (size_t)n;
	}
}

/* Up to LEN bytes, fewer only at the end of the stream. */
static size_t read_all(int s, uint8_t *p, size_t len)
{
	size_t done = 0;
	ssize_t n = 1;

	while (done < len && n > 0) {
		n = read(s, p + done, len - done);
		if (n < 0)
			die("read");
		done += (size_t)n;
	}
	return done;
}

static void client(int s, unsigned int seed)
{
	static uint8_t sent[STREAM_BYTES], back[STREAM_BYTES + 1];

	for (uint32_t i = 0; i < STREAM_BYTES; i++)
		sent[i] = stream_byte(seed, i);
	write_all(s, sent, sizeof(sent));
	if (shutdown(s, SHUT_WR) < 0)
		die("shutdown");
	if (read_all(s, back, sizeof(back)) != sizeof(sent) ||
	    memcmp(sent, back, sizeof(sent)) != 0) {
		fprintf(stderr, "vsock: stream %u came back changed\n", seed);
		exit(1);
	}
	exit(0);
}

/* True when N children ended well. */
static int all_well(int n)
{
	int well = 0, status;

	for (int i = 0; i < n; i++)
		well += wait(&status) > 0 && status == 0;
	return well == n;
}

static void echo(int s)
{
	static uint8_t buf[STREAM_BYTES + 1];
	size_t len = read_all(s, buf, sizeof(buf));

	if (len != STREAM_BYTES)
		exit(len == 1 ? GOODBYE : 1);
	write_all(s, buf, STREAM_BYTES);
	exit(0);
}

/* Serves N whole streams, each in a process.  On a busy machine a client may
 * have given up before its stream is accepted; it comes again.  The guest is
 * gone when its server ends: it goes on until its clients say that they have
 * all, which is a stream of one byte.
 */
static void serve(int listener, int n, int goodbyes)
{
	struct pollfd bell = { .fd = listener, .events = POLLIN };
	int served = 0, status;

	while (served < n || goodbyes > 0) {
		if (poll(&bell, 1, 50) > 0) {
			int s = accept(listener, NULL, NULL);

			if (s < 0)
				die("accept");
			if (fork() == 0)
				echo(s);
			close(s);
		}
		while (waitpid(-1, &status, WNOHANG) > 0) {
			served += status == 0;
			goodbyes -= WIFEXITED(status) &&
				    WEXITSTATUS(status) == GOODBYE;
		}
	}
	exit(0);
}

static int guest_connect(void)
{
	struct sockaddr_vm addr = { .svm_family = AF_VSOCK,
				    .svm_cid = VMADDR_CID_HOST,
				    .svm_port = HOST_PORT };
	/* Linux gives up after 2 s, which an emulated host may need. */
	struct timeval patience = { .tv_sec = PATIENCE_S };
	int s = socket(AF_VSOCK, SOCK_STREAM, 0);

	if (s < 0 ||
	    setsockopt(s, AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT, &patience,
		       sizeof(patience)) < 0 ||
	    connect(s, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		die("connect to the host");
	return s;
}

static int guest_listen(void)
{
	struct sockaddr_vm addr = { .svm_family = AF_VSOCK,
				    .svm_cid = VMADDR_CID_ANY,
				    .svm_port = GUEST_PORT };
	int s = socket(AF_VSOCK, SOCK_STREAM, 0);

	if (s < 0 || bind(s, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    listen(s, FROM_HOST) < 0)
		die("listen");
	return s;
}

static struct sockaddr_un unix_address(const char *path, const char *suffix)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s%s", path, suffix);
	return addr;
}

static int host_listen(const char *path)
{
	struct sockaddr_un addr = unix_address(path, "_52");
	int s = socket(AF_UNIX, SOCK_STREAM, 0);

	if (s < 0 || bind(s, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    listen(s, FROM_GUEST) < 0)
		die("listen");
	return s;
}

/* Tries until the guest listens. */
static int host_connect(const char *path)
{
	struct sockaddr_un addr = unix_address(path, "");
	static const char hello[] = "CONNECT 5000\n";

	for (int i = 0; i < PATIENCE_S * 5; i++) {
		int s = socket(AF_UNIX, SOCK_STREAM, 0);
		char c = 0;

		if (connect(s, (struct sockaddr *)&addr, sizeof(addr)) == 0 &&
		    send(s, hello, strlen(hello), MSG_NOSIGNAL) > 0) {
			while (read(s, &c, 1) == 1 && c != '\n')
				;
			if (c == '\n')
				return s;
		}
		close(s);
		usleep(200000);
	}
	errno = ETIMEDOUT;
	die("connect to the guest");
	return -1;
}

int main(int argc, char **argv)
{
	const char *path = argc == 3 ? argv[2] : NULL;
	int clients = path ? FROM_HOST : FROM_GUEST;
	int served = path ? FROM_GUEST : FROM_HOST;
	int listener = path ? host_listen(path) : guest_listen();
	int held = 0;

	alarm(PATIENCE_S * 2);
	if (fork() == 0)
		serve(listener, served, path ? 0 : 1);
	/* A first stream alone: then both sides are up. */
	if (path)
		held = host_connect(path);
	for (int i = 0; i < clients; i++) {
		if (fork() != 0)
			continue;
		if (i > 0 || !path)
			held = path ? host_connect(path) : guest_connect();
		client(held, (unsigned int)i);
	}
	if (path)
		close(held);
	if (!all_well(clients + 1)) {
		fprintf(stderr, "vsock: not all streams went well\n");
		return 1;
	}
	if (path)
		write_all(host_connect(path), (const uint8_t *)"", 1);
	printf("vsock %d streams out, %d in\n", clients, served);
	return 0;
}
