// SPDX-License-Identifier: Apache-2.0
/*
 * confine.h - a machine's lock-down, from its options to its report
 *
 * In the order of the calls.  A function that returns -errno has printed why.
 */
#ifndef MOTE_VMM_CONFINE_H
#define MOTE_VMM_CONFINE_H

#include <stdbool.h>

#include "seccomp/cgroup.h"
#include "seccomp/jail.h"
#include "seccomp/layers.h"
#include "vmm/config.h"
#include "vmm/keeper.h"
#include "vmm/machine.h"

struct confine {
	const struct vm_config *config; /* borrowed */
	struct lockdown lockdown;
	struct jail jail;
	struct keeper keeper;
	struct cgroup cgroup[CONFIG_MAX_CGROUPS];
	unsigned int nr_cgroups;
	int borrowed[CONFIG_MAX_DISKS + 2]; /* what files are named by, or -1 */
	unsigned int nr_borrowed;
	int netns_fd;
	int cwd;	 /* while the socket is made */
	int control;	 /* to the keeper; -1 without a jail */
	bool background; /* the terminal is not ours, says the keeper */
};

/* What every machine does first: inherited descriptors are closed but for those
 * that options name.  Then opens what the jail needs.
 */
int confine_prepare(struct confine *c, const struct vm_config *config);

/* Becomes two processes with --jail: 0 in the one that is to be the machine, 1
 * in the other one when that has ended, with *STATUS.
 */
int confine_split(struct confine *c, int *status);

/* The path by which the socket of --vsock is to be made, which is PATH's; made
 * by the user that the machine will be, and in the directory that was judged,
 * whatever PATH means by now.  That is the working directory until
 * confine_socket_made(), which also tells the keeper of it when it was MADE.  C
 * is NULL without a jail.
 */
const char *confine_socket(struct confine *c, const char *path);
void confine_socket_made(struct confine *c, bool made);

/* All files are open, no thread has been started: the environment goes, and the
 * jail closes.
 */
int confine_lock(struct confine *c);

/* The vCPUs' threads are there: nothing of MACHINE's memory will be mapped
 * anew but pages of files.  Before the seccomp filter.
 */
void confine_seal(struct confine *c, struct machine *machine);

/* Behind the seccomp filters, before the first instruction: the report, and
 * what --require says of it.
 */
int confine_check(struct confine *c, bool seccomp);

#endif
