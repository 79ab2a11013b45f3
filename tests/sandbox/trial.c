// SPDX-License-Identifier: Apache-2.0
/*
 * trial.c - each filter on a real thread: what a table allows goes through, and
 * whatever an intruder would want dies of SIGSYS
 *
 * Usage: trial rules | acts | cost | without PROGRAM [WORD]...
 *
 * Linked with the objects that mote is linked with.  Every attempt is a child
 * of its own, which puts on the filter as mote's thread of that kind does (the
 * loop's on the main thread, a vCPU's on a second one) and makes one system
 * call.  "cost" prints what the kernel takes for installing the filters and for
 * the steps of the jail, as JSON.  "without" runs a program on a kernel without filters, as it seems.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/fs.h>
#include <linux/futex.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/util.h"
#include "seccomp/filter.h"
#include "seccomp/jail.h"
#include "seccomp/namespaces.h"

#define ABORTED 134
#define SETUP	99 /* exit status: no filter, no trial */
#define X32_BIT 0x40000000

/* One system call, made under the filter of KIND. */
struct attempt {
	enum seccomp_kind kind;
	int number;
	unsigned long arg[6];
	int (*act)(void); /* instead, where one call is not enough */
};

static unsigned int failures;

static void verdict(bool ok, const char *kind, const char *what, int status)
{
	printf("%s %s: %s\n", ok ? "ok" : "not ok", kind, what);
	if (ok)
		return;
	failures++;
	printf("# wait status 0x%x\n", (unsigned int)status);
}

static void make_attempt(struct attempt *a)
{
	for (int i = 0; i < 6; i++)
		if (a->arg[i] == SECCOMP_OWN_PID)
			a->arg[i] = (unsigned long)getpid();
	if (seccomp_install(a->kind) < 0)
		syscall(SYS_exit_group, SETUP);
	if (a->act)
		a->act();
	else
		syscall(a->number, a->arg[0], a->arg[1], a->arg[2], a->arg[3],
			a->arg[4], a->arg[5]);
	syscall(SYS_exit_group, 0);
}

static void *attempt_thread(void *arg)
{
	make_attempt(arg);
	return NULL;
}

/* In a child.  Its wait status. */
static int attempt(struct attempt *a)
{
	pthread_t thread;
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		return -1;
	if (pid == 0) {
		alarm(20); /* what got through may wait */
		if (a->kind != SECCOMP_VCPU)
			make_attempt(a);
		if (pthread_create(&thread, NULL, attempt_thread, a) != 0)
			_exit(SETUP);
		/* The whole process must die, not only that thread. */
		for (;;)
			pause();
	}
	return waitpid(pid, &status, 0) == pid ? status : -1;
}

static bool died_of_filter(int status)
{
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
}

/* Arguments with which RULE holds; the others are harmless. */
static void satisfy(struct attempt *a, const struct seccomp_rule *rule)
{
	a->number = rule->number;
	for (int t = 0; t < SECCOMP_MAX_TESTS && rule->test[t].text; t++)
		a->arg[rule->test[t].index] = rule->test[t].value;
}

static bool allows(const struct seccomp_table *table, const struct attempt *a)
{
	const struct seccomp_rule *rule;

	for (size_t i = 0; (rule = seccomp_rule(table, i)) != NULL; i++) {
		bool all = rule->number == a->number;

		for (int t = 0; t < SECCOMP_MAX_TESTS && rule->test[t].text;
		     t++)
			all &= ((uint32_t)a->arg[rule->test[t].index] &
				rule->test[t].mask) == rule->test[t].value;
		if (all)
			return true;
	}
	return false;
}

