// SPDX-License-Identifier: Apache-2.0
/*
 * run.c - one machine from its options, or requests, to its exit status
 *
 * `mote run` starts the machine that its options describe.  `mote api` waits in
 * the same loop for requests, of which InstanceStart starts it: what follows is
 * the same for both.
 *
 * Signals.  Those that ask for something (SIGTERM, SIGINT, SIGWINCH, ...) are
 * blocked in every thread and read by the loop from a signalfd, so that nothing
 * happens in a handler.  The handlers there are: the vCPUs' kick, which is
 * empty; SIGBUS, which says what happened when guest memory that maps a kernel
 * or initrd file is gone because somebody truncated the file; and the other
 * signals of our own bugs, which only give the terminal back before we die.
 *
 * With --jail there are two processes: vmm/keeper.h.  What follows is the
 * machine's, whose orders come from the keeper instead of a signalfd.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>

#include "base/fd.h"
#include "base/log.h"
#include "seccomp/filter.h"
#include "vmm/api.h"
#include "vmm/confine.h"
#include "vmm/machine.h"
#include "vmm/run.h"
#include "vmm/terminal.h"
#include "vmm/timing.h"

#define STATUS_TIMEOUT 124
#define STATUS_FAILED  125
#define STATUS_CRASHED 255

/* Firecracker's */
#define API_STATUS_FAILED     1
#define API_STATUS_BAD_CONFIG 152
#define API_STATUS_SIGHUP     156

#define FLUSH_MS 2000

/* A device that is used again within this time is looked at, not waited for. */
#define LOOP_POLL_NS 32000

struct run {
	struct vm_config config;
	struct confine confine;
	struct loop loop;
	struct machine machine;
	struct terminal terminal;
	struct loop_source signals;
	struct loop_timer timeout;
	struct api *api;	      /* with a socket or a file only */
	const struct run_api *by_api; /* NULL: by the command line */
	bool started;
	bool asked;		   /* the power button has been pressed */
	int signal;		   /* that ended the machine */
	uint64_t exec_ns, main_ns; /* timing_print() */
	uint64_t begin_ns;	   /* the machine is about to be made */
};

/* Handlers have no arguments of their own. */
static const struct guest_memory *bus_error_memory;
static pid_t own_pid;
static pthread_t loop_thread;

/* Not raise(3), whose tkill(2) could name any process.  For the loop, whose
 * thread has the process's number.
 */
static void signal_self(int sig)
{
	syscall(SYS_tgkill, own_pid, own_pid, sig);
}

static void bus_error(int sig, siginfo_t *info, void *context)
{
	static const char text[] =
		"mote: guest memory is not there any more: was the kernel or "
		"initrd file truncated while the machine ran? (--copy reads "
		"files instead of mapping them)\n";

	(void)sig;
	(void)context;
	if (bus_error_memory &&
	    gmem_owns_hva(bus_error_memory, info->si_addr)) {
		terminal_restore();
		if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
			_exit(STATUS_FAILED);
		_exit(STATUS_FAILED);
	}
	/* Ours then: die of it when it comes again, by SA_RESETHAND. */
	terminal_restore();
}

/* Gives the terminal back; SA_RESETHAND has made the next one fatal.  On a
 * vCPU's thread that is the same instruction again (vm.c blocks the rest).
 */
static void fatal_error(int sig)
{
	terminal_restore();
	if (pthread_equal(pthread_self(), loop_thread))
		signal_self(sig);
}

static void stop_self(struct run *r)
{
	static const struct keeper_message stop = { .kind = KEEPER_STOP };

	terminal_suspend(&r->terminal);
	if (r->confine.control < 0) {
		signal_self(SIGSTOP);
		terminal_resume(&r->terminal);
		return;
	}
	/* It says SIGCONT when that is over. */
	if (write(r->confine.control, &stop, sizeof(stop)) < 0)
		terminal_resume(&r->terminal);
}

static void end_by_signal(struct run *r, int sig)
{
	if (r->signal)
		return;
	r->signal = sig;
	if (r->started)
		vm_end(&r->machine.vm, VM_END_SIGNAL, NULL);
	else
		loop_stop(&r->loop);
}

