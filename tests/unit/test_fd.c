// SPDX-License-Identifier: Apache-2.0
/*
 * test_fd.c - descriptors get the numbers that the filters know
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <sys/eventfd.h>
#include <sys/resource.h>

#include "base/fd.h"
#include "base/util.h"
#include "tests/unit/unit.h"

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static int some_fd(void)
{
	int fd = open("/dev/null", O_RDONLY);

	ck_assert_int_ge(fd, 0);
	return fd;
}

START_TEST(placed_in_order)
{
	unsigned int misplaced = fd_misplaced();

	for (int i = 0; i < FD_NR_DISKS; i++) {
		int old = some_fd();

		ck_assert_int_eq(fd_place(old, FD_DISKS, FD_NR_DISKS),
				 FD_DISKS + i);
		ck_assert(!is_open(old));
		ck_assert_int_eq(fcntl(FD_DISKS + i, F_GETFD), FD_CLOEXEC);
	}
	ck_assert_uint_eq(fd_misplaced(), misplaced);
	/* What is there stays there. */
	ck_assert_int_eq(fd_place(FD_DISKS + 3, FD_DISKS, FD_NR_DISKS),
			 FD_DISKS + 3);
	for (int i = 0; i < FD_NR_DISKS; i++)
		close(FD_DISKS + i);
}
END_TEST

START_TEST(full_band)
{
	unsigned int misplaced = fd_misplaced();
	int taken = fd_place(some_fd(), FD_VM, 1);
	int old = some_fd();

	ck_assert_int_eq(taken, FD_VM);
	ck_assert_int_eq(fd_place(old, FD_VM, 1), old);
	ck_assert(is_open(old));
	ck_assert(!is_open(FD_VM + 1));
	ck_assert_uint_eq(fd_misplaced(), misplaced + 1);
	close(old);
	close(taken);
}
END_TEST

START_TEST(no_descriptor)
{
	unsigned int misplaced = fd_misplaced();

	ck_assert_int_eq(fd_place(-EMFILE, FD_VM, 1), -EMFILE);
	ck_assert_int_eq(fd_place(-1, FD_VM, 1), -1);
	ck_assert_uint_eq(fd_misplaced(), misplaced);
}
END_TEST

START_TEST(low_limit)
{
	unsigned int misplaced = fd_misplaced();
	struct rlimit old, low;
	int fd = some_fd();

	getrlimit(RLIMIT_NOFILE, &old);
	low = (struct rlimit){ FD_VM, old.rlim_max };
	setrlimit(RLIMIT_NOFILE, &low);
	ck_assert_int_eq(fd_place(fd, FD_VM, 1), fd);
	ck_assert_uint_eq(fd_misplaced(), misplaced + 1);
	fd_raise_limit(0);
	getrlimit(RLIMIT_NOFILE, &low);
	ck_assert_uint_eq(low.rlim_cur, FD_END);
	fd_raise_limit(FD_END + 10);
	getrlimit(RLIMIT_NOFILE, &low);
	ck_assert_uint_eq(low.rlim_cur, FD_END + 10);
	/* Never less than there was. */
	fd_raise_limit(1);
	getrlimit(RLIMIT_NOFILE, &low);
	ck_assert_uint_eq(low.rlim_cur, FD_END + 10);
	setrlimit(RLIMIT_NOFILE, &old);
	close(fd);
}
END_TEST

START_TEST(events)
{
	int fd = fd_event();
	eventfd_t n;

	ck_assert_int_eq(fd, FD_EVENTS);
	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(eventfd_read(fd, &n), -1);
	ck_assert_int_eq(errno, EAGAIN);
	ck_assert_int_eq(eventfd_write(fd, 3), 0);
	ck_assert_int_eq(eventfd_read(fd, &n), 0);
	ck_assert_uint_eq(n, 3);
	close(fd);
}
END_TEST

START_TEST(waited)
{
	int fd = fd_event();
	uint64_t start = now_ns();

	ck_assert_int_eq(fd_wait(fd, POLLIN, 20), 0);
	ck_assert_uint_ge(now_ns() - start, 20000000);
	ck_assert_int_eq(fd_wait(fd, POLLOUT, 1000), 1);
	eventfd_write(fd, 1);
	ck_assert_int_eq(fd_wait(fd, POLLIN, 1000), 1);
	close(fd);
}
END_TEST

START_TEST(filled)
{
	int event = fd_event(), fd, next = some_fd();
	char byte;

	close(next);
	ck_assert_int_eq(fd_fill(), 0);
	for (fd = FD_FIRST; fd < FD_END; fd++) {
		ck_assert(is_open(fd));
		if (fd == event)
			continue;
		ck_assert_int_eq(read(fd, &byte, 1), -1);
		ck_assert_int_eq(errno, EBADF);
	}
	ck_assert(!is_open(FD_END));
	ck_assert(!is_open(next));
	/* Nothing is left to fill. */
	ck_assert_int_eq(fd_fill(), 0);
	ck_assert(!is_open(FD_END));
	for (fd = FD_FIRST; fd < FD_END; fd++)
		close(fd);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("fd");
	TCase *tc = tcase_create("fd");

	tcase_add_test(tc, placed_in_order);
	tcase_add_test(tc, full_band);
	tcase_add_test(tc, no_descriptor);
	tcase_add_test(tc, low_limit);
	tcase_add_test(tc, events);
	tcase_add_test(tc, waited);
	tcase_add_test(tc, filled);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
