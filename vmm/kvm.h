// SPDX-License-Identifier: Apache-2.0
/*
 * kvm.h - /dev/kvm: opening it, what it must offer, and what to say if it fails
 *
 * Nothing here prints.  A failure fills a struct kvm_error with one line that
 * names the cause and the remedy, for whoever speaks to the user.
 */
#ifndef MOTE_VMM_KVM_H
#define MOTE_VMM_KVM_H

#include <stdbool.h>
#include <stddef.h>

#define KVM_NODE "/dev/kvm"

/* More than there are, for arrays parallel to kvm_capabilities. */
#define KVM_MAX_CAPABILITIES 48

struct kvm_error {
	char text[320]; /* one line, no newline, no "mote: " */
};

/* Opens /dev/kvm and checks its API version.  Returns the descriptor (close on
 * exec), or -errno with ERR filled: -ENOENT, -ENODEV, -EACCES, -EPERM, -EBUSY
 * as open(2) gives them, -ENOTTY when the node is not KVM's, -ENOTSUP for
 * another API version.
 */
int kvm_open(struct kvm_error *err);

/* The same of another node (tests). */
int kvm_open_at(const char *node, struct kvm_error *err);

/* KVM_CREATE_VM.  Returns the VM's descriptor, or -errno with ERR filled. */
int kvm_create_vm(int kvm_fd, struct kvm_error *err);

/* One KVM capability that mote uses. */
struct kvm_capability {
	int number;	     /* KVM_CAP_* */
	const char *name;    /* as in linux/kvm.h, without KVM_CAP_ */
	const char *purpose; /* what mote does with it, in a few words */
	const char *remedy;  /* what has it, where this host does not */
	bool required;	     /* no machine runs without it */
};

/* Every capability mote uses, required ones first. */
extern const struct kvm_capability kvm_capabilities[];
extern const size_t kvm_nr_capabilities;

/* KVM_CHECK_EXTENSION on /dev/kvm or on a VM: 0 when absent (or when FD cannot
 * tell), otherwise the positive value, whose meaning depends on CAP.
 */
int kvm_capability(int fd, int cap);

/* Checks that every required capability is there.  0, or -ENOTSUP with ERR
 * naming the first that is not and what it is for.
 */
int kvm_require(int kvm_fd, struct kvm_error *err);

/* The most vCPUs one VM may have, and how many KVM recommends at most. */
unsigned int kvm_max_vcpus(int kvm_fd);
unsigned int kvm_recommended_vcpus(int kvm_fd);

/* True when the CPU itself certainly runs guest kernel code; false when KVM may
 * interpret it, which speed_probe() settles.  *MODULE is the name of the vendor
 * module behind /dev/kvm, "KVM" where it cannot be told.  A few access(2).
 */
bool kvm_hardware(const char **module);

/* How KVM translates guest addresses: "EPT", "NPT" or "shadow". */
const char *kvm_paging(void);

/* The same, of modules under the directory ROOT instead of /sys/module. */
bool kvm_hardware_at(const char *root, const char **module);
const char *kvm_paging_at(const char *root);

/* Fills ERR with "CALL: " and the text of RET (-errno); returns RET. */
int kvm_call_failed(struct kvm_error *err, int ret, const char *call);

/* What surrounds a failure to open /dev/kvm; kvm_open() gathers it, tests make
 * it up.
 */
struct kvm_surroundings {
	bool cpu_vmx;	   /* CPUID says VT-x */
	bool cpu_svm;	   /* CPUID says AMD-V */
	bool in_container; /* as far as one can tell */
	bool group_access; /* the node's group may read and write it */
	char group[32];	   /* of the node: a name, or a number */
};

/* The line for ERROR (a positive errno) of opening /dev/kvm. */
void kvm_explain_open(int error, const struct kvm_surroundings *around,
		      struct kvm_error *err);

#endif
