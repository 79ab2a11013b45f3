// SPDX-License-Identifier: Apache-2.0
/*
 * keeper.h - the process outside the jail: it waits for the one inside
 *
 * Theory of operation.  With --jail the command is two processes.  The one that
 * the shell knows is the keeper; its child is the machine.  The keeper takes
 * the signals and passes them on as orders, bytes through a socket, because in
 * a PID namespace the machine cannot tell who asks, and cannot stop itself.
 * It says whether the terminal is ours, which cannot be seen from there either.
 * When the child is gone, however it went, the keeper puts the terminal back,
 * removes what was made outside, and ends in the same way.
 *
 * A machine that has been taken over gets little out of the keeper, which reads
 * two kinds of short messages, neither of which can name anything.  If it dies,
 * the kernel ends the machine (PR_SET_PDEATHSIG).
 */
#ifndef MOTE_VMM_KEEPER_H
#define MOTE_VMM_KEEPER_H

#include <stdbool.h>
#include <stdint.h>

#include <sys/types.h>

/* What an order may have besides a signal's number: the terminal is not ours */
#define KEEPER_BACKGROUND 0x80

/* What the machine says. */
struct keeper_message {
	enum {
		KEEPER_STOP = 1, /* stop us both, as asked for by SIGTSTP */
		KEEPER_SOCKET,	 /* the socket that is to be removed */
	} kind;
	dev_t dev;
	ino_t ino;
};

/* What the keeper tidies up. */
struct keeper {
	int socket_dir; /* of --vsock; or -1 */
	const char *socket_name;
};

/* Forks.  0 in the child: it reads orders from *CONTROL and writes messages
 * there, without blocking.  1 in the keeper when the child is gone: *STATUS is
 * the exit status to end with.  (Where the child died of a signal the keeper
 * dies of the same one, and does not return.)  -errno: there is no child.
 * BACKGROUND is whether the child has the terminal, at first.
 */
int keeper_fork(struct keeper *keeper, int *control, bool *background,
		int *status);

#endif
