// SPDX-License-Identifier: Apache-2.0
/*
 * cgroup.h - a control group that a machine's process joins, and its limits
 */
#ifndef MOTE_SECCOMP_CGROUP_H
#define MOTE_SECCOMP_CGROUP_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include <sys/types.h>

struct cgroup_config {
	const char *path; /* below a mounted cgroup file system, v1 or v2 */
	uint64_t memory;  /* bytes; 0: no limit */
	uint64_t cpu_ns;  /* of CPU time in a second; 0: no limit */
	uint64_t tasks;	  /* 0: no limit */
};

struct cgroup {
	int fd;		  /* of the group */
	int parent_fd;	  /* of the one above, when it was made here; or -1 */
	const char *name; /* in parent_fd; points into the path */
};

/* Opens CONFIG's group, which is made if only its last part is missing, and
 * sets the limits; USER may be its owner, see directory_open().  -errno; *FILE
 * is then what could not be opened or written, in the path or below it, and
 * nothing that was made is left.  -ENODEV: not in a cgroup file system.
 */
int cgroup_open(struct cgroup *cgroup, const struct cgroup_config *config,
		uid_t user, const char **file);

/* Moves the calling process there.  -errno. */
int cgroup_join(const struct cgroup *cgroup);

/* Closes, and removes what cgroup_open() made, which has no processes. */
void cgroup_close(struct cgroup *cgroup);

#endif
