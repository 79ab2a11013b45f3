// SPDX-License-Identifier: Apache-2.0
/*
 * directory.h - directories that nobody else can change
 */
#ifndef MOTE_SECCOMP_DIRECTORY_H
#define MOTE_SECCOMP_DIRECTORY_H

#include <stdbool.h>

#include <sys/types.h>

/* Opens the directory PATH (O_PATH, close on exec) if nobody but root, the
 * caller and USER can put something into it or into its place: no part of PATH
 * is a symbolic link, each belongs to one of the three and only its owner may
 * write to it.  Directories above the last may have the sticky bit instead.
 * -ELOOP: a symbolic link.  -EPERM: others can change it.  -ENOTDIR, or another
 * -errno of open(2).
 */
int directory_open(const char *path, uid_t user);

/* Whether the directory FD has no entries; -errno when it cannot be read. */
int directory_is_empty(int fd);

#endif
