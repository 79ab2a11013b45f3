// SPDX-License-Identifier: Apache-2.0
/*
 * privileges.c - what a process gives up of what it was started with
 */
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <linux/capability.h>
#include <linux/keyctl.h>
#include <linux/securebits.h>

#include "base/util.h"
#include "seccomp/privileges.h"

#define LAST_CAPABILITY 63

/* Root's user number means nothing, nor does changing it, and that is final. */
#define SECUREBITS                                                             \
	(SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |       \
	 SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |             \
	 SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED)

/* The least of KEEP from FROM on; UINT_MAX when there is none. */
static unsigned int next_kept(const int *keep, size_t nr, unsigned int from)
{
	unsigned int least = UINT_MAX;

	for (size_t i = 0; i < nr; i++) {
		if (keep[i] >= 0 && (unsigned int)keep[i] >= from)
			least = MIN(least, (unsigned int)keep[i]);
	}
	return least;
}

void descriptors_close(struct lockdown *lockdown, const int *keep, size_t nr)
{
	unsigned int from = STDERR_FILENO + 1;
	long ret = 0;

	while (ret == 0) {
		unsigned int kept = next_kept(keep, nr, from);

		if (kept > from)
			ret = syscall(SYS_close_range, from,
				      kept == UINT_MAX ? kept : kept - 1, 0);
		if (kept == UINT_MAX)
			break;
		from = kept + 1;
	}
	layer_tried(lockdown, LAYER_DESCRIPTORS, "close_range", ret);
}

void environment_wipe(struct lockdown *lockdown)
{
	/* The strings are what /proc shows, environ is what libc reads. */
	for (char **word = environ; word && *word; word++)
		explicit_bzero(*word, strlen(*word));
	environ = NULL;
	layer_holds(lockdown, LAYER_ENVIRONMENT);
}

void no_core(struct lockdown *lockdown)
{
	static const struct rlimit none = { 0, 0 };

	layer_tried(lockdown, LAYER_NO_CORE, "setrlimit RLIMIT_CORE",
		    setrlimit(RLIMIT_CORE, &none));
	layer_tried(lockdown, LAYER_NO_CORE, "prctl PR_SET_DUMPABLE",
		    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
}

void no_new_privs(struct lockdown *lockdown)
{
	layer_tried(lockdown, LAYER_NO_NEW_PRIVS, "prctl PR_SET_NO_NEW_PRIVS",
		    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

/* Lowers both limits to MOST; what is lower already stays. */
static int lower_limit(int resource, rlim_t most)
{
	struct rlimit limit = { 0 };

	if (prlimit(0, (__typeof__(RLIMIT_CORE))resource, NULL, &limit) < 0)
		return -1;
	limit.rlim_max = MIN(limit.rlim_max, most);
	limit.rlim_cur = MIN(limit.rlim_cur, limit.rlim_max);
	return prlimit(0, (__typeof__(RLIMIT_CORE))resource, &limit, NULL);
}

void limits_set(struct lockdown *lockdown, unsigned long nr_files,
		unsigned long nr_tasks)
{
	const struct {
		int resource;
		rlim_t most;
	} limits[] = {
		{ RLIMIT_NOFILE, nr_files }, { RLIMIT_MSGQUEUE, 0 },
		{ RLIMIT_NICE, 0 },	     { RLIMIT_RTPRIO, 0 },
		{ RLIMIT_NPROC, nr_tasks },
	};
	size_t nr = ARRAY_SIZE(limits) - (nr_tasks ? 0 : 1);

	for (size_t i = 0; i < nr; i++)
		layer_tried(lockdown, LAYER_LIMITS, "setrlimit",
			    lower_limit(limits[i].resource, limits[i].most));
}

void keyring_leave(struct lockdown *lockdown)
{
	layer_tried(lockdown, LAYER_KEYRING,
		    "keyctl KEYCTL_JOIN_SESSION_KEYRING",
		    syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL));
}

static int capabilities_set(uint64_t permitted)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2] = {
		{ .permitted = (uint32_t)permitted,
		  .effective = (uint32_t)permitted },
		{ .permitted = (uint32_t)(permitted >> 32),
		  .effective = (uint32_t)(permitted >> 32) },
	};

	return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

void capabilities_drop(struct lockdown *lockdown)
{
	long ret = 0;

	for (int c = 0; c <= LAST_CAPABILITY && ret == 0; c++) {
		/* -EINVAL: there are no more. */
		if (prctl(PR_CAPBSET_READ, c, 0, 0, 0) == 1)
			ret = prctl(PR_CAPBSET_DROP, c, 0, 0, 0);
	}
	if (ret == 0)
		ret = prctl(PR_SET_SECUREBITS, SECUREBITS, 0, 0, 0);
	layer_tried(lockdown, LAYER_BOUNDING_SET, "prctl PR_CAPBSET_DROP", ret);

	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	layer_tried(lockdown, LAYER_CAPABILITIES, "capset",
		    capabilities_set(0) < 0 ? -1 : 0);
}

int capabilities_keep(unsigned long long keep)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2] = { 0 };

	if (syscall(SYS_capget, &header, data) < 0)
		return -errno;
	return capabilities_set(
		keep & (data[0].permitted | (uint64_t)data[1].permitted << 32));
}
