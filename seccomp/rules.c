// SPDX-License-Identifier: Apache-2.0
/*
 * rules.c - the tables: one row a rule, with who needs it and what for
 *
 * The order of the rows is for the reader.  Those of one system call stand
 * together.
 */
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/futex.h>
#include <linux/if_tun.h>
#include <linux/kvm.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "base/fd.h"
#include "base/util.h"
#include "seccomp/rules.h"

/* Argument I, all of it or under a mask. */
#define IS(i, what)                                                            \
	{                                                                      \
		i, UINT32_MAX, (uint32_t)(what), #what                         \
	}
#define MASKED(i, mask, what)                                                  \
	{                                                                      \
		i, (uint32_t)(mask), (uint32_t)(what), #what                   \
	}

/* Argument 0 is a descriptor: one, or one of a band. */
#define FD(what)                                                               \
	{                                                                      \
		0, UINT32_MAX, what, #what                                     \
	}
#define BAND(what) MASKED(0, ~(FD_NR_##what - 1), FD_##what)

#define TESTS(...)                                                             \
	{                                                                      \
		__VA_ARGS__                                                    \
	}
#define ANY TESTS({ 0, 0, 0, NULL })

#define RULE(call, tests, user, reason)                                        \
	{                                                                      \
#call, SYS_##call, tests, user, reason                         \
	}

#define PRIVATE_MEMORY (MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE)
#define PUNCH_HOLE     (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)
#define ZERO_RANGE     (FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE)
#define STREAM_SOCKET  (SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC)
#define ACCEPT_FLAGS   (SOCK_NONBLOCK | SOCK_CLOEXEC)

/* The kernel's struct termios differs from libc's, as do the headers. */
#define TTY_GET	      0x5401 /* TCGETS */
#define TTY_SET	      0x5402 /* TCSETS */
#define TTY_GET_GROUP 0x540f /* TIOCGPGRP */
#define TTY_GET_SIZE  0x5413 /* TIOCGWINSZ */

/* Threads: a mutex, and the condition of parking. */
#define FUTEX_RULES                                                            \
	RULE(futex, TESTS(IS(1, FUTEX_WAIT_PRIVATE)), "pthread_mutex_lock",    \
	     "a device's lock is taken"),                                      \
		RULE(futex, TESTS(IS(1, FUTEX_WAKE_PRIVATE)),                  \
		     "pthread_mutex_unlock", "a device's lock is given back"), \
		RULE(futex, TESTS(IS(1, FUTEX_REQUEUE_PRIVATE)),               \
		     "pthread_cond_wait", "a vCPU waits while it is parked")

static const struct seccomp_rule vcpu_rules[] = {
	RULE(ioctl, TESTS(BAND(VCPUS), IS(1, KVM_RUN)), "vcpu_run_once",
	     "the guest runs"),
	RULE(ioctl, TESTS(FD(FD_VM), IS(1, KVM_IRQ_LINE)), "vm_irq_pulse",
	     "an error or the serial port interrupts the guest"),
	RULE(ioctl, TESTS(BAND(TTYS), IS(1, TTY_GET_GROUP)), "terminal_restore",
	     "a fatal signal: the terminal's modes are put back"),
	RULE(ioctl, TESTS(BAND(TTYS), IS(1, TTY_SET)), "terminal_restore",
	     "a fatal signal: the terminal's modes are put back"),
	RULE(ioctl, TESTS(FD(STDIN_FILENO), IS(1, TTY_GET_GROUP)),
	     "terminal_restore", "likewise, where it cannot be opened again"),
	RULE(ioctl, TESTS(FD(STDIN_FILENO), IS(1, TTY_SET)), "terminal_restore",
	     "likewise, where it cannot be opened again"),
	RULE(write, TESTS(BAND(EVENTS)), "virtio_ring_doorbell",
	     "the loop is woken"),
	RULE(write, TESTS(FD(STDERR_FILENO)), "log_put", "a line for the log"),
	RULE(ppoll, TESTS(IS(1, 1)), "log_has_room",
	     "a line must not block the guest"),
	FUTEX_RULES,
	RULE(clock_gettime, TESTS(IS(0, CLOCK_MONOTONIC)), "now_ns",
	     "times of exits, where the clock is no vDSO's"),
	RULE(rt_sigreturn, ANY, "kick_handler", "a signal's handler returns"),
	RULE(exit_group, ANY, "assertion_failed",
	     "something impossible, or guest memory has gone"),
};

