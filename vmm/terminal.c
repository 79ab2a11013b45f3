// SPDX-License-Identifier: Apache-2.0
/*
 * terminal.c - stdin and stdout as the back end of the guest's consoles
 *
 * A stream of input leaves the loop while nobody has room for it, because epoll
 * reports errors and hang-ups of whatever is in it, again and again.
 *
 * What a device calls with its lock held (write, readable) must not call back
 * into the device.  It arms `deferred`, a timer that is due at once.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/util.h"
#include "vmm/terminal.h"

#define CTRL_A		     0x01
#define INPUT_CHUNK	     4096
#define BACKGROUND_PERIOD_NS 500000000u

/* The one piece of state that must be reachable without an argument: handlers
 * of fatal signals and of exit(3) have none.  `fd` and `saved` are written
 * before `raw` and valid while it is set.
 */
static struct {
	_Atomic bool raw;
	_Atomic bool background; /* terminal_set_background() */
	bool at_exit;
	int fd;
	pid_t group; /* our process group: nobody changes it after execve(2) */
	struct termios saved;
} tty_state;

static void defer(struct terminal *t)
{
	loop_timer_arm(t->loop, &t->deferred, now_ns());
}

/* The output side. */

static void port_notify(struct terminal_port *tp)
{
	struct port_user *user = tp->port.user;

	if (!tp->starved)
		return;
	tp->starved = false;
	if (user)
		user->writable(user);
}

/* Tells starved users to go on, once there is room worth the call.  They take
 * turns at being first, or the first would take all of it each time.
 */
static void notify_starved(struct terminal *t)
{
	if (fifo_room(&t->sink.held) < SINK_SIZE / 2)
		return;
	t->serial_first = !t->serial_first;
	port_notify(t->serial_first ? &t->serial : &t->console);
	port_notify(t->serial_first ? &t->console : &t->serial);
}

static void out_drained(struct sink *sink)
{
	notify_starved(container_of(sink, struct terminal, sink));
}

static void out_gone(struct sink *sink)
{
	/* A starved user can write again. */
	defer(container_of(sink, struct terminal, sink));
}

/* port->write and port->readable: a device's lock is held. */

static size_t port_write(struct port *port, const void *data, size_t len)
{
	struct terminal_port *tp =
		container_of(port, struct terminal_port, port);
	size_t taken = sink_put(&tp->terminal->sink, data, len);

	tail_add(&tp->terminal->tail, data, taken);
	if (taken < len)
		tp->starved = true;
	return taken;
}

static void port_readable(struct port *port)
{
	defer(container_of(port, struct terminal_port, port)->terminal);
}

/* The input side. */

/* Who gets the next input (NULL: nobody yet), and how much of it. */
static struct port_user *input_user(struct terminal *t, size_t *room)
{
	struct port_user *console = t->console.port.user;
	struct port_user *serial = t->serial.port.user;

	*room = console ? console->room(console) : 0;
	if (*room > 0)
		t->console_up = true;
	if (t->console_up || !serial)
		return console;
	*room = serial->room(serial);
	return serial;
}

static void input_init(struct terminal *t, int fd)
{
	struct stat st;
	int own;

	t->in_fd = fd;
	if (!fd_is_open(fd) || fstat(fd, &st) < 0)
		return; /* SOURCE_CLOSED */
	t->source_found = isatty(fd) ? SOURCE_TTY : SOURCE_STREAM;
	if (!S_ISFIFO(st.st_mode) && t->source_found != SOURCE_TTY)
		return;

	own = fd_reopen(fd, O_RDONLY);
	if (own >= 0) {
		t->in_fd = own;
		t->in_own = true;
	}
}

