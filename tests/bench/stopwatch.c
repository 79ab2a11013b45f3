// SPDX-License-Identifier: Apache-2.0
/*
 * stopwatch.c - microseconds from execve(2) to the first byte of output
 *
 *	stopwatch [-t TEXT] COMMAND [WORD]...
 *
 * The clock is read in the child right before execve(2), so that neither fork
 * nor the caller's size count, and again when the first byte (or all of TEXT)
 * has arrived on the pipe that is the command's standard output.  The command
 * is then killed.  Standard input is a pipe that stays open and silent.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void fail(const char *what)
{
	perror(what);
	exit(EXIT_FAILURE);
}

/* Reads FD until TEXT has come, or a first byte; false at the end of file. */
static bool await(int fd, const char *text)
{
	static char seen[1 << 20];
	size_t len = 0;

	while (len < sizeof(seen)) {
		ssize_t got = read(fd, seen + len, sizeof(seen) - len);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		len += (size_t)got;
		if (!text || memmem(seen, len, text, strlen(text)))
			return true;
	}
	return false;
}

static void run(char **argv, int in, int out, volatile uint64_t *started)
{
	int null = open("/dev/null", O_WRONLY);

	if (dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0)
		_exit(127);
	if (!getenv("STOPWATCH_STDERR"))
		dup2(null, STDERR_FILENO);
	*started = now_ns();
	execv(argv[0], argv);
	_exit(127);
}

int main(int argc, char **argv)
{
	volatile uint64_t *started;
	uint64_t ended;
	const char *text = NULL;
	int in[2], out[2];
	bool heard;
	pid_t pid;

	argv++;
	if (argc > 3 && strcmp(argv[0], "-t") == 0) {
		text = argv[1];
		argv += 2;
	}
	if (argc < 2) {
		fprintf(stderr,
			"usage: stopwatch [-t TEXT] COMMAND [WORD]...\n");
		return EXIT_FAILURE;
	}
	started = mmap(NULL, sizeof(*started), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (started == MAP_FAILED)
		fail("mmap");
	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
		fail("pipe");
	pid = fork();
	if (pid < 0)
		fail("fork");
	if (pid == 0)
		run(argv, in[0], out[1], started);
	close(out[1]);
	heard = await(out[0], text);
	ended = now_ns();
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (!heard) {
		fprintf(stderr, "stopwatch: %s did not say it\n", argv[0]);
		return EXIT_FAILURE;
	}
	printf("%.1f\n", (double)(ended - *started) / 1000);
	return EXIT_SUCCESS;
}
