// SPDX-License-Identifier: Apache-2.0
/*
 * privileges.h - what a process gives up of what it was started with
 *
 * The first group is for every machine: nothing that a machine does needs what
 * they take.  The second is for the jail.  Each says in LOCKDOWN how it went.
 */
#ifndef MOTE_SECCOMP_PRIVILEGES_H
#define MOTE_SECCOMP_PRIVILEGES_H

#include <stddef.h>

#include "seccomp/layers.h"

/* Closes every descriptor above 2 but the NR in KEEP, which may hold -1. */
void descriptors_close(struct lockdown *lockdown, const int *keep, size_t nr);

/* Empties the environment, also for those who read /proc/PID/environ. */
void environment_wipe(struct lockdown *lockdown);

/* No core dumps, and nobody without root's powers may trace this process or
 * look at its memory; nothing that it could execute would gain anything.  A
 * change of user undoes the first.
 */
void no_core(struct lockdown *lockdown);
void no_new_privs(struct lockdown *lockdown);

/* NR_FILES descriptors at the most, no message queues, no higher priority; with
 * NR_TASKS above 0 no more threads.  (That counts all tasks of a user, so it is
 * for a user namespace of our own.)
 */
void limits_set(struct lockdown *lockdown, unsigned long nr_files,
		unsigned long nr_tasks);

/* A session keyring of our own, and an empty one. */
void keyring_leave(struct lockdown *lockdown);

/* No capability, now or ever again. */
void capabilities_drop(struct lockdown *lockdown);

/* Has the capabilities whose bits KEEP has, of those that it may have, and no
 * others: for the jail's keeper, and after a change of user.  -errno.
 */
int capabilities_keep(unsigned long long keep);

#endif
