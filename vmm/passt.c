// SPDX-License-Identifier: Apache-2.0
/*
 * passt.c - passt(1), the process behind `--net user`
 *
 * Theory of operation.  passt gets one end of a socket pair and nothing else of
 * ours.  It says on standard error what is wrong, and exits; or it puts itself
 * into the background and into a sandbox, in a session of its own, and then the
 * process that we have started exits with 0.  So nothing is ours to be reaped
 * later, the keys of our terminal are not for it, and a wait for the first
 * process is a wait for ports that are bound.
 *
 * It ends when our end of the pair is closed, however we end.  As root it
 * becomes nobody.
 *
 * It is content with what it can bind of a port (IPv6 but not IPv4, say), so we
 * look first whether the ports are free.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/wait.h>

#include "base/log.h"
#include "vmm/passt.h"

#define PASST_FD    3 /* of the socket, there */
#define PATIENCE_MS 10000
/* What an earlier machine's passt may take to end. */
#define PORT_TRIES  50
#define PORT_WAIT   10000000 /* ns */

#define SPEC_BYTES (CONFIG_MAX_PORTS * sizeof("65535:65535,"))

static int say(char *text, size_t len, int err, const char *fmt, ...)
	PRINTF_LIKE(4, 5);

/* The words after the option's name; returns ERR. */
static int say(char *text, size_t len, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, len, fmt, ap);
	va_end(ap);
	return err;
}