/* RULE with one tested argument off by DELTA. */
static void try_perturbed(enum seccomp_kind kind,
			  const struct seccomp_rule *rule, int t, int delta)
{
	const struct seccomp_table *table = &seccomp_tables[kind];
	struct attempt a = { .kind = kind };
	uint32_t value;
	char what[160];
	int status;

	satisfy(&a, rule);
	value = (uint32_t)a.arg[rule->test[t].index];
	/* Past the end of a band, where it is one. */
	value = delta > 0 ? (value | ~rule->test[t].mask) + 1 : value - 1;
	a.arg[rule->test[t].index] = value;
	if (value == SECCOMP_OWN_PID || allows(table, &a))
		return;
	status = attempt(&a);
	snprintf(what, sizeof(what), "%s with %s%+d", rule->name,
		 rule->test[t].text, delta);
	verdict(died_of_filter(status), table->name, what, status);
}

static void try_rule(enum seccomp_kind kind, const struct seccomp_rule *rule)
{
	struct attempt a = { .kind = kind };
	char what[160];
	int status;

	satisfy(&a, rule);
	status = attempt(&a);
	snprintf(what, sizeof(what), "%s for %s", rule->name, rule->user);
	/* rt_sigreturn(2) without a signal ends in a fault, for example. */
	verdict(status >= 0 && !died_of_filter(status) &&
			!(WIFEXITED(status) && WEXITSTATUS(status) == SETUP),
		seccomp_tables[kind].name, what, status);
	for (int t = 0; t < SECCOMP_MAX_TESTS && rule->test[t].text; t++) {
		try_perturbed(kind, rule, t, 1);
		try_perturbed(kind, rule, t, -1);
	}
}

static void try_rules(void)
{
	for (int k = 0; k < SECCOMP_NR_KINDS; k++) {
		const struct seccomp_rule *rule;

		for (size_t i = 0;
		     (rule = seccomp_rule(&seccomp_tables[k], i)) != NULL; i++)
			try_rule((enum seccomp_kind)k, rule);
	}
}

/* What an intruder would try. */

static char path[] = "/etc/passwd";
static char name[] = ""; /* harmless, were it let through */
static char *nobody[] = { NULL };
static struct sockaddr_un address = { .sun_family = AF_UNIX };
static uint64_t words[64];

static int signal_init(void)
{
	return (int)syscall(SYS_tgkill, 1, 1, 0);
}

static int through_the_old_gate(void)
{
	int ret;

	/* The 32-bit table's open(2), whatever 64-bit rules say. */
	__asm__ volatile("int $0x80"
			 : "=a"(ret)
			 : "a"(5), "b"(0), "c"(0)
			 : "memory");
	return ret;
}

#define ARG(x) ((unsigned long)(x))

#define FORBID(text, call, ...)                                                \
	{                                                                      \
		.what = text, .number = call, .arg = { __VA_ARGS__ }           \
	}
/* The loop may with --vsock. */
#define PERMIT(text, call, ...)                                                \
	{                                                                      \
		.what = text, .number = call, .arg = { __VA_ARGS__ },          \
		.allowed = 1 << SECCOMP_LOOP_VSOCK                             \
	}
#define ACT(text, function)                                                    \
	{                                                                      \
		.what = text, .act = function                                  \
	}

