// SPDX-License-Identifier: Apache-2.0
/*
 * namespaces.h - a view of the system in which there is nothing
 *
 * In two steps, because a process gets into a PID namespace by being born into
 * it: namespaces_split() in the parent, fork(2), and in the child, when all its
 * files are open, the rest.  With the capability to do so the user namespace
 * comes late, too, so that the files are opened with the rights that mote was
 * started with; without, it comes first, and the rights are the same.
 */
#ifndef MOTE_SECCOMP_NAMESPACES_H
#define MOTE_SECCOMP_NAMESPACES_H

#include <stdbool.h>

#include <sys/types.h>

#include "seccomp/layers.h"

/* Has the next child start in a PID namespace of its own.  True when that took
 * a user namespace, which the caller is in now and the child will be.
 */
bool namespaces_split(struct lockdown *lockdown);

/* Becomes UID and GID for good, in a user namespace that has no others; the
 * process then has all capabilities in it.  Where there are no user namespaces
 * the process is UID all the same, and keeps the capabilities for what comes
 * next.  -errno: it is not, and *CALL failed.
 */
int namespaces_become(struct lockdown *lockdown, uid_t uid, gid_t gid,
		      const char **call);

/* Has our user namespace have none inside, in which this process would be root
 * again.  The filters say so, too: a container may have /proc/sys read-only.
 */
void namespaces_no_more(const struct lockdown *lockdown);

/* Mount, IPC, UTS and cgroup namespaces; a network namespace with NEW_NET. */
void namespaces_enter(struct lockdown *lockdown, bool new_net);

/* Leaves every mount but a read-only one of the current directory, with HERE,
 * or of nothing.  In a mount namespace of our own.
 */
void namespaces_leave_root(struct lockdown *lockdown, bool here);

#endif
