// SPDX-License-Identifier: Apache-2.0
/*
 * fd.h - descriptors with numbers of their own
 *
 * A seccomp filter sees a descriptor as a number, and its rules are fixed when
 * mote is built.  So whatever a rule names by its descriptor lives at a number
 * that is known then: one for each thing there is one of, a band for the rest.
 * A band's size is a power of two and its start a multiple of it, so that one
 * masked comparison covers it.
 */
#ifndef MOTE_BASE_FD_H
#define MOTE_BASE_FD_H

#include <stdbool.h>

/* Bands: the first number, and how many there are. */
#define FD_VCPUS     256
#define FD_NR_VCPUS  64
#define FD_EVENTS    320 /* eventfds, which any thread may write */
#define FD_NR_EVENTS 64
#define FD_DISKS     384
#define FD_NR_DISKS  16
#define FD_NETS	     400
#define FD_NR_NETS   4
#define FD_IMAGES    404 /* kernel and initrd, watched */
#define FD_NR_IMAGES 2
#define FD_TTYS	     406 /* our descriptions of stdin and stdout */
#define FD_NR_TTYS   2

/* Single ones. */
#define FD_VM 408

/* Below, and above all of them. */
#define FD_FIRST FD_VCPUS
#define FD_END	 448

/* Moves FD (or a negative number, which stays) to the lowest free number from
 * FIRST on, of COUNT.  Returns the new number; where there is none, FD as it
 * is, and fd_misplaced() says so from then on.  Start-up only: what knows FD by
 * its number, as epoll does, must not have it yet.
 */
int fd_place(int fd, int first, int count);

/* eventfd(2) without blocking, close on exec, in its band; -errno. */
int fd_event(void);

/* Occupies the numbers that are still free among those above, so that a
 * descriptor that comes later (a connection) does not get one that a rule means
 * for something else.  -errno.
 */
int fd_fill(void);

/* poll(2) of one descriptor for at most MS, with its results.  By ppoll(2), for
 * which the kernel needs no restart_syscall(2) when the process is stopped.
 */
int fd_wait(int fd, short events, int ms);

/* How many descriptors did not get their number. */
unsigned int fd_misplaced(void);

/* Lets this process have descriptors up to FD_END, and AT_LEAST, as far as the
 * host's administrator allows.
 */
void fd_raise_limit(unsigned long at_least);

#endif