/* Which kinds may do it after all, as a mask of 1 << kind. */
static const struct act {
	const char *what;
	int number;
	unsigned long arg[6];
	int (*act)(void);
	unsigned int allowed;
} acts[] = {
	FORBID("open a file", SYS_open, ARG(path), O_RDONLY),
	FORBID("open a file (openat)", SYS_openat, ARG(AT_FDCWD), ARG(path)),
	FORBID("open a file (openat2)", SYS_openat2, ARG(AT_FDCWD), ARG(path),
	       ARG(words), 24),
	FORBID("create a file", SYS_creat, ARG(name), 0600),
	FORBID("open by handle", SYS_open_by_handle_at, 3, ARG(words), 0),
	FORBID("rename a file", SYS_rename, ARG(name), ARG(name)),
	FORBID("link a file", SYS_link, ARG(name), ARG(name)),
	FORBID("make a directory", SYS_mkdir, ARG(name), 0700),
	FORBID("read a link", SYS_readlink, ARG(path), ARG(words), 8),
	FORBID("list a directory", SYS_getdents64, 3, ARG(words), 64),
	FORBID("change the directory", SYS_chdir, ARG("/")),
	FORBID("run a program", SYS_execve, ARG(path), ARG(nobody), 0),
	FORBID("run a program (execveat)", SYS_execveat, ARG(AT_FDCWD),
	       ARG(path), ARG(nobody)),
	FORBID("fork", SYS_fork, 0),
	FORBID("vfork", SYS_vfork, 0),
	FORBID("make a thread", SYS_clone, CLONE_VM | CLONE_THREAD),
	FORBID("make a thread (clone3)", SYS_clone3, ARG(words), 64),
	FORBID("map executable memory", SYS_mmap, 0, 4096,
	       PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, ARG(-1)),
	FORBID("map executable memory as the balloon maps", SYS_mmap, 0, 4096,
	       PROT_READ | PROT_WRITE | PROT_EXEC,
	       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE,
	       ARG(-1)),
	FORBID("map a file", SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE,
	       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, 3),
	FORBID("make memory executable", SYS_mprotect, ARG(words), 4096,
	       PROT_READ | PROT_EXEC),
	FORBID("make memory executable (pkey)", SYS_pkey_mprotect, ARG(words),
	       4096, PROT_READ | PROT_EXEC, 0),
	FORBID("move memory", SYS_mremap, ARG(words), 4096, 8192, 1),
	FORBID("make a memory file", SYS_memfd_create, ARG(name), 0),
	FORBID("an io_uring of its own", SYS_io_uring_setup, 8, ARG(words)),
	FORBID("an io_uring registered", SYS_io_uring_register, 3, 0, 0, 0),
	FORBID("an Internet socket", SYS_socket, AF_INET, SOCK_STREAM, 0),
	FORBID("a netlink socket", SYS_socket, AF_NETLINK, SOCK_RAW, 0),
	FORBID("a packet socket", SYS_socket, AF_PACKET, SOCK_RAW, 0),
	FORBID("a vsock socket", SYS_socket, AF_VSOCK, SOCK_STREAM, 0),
	FORBID("a Unix datagram socket", SYS_socket, AF_UNIX, SOCK_DGRAM, 0),
	PERMIT("a Unix stream socket", SYS_socket, AF_UNIX,
	       SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
	FORBID("a pair of sockets", SYS_socketpair, AF_UNIX, SOCK_STREAM, 0,
	       ARG(words)),
	FORBID("connect to an Internet address", SYS_connect, 3, ARG(&address),
	       16),
	PERMIT("connect to a Unix address", SYS_connect, 3, ARG(&address),
	       sizeof(address)),
	FORBID("bind a socket", SYS_bind, 3, ARG(&address), sizeof(address)),
	FORBID("listen", SYS_listen, 3, 1),
	FORBID("pass a descriptor", SYS_sendmsg, 1, ARG(words), 0),
	FORBID("take a descriptor", SYS_recvmsg, 0, ARG(words), 0),
	FORBID("steal a descriptor", SYS_pidfd_getfd, 3, 0, 0),
	FORBID("copy a descriptor", SYS_dup3, 3, FD_VM, 0),
	FORBID("copy a descriptor (fcntl)", SYS_fcntl, 0, F_DUPFD, 0),
	FORBID("ptrace", SYS_ptrace, 0, 0, 0, 0),
	FORBID("read another process's memory", SYS_process_vm_readv, 1,
	       ARG(words), 1, ARG(words), 1, 0),
	FORBID("signal another process", SYS_kill, 1, 0),
	FORBID("signal another thread", SYS_tkill, 1, 0),
	ACT("signal a thread of another process", signal_init),
	FORBID("a signal handler of its own", SYS_rt_sigaction, SIGSYS,
	       ARG(words), 0, 8),
	FORBID("block signals", SYS_rt_sigprocmask, 0, ARG(words), 0, 8),
	FORBID("create a KVM device", SYS_ioctl, FD_VM, KVM_CREATE_DEVICE),
	FORBID("change guest memory", SYS_ioctl, FD_VM,
	       KVM_SET_USER_MEMORY_REGION, ARG(words)),
	FORBID("create a vCPU", SYS_ioctl, FD_VM, KVM_CREATE_VCPU, 1),
	FORBID("run what is no vCPU", SYS_ioctl, FD_VM, KVM_RUN),
	FORBID("set a vCPU's registers", SYS_ioctl, FD_VCPUS, KVM_SET_REGS,
	       ARG(words)),
	FORBID("type into the terminal", SYS_ioctl, STDIN_FILENO,
	       0x5412 /* TIOCSTI */, ARG(words)),
	FORBID("clone a file's blocks", SYS_ioctl, FD_DISKS, FICLONE, 3),
	FORBID("make a tap", SYS_ioctl, FD_NETS, 0x400454ca /* TUNSETIFF */,
	       ARG(words)),
	FORBID("read the partition table anew", SYS_ioctl, FD_DISKS, BLKRRPART),
	FORBID("read an image as a file", SYS_preadv, 3, ARG(words), 1, 0),
	FORBID("write into a kernel image", SYS_pwritev, FD_IMAGES, ARG(words),
	       1, 0),
	FORBID("truncate a disk", SYS_ftruncate, FD_DISKS, 0),
	FORBID("new namespaces", SYS_unshare, CLONE_NEWUSER),
	FORBID("other namespaces", SYS_setns, 3, 0),
	FORBID("mount", SYS_mount, ARG(path), ARG(path), ARG(name), 0, 0),
	FORBID("change the root", SYS_chroot, ARG("/")),
	FORBID("load a BPF program", SYS_bpf, 5, ARG(words), 64),
	FORBID("another filter", SYS_seccomp, 1, 0, ARG(words)),
	FORBID("prctl", SYS_prctl, PR_SET_DUMPABLE, 1),
	FORBID("userfaultfd", SYS_userfaultfd, 0),
	FORBID("perf_event_open", SYS_perf_event_open, ARG(words)),
	FORBID("the key rings", SYS_keyctl, 0),
	FORBID("load a module", SYS_finit_module, 3, ARG(name), 0),
	FORBID("reboot the host", SYS_reboot, 0),
	FORBID("become another user", SYS_setuid, 0),
	FORBID("a number with the x32 bit", X32_BIT | SYS_write, 2, 0, 0),
	FORBID("a number that no call has", 1023, 0),
	ACT("the 32-bit gate", through_the_old_gate),
};

static void try_acts(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(acts); i++) {
		const struct act *act = &acts[i];

		for (int k = 0; k < SECCOMP_NR_KINDS; k++) {
			struct attempt a = { .kind = (enum seccomp_kind)k,
					     .number = act->number,
					     .act = act->act };
			bool may = act->allowed >> k & 1;
			int status;
			char what[160];

			memcpy(a.arg, act->arg, sizeof(a.arg));
			status = attempt(&a);
			snprintf(what, sizeof(what), "%s%s", act->what,
				 may ? " (allowed)" : "");
			verdict(may ? WIFEXITED(status) &&
						WEXITSTATUS(status) == 0
				    : died_of_filter(status),
				seccomp_tables[k].name, what, status);
		}
	}
}

