// SPDX-License-Identifier: Apache-2.0
/*
 * stream.c - the host's end of a stream, and what a stream costs without a guest
 *
 *	stream sink|source|echo PATH CHUNK COUNT
 *		listens at PATH; for each connection takes COUNT bytes and
 *		answers with one, or sends COUNT bytes, or sends back each byte
 *	stream floor sink|source|echo CHUNK COUNT
 *		two processes and a socket pair instead: the first does what the
 *		guest does; prints the seconds that it took
 *
 * Bytes are read and written CHUNK at a time.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum mode { SINK, SOURCE, ECHO };

static char buffer[1 << 20];

static void fail(const char *what)
{
	perror(what);
	exit(EXIT_FAILURE);
}

/* Reads COUNT bytes; false at the end of the stream. */
static int take(int fd, size_t chunk, uint64_t count)
{
	while (count > 0) {
		ssize_t got = read(fd, buffer, count < chunk ? count : chunk);

		if (got <= 0)
			return 0;
		count -= (uint64_t)got;
	}
	return 1;
}

static int give(int fd, size_t chunk, uint64_t count)
{
	while (count > 0) {
		ssize_t put = write(fd, buffer, count < chunk ? count : chunk);

		if (put <= 0)
			return 0;
		count -= (uint64_t)put;
	}
	return 1;
}

/* The host's end. */
static void serve(enum mode mode, int fd, size_t chunk, uint64_t count)
{
	switch (mode) {
	case SINK:
		if (take(fd, chunk, count))
			give(fd, 1, 1);
		break;
	case SOURCE:
		give(fd, chunk, count);
		break;
	case ECHO:
		while (take(fd, 1, 1) && give(fd, 1, 1))
			;
		break;
	}
	/* The other end closes first. */
	take(fd, 1, 1);
}

/* What the guest does. */
static int use(enum mode mode, int fd, size_t chunk, uint64_t count)
{
	switch (mode) {
	case SINK:
		return give(fd, chunk, count) && take(fd, 1, 1);
	case SOURCE:
		return take(fd, chunk, count);
	case ECHO:
		while (count-- > 0) {
			if (!give(fd, 1, 1) || !take(fd, 1, 1))
				return 0;
		}
		return 1;
	}
	return 0;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* To CPU N of those that we may use, or to the last. */
static void go_to(int n)
{
	cpu_set_t may, one;

	if (sched_getaffinity(0, sizeof(may), &may) < 0)
		fail("sched_getaffinity");
	CPU_ZERO(&one);
	for (int cpu = 0; cpu < CPU_SETSIZE && n >= 0; cpu++) {
		if (!CPU_ISSET(cpu, &may))
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		n--;
	}
	if (sched_setaffinity(0, sizeof(one), &one) < 0)
		fail("sched_setaffinity");
}

static int run_floor(enum mode mode, size_t chunk, uint64_t count)
{
	double start;
	int fd[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd))
		fail("socketpair");
	switch (fork()) {
	case -1:
		fail("fork");
		break;
	case 0:
		close(fd[0]);
		go_to(1);
		serve(mode, fd[1], chunk, count);
		_exit(0);
	}
	close(fd[1]);
	go_to(0);
	start = now();
	if (!use(mode, fd[0], chunk, count))
		fail("stream");
	printf("%.6f\n", now() - start);
	close(fd[0]);
	wait(NULL);
	return EXIT_SUCCESS;
}

static _Noreturn void listen_at(enum mode mode, const char *path, size_t chunk,
				uint64_t count)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strncpy(at.sun_path, path, sizeof(at.sun_path) - 1);
	unlink(path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) ||
	    listen(fd, 8))
		fail(path);
	printf("ready\n");
	fflush(stdout);
	go_to(2);
	for (;;) {
		int one = accept(fd, NULL, NULL);

		if (one < 0)
			fail("accept");
		serve(mode, one, chunk, count);
		close(one);
	}
}

int main(int argc, char **argv)
{
	static const char *const names[] = { "sink", "source", "echo" };
	int mode = -1;
	size_t chunk;
	int is_floor;

	if (argc != 5)
		goto usage;
	is_floor = strcmp(argv[1], "floor") == 0;
	for (int i = SINK; i <= ECHO; i++) {
		if (strcmp(argv[is_floor ? 2 : 1], names[i]) == 0)
			mode = i;
	}
	chunk = strtoul(argv[3], NULL, 10);
	if (mode < 0 || chunk == 0 || chunk > sizeof(buffer))
		goto usage;
	if (is_floor)
		return run_floor((enum mode)mode, chunk,
				 strtoull(argv[4], NULL, 10));
	listen_at((enum mode)mode, argv[2], chunk, strtoull(argv[4], NULL, 10));
usage:
	fprintf(stderr, "usage: stream sink|source|echo PATH CHUNK COUNT\n"
			"       stream floor sink|source|echo CHUNK COUNT\n");
	return EXIT_FAILURE;
}