static const struct seccomp_rule loop_rules[] = {
	RULE(epoll_pwait, ANY, "loop_step", "the loop waits"),
	RULE(epoll_ctl, ANY, "loop_modify", "what the loop waits for changes"),
	RULE(read, ANY, "virtio_doorbell",
	     "eventfds, signals, changes of files, input, vsock"),
	RULE(write, ANY, "virtio_ring_doorbell", "eventfds, output, the log"),
	RULE(readv, ANY, "tap_receive", "frames and streams for the guest"),
	RULE(writev, ANY, "tap_send", "frames and streams of the guest; stdio"),
	RULE(ppoll, TESTS(IS(1, 1)), "fd_poll", "whether a call would block"),

	RULE(preadv, TESTS(BAND(DISKS)), "disk_transfer", "the guest reads"),
	RULE(pwritev, TESTS(BAND(DISKS)), "disk_transfer", "the guest writes"),
	RULE(fdatasync, TESTS(BAND(DISKS)), "disk_flush",
	     "what the guest wrote is made stable"),
	RULE(fallocate, TESTS(BAND(DISKS), IS(1, PUNCH_HOLE)), "hole_discard",
	     "the guest discards"),
	RULE(fallocate, TESTS(BAND(DISKS), IS(1, ZERO_RANGE)), "hole_zero",
	     "the guest writes zeroes"),
	RULE(lseek, TESTS(BAND(DISKS), IS(2, SEEK_END)), "disk_end",
	     "an image may have shrunk or grown"),
	RULE(lseek, TESTS(BAND(IMAGES), IS(2, SEEK_END)), "watch_check",
	     "a kernel or initrd file may have shrunk"),

	RULE(ioctl, TESTS(FD(FD_VM), IS(1, KVM_IRQ_LINE)), "vm_irq_pulse",
	     "a device interrupts the guest"),
	RULE(ioctl, TESTS(BAND(VCPUS), IS(1, KVM_GET_LAPIC)),
	     "vcpu_timer_is_live", "whether a reset was a panic"),
	RULE(ioctl, TESTS(BAND(DISKS), IS(1, BLKDISCARD)), "hole_discard",
	     "the guest discards on a block device"),
	RULE(ioctl, TESTS(BAND(NETS), IS(1, TUNSETOFFLOAD)), "tap_set_offloads",
	     "the driver has chosen its features"),
	RULE(ioctl, TESTS(BAND(TTYS), IS(1, TTY_GET_SIZE)), "window_report",
	     "the window's size"),
	RULE(ioctl, TESTS(MASKED(0, ~1, STDIN_FILENO), IS(1, TTY_GET_SIZE)),
	     "window_report",
	     "the window's size, and whether it is a terminal"),
	RULE(ioctl, TESTS(FD(STDERR_FILENO), IS(1, TTY_GET_SIZE)), "show_tail",
	     "whether it is a terminal"),
	RULE(ioctl, TESTS(BAND(TTYS), IS(1, TTY_GET)), "tty_enter_raw",
	     "the terminal's modes"),
	RULE(ioctl, TESTS(FD(STDIN_FILENO), IS(1, TTY_GET)), "tty_enter_raw",
	     "the terminal's modes"),
	RULE(ioctl, TESTS(BAND(TTYS), IS(1, TTY_SET)), "tty_enter_raw",
	     "the terminal's modes"),
	RULE(ioctl, TESTS(FD(STDIN_FILENO), IS(1, TTY_SET)), "tty_enter_raw",
	     "the terminal's modes"),
	RULE(ioctl, TESTS(BAND(TTYS), IS(1, TTY_GET_GROUP)), "tty_foreground",
	     "whether we are in the foreground"),
	RULE(ioctl, TESTS(FD(STDIN_FILENO), IS(1, TTY_GET_GROUP)),
	     "tty_foreground", "whether we are in the foreground"),

	RULE(madvise, TESTS(IS(2, MADV_DONTNEED)), "gmem_discard_ptr",
	     "memory that the guest gives back"),
	RULE(madvise, TESTS(IS(2, MADV_DONTDUMP)), "punch",
	     "guest memory stays out of core dumps"),
	RULE(mmap,
	     TESTS(IS(2, PROT_READ | PROT_WRITE), IS(3, PRIVATE_MEMORY),
		   IS(4, -1)),
	     "punch", "the guest gives back pages of the kernel's file"),
	RULE(getrandom, TESTS(IS(2, 0)), "rng_fill", "the entropy device"),
	RULE(clock_gettime, TESTS(IS(0, CLOCK_MONOTONIC)), "now_ns",
	     "timers, where the clock is no vDSO's"),

	FUTEX_RULES,
	RULE(tgkill, TESTS(IS(0, SECCOMP_OWN_PID)), "vcpu_kick",
	     "a vCPU is asked to stop; job control stops us"),
	RULE(rt_sigreturn, ANY, "fatal_error", "a signal's handler returns"),
	RULE(exit_group, ANY, "exit", "the machine is over"),
};