static ssize_t input_read(struct terminal *t, void *buf, size_t len)
{
	ssize_t n;

	/* Another reader of the same pipe may have been quicker. */
	if (!t->in_own && t->source != SOURCE_FILE &&
	    !fd_poll(t->in_fd, POLLIN))
		return -EAGAIN;
	do {
		n = read(t->in_fd, buf, len);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static void input_close(struct terminal *t)
{
	loop_remove(t->loop, &t->in_source);
	loop_timer_cancel(t->loop, &t->background);
	t->source = SOURCE_CLOSED;
}

/* Has the loop say when there is input. */
static void input_watch(struct terminal *t)
{
	int ret;

	if (t->in_source.fd >= 0)
		return;
	ret = loop_add(t->loop, &t->in_source, t->in_fd, EPOLLIN);
	if (ret == -EPERM) {
		t->source = SOURCE_FILE;
		defer(t);
	} else if (ret < 0) {
		log_warn("standard input: %s; it is not read", log_errno(ret));
		input_close(t);
	}
}

/* Passes on one read's worth of a stream or file.  False when there is no room
 * or nothing to read for now.
 */
static bool input_pump(struct terminal *t)
{
	uint8_t buf[INPUT_CHUNK];
	size_t room;
	struct port_user *user = input_user(t, &room);
	ssize_t n;

	if (room == 0) {
		loop_remove(t->loop, &t->in_source);
		return false;
	}
	n = input_read(t, buf, MIN(room, sizeof(buf)));
	if (n > 0)
		user->receive(user, buf, (size_t)n);
	else if (n != -EAGAIN)
		input_close(t);
	return n > 0;
}

static void keys_deliver(struct terminal *t)
{
	while (t->keys.used > 0) {
		size_t room, len;
		struct port_user *user = input_user(t, &room);
		const void *data = fifo_peek(&t->keys, &len);

		if (room == 0)
			return;
		len = MIN(len, room);
		user->receive(user, data, len);
		fifo_drop(&t->keys, len);
	}
}

static void keys_help(struct terminal *t)
{
	static const char help[] = "\r\n"
				   "Ctrl-A x       end the machine\r\n"
				   "Ctrl-A h       show this help\r\n"
				   "Ctrl-A Ctrl-A  send Ctrl-A\r\n";

	/* Output that goes elsewhere is the guest's alone. */
	if (t->sink.tty)
		sink_put(&t->sink, help, sizeof(help) - 1);
	else if (write(STDERR_FILENO, help, sizeof(help) - 1) < 0)
		return; /* nobody to tell */
}

/* One key.  False when it ended the machine. */
static bool keys_press(struct terminal *t, uint8_t key)
{
	if (!t->escape && key == CTRL_A) {
		t->escape = true;
		return true;
	}
	if (t->escape) {
		t->escape = false;
		if (key == 'x') {
			t->quit(t);
			return false;
		}
		if (key == 'h')
			keys_help(t);
		if (key != CTRL_A)
			return true;
	}
	if (fifo_put(&t->keys, &key, 1) == 0)
		counter_add(&t->keys_dropped, 1);
	return true;
}

static bool tty_foreground(int fd)
{
	pid_t pgrp;

	if (tty_state.background)
		return false;
	pgrp = tcgetpgrp(fd);
	/* Not our controlling terminal: no job control there. */
	return pgrp < 0 || pgrp == tty_state.group;
}

static void keys_ready(struct terminal *t)
{
	uint8_t buf[256];
	ssize_t n;

	if (!tty_foreground(t->in_fd)) {
		terminal_resume(t);
		return;
	}
	n = input_read(t, buf, sizeof(buf));
	if (n == -EAGAIN)
		return;
	if (n <= 0) {
		input_close(t);
		return;
	}
	for (ssize_t i = 0; i < n; i++)
		if (!keys_press(t, buf[i]))
			return;
	keys_deliver(t);
}

static void in_ready(struct loop_source *source, uint32_t events)
{
	struct terminal *t = container_of(source, struct terminal, in_source);

	(void)events;
	if (t->source == SOURCE_TTY)
		keys_ready(t);
	else
		input_pump(t);
}

static void window_report(struct terminal *t)
{
	struct port_user *user = t->console.port.user;
	struct winsize size;

	if (!t->window_due)
		return;
	t->window_due = false;
	if (ioctl(t->sink.tty ? t->sink.fd : t->in_fd, TIOCGWINSZ, &size) < 0)
		return;
	/* A serial line does not know its size and says 0. */
	if (user && user->resized && size.ws_col > 0 && size.ws_row > 0)
		user->resized(user, size.ws_col, size.ws_row);
}

static void deferred_expired(struct loop_timer *timer)
{
	struct terminal *t = container_of(timer, struct terminal, deferred);
	size_t room;

	notify_starved(t);
	window_report(t);
	switch (t->source) {
	case SOURCE_TTY:
		keys_deliver(t);
		break;
	case SOURCE_STREAM:
		input_user(t, &room);
		if (room > 0)
			input_watch(t);
		break;
	case SOURCE_FILE:
		/* A piece at a time: the file may never end. */
		if (input_pump(t))
			defer(t);
		break;
	case SOURCE_CLOSED:
		break;
	}
}

/* The terminal's modes. */

static void tty_enter_raw(struct terminal *t)
{
	struct termios raw;

	/* Raw already: stopped and continued behind our back. */
	if (!tty_state.raw) {
		if (tcgetattr(t->in_fd, &tty_state.saved) < 0)
			return;
		tty_state.fd = t->in_fd;
	}
	raw = tty_state.saved;
	cfmakeraw(&raw);
	tty_state.raw = true;
	tcsetattr(t->in_fd, TCSANOW, &raw);
	log_set_raw(isatty(STDERR_FILENO));
	if (!tty_state.at_exit)
		tty_state.at_exit = atexit(terminal_restore) == 0;
}

void terminal_restore(void)
{
	int saved_errno = errno;

	if (atomic_exchange(&tty_state.raw, false)) {
		if (tty_foreground(tty_state.fd))
			tcsetattr(tty_state.fd, TCSANOW, &tty_state.saved);
		log_set_raw(0);
	}
	errno = saved_errno;
}

static void background_expired(struct loop_timer *timer)
{
	terminal_resume(container_of(timer, struct terminal, background));
}

void terminal_resume(struct terminal *t)
{
	terminal_resized(t);
	if (t->source != SOURCE_TTY)
		return;
	if (tty_foreground(t->in_fd)) {
		loop_timer_cancel(t->loop, &t->background);
		tty_enter_raw(t);
		input_watch(t);
	} else {
		loop_remove(t->loop, &t->in_source);
		loop_timer_arm(t->loop, &t->background,
			       now_ns() + BACKGROUND_PERIOD_NS);
	}
}

void terminal_suspend(struct terminal *t)
{
	terminal_restore();
	/* terminal_resume() has it watched again. */
	loop_remove(t->loop, &t->in_source);
}

void terminal_set_background(bool background)
{
	tty_state.background = background;
}

void terminal_resized(struct terminal *t)
{
	t->window_due = true;
	defer(t);
}

static void port_init(struct terminal *t, struct terminal_port *tp)
{
	tp->port.write = port_write;
	tp->port.readable = port_readable;
	tp->terminal = t;
}

void terminal_init(struct terminal *t, struct loop *loop, int in_fd, int out_fd,
		   void (*quit)(struct terminal *t))
{
	t->loop = loop;
	t->quit = quit;
	t->in_source.ready = in_ready;
	t->in_source.fd = -1;
	t->deferred.expired = deferred_expired;
	t->background.expired = background_expired;
	fifo_init(&t->keys, t->keys_buf, sizeof(t->keys_buf));
	tail_init(&t->tail);
	port_init(t, &t->console);
	port_init(t, &t->serial);
	t->sink.drained = out_drained;
	t->sink.gone = out_gone;
	/* write(2) has no MSG_NOSIGNAL. */
	signal(SIGPIPE, SIG_IGN);

	input_init(t, in_fd);
	sink_init(&t->sink, loop, out_fd);
}

void terminal_start(struct terminal *t)
{
	tty_state.group = getpgrp();
	t->source = t->source_found;
	/* Raw mode for a terminal, the window's size, the first input. */
	terminal_resume(t);
}

int terminal_flush(struct terminal *t, unsigned int timeout_ms)
{
	uint64_t deadline = now_ns() + timeout_ms * 1000000ull;

	sink_drain(&t->sink);
	for (;;) {
		uint64_t now;

		notify_starved(t);
		if (t->sink.held.used == 0 && !t->console.starved &&
		    !t->serial.starved)
			return 0;
		now = now_ns();
		if (now >= deadline)
			return -ETIMEDOUT;
		sink_wait(&t->sink, (int)((deadline - now) / 1000000 + 1));
	}
}

void terminal_end_line(struct terminal *t)
{
	bool unfinished = t->tail.len > 0;

	if (t->sink.tty && tail_count(&t->tail) > 0)
		sink_put(&t->sink, unfinished ? "\r\n" : "\r",
			 unfinished ? 2 : 1);
}

void terminal_fini(struct terminal *t)
{
	terminal_suspend(t);
	input_close(t);
	loop_timer_cancel(t->loop, &t->deferred);
	if (t->in_own)
		close(t->in_fd);
	sink_fini(&t->sink);
}
