// SPDX-License-Identifier: Apache-2.0
/*
 * landlock.h - no file may be opened any more
 */
#ifndef MOTE_SECCOMP_LANDLOCK_H
#define MOTE_SECCOMP_LANDLOCK_H

/* Takes every right that this host's Landlock knows from the calling thread and
 * those that it makes: on files, on TCP, on abstract sockets and processes of
 * others.  What is open stays usable.  no_new_privs is set already.  -errno;
 * *CALL is then the call that failed.
 */
int landlock_deny_all(const char **call);

#endif