static void signal_arrived(struct run *r, int sig)
{
	switch (sig) {
	case SIGWINCH:
		terminal_resized(&r->terminal);
		break;
	case SIGTSTP:
		stop_self(r);
		break;
	case SIGCONT:
		terminal_resume(&r->terminal);
		break;
	case SIGTERM:
		if (!r->asked && !r->by_api) {
			r->asked = true;
			log_info("SIGTERM: pressing the power button; a second "
				 "one ends the machine");
			power_press_button(&r->machine.power);
			break;
		}
		end_by_signal(r, sig);
		break;
	default:
		end_by_signal(r, sig);
	}
}

static void signals_ready(struct loop_source *source, uint32_t events)
{
	struct run *r = container_of(source, struct run, signals);
	struct signalfd_siginfo info;

	(void)events;
	while (read(source->fd, &info, sizeof(info)) == sizeof(info))
		signal_arrived(r, (int)info.ssi_signo);
}

static bool is_ignored(int sig)
{
	struct sigaction now;

	return sigaction(sig, NULL, &now) == 0 && now.sa_handler == SIG_IGN;
}

/* A full disk or a closed pipe is an error of that file, not our end. */
static void set_handlers(void)
{
	/* Of bugs, of seccomp and of other programs' kill(2): what ends a
	 * process by default.  SIGUSR1 is the vCPUs' kick.
	 */
	static const int fatal[] = { SIGABRT,	SIGSEGV,  SIGILL,  SIGFPE,
				     SIGTRAP,	SIGSYS,	  SIGXCPU, SIGALRM,
				     SIGVTALRM, SIGPROF,  SIGUSR2, SIGPOLL,
				     SIGPWR,	SIGSTKFLT };
	struct sigaction bus = {
		.sa_sigaction = bus_error,
		.sa_flags = (int)(SA_SIGINFO | SA_RESETHAND),
	};
	struct sigaction die = {
		.sa_handler = fatal_error,
		.sa_flags = (int)SA_RESETHAND,
	};

	log_set_last_act(terminal_restore);
	own_pid = getpid();
	loop_thread = pthread_self();
	sigaction(SIGBUS, &bus, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(fatal); i++)
		if (!is_ignored(fatal[i]))
			sigaction(fatal[i], &die, NULL);
	signal(SIGXFSZ, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
}

static void orders_ready(struct loop_source *source, uint32_t events)
{
	struct run *r = container_of(source, struct run, signals);
	uint8_t byte;
	ssize_t n;

	(void)events;
	while ((n = read(source->fd, &byte, 1)) == 1) {
		terminal_set_background(byte & KEEPER_BACKGROUND);
		signal_arrived(r, byte & ~KEEPER_BACKGROUND);
	}
	/* Without a keeper nobody is left who could want this machine. */
	if (n == 0)
		end_by_signal(r, SIGKILL);
}

/* In a jail what others send is the keeper's business. */
static int take_orders(struct run *r)
{
	static const int ignored[] = { SIGTERM, SIGWINCH, SIGTSTP, SIGHUP,
				       SIGINT,	SIGQUIT,  SIGTTIN, SIGTTOU,
				       SIGXCPU, SIGALRM,  SIGPROF, SIGVTALRM,
				       SIGUSR2, SIGPOLL,  SIGPWR,  SIGSTKFLT };

	for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
		signal(ignored[i], SIG_IGN);
	set_handlers();
	terminal_set_background(r->confine.background);
	r->signals.ready = orders_ready;
	return loop_add(&r->loop, &r->signals, r->confine.control, EPOLLIN);
}

static int catch_signals(struct run *r)
{
	static const int asking[] = { SIGTERM, SIGWINCH, SIGTSTP, SIGCONT };
	/* nohup(1) has set the first to be ignored; a shell without job
	 * control has the others for its background jobs.  A blocked signal is
	 * pending even when it is ignored.
	 */
	static const int hints[] = { SIGHUP, SIGINT, SIGQUIT };
	sigset_t set;
	int fd;

	set_handlers();
	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(asking); i++)
		sigaddset(&set, asking[i]);
	for (size_t i = 0; i < ARRAY_SIZE(hints); i++)
		if (!is_ignored(hints[i]))
			sigaddset(&set, hints[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	r->signals.ready = signals_ready;
	return loop_add(&r->loop, &r->signals, fd, EPOLLIN);
}

static void timed_out(struct loop_timer *timer)
{
	struct run *r = container_of(timer, struct run, timeout);

	vm_end(&r->machine.vm, VM_END_TIMEOUT, NULL);
}

static void quit(struct terminal *t)
{
	struct run *r = container_of(t, struct run, terminal);

	vm_end(&r->machine.vm, VM_END_OPERATOR, NULL);
}

/* A reset is how Linux ends a panic (panic=-1), too.  It is taken for one when
 * the console said so, or when a Linux kernel left its timer running: an
 * orderly restart switches the local APIC off first.
 */
static bool reset_was_panic(struct run *r)
{
	return tail_saw_panic(&r->terminal.tail) ||
	       (r->machine.entry.linux_kernel &&
		vcpu_timer_is_live(&r->machine.vm.vcpu[0]));
}

/* The sentence about an end that is not what everybody hoped for, and the exit
 * status.
 */
static int conclude(struct run *r)
{
	const struct vm *vm = &r->machine.vm;

	switch ((enum vm_end_kind)vm->end_kind) {
	case VM_END_POWEROFF:
		log_info("the guest powered off");
		return 0;
	case VM_END_OPERATOR:
		log_info("ended by Ctrl-A x");
		return 0;
	case VM_END_RESET:
		if (!reset_was_panic(r)) {
			log_info("the guest asked for a reset");
			return 0;
		}
		log_error("the guest panicked");
		return STATUS_CRASHED;
	case VM_END_CRASH:
	case VM_END_TRIPLE_FAULT:
		log_error("the guest crashed: %s", vm->end_text);
		return STATUS_CRASHED;
	case VM_END_TIMEOUT:
		log_error("the machine was still running after --timeout %g "
			  "seconds",
			  (double)r->config.timeout_ns / 1e9);
		return STATUS_TIMEOUT;
	case VM_END_SIGNAL:
		log_info("ended by signal %d", r->signal);
		return 128 + r->signal;
	case VM_END_FAILED:
		log_error("%s", vm->end_text);
		return STATUS_FAILED;
	case VM_END_NONE:
		break;
	}
	log_error("the event loop failed");
	return STATUS_FAILED;
}

/* What the guest said last; the operator has it on the screen already when
 * guest and monitor share a terminal.
 */
static void show_tail(const struct run *r)
{
	const struct tail *tail = &r->terminal.tail;
	unsigned int n = tail_count(tail);

	if (n == 0 || (isatty(STDOUT_FILENO) && isatty(STDERR_FILENO)))
		return;
	fprintf(stderr, "mote: the guest's last output (%u lines):\n", n);
	for (unsigned int i = 0; i < n; i++)
		fprintf(stderr, "  | %s\n", tail_line(tail, i));
}

static int report(struct run *r, uint64_t end_ns)
{
	int status = conclude(r);

	if (status == STATUS_TIMEOUT || status == STATUS_FAILED ||
	    status == STATUS_CRASHED)
		show_tail(r);
	if (r->config.timing)
		timing_print(&r->machine, &r->terminal, r->exec_ns, r->main_ns,
			     end_ns);
	return status;
}

/* The last output, within a time: whoever reads it may have stopped, and the
 * guest may have asked for more than anybody wants to read.
 */
static void drain(struct run *r)
{
	uint64_t now = now_ns(), deadline = now + FLUSH_MS * 1000000ull;
	unsigned int quiet = 0;
	int ret = 0;

	/* A doorbell may ring in the flush, too: once quiet is not enough. */
	for (; quiet < 2 && ret == 0; now = now_ns()) {
		if (now >= deadline) {
			ret = -ETIMEDOUT;
			break;
		}
		quiet = machine_drain(&r->machine) ? 0 : quiet + 1;
		ret = terminal_flush(
			&r->terminal,
			(unsigned int)((deadline - now) / 1000000));
	}
	terminal_end_line(&r->terminal);
	terminal_restore();
	if (ret < 0)
		log_warn("standard output: not read for %d s; the end of the "
			 "guest's output is lost",
			 FLUSH_MS / 1000);
}

/* The filters of the vCPUs are on already.  Nothing below may need a system
 * call that seccomp/rules.c does not have a row for.
 */
static int lock_down(struct run *r)
{
	const struct vm_config *config = &r->config;
	enum seccomp_kind kind = SECCOMP_LOOP;
	int ret = 0;

	if (config->no_seccomp)
		log_warn("--no-seccomp: this machine runs WITHOUT its seccomp "
			 "filters; never give it a guest that you do not "
			 "trust");
	confine_seal(&r->confine, &r->machine);
	if (config->vsock.path)
		kind = SECCOMP_LOOP_VSOCK;
	else if (r->api)
		kind = SECCOMP_LOOP_API;
	if (r->machine.vm.confined && kind != SECCOMP_LOOP)
		ret = fd_fill();
	if (r->machine.vm.confined && ret == 0)
		ret = seccomp_install(kind);
	if (ret < 0)
		log_error("seccomp: %s", log_errno(ret));
	else
		ret = confine_check(&r->confine, r->machine.vm.confined);
	if (ret < 0)
		terminal_restore();
	return ret;
}

/* The last that needs a file, then the jail, then KVM, which is the guest's. */
static int enter(struct run *r)
{
	if (r->config.timing)
		timing_prepare(&r->machine);
	if (machine_open_kvm(&r->machine) < 0 || confine_lock(&r->confine) < 0)
		return -1;
	return machine_start(&r->machine);
}

/* From files to the first instruction.  Negative: a line has said why. */
static int begin(struct run *r)
{
	struct machine_ports ports = {
		.console = &r->terminal.console.port,
		.serial = &r->terminal.serial.port,
	};
	int ret;

	r->begin_ns = now_ns();
	r->machine.confine = r->config.jail.wanted ? &r->confine : NULL;
	ret = machine_create(&r->machine, &r->config, &r->loop, &ports);
	if (ret == 0)
		ret = enter(r);
	if (ret < 0)
		return ret;
	r->started = true;
	if (r->api)
		api_started(r->api, &r->machine);
	bus_error_memory = &r->machine.vm.mem;
	terminal_start(&r->terminal);
	if (r->config.timeout_ns) {
		r->timeout.expired = timed_out;
		loop_timer_arm(&r->loop, &r->timeout,
			       now_ns() + r->config.timeout_ns);
	}
	loop_set_polling(&r->loop, LOOP_POLL_NS);
	ret = lock_down(r);
	if (ret == 0)
		vm_unpark(&r->machine.vm);
	return ret;
}

/* Until the machine, or the wait for one, is over. */
static int live(struct run *r)
{
	uint64_t end_ns;
	int ret = loop_run(&r->loop);

	loop_set_polling(&r->loop, 0);
	if (!r->started && r->signal)
		return 128 + r->signal;
	if (!r->started) {
		log_error("event loop: %s", log_errno(ret));
		return STATUS_FAILED;
	}
	if (ret < 0)
		vm_end(&r->machine.vm, VM_END_FAILED, "event loop: %s",
		       log_errno(ret));
	end_ns = now_ns();
	vm_park(&r->machine.vm);
	drain(r);
	return report(r, end_ns);
}

/* The API of the machine ID.  It is as large as its buffers, of which few pages
 * are used.
 */
static int make_api(struct run *r, const char *id,
		    bool (*start)(struct api *api, struct api_error *error))
{
	int ret = -ENOMEM;

	r->api = calloc(1, sizeof(*r->api));
	if (r->api)
		ret = api_init(r->api, id, start);
	if (ret < 0) {
		log_error("API: %s", log_errno(ret));
		return ret;
	}
	r->api->user = r;
	return 0;
}

static int open_api(struct run *r, const char *path)
{
	int ret = api_open(r->api, &r->loop, path);

	if (ret == -EADDRINUSE)
		log_error("Failed to open the API socket at: %s. Check that it "
			  "is not already used.",
			  path);
	else if (ret < 0)
		log_error("Failed to open the API socket at: %s. %s", path,
			  log_errno(ret));
	return ret;
}

static int set_up(struct run *r)
{
	int ret = loop_init(&r->loop);

	if (ret == 0)
		ret = r->confine.control < 0 ? catch_signals(r)
					     : take_orders(r);
	if (ret < 0) {
		log_error("event loop: %s", log_errno(ret));
		return ret;
	}
	terminal_init(&r->terminal, &r->loop, STDIN_FILENO, STDOUT_FILENO,
		      quit);
	return 0;
}

/* A machine of the command line that answers requests, too. */
static int command_by_api(struct run *r)
{
	int ret = make_api(r, "mote", NULL);

	if (ret < 0)
		return ret;
	api_config_describe(&r->api->config, &r->config);
	return open_api(r, r->config.api_socket);
}

static int run_machine(struct run *r)
{
	int status = STATUS_FAILED;

	if (set_up(r) < 0)
		return status;
	if (r->config.api_socket && command_by_api(r) < 0)
		goto out;
	if (begin(r) == 0)
		status = live(r);
out:
	if (r->api)
		api_leave(r->api);
	machine_leave(&r->machine);
	return status;
}

/* Static, not on the stack: 200 KiB, of which few pages are used. */
static struct run *run_new(void)
{
	static struct run run;

	run.main_ns = now_ns();
	return &run;
}

int run_main(int argc, char **argv)
{
	struct run *r = run_new();
	char text[320];
	int ret, status;

	switch (config_parse(&r->config, argc, argv, text, sizeof(text))) {
	case CONFIG_HELP:
		fputs(config_help, stdout);
		return 0;
	case CONFIG_REFUSED:
		log_error("%s", text);
		return STATUS_FAILED;
	case CONFIG_OK:
		break;
	}
	if (r->config.verbose)
		log_set_level(LOG_INFO);
	r->exec_ns = timing_exec_ns(r->main_ns);
	if (confine_prepare(&r->confine, &r->config) < 0)
		return STATUS_FAILED;
	ret = confine_split(&r->confine, &status);
	if (ret < 0)
		return STATUS_FAILED;
	return ret == 0 ? run_machine(r) : status;
}

/* InstanceStart.  What stands in the way is in the answer, too. */
static bool start_by_api(struct api *api, struct api_error *error)
{
	struct run *r = api->user;
	int ret;

	if (!api_config_machine(&api->config, &r->config, error))
		return false;
	log_copy_error(error->text, sizeof(error->text));
	ret = begin(r);
	log_copy_error(NULL, 0);
	if (ret < 0)
		machine_undo(&r->machine);
	return ret == 0;
}

/* The machine of a file starts before anybody asks. */
static int start_by_file(struct run *r, const char *path)
{
	struct api_error error;
	int ret = api_open_file(r->api, path);

	if (ret < 0)
		return ret;
	if (!api_config_machine(&r->api->config, &r->config, &error)) {
		log_error("--config-file %s: %s", path, error.text);
		return -EINVAL;
	}
	return begin(r);
}

/* Firecracker ends well when its guest asks for a reset, for whatever reason.
 */
static int api_status(const struct run *r, int status)
{
	const struct machine *m = &r->machine;

	if (m->boot_timer.ready_ns)
		log_info("Guest-boot-time = %6llu us",
			 (unsigned long long)(m->boot_timer.ready_ns -
					      r->begin_ns) /
				 1000);
	if (r->signal == SIGHUP)
		return API_STATUS_SIGHUP;
	if (r->signal)
		return status;
	if (r->started && m->vm.end_kind == VM_END_RESET)
		return 0;
	return status == 0 ? 0 : API_STATUS_FAILED;
}

int run_api(const struct run_api *options)
{
	struct run *r = run_new();
	int status = API_STATUS_FAILED;

	r->by_api = options;
	r->config.boot_timer = options->boot_timer;
	r->config.no_seccomp = options->no_seccomp;
	if (options->verbose)
		log_set_level(LOG_INFO);
	if (confine_prepare(&r->confine, &r->config) < 0 || set_up(r) < 0)
		return status;
	if (make_api(r, options->id, start_by_api) < 0)
		return status;
	if (options->socket && open_api(r, options->socket) < 0)
		goto out;
	if (options->file && start_by_file(r, options->file) < 0)
		status = API_STATUS_BAD_CONFIG;
	else
		status = api_status(r, live(r));
out:
	if (r->api)
		api_leave(r->api);
	machine_leave(&r->machine);
	return status;
}
