// SPDX-License-Identifier: Apache-2.0
/*
 * test_passt.c - starting passt: what it is told, what it says, what it leaves
 *
 * Most cases have a script of their own in its place; the last ones have the
 * real one, where it is installed and there is a network for it.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/util.h"
#include "tests/unit/unit.h"
#include "vmm/passt.h"

static char dir[64], path[256], said[400];
static const char *old_path;
static struct net_config config;
static int fd;

static void set_up(void)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(dir, sizeof(dir), "%s/mote-passt-XXXXXX",
		 tmp && strlen(tmp) < 32 ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/passt", dir);
	old_path = getenv("PATH");
	config = (struct net_config){ .kind = NET_USER };
	fd = -1;
	said[0] = '\0';
}

static void tear_down(void)
{
	setenv("PATH", old_path, 1);
	unlink(path);
	rmdir(dir);
	if (fd >= 0)
		close(fd);
	/* Nothing of ours is left to be waited for. */
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
}

/* A passt that does what SCRIPT says, alone in the search path. */
static void write_stand_in(const char *script)
{
	FILE *f = fopen(path, "we");

	ck_assert_ptr_nonnull(f);
	fprintf(f, "%s\n", script);
	ck_assert_int_eq(fclose(f), 0);
	ck_assert_int_eq(chmod(path, 0755), 0);
	setenv("PATH", dir, 1);
}

static void stand_in(const char *script)
{
	char whole[1000];

	snprintf(whole, sizeof(whole), "#!/bin/sh\nPATH=/usr/bin:/bin\n%s",
		 script);
	write_stand_in(whole);
}

static int begin(void)
{
	return passt_start(&config, &fd, said, sizeof(said));
}

/* What comes from the socket until it ends. */
static const char *answer(void)
{
	static char text[1000];
	size_t at = 0;
	ssize_t n;

	while ((n = read(fd, text + at, sizeof(text) - 1 - at)) > 0)
		at += (size_t)n;
	text[at] = '\0';
	return text;
}

static void check_words(const char *want)
{
	stand_in("echo \"$*\" >&3");
	ck_assert_int_eq(begin(), 0);
	ck_assert_str_eq(answer(), want);
	close(fd);
	fd = -1;
}

START_TEST(words)
{
	check_words("-q -F 3 -t none -u none --no-map-gw\n");
	config.mtu = 65520;
	config.loopback = true;
	config.publish[0] = (struct publish_config){ 48080, 80, false };
	config.nr_publish = 1;
	check_words("-q -F 3 -t 48080:80 -u none -m 65520\n");
	config.publish[1] = (struct publish_config){ 48053, 53, true };
	config.publish[2] = (struct publish_config){ 48443, 443, false };
	config.nr_publish = 3;
	check_words("-q -F 3 -t 48080:80,48443:443 -u 48053:53 -m 65520\n");
}
END_TEST

/* As many as there may be, of the longest kind. */
START_TEST(many_ports)
{
	char want[400] = "-q -F 3 -t none -u ";

	for (unsigned int i = 0; i < CONFIG_MAX_PORTS; i++) {
		size_t at = strlen(want);

		config.publish[i] =
			(struct publish_config){ (uint16_t)(48000 + i), 65535,
						 true };
		snprintf(want + at, sizeof(want) - at, "%s%u:65535",
			 i ? "," : "", 48000 + i);
	}
	config.nr_publish = CONFIG_MAX_PORTS;
	strncat(want, " --no-map-gw\n", sizeof(want) - strlen(want) - 1);
	check_words(want);
}
END_TEST

/* It has standard files, the socket, and no descriptor or signal of ours. */
START_TEST(surroundings)
{
	sigset_t blocked, before;
	int ours = open("/dev/zero", O_RDONLY | O_CLOEXEC);

	sigfillset(&blocked);
	sigprocmask(SIG_BLOCK, &blocked, &before);
	signal(SIGPIPE, SIG_IGN);
	stand_in("exec 4>&3 3>&-\n"
		 "for f in /proc/self/fd/*; do readlink $f; done |\n"
		 "\tgrep -cE '/dev/zero|socket' >&4\n"
		 "in=$(readlink /proc/$$/fd/0) out=$(readlink /proc/$$/fd/1)\n"
		 "echo $in $out >&4\n"
		 "grep -c 'SigIgn:.*[02468ace]...$' /proc/self/status >&4\n");
	ck_assert_int_eq(begin(), 0);
	sigprocmask(SIG_SETMASK, &before, NULL);
	ck_assert_str_eq(answer(), "1\n/dev/null /dev/null\n"
				   "1\n"); /* SIGPIPE is as usual */
	signal(SIGPIPE, SIG_DFL);
	close(ours);
}
END_TEST

/* No signal is blocked there.  (A shell would unblock them for itself.) */
START_TEST(signal_mask)
{
	sigset_t blocked, before;

	sigfillset(&blocked);
	sigprocmask(SIG_BLOCK, &blocked, &before);
	write_stand_in("#!/usr/bin/perl\n"
		       "open S, '>&=3'; open F, '/proc/self/status';\n"
		       "print S grep /SigBlk/, <F>;");
	ck_assert_int_eq(begin(), 0);
	sigprocmask(SIG_SETMASK, &before, NULL);
	ck_assert_str_eq(answer(), "SigBlk:\t0000000000000000\n");
}
END_TEST

