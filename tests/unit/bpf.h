// SPDX-License-Identifier: Apache-2.0
/*
 * bpf.h - a small interpreter of classic BPF as seccomp filters use it
 *
 * Written from seccomp(2) and the kernel's networking/filter.rst, so that a
 * filter is judged by something that neither libseccomp nor this kernel wrote.
 */
#ifndef MOTE_TESTS_BPF_H
#define MOTE_TESTS_BPF_H

#include <stdbool.h>
#include <stdint.h>

#include <linux/filter.h>
#include <linux/seccomp.h>

/* What a kernel checks before it takes a program: only known instructions, no
 * jump beyond the end, loads inside seccomp_data, a return at the end.
 */
bool bpf_valid(const struct sock_filter *code, unsigned int length);

/* The program's answer to DATA.  It is valid. */
uint32_t bpf_run(const struct sock_filter *code,
		 const struct seccomp_data *data);

#endif
