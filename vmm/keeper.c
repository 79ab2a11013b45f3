// SPDX-License-Identifier: Apache-2.0
/*
 * keeper.c - the process outside the jail: it waits for the one inside
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <linux/capability.h>

#include "base/util.h"
#include "seccomp/privileges.h"
#include "vmm/keeper.h"

#define BACKGROUND_POLL_MS 500
#define STATUS_FAILED	   125

/* To signal a process that is another user's, and to remove a file from its
 * directory.
 */
#define KEPT_CAPABILITIES (1ull << CAP_KILL | 1ull << CAP_DAC_OVERRIDE)

struct watch_over {
	struct keeper *keeper;
	pid_t child;
	int control; /* -1: the child has closed its end */
	int signals;
	bool background;
	bool stopping; /* a SIGTSTP has been passed on */
	bool has_termios;
	struct termios termios;
	dev_t dev; /* of the socket to be removed */
	ino_t ino; /* 0: none */
};

static bool terminal_is_ours(void)
{
	pid_t group = tcgetpgrp(STDIN_FILENO);

	return group < 0 || group == getpgrp();
}

static bool is_ignored(int sig)
{
	struct sigaction now;

	return sigaction(sig, NULL, &now) == 0 && now.sa_handler == SIG_IGN;
}

/* All but what a program does to itself. */
static void all_signals(sigset_t *set)
{
	static const int own[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE,
				   SIGTRAP, SIGSYS, SIGABRT };

	sigfillset(set);
	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		sigdelset(set, own[i]);
}

static void order(const struct watch_over *w, int sig)
{
	uint8_t byte = (uint8_t)(sig | (w->background ? KEEPER_BACKGROUND : 0));

	/* A machine that does not read for so long that the socket is full has
	 * other troubles.
	 */
	send(w->control, &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void look_at_terminal(struct watch_over *w)
{
	bool background = !terminal_is_ours();

	if (background == w->background)
		return;
	w->background = background;
	order(w, SIGCONT);
}

/* Dies of SIG, as far as that is possible. */
static void die_of(int sig)
{
	sigset_t set;

	signal(sig, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, sig);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	kill(getpid(), sig);
}

static void signal_came(struct watch_over *w, int sig)
{
	switch (sig) {
	case SIGCHLD:
	case SIGTTIN:
	case SIGTTOU:
	case SIGURG:
	case SIGPIPE:
	case SIGXFSZ:
	case SIGUSR1: /* as without a jail, where it is the vCPUs' kick */
		break;
	case SIGCONT:
		kill(w->child, SIGCONT);
		w->background = !terminal_is_ours();
		order(w, sig);
		break;
	case SIGTSTP:
		w->stopping = true;
		order(w, sig);
		break;
	case SIGHUP:
	case SIGINT:
	case SIGQUIT:
	case SIGTERM:
	case SIGWINCH:
		if (!is_ignored(sig))
			order(w, sig);
		break;
	default:
		if (is_ignored(sig))
			break;
		kill(w->child, SIGKILL);
		waitpid(w->child, NULL, 0);
		die_of(sig);
	}
}

static void signals_came(struct watch_over *w)
{
	struct signalfd_siginfo info;

	while (read(w->signals, &info, sizeof(info)) == sizeof(info))
		signal_came(w, (int)info.ssi_signo);
}

static void message_came(struct watch_over *w)
{
	struct keeper_message m;
	ssize_t n = recv(w->control, &m, sizeof(m), MSG_DONTWAIT);

	if (n == 0) {
		close(w->control);
		w->control = -1;
	}
	if (n != sizeof(m))
		return;
	if (m.kind == KEEPER_SOCKET && w->ino == 0) {
		w->dev = m.dev;
		w->ino = m.ino;
	}
	if (m.kind == KEEPER_STOP && w->stopping) {
		w->stopping = false;
		/* From outside, a PID namespace's first process can be. */
		kill(w->child, SIGSTOP);
		kill(getpid(), SIGSTOP);
	}
}

/* Until the child is gone; its status as waitpid(2) has it. */
static int watch(struct watch_over *w)
{
	for (;;) {
		struct pollfd fds[] = {
			{ .fd = w->signals, .events = POLLIN },
			{ .fd = w->control, .events = POLLIN },
		};
		int status;
		pid_t pid = waitpid(w->child, &status, WNOHANG);

		if (pid == w->child)
			return status;
		poll(fds, ARRAY_SIZE(fds),
		     w->background ? BACKGROUND_POLL_MS : -1);
		if (fds[0].revents)
			signals_came(w);
		if (fds[1].revents)
			message_came(w);
		if (w->background)
			look_at_terminal(w);
	}
}

static void tidy_up(struct watch_over *w, int status)
{
	const struct keeper *keeper = w->keeper;
	struct stat st;

	/* What it said before it died. */
	if (w->control >= 0 && w->ino == 0)
		message_came(w);
	if (keeper->socket_dir >= 0 && w->ino != 0 &&
	    fstatat(keeper->socket_dir, keeper->socket_name, &st,
		    AT_SYMLINK_NOFOLLOW) == 0 &&
	    st.st_dev == w->dev && st.st_ino == w->ino && S_ISSOCK(st.st_mode))
		unlinkat(keeper->socket_dir, keeper->socket_name, 0);
	/* Who exits has done it. */
	if (WIFSIGNALED(status) && w->has_termios && terminal_is_ours())
		tcsetattr(STDIN_FILENO, TCSANOW, &w->termios);
}

/* The keeper's life.  What it holds on to is little: see KEPT_CAPABILITIES. */
static int keep(struct watch_over *w, const sigset_t *set)
{
	struct lockdown own = { 0 };
	int status;

	environment_wipe(&own);
	no_new_privs(&own);
	no_core(&own);
	capabilities_keep(KEPT_CAPABILITIES);
	w->has_termios = tcgetattr(STDIN_FILENO, &w->termios) == 0;
	w->signals = signalfd(-1, set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (w->signals < 0)
		kill(w->child, SIGKILL); /* nobody could end it orderly */
	status = watch(w);
	tidy_up(w, status);
	return status;
}

int keeper_fork(struct keeper *keeper, int *control, bool *background,
		int *status)
{
	struct watch_over w = {
		.keeper = keeper,
		.background = !terminal_is_ours(),
	};
	sigset_t set, old;
	int pair[2], end;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	all_signals(&set);
	sigprocmask(SIG_SETMASK, &set, &old);
	w.child = fork();
	if (w.child <= 0) {
		int ret = w.child < 0 ? -errno : 0;

		sigprocmask(SIG_SETMASK, &old, NULL);
		close(pair[0]);
		if (ret == 0 && fcntl(pair[1], F_SETFL, O_NONBLOCK) < 0)
			ret = -errno;
		*control = pair[1];
		*background = w.background;
		return ret;
	}
	close(pair[1]);
	w.control = pair[0];
	end = keep(&w, &set);
	*status = WIFEXITED(end) ? WEXITSTATUS(end) : STATUS_FAILED;
	if (WIFSIGNALED(end))
		*status = 128 + WTERMSIG(end);
	return 1;
}
