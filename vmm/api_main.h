// SPDX-License-Identifier: Apache-2.0
/*
 * api_main.h - `mote api`, and mote called as `firecracker`
 */
#ifndef MOTE_VMM_API_MAIN_H
#define MOTE_VMM_API_MAIN_H

/* ARGV[0] is the verb, or the name.  Returns the exit status, Firecracker's. */
int api_main(int argc, char **argv);

#endif
