// SPDX-License-Identifier: Apache-2.0
/*
 * main.c - mote, a tiny microVM monitor: one process is one virtual machine
 *
 * A verb, its words, an exit status.  `mote run` is vmm/run.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "vmm/api_main.h"
#include "vmm/doctor.h"
#include "vmm/run.h"
#include "vmm/seccomp_list.h"

#define STATUS_REFUSED 125

static const char help[] =
	"mote, a tiny microVM monitor: one process is one virtual machine\n"
	"\n"
	"Usage: mote VERB [OPTION]...\n"
	"\n"
	"  run      boot a kernel in a virtual machine\n"
	"  api      wait for requests of Firecracker's API, on a socket\n"
	"  doctor   say what this host offers and lacks\n"
	"  seccomp  list the system calls that a running machine may make\n"
	"\n"
	"  mote VERB --help tells about a verb; mote --version prints the "
	"version.\n"
	"\n"
	"Examples:\n"
	"  mote doctor\n"
	"  mote run -k bzImage -i initrd.cpio -c 2 -m 512M\n";

static const struct verb {
	const char *name;
	int (*main)(int argc, char **argv);
} verbs[] = {
	{ "run", run_main },
	{ "api", api_main },
	{ "doctor", doctor_main },
	{ "seccomp", seccomp_main },
};

/* Keeps the numbers 0 to 2 from files of ours when the parent has closed them:
 * a disk would get what is meant for the operator.  A descriptor of O_PATH can
 * be neither read nor written, as if it were still closed.
 */
static bool occupy_standard_files(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) < 0 &&
		    open("/", O_PATH | O_CLOEXEC) != fd)
			return false;
	}
	return true;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int run_verb(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : "--help";

	if (argc > 0 && strcmp(base_name(argv[0]), "firecracker") == 0)
		return api_main(argc, argv);
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		if (strcmp(word, verbs[i].name) == 0)
			return verbs[i].main(argc - 1, argv + 1);
	}
	if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
		puts("mote " MOTE_VERSION);
		return 0;
	}
	if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 ||
	    strcmp(word, "help") == 0) {
		fputs(help, stdout);
		return 0;
	}
	log_error("%s: no such verb; see mote --help", word);
	return STATUS_REFUSED;
}

int main(int argc, char **argv)
{
	int status;

	if (!occupy_standard_files())
		return STATUS_REFUSED;
	status = run_verb(argc, argv);
	/* A verb that failed has said why. */
	if (status != 0 || (fflush(stdout) == 0 && !ferror(stdout)))
		return status;
	log_error("standard output: %s", log_errno(errno));
	return STATUS_REFUSED;
}
