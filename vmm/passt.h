// SPDX-License-Identifier: Apache-2.0
/*
 * passt.h - passt(1), the process behind `--net user`
 */
#ifndef MOTE_VMM_PASST_H
#define MOTE_VMM_PASST_H

#include "vmm/config.h"

/* Starts passt for CONFIG and waits until it is ready.  *FD is the caller's: a
 * connected stream socket, with whose last descriptor passt ends.  -errno, and
 * what follows "--net user" in the line for the operator in TEXT.
 */
int passt_start(const struct net_config *config, int *fd, char *text,
		size_t len);

#endif
