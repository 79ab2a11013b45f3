// SPDX-License-Identifier: Apache-2.0
/*
 * stopwatch.c - microseconds from execve(2) to the first byte of output
 *
 *	stopwatch COMMAND [WORD]...
 *
 * The clock is read in the child right before execve(2), so that neither fork
 * nor the caller's size count, and again when the first byte has arrived on the
 * pipe that is the command's standard output.  The command is then killed.
 * Standard input is a pipe that stays open and silent.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
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
	int in[2], out[2];
	ssize_t got;
	char byte;
	pid_t pid;

	if (argc < 2) {
		fprintf(stderr, "usage: stopwatch COMMAND [WORD]...\n");
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
		run(argv + 1, in[0], out[1], started);
	close(out[1]);
	do
		got = read(out[0], &byte, 1);
	while (got < 0 && errno == EINTR);
	ended = now_ns();
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (got != 1) {
		fprintf(stderr, "stopwatch: %s said nothing\n", argv[1]);
		return EXIT_FAILURE;
	}
	printf("%.1f\n", (double)(ended - *started) / 1000);
	return EXIT_SUCCESS;
}