/* Where clients of the host connect. */
static const struct seccomp_rule server_rules[] = {
	RULE(accept4, TESTS(IS(3, ACCEPT_FLAGS)), "listener_ready",
	     "a client of the host connects"),
	RULE(close, ANY, "vsock_conn_hang_up", "a connection is over"),
	RULE(lstat, ANY, "vsock_listener_remove",
	     "whether the socket's file is still ours"),
	RULE(unlink, ANY, "vsock_listener_remove",
	     "the socket's file goes at the end"),
};

/* With --vsock. */
static const struct seccomp_rule vsock_rules[] = {
	RULE(socket, TESTS(IS(0, AF_UNIX), IS(1, STREAM_SOCKET), IS(2, 0)),
	     "vsock_listener_connect", "the guest connects to the host"),
	RULE(connect, TESTS(IS(2, sizeof(struct sockaddr_un))),
	     "vsock_listener_connect", "the guest connects to the host"),
	RULE(shutdown, ANY, "pass_shutdown", "one direction of a stream ends"),
};

const struct seccomp_table seccomp_tables[SECCOMP_NR_KINDS] = {
	[SECCOMP_VCPU] = { "vcpu", { vcpu_rules }, { ARRAY_SIZE(vcpu_rules) } },
	[SECCOMP_LOOP] = { "loop", { loop_rules }, { ARRAY_SIZE(loop_rules) } },
	[SECCOMP_LOOP_VSOCK] = { "loop-vsock",
				 { loop_rules, server_rules, vsock_rules },
				 { ARRAY_SIZE(loop_rules),
				   ARRAY_SIZE(server_rules),
				   ARRAY_SIZE(vsock_rules) } },
};

const struct seccomp_rule *seccomp_rule(const struct seccomp_table *table,
					size_t i)
{
	for (size_t l = 0; l < ARRAY_SIZE(table->list); l++) {
		if (i < table->nr[l])
			return &table->list[l][i];
		i -= table->nr[l];
	}
	return NULL;
}

unsigned int seccomp_count_calls(const struct seccomp_table *table)
{
	const struct seccomp_rule *rule, *other;
	unsigned int n = 0;

	for (size_t i = 0; (rule = seccomp_rule(table, i)) != NULL; i++) {
		size_t first = 0;

		while ((other = seccomp_rule(table, first)) != rule &&
		       other->number != rule->number)
			first++;
		n += first == i;
	}
	return n;
}
