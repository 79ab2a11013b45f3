// SPDX-License-Identifier: Apache-2.0
/*
 * jail.h - a process that has its open files, and nothing else
 *
 * Theory of operation.  Everything that the machine will ever need is opened
 * first, with the rights that mote was started with.  jail_lock() then takes
 * away the rest: identity, namespaces, the root, limits, capabilities, files by
 * Landlock.  Each is a layer (layers.h), and one that the host does not have is
 * said to be lacking.  Nothing is made, copied or given away in any directory.
 *
 * The process is a child of one that stays outside, its keeper: only so can it
 * be in a PID namespace, and somebody has to tidy up what it cannot reach.
 */
#ifndef MOTE_SECCOMP_JAIL_H
#define MOTE_SECCOMP_JAIL_H

#include <stdbool.h>

#include <sys/types.h>

#include "seccomp/layers.h"

struct jail {
	bool change_user; /* we are root: to UID and GID */
	uid_t uid;
	gid_t gid;
	int root_fd; /* of a directory that becomes the root; -1: of nothing */
	bool new_net;
	bool helpers; /* programs run that make namespaces of their own */
	bool user_ns; /* namespaces_split() has made one */
	unsigned long nr_files;
	unsigned long nr_tasks;
};

/* Locks the calling process up: its only thread, before there are others.
 * root_fd is closed.  -errno when it could not become the user that it is to
 * be: *CALL failed then, and no guest may run.
 */
int jail_lock(const struct jail *jail, struct lockdown *lockdown,
	      const char **call);

#endif
