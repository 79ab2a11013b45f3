// SPDX-License-Identifier: Apache-2.0
/*
 * host.h - what this host offers, as plain facts
 *
 * Facts only: what they mean and what to do about them is the doctor's.
 */
#ifndef MOTE_VMM_HOST_H
#define MOTE_VMM_HOST_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/kvm.h"

#define HOST_MAX_POOLS 4

struct host_pool {
	uint64_t page_kib;
	uint64_t total; /* pages */
	uint64_t free;
};

/* A status is 0 when the thing works, else -errno as it refused. */
struct host {
	int kvm;		    /* status of kvm_open() */
	struct kvm_error kvm_error; /* what it said */
	const char *module;	    /* kvm_hardware() */
	bool hardware;
	const char *paging;		      /* kvm_paging() */
	int capability[KVM_MAX_CAPABILITIES]; /* as kvm_capabilities[] */
	unsigned int recommended_vcpus, max_vcpus;
	int speed; /* status of speed_probe() */
	double minstr_per_s;

	int seccomp;  /* of filters that kill a process */
	int landlock; /* ABI version (1 and up), or -errno */
	int mseal;
	int cgroup; /* version of control groups, 0: none */
	int user_namespaces;
	int userfaultfd; /* of faults that the kernel takes, as KVM does */
	int tun;
	int io_uring;

	char thp[16]; /* always, madvise, never; "" when not built in */
	struct host_pool pool[HOST_MAX_POOLS]; /* of hugetlb pages */
	unsigned int nr_pools;
	uint64_t memory_mib, available_mib;
	unsigned int cpus; /* that this process may use */
};

/* Finds all of it out: some tens of milliseconds, most of them speed_probe()'s.
 * Forks once, so it is for a process without threads.
 */
void host_look(struct host *host);

/* The word in brackets of LINE, as the kernel marks the chosen one of several
 * ("always [madvise] never"); "" when there is none or it does not fit.
 */
void host_bracketed(const char *line, char *word, size_t size);

#endif
