// SPDX-License-Identifier: Apache-2.0
/*
 * seccomp_list.h - `mote seccomp`: the rules that a running machine is under
 */
#ifndef MOTE_VMM_SECCOMP_LIST_H
#define MOTE_VMM_SECCOMP_LIST_H

/* `mote seccomp --dump [--json]`; ARGV[0] is "seccomp".  Returns the exit
 * status: 0, or 125 for other words.
 */
int seccomp_main(int argc, char **argv);

#endif