/* It may go on in the background; its end is the socket's. */
START_TEST(background)
{
	struct pollfd wait;

	stand_in("{ cat <&3; } >/dev/null 2>&1 &\nexit 0");
	ck_assert_int_eq(begin(), 0);
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	wait = (struct pollfd){ .fd = fd, .events = POLLIN };
	ck_assert_int_eq(poll(&wait, 1, 100), 0);
	shutdown(fd, SHUT_WR);
	ck_assert_int_eq(poll(&wait, 1, 10000), 1);
	ck_assert_str_eq(answer(), "");
}
END_TEST

static const struct {
	const char *script, *says;
	int ret;
} failures[] = {
	{ "echo Failed to send 3 bytes to syslog >&2; echo No luck >&2\n"
	  "echo Failed to send 9 bytes to syslog >&2; exit 1",
	  ": passt: No luck", -EIO },
	{ "exit 3", ": passt: it has not said why", -EIO },
	{ "kill -9 $$", ": passt: it has not said why", -EIO },
	/* more than a pipe holds */
	{ "yes 'the same again' | head -n 200000 >&2; echo at last >&2; exit 1",
	  ": passt: at last", -EIO },
};

START_TEST(fails)
{
	int before = dup(0), after;

	close(before);
	stand_in(failures[_i].script);
	ck_assert_int_eq(begin(), failures[_i].ret);
	ck_assert_str_eq(said, failures[_i].says);
	ck_assert_int_eq(fd, -1);
	after = dup(0);
	close(after);
	ck_assert_int_eq(after, before);
}
END_TEST

START_TEST(not_installed)
{
	setenv("PATH", dir, 1);
	ck_assert_int_eq(begin(), -ENOENT);
	ck_assert_ptr_nonnull(strstr(said, "apt install passt"));
	stand_in("");
	chmod(path, 0644);
	ck_assert_int_lt(begin(), 0);
	ck_assert_ptr_nonnull(strstr(said, "passt"));
}
END_TEST

/* A port of the host that is taken for one kind of address. */
static int take_port(int family, int type, uint16_t *port)
{
	const int on = 1;
	struct sockaddr_in6 at = { .sin6_family = (sa_family_t)family };
	socklen_t len = family == AF_INET6 ? sizeof(at)
					   : sizeof(struct sockaddr_in);
	int sock = socket(family, type | SOCK_CLOEXEC, 0);

	if (sock < 0)
		return sock;
	if (family == AF_INET6)
		setsockopt(sock, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	ck_assert_int_eq(bind(sock, (void *)&at, len), 0);
	if (type == SOCK_STREAM)
		ck_assert_int_eq(listen(sock, 1), 0);
	ck_assert_int_eq(getsockname(sock, (void *)&at, &len), 0);
	*port = ntohs(at.sin6_port);
	return sock;
}

START_TEST(port_in_use)
{
	int family = _i & 1 ? AF_INET6 : AF_INET;
	bool udp = _i & 2;
	uint16_t port;
	char want[100];
	int sock = take_port(family, udp ? SOCK_DGRAM : SOCK_STREAM, &port);

	if (sock < 0)
		return; /* a host without IPv6 */
	stand_in("exit 0");
	config.publish[0] = (struct publish_config){ port, 80, udp };
	config.nr_publish = 1;
	ck_assert_int_eq(begin(), -EADDRINUSE);
	snprintf(want, sizeof(want), ",publish=%u:80%s: ", port,
		 udp ? "/udp" : "");
	ck_assert_int_eq(strncmp(said, want, strlen(want)), 0);
	ck_assert_ptr_nonnull(strstr(said, "is in use"));
	/* The other protocol has ports of its own. */
	config.publish[0].udp = !udp;
	ck_assert_int_eq(begin(), 0);
	close(sock);
}
END_TEST

/* A machine that starts as another ends gets its port. */
START_TEST(port_soon_free)
{
	uint16_t port;
	int sock = take_port(AF_INET, SOCK_STREAM, &port);
	pid_t pid;

	stand_in("exit 0");
	config.publish[0] = (struct publish_config){ port, 80, false };
	config.nr_publish = 1;
	pid = fork();
	if (pid == 0) {
		usleep(50000);
		_exit(0);
	}
	close(sock);
	ck_assert_int_eq(begin(), 0);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}
END_TEST

static bool is_listening(uint16_t port)
{
	struct sockaddr_in at = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int ret = connect(sock, (void *)&at, sizeof(at));

	close(sock);
	return ret == 0;
}

/* The real one: it listens when we are told that it is ready, and ends with its
 * socket.
 */
START_TEST(real)
{
	uint16_t port = 0;
	int n = 0, ret;

	close(take_port(AF_INET, SOCK_STREAM, &port));
	config.publish[0] = (struct publish_config){ port, 80, false };
	config.nr_publish = 1;
	config.mtu = 1400;
	ret = begin();
	if (ret == -ENOENT || strstr(said, "External interface not usable")) {
		printf("# the real passt: skipped%s\n", said);
		return;
	}
	ck_assert_msg(ret == 0, "%s", said);
	ck_assert(is_listening(port));
	close(fd);
	fd = -1;
	while (is_listening(port) && n++ < 500)
		usleep(10000);
	ck_assert(!is_listening(port));
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("passt");
	TCase *tc = tcase_create("passt");

	tcase_set_timeout(tc, 30);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, words);
	tcase_add_test(tc, many_ports);
	tcase_add_test(tc, surroundings);
	tcase_add_test(tc, signal_mask);
	tcase_add_test(tc, background);
	tcase_add_loop_test(tc, fails, 0, ARRAY_SIZE(failures));
	tcase_add_test(tc, not_installed);
	tcase_add_loop_test(tc, port_in_use, 0, 4);
	tcase_add_test(tc, port_soon_free);
	tcase_add_test(tc, real);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
