// SPDX-License-Identifier: Apache-2.0
/*
 * jail.c - a process that has its open files, and nothing else
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <sys/prctl.h>

#include "seccomp/jail.h"
#include "seccomp/landlock.h"
#include "seccomp/namespaces.h"
#include "seccomp/privileges.h"

static void deny_files(struct lockdown *lockdown)
{
	const char *call;
	int ret = landlock_deny_all(&call);

	if (ret < 0)
		layer_lacks(lockdown, LAYER_LANDLOCK, call, ret);
	else
		layer_holds(lockdown, LAYER_LANDLOCK);
}

int jail_lock(const struct jail *jail, struct lockdown *lockdown,
	      const char **call)
{
	bool here = jail->root_fd >= 0;
	int ret;

	/* The working directory goes with us into the mount namespace, which a
	 * descriptor does not.
	 */
	*call = "chdir";
	ret = here ? fchdir(jail->root_fd) : chdir("/");
	if (ret < 0)
		return -errno;
	if (here)
		close(jail->root_fd);
	if (jail->change_user) {
		ret = namespaces_become(lockdown, jail->uid, jail->gid, call);
		if (ret < 0)
			return ret;
	}
	if (!jail->helpers)
		namespaces_no_more(lockdown);
	namespaces_enter(lockdown, jail->new_net);
	namespaces_leave_root(lockdown, here);
	limits_set(lockdown, jail->nr_files,
		   lockdown->layer[LAYER_USER_NS].holds ? jail->nr_tasks : 0);
	keyring_leave(lockdown);
	capabilities_drop(lockdown);
	no_new_privs(lockdown);
	/* Last: a change of user undoes it, and the next but one. */
	no_core(lockdown);
	deny_files(lockdown);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	return 0;
}
