// SPDX-License-Identifier: Apache-2.0
/*
 * filter.h - the compiled filters, and how a thread puts one on
 */
#ifndef MOTE_SECCOMP_FILTER_H
#define MOTE_SECCOMP_FILTER_H

#include <linux/filter.h>
#include <linux/seccomp.h>

#include "seccomp/rules.h"

/* No program is longer. */
#define SECCOMP_MAX_LENGTH 512

/* One BPF program as generated: SECCOMP_OWN_PID is still in it. */
struct seccomp_program {
	unsigned int length;
	const struct sock_filter *code;
};

extern const struct seccomp_program seccomp_programs[SECCOMP_NR_KINDS];

/* Puts the calling thread under KIND's filter, for good: what its table does
 * not allow kills the process with SIGSYS.  Also gives up what execve(2) could
 * gain, for the thread and those that it makes.  -errno of prctl(2) or
 * seccomp(2): -EINVAL and -ENOSYS where the host has no filters.
 */
int seccomp_install(enum seccomp_kind kind);

/* Fills OUT with KIND's program as it is installed, with this process's number
 * in it.  Its length.
 */
unsigned int seccomp_resolve(enum seccomp_kind kind,
			     struct sock_filter out[SECCOMP_MAX_LENGTH]);

#endif
