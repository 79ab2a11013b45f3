// SPDX-License-Identifier: Apache-2.0
/*
 * speed.h - how fast this host's KVM runs guest kernel code
 *
 * With VT-x or AMD-V the CPU runs it; a KVM without them interprets it, some
 * hundred times slower, and a stock Linux kernel then never gets to its init.
 */
#ifndef MOTE_VMM_SPEED_H
#define MOTE_VMM_SPEED_H

struct kvm_error;

/* Millions of instructions a second below which a stock Linux kernel is not
 * worth starting: its boot takes about 10^9 instructions.  Interpreting hosts
 * reach one or two, CPU emulators with nested paging some hundred, hardware
 * more than a thousand.
 */
#define SPEED_LINUX_MINIMUM 10.0

/* Runs a counted loop at CPL 0 in a VM of its own, for some 15 ms of CPU time
 * and at most about 50, and gives millions of instructions a second.  -errno
 * when KVM does not make the VM, -EIO when the guest ends in any way but its
 * own.  Nothing is left behind.
 */
int speed_probe(int kvm_fd, double *minstr_per_s);

/* What to say of a host that is too slow: cause and remedy, no full stop. */
void speed_explain(const char *module, double minstr_per_s,
		   struct kvm_error *err);

#endif