static int fail_assertion(void)
{
	assert(failures == UINT32_MAX);
	return 0;
}

/* An assertion that fails has its say, and the status that says so. */
static void try_assertion(void)
{
	for (int k = 0; k < SECCOMP_NR_KINDS; k++) {
		struct attempt a = { .kind = (enum seccomp_kind)k,
				     .act = fail_assertion };
		char said[256] = "";
		int stderr_is = dup(STDERR_FILENO), status, ends[2];

		if (pipe2(ends, O_NONBLOCK) < 0)
			exit(SETUP);
		dup2(ends[1], STDERR_FILENO);
		status = attempt(&a);
		dup2(stderr_is, STDERR_FILENO);
		verdict(read(ends[0], said, sizeof(said) - 1) > 0 &&
				strstr(said, "failures == UINT32_MAX\n") &&
				WIFEXITED(status) &&
				WEXITSTATUS(status) == ABORTED,
			seccomp_tables[k].name, "an assertion fails", status);
		close(ends[0]);
		close(ends[1]);
		close(stderr_is);
	}
}

/* The kernel's part of putting on KIND's filter, in ns; 0 when it failed. */
static uint64_t cost_of(enum seccomp_kind kind)
{
	volatile uint64_t *ns = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid = ns == MAP_FAILED ? -1 : fork();

	if (pid == 0) {
		struct sock_filter code[SECCOMP_MAX_LENGTH];
		struct sock_fprog program = { .filter = code };
		uint64_t start;

		program.len = (unsigned short)seccomp_resolve(kind, code);
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		start = now_ns();
		if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0,
			    &program) == 0)
			*ns = now_ns() - start;
		syscall(SYS_exit_group, 0);
	}
	if (pid < 0 || waitpid(pid, NULL, 0) < 0)
		return 0;
	return *ns;
}

