// SPDX-License-Identifier: Apache-2.0
/*
 * exit_reason.h - KVM's exit reasons in words
 */
#ifndef MOTE_VMM_EXIT_REASON_H
#define MOTE_VMM_EXIT_REASON_H

#include <stddef.h>
#include <stdint.h>

struct kvm_run;

/* For arrays indexed by exit reason; newer reasons share the last element. */
#define EXIT_REASON_MAX 48

/* The name of KVM_EXIT_*: lower case, without the prefix ("mmio", "hlt");
 * "other" for a number that has none.
 */
const char *exit_reason_name(uint32_t reason);

/* Writes one line about the exit in RUN (no newline; cut to LEN, which is at
 * least 1).  Nothing that RUN says is trusted for a length.  200 bytes hold
 * every line.
 */
void exit_describe(const struct kvm_run *run, char *buf, size_t len);

#endif
