// SPDX-License-Identifier: Apache-2.0
/*
 * run.h - `mote run`: one machine from its options to its exit status
 */
#ifndef MOTE_VMM_RUN_H
#define MOTE_VMM_RUN_H

/* ARGV[0] is "run".  Returns the exit status (see config_help). */
int run_main(int argc, char **argv);

#endif