/* Two processes, as mote does it: what follows namespaces_split() and fork(2)
 * is the machine's.
 */
static void split_and_lock(bool new_net, volatile uint64_t *ns)
{
	struct lockdown lockdown = { 0 };
	struct jail jail = {
		.change_user = geteuid() == 0,
		.uid = 65534,
		.gid = 65534,
		.root_fd = -1,
		.new_net = new_net,
		.nr_files = FD_END,
	};
	uint64_t start = now_ns();
	const char *call;
	pid_t pid;

	if (namespaces_split(&lockdown))
		jail.change_user = false;
	pid = fork();
	if (pid == 0 && jail_lock(&jail, &lockdown, &call) == 0)
		*ns = now_ns() - start;
	if (pid > 0)
		waitpid(pid, NULL, 0);
	syscall(SYS_exit_group, 0);
}

/* The jail in a process that has nothing to copy or to tear down; in ns. */
static uint64_t cost_of_jail(bool new_net)
{
	volatile uint64_t *ns = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid = ns == MAP_FAILED ? -1 : fork();

	if (pid == 0)
		split_and_lock(new_net, ns);
	if (pid < 0 || waitpid(pid, NULL, 0) < 0)
		return 0;
	return *ns;
}

static int print_cost(void)
{
	printf("{");
	for (int k = 0; k < SECCOMP_NR_KINDS; k++)
		printf("%s\"%s_ns\": %llu", k ? ", " : "",
		       seccomp_tables[k].name,
		       (unsigned long long)cost_of((enum seccomp_kind)k));
	printf(", \"jail_ns\": %llu, \"jail_net_ns\": %llu}\n",
	       (unsigned long long)cost_of_jail(false),
	       (unsigned long long)cost_of_jail(true));
	return 0;
}

static int run_without(char **argv)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_seccomp, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { ARRAY_SIZE(code), code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
		return SETUP;
	execv(argv[0], argv);
	return SETUP;
}

int main(int argc, char **argv)
{
	const char *word = argc == 2 ? argv[1] : "";

	if (argc > 2 && strcmp(argv[1], "without") == 0)
		return run_without(argv + 2);

	prctl(PR_SET_DUMPABLE, 0); /* no cores of a thousand deaths */
	if (strcmp(word, "cost") == 0)
		return print_cost();
	if (strcmp(word, "rules") == 0) {
		try_rules();
		try_assertion();
	} else if (strcmp(word, "acts") == 0) {
		try_acts();
	} else {
		fputs("Usage: trial rules | acts | cost | without PROGRAM\n",
		      stderr);
		return 2;
	}
	return failures == 0 ? 0 : 1;
}