/* 0 when PORT can be bound for FAMILY, or nobody can; -errno. */
static int try_port(int family, const struct publish_config *publish)
{
	const int on = 1;
	union {
		struct sockaddr any;
		struct sockaddr_in in4;
		struct sockaddr_in6 in6;
	} at = { .any.sa_family = (sa_family_t)family };
	int sock = socket(
		family,
		(publish->udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
	int ret;

	if (sock < 0)
		return 0; /* a host without IPv6, or without IPv4 */
	if (family == AF_INET6)
		setsockopt(sock, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (!publish->udp) /* what lingers after a connection is no user */
		setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	/* at the same place in both kinds of address */
	at.in4.sin_port = htons(publish->host);
	ret = bind(sock, &at.any,
		   family == AF_INET6 ? sizeof(at.in6) : sizeof(at.in4));
	ret = ret < 0 && errno != EADDRNOTAVAIL ? -errno : 0;
	close(sock);
	return ret;
}

static int check_port(const struct publish_config *publish)
{
	const struct timespec pause = { .tv_nsec = PORT_WAIT };
	int ret = 0;

	for (int i = 0; i < PORT_TRIES; i++) {
		ret = try_port(AF_INET, publish);
		if (ret == 0)
			ret = try_port(AF_INET6, publish);
		if (ret != -EADDRINUSE)
			break;
		nanosleep(&pause, NULL);
	}
	return ret;
}

static int check_ports(const struct net_config *config, char *text, size_t len)
{
	for (unsigned int i = 0; i < config->nr_publish; i++) {
		const struct publish_config *p = &config->publish[i];
		const char *kind = p->udp ? "/udp" : "";
		int ret = check_port(p);

		if (ret == -EADDRINUSE)
			return say(text, len, ret,
				   ",publish=%u:%u%s: the host's port %u is in "
				   "use; choose another",
				   p->host, p->guest, kind, p->host);
		if (ret < 0)
			return say(text, len, ret,
				   ",publish=%u:%u%s: the host's port %u: %s",
				   p->host, p->guest, kind, p->host,
				   log_errno(ret));
	}
	return 0;
}

/* The ports of one kind as passt's options -t and -u want them. */
static void port_spec(const struct net_config *config, bool udp, char *spec)
{
	size_t at = 0;

	for (unsigned int i = 0; i < config->nr_publish; i++) {
		const struct publish_config *p = &config->publish[i];

		if (p->udp == udp)
			at += (size_t)snprintf(spec + at, SPEC_BYTES - at,
					       "%s%u:%u", at ? "," : "",
					       p->host, p->guest);
	}
	if (at == 0)
		snprintf(spec, SPEC_BYTES, "none");
}

/* Starts a process with SOCK and with ERR as its standard error.  Its number,
 * or -errno.
 */
static int spawn(char *const argv[], int sock, int err)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none, ours;
	pid_t pid = 0;
	int ret = posix_spawn_file_actions_init(&files);

	if (ret != 0)
		return -ret;
	ret = posix_spawnattr_init(&attr);
	if (ret != 0)
		goto err_files;
	sigemptyset(&none);
	sigemptyset(&ours); /* that we ignore */
	sigaddset(&ours, SIGPIPE);
	sigaddset(&ours, SIGXFSZ);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &ours);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK |
						POSIX_SPAWN_SETSIGDEF);
	ret = posix_spawn_file_actions_addopen(&files, STDIN_FILENO,
					       "/dev/null", O_RDWR, 0);
	if (ret == 0)
		ret = posix_spawn_file_actions_adddup2(&files, STDIN_FILENO,
						       STDOUT_FILENO);
	if (ret == 0)
		ret = posix_spawn_file_actions_adddup2(&files, err,
						       STDERR_FILENO);
	if (ret == 0)
		ret = posix_spawn_file_actions_adddup2(&files, sock, PASST_FD);
	if (ret == 0)
		ret = posix_spawnp(&pid, argv[0], &files, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
err_files:
	posix_spawn_file_actions_destroy(&files);
	return ret == 0 ? pid : -ret;
}

static int spawn_passt(const struct net_config *config, int sock, int err)
{
	char name[] = "passt", quiet[] = "-q", no_map[] = "--no-map-gw";
	char fd_flag[] = "-F", tcp_flag[] = "-t", udp_flag[] = "-u";
	char mtu_flag[] = "-m", mtu[8], fd[4];
	char tcp[SPEC_BYTES], udp[SPEC_BYTES];
	char *argv[13] = { name,     quiet, fd_flag,  fd,
			   tcp_flag, tcp,   udp_flag, udp };
	int nr = 8;

	snprintf(fd, sizeof(fd), "%d", PASST_FD);
	port_spec(config, false, tcp);
	port_spec(config, true, udp);
	if (config->mtu) {
		snprintf(mtu, sizeof(mtu), "%u", config->mtu);
		argv[nr++] = mtu_flag;
		argv[nr++] = mtu;
	}
	if (!config->loopback)
		argv[nr++] = no_map;
	return spawn(argv, sock, err);
}

/* What the process says until it closes its standard error, the end of it in
 * SAID.  -ETIMEDOUT when it does not do so.
 */
static int listen_to(int err, char *said, size_t len)
{
	uint64_t deadline = now_ns() + PATIENCE_MS * 1000000ull;
	struct pollfd wait = { .fd = err, .events = POLLIN };
	size_t at = 0;

	for (;;) {
		uint64_t now = now_ns();
		ssize_t got;

		if (now >= deadline)
			return -ETIMEDOUT;
		poll(&wait, 1, (int)((deadline - now) / 1000000 + 1));
		/* The first half makes room: its end is what counts. */
		if (at == len - 1) {
			at = len / 2;
			memmove(said, said + len - 1 - at, at);
		}
		got = read(err, said + at, len - 1 - at);
		if (got == 0)
			break;
		if (got > 0)
			at += (size_t)got;
	}
	said[at] = '\0';
	return 0;
}

/* The last line of SAID that is not about the system's log, which may not be
 * there.
 */
static const char *last_line(char *said)
{
	const char *last = "it has not said why";
	char *save = NULL, *line;

	for (line = strtok_r(said, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		if (strncmp(line, "Failed to send", 14) != 0)
			last = line;
	}
	return last;
}

/* Waits for the process PID to be ready, or for its end. */
static int await(pid_t pid, int err, char *text, size_t len)
{
	char said[2048] = "";
	int status = 0;
	int ret = listen_to(err, said, sizeof(said));

	if (ret < 0)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (ret < 0)
		return say(text, len, ret, ": passt was not ready in %d s",
			   PATIENCE_MS / 1000);
	if (status != 0)
		return say(text, len, -EIO, ": passt: %.200s", last_line(said));
	return 0;
}

/* Starts passt with SOCK, its end of the pair. */
static int run_passt(const struct net_config *config, int sock, char *text,
		     size_t len)
{
	int err[2], ret;

	if (pipe2(err, O_CLOEXEC) < 0)
		return say(text, len, -errno, ": %s", log_errno(errno));
	fcntl(err[0], F_SETFL, O_NONBLOCK);
	ret = spawn_passt(config, sock, err[1]);
	close(err[1]);
	if (ret > 0)
		ret = await(ret, err[0], text, len);
	else if (ret == -ENOENT)
		say(text, len, ret,
		    ": passt is not installed; install it (Debian: apt install "
		    "passt)");
	else
		say(text, len, ret, ": passt: %s", log_errno(ret));
	close(err[0]);
	return ret;
}

int passt_start(const struct net_config *config, int *fd, char *text,
		size_t len)
{
	int pair[2];
	int ret = check_ports(config, text, len);

	if (ret < 0)
		return ret;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return say(text, len, -errno, ": %s", log_errno(errno));
	ret = run_passt(config, pair[1], text, len);
	close(pair[1]);
	if (ret < 0)
		close(pair[0]);
	else
		*fd = pair[0];
	return ret;
}
