// SPDX-License-Identifier: Apache-2.0
/*
 * run.h - one machine from its options, or requests, to its exit status
 */
#ifndef MOTE_VMM_RUN_H
#define MOTE_VMM_RUN_H

#include <stdbool.h>

/* A machine that is described over the control API, or by Firecracker's
 * configuration file.
 */
struct run_api {
	const char *socket; /* NULL: none */
	const char *id;
	const char *file; /* describes the machine, which starts at once */
	bool boot_timer;  /* a page at LAYOUT_BOOT_TIMER, and a line about it */
	bool no_seccomp;
	bool verbose;
};

/* Returns Firecracker's exit status. */
int run_api(const struct run_api *options);

/* ARGV[0] is "run".  Returns the exit status (see config_help). */
int run_main(int argc, char **argv);

#endif
