// SPDX-License-Identifier: Apache-2.0
/*
 * test_terminal.c - the terminal on pseudo-terminals, pipes, sockets and files
 *
 * A fake console plays the guest: it offers room, keeps what it receives, and
 * writes what it has until it is refused.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <termios.h>
#include <unistd.h>

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/log.h"
#include "base/util.h"
#include "tests/unit/unit.h"
#include "vmm/terminal.h"

#define BULK MIB(1)

struct console {
	struct port_user user;
	struct port *port;
	size_t room;
	uint8_t *got; /* BULK bytes */
	size_t nr_got;
	const uint8_t *send; /* what is still to be written */
	size_t nr_send;
	unsigned int writable;
	unsigned int room_asked;
	uint16_t cols, rows;
	unsigned int resized;
	bool locked; /* inside write() or readable() of the port */
};

static struct loop loop;
static struct terminal term;
static struct console console, serial;
static unsigned int quits;
static uint8_t *bulk;

static size_t console_room(struct port_user *user)
{
	struct console *c = container_of(user, struct console, user);

	ck_assert(!c->locked);
	c->room_asked++;
	return c->room;
}

static void console_receive(struct port_user *user, const void *data,
			    size_t len)
{
	struct console *c = container_of(user, struct console, user);

	ck_assert(!c->locked);
	ck_assert_uint_gt(len, 0);
	ck_assert_uint_le(len, c->room);
	ck_assert_uint_le(c->nr_got + len, BULK);
	memcpy(c->got + c->nr_got, data, len);
	c->nr_got += len;
	c->room -= len;
}

static void console_send(struct console *c)
{
	size_t n;

	c->locked = true;
	n = c->port->write(c->port, c->send, c->nr_send);
	c->locked = false;
	ck_assert_uint_le(n, c->nr_send);
	c->send += n;
	c->nr_send -= n;
}

static void console_writable(struct port_user *user)
{
	struct console *c = container_of(user, struct console, user);

	ck_assert(!c->locked);
	c->writable++;
	if (c->nr_send > 0)
		console_send(c);
}

static void console_resized(struct port_user *user, uint16_t cols,
			    uint16_t rows)
{
	struct console *c = container_of(user, struct console, user);

	ck_assert(!c->locked);
	c->cols = cols;
	c->rows = rows;
	c->resized++;
}

static void console_make_room(struct console *c, size_t room)
{
	c->room = room;
	c->locked = true;
	c->port->readable(c->port);
	c->locked = false;
}

static size_t print(struct console *c, const void *data, size_t len)
{
	c->send = data;
	c->nr_send = len;
	console_send(c);
	return len - c->nr_send;
}

static void console_attach(struct console *c, struct port *port)
{
	uint8_t *got = c->got ? c->got : malloc(BULK);

	memset(c, 0, sizeof(*c));
	c->got = got;
	c->port = port;
	c->user.room = console_room;
	c->user.receive = console_receive;
	c->user.writable = console_writable;
	c->user.resized = console_resized;
	port->user = &c->user;
}

static void on_quit(struct terminal *t)
{
	ck_assert_ptr_eq(t, &term);
	quits++;
}

static void open_term(int in_fd, int out_fd)
{
	quits = 0;
	ck_assert_int_eq(loop_init(&loop), 0);
	memset(&term, 0, sizeof(term));
	terminal_init(&term, &loop, in_fd, out_fd, on_quit);
	console_attach(&console, &term.console.port);
}

static void close_term(void)
{
	terminal_fini(&term);
	ck_assert_ptr_null(loop.timers);
	loop_fini(&loop);
}

/* Runs the loop until nothing has happened for a moment. */
static void settle(void)
{
	for (int i = 0; i < 20; i++)
		ck_assert_int_eq(loop_step(&loop, 2), 0);
}

static void make_pipe(int fd[2])
{
	ck_assert_int_eq(pipe2(fd, O_CLOEXEC), 0);
}

static void close_pair(int fd[2])
{
	close(fd[0]);
	if (fd[1] >= 0)
		close(fd[1]);
}

static void setup(void)
{
	uint32_t x = 12345;

	log_set_level(LOG_ERROR);
	bulk = malloc(BULK);
	for (size_t i = 0; i < BULK; i++) {
		x = x * 1103515245u + 12345u;
		bulk[i] = (uint8_t)(x >> 16);
	}
}

static void teardown(void)
{
	free(bulk);
	free(console.got);
	free(serial.got);
	console.got = serial.got = NULL;
}

/* Reads exactly LEN bytes from FD while the loop runs. */
static void drain_check(int fd, const uint8_t *want, size_t len, size_t piece)
{
	uint8_t *buf = malloc(len);
	size_t done = 0;

	ck_assert_int_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	for (int idle = 0; done < len && idle < 1000;) {
		ssize_t n = read(fd, buf + done, MIN(piece, len - done));

		idle = n > 0 ? 0 : idle + 1;
		if (n > 0)
			done += (size_t)n;
		ck_assert_int_eq(loop_step(&loop, n > 0 ? 0 : 1), 0);
	}
	ck_assert_uint_eq(done, len);
	ck_assert(memcmp(buf, want, len) == 0);
	ck_assert_int_lt(read(fd, buf, 1), 1);
	free(buf);
}

START_TEST(pipe_input_is_byte_exact)
{
	int in[2], out[2];
	size_t done = 0;

	make_pipe(in);
	make_pipe(out);
	ck_assert_int_eq(fcntl(in[1], F_SETFL, O_NONBLOCK), 0);
	open_term(in[0], out[1]);
	terminal_start(&term);
	for (unsigned int i = 0; console.nr_got < BULK && i < 100000; i++) {
		ssize_t n = write(in[1], bulk + done, MIN(BULK - done, 30000));

		if (n > 0)
			done += (size_t)n;
		/* odd amounts of room, and often none */
		if (console.room == 0 && i % 3 == 0)
			console_make_room(&console, 1 + i % 7001);
		ck_assert_int_eq(loop_step(&loop, 0), 0);
	}
	ck_assert_uint_eq(console.nr_got, BULK);
	ck_assert(memcmp(console.got, bulk, BULK) == 0);

	/* Ctrl-A is nothing special here, and no flag of ours was set. */
	ck_assert_uint_eq(quits, 0);
	ck_assert_int_eq(fcntl(in[0], F_GETFL) & O_NONBLOCK, 0);
	ck_assert_int_eq(fcntl(out[1], F_GETFL) & O_NONBLOCK, 0);
	close_term();
	close_pair(in);
	close_pair(out);
}
END_TEST

START_TEST(no_escapes_in_a_pipe)
{
	int in[2], out[2];

	make_pipe(in);
	make_pipe(out);
	open_term(in[0], out[1]);
	console.room = 100;
	terminal_start(&term);
	ck_assert_int_eq(write(in[1], "\1x\1h\1\1\0z", 8), 8);
	settle();
	ck_assert_uint_eq(console.nr_got, 8);
	ck_assert(memcmp(console.got, "\1x\1h\1\1\0z", 8) == 0);
	ck_assert_uint_eq(quits, 0);
	close_term();
	close_pair(in);
	close_pair(out);
}
END_TEST

/* What the guest does not take stays in the pipe, and nothing spins. */
START_TEST(pipe_input_waits_for_room)
{
	int in[2], out[2], left = 0;

	make_pipe(in);
	make_pipe(out);
	open_term(in[0], out[1]);
	terminal_start(&term);
	settle();
	ck_assert_int_eq(write(in[1], "0123456789", 10), 10);
	close(in[1]);
	in[1] = -1;
	settle();
	ck_assert_uint_eq(console.nr_got, 0);
	console_make_room(&console, 4);
	settle();
	ck_assert_uint_eq(console.nr_got, 4);
	ck_assert_int_eq(ioctl(in[0], FIONREAD, &left), 0);
	ck_assert_int_eq(left, 6);

	/* The pipe is readable and hung up; the loop must be asleep. */
	console.room_asked = 0;
	for (int i = 0; i < 10; i++)
		loop_step(&loop, 1);
	ck_assert_uint_eq(console.room_asked, 0);

	console_make_room(&console, 100);
	settle();
	ck_assert_uint_eq(console.nr_got, 10);
	ck_assert(memcmp(console.got, "0123456789", 10) == 0);

	/* End of file: not looked at again, though there is room. */
	console.room_asked = 0;
	console_make_room(&console, 100);
	for (int i = 0; i < 10; i++)
		loop_step(&loop, 1);
	ck_assert_uint_eq(console.room_asked, 0);
	close_term();
	close_pair(in);
	close_pair(out);
}
END_TEST

START_TEST(full_pipe_pushes_back)
{
	int in[2], out[2];
	size_t taken;

	make_pipe(in);
	make_pipe(out);
	open_term(in[0], out[1]);
	terminal_start(&term);
	taken = print(&console, bulk, BULK);
	/* 64 KiB of ours and the pipe's own 64 KiB */
	ck_assert_uint_ge(taken, SINK_SIZE);
	ck_assert_uint_le(taken, SINK_SIZE + 65536);
	ck_assert_uint_eq(print(&console, bulk + taken, BULK - taken), 0);
	settle();
	ck_assert_uint_eq(console.writable, 0);
	drain_check(out[0], bulk, BULK, 5000);
	ck_assert_uint_gt(console.writable, 0);
	ck_assert_uint_eq(console.nr_send, 0);
	ck_assert_uint_eq(counter_get(&term.sink.dropped), 0);
	ck_assert_int_eq(fcntl(out[1], F_GETFL) & O_NONBLOCK, 0);

	/* Nothing held: the sink is out of the loop, told of nothing. */
	console.writable = 0;
	settle();
	ck_assert_uint_eq(console.writable, 0);
	ck_assert_int_eq(term.sink.source.fd, -1);
	close_term();
	close_pair(in);
	close_pair(out);
}
END_TEST

/* The sink has room again and the loop has not looked yet: order is kept. */
START_TEST(held_bytes_go_first)
{
	int in[2], out[2];
	uint8_t first[8192];

	make_pipe(in);
	make_pipe(out);
	open_term(in[0], out[1]);
	ck_assert_uint_eq(print(&console, bulk, 100000), 100000);
	ck_assert_int_eq(read(out[0], first, sizeof(first)), sizeof(first));
	ck_assert_uint_eq(print(&console, bulk + 100000, 5000), 5000);
	drain_check(out[0], bulk + sizeof(first), 105000 - sizeof(first), 5000);
	close_term();
	close_pair(in);
	close_pair(out);
}
END_TEST

/* Back pressure when a second description is not to be had. */
START_TEST(full_pipe_without_reopening)
{
	int in[2], out[2];

	make_pipe(in);
	make_pipe(out);
	open_term(in[0], out[1]);
	ck_assert_int_eq(term.sink.kind, SINK_OWN);
	close(term.sink.fd);
	term.sink.fd = out[1];
	term.sink.own = false;
	term.sink.kind = SINK_POLLED;
	terminal_start(&term);
	ck_assert_uint_lt(print(&console, bulk, BULK), BULK);
	drain_check(out[0], bulk, BULK, 5000);
	ck_assert_uint_eq(console.nr_send, 0);
	close_term();
	close_pair(in);
	close_pair(out);
}
END_TEST

START_TEST(socket_both_ways)
{
	int in[2], out[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, in), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, out), 0);
	open_term(in[0], out[1]);
	ck_assert_int_eq(term.sink.kind, SINK_POLLED);
	console.room = 100;
	terminal_start(&term);
	ck_assert_uint_lt(print(&console, bulk, BULK), BULK);
	drain_check(out[0], bulk, BULK, 5000);
	ck_assert_int_eq(write(in[1], "\1xyz", 4), 4);
	settle();
	ck_assert_uint_eq(console.nr_got, 4);
	ck_assert_int_eq(fcntl(out[1], F_GETFL) & O_NONBLOCK, 0);

	close(out[0]);
	ck_assert_uint_eq(print(&console, bulk, BULK), BULK);
	ck_assert_uint_eq(counter_get(&term.sink.dropped), BULK);
	close_term();
	close_pair(in);
	close(out[1]);
}
END_TEST

/* Reader gone while bytes are held: the machine is told to go on, and all that
 * follows is taken and counted.
 */
START_TEST(closed_pipe_swallows)
{
	int in[2], out[2];
	size_t total;

	make_pipe(in);
	make_pipe(out);
	open_term(in[0], out[1]);
	terminal_start(&term);
	total = print(&console, bulk, BULK);
	ck_assert_uint_lt(total, BULK);
	close(out[0]);
	settle();
	ck_assert_uint_eq(console.writable, 1);
	ck_assert_uint_eq(console.nr_send, 0);
	ck_assert_int_eq(term.sink.kind, SINK_CLOSED);
	/* What the pipe had is lost with it; the rest is counted. */
	ck_assert_uint_ge(counter_get(&term.sink.dropped), BULK - 65536);
	ck_assert_uint_lt(counter_get(&term.sink.dropped), BULK);
	total = counter_get(&term.sink.dropped);
	ck_assert_uint_eq(print(&console, "more\n", 5), 5);
	ck_assert_uint_eq(counter_get(&term.sink.dropped), total + 5);
	ck_assert_int_eq(terminal_flush(&term, 0), 0);

	/* Still the tail knows. */
	ck_assert_uint_gt(tail_count(&term.tail), 0);
	close_term();
	close_pair(in);
	close(out[1]);

	/* Gone before the start: a description cannot even be re-opened. */
	make_pipe(out);
	make_pipe(in);
	close(out[0]);
	open_term(in[0], out[1]);
	terminal_start(&term);
	ck_assert_uint_eq(print(&console, "x", 1), 1);
	ck_assert_uint_eq(counter_get(&term.sink.dropped), 1);
	close_term();
	close_pair(in);
	close(out[1]);
}
END_TEST

START_TEST(full_disk_swallows)
{
	int in = open("/dev/null", O_RDONLY);
	int out = open("/dev/full", O_WRONLY);

	open_term(in, out);
	terminal_start(&term);
	ck_assert_uint_eq(print(&console, bulk, 1000), 1000);
	settle();
	ck_assert_int_eq(term.sink.kind, SINK_CLOSED);
	ck_assert_uint_eq(counter_get(&term.sink.dropped), 1000);
	close_term();
	close(in);
	close(out);
}
END_TEST

/* The shell's offset is ours: what we write goes behind what was there, and
 * what others write next goes behind ours.  O_APPEND is kept the same way.
 */
START_TEST(regular_files)
{
	char in_name[] = "/tmp/test_terminal.XXXXXX";
	char out_name[] = "/tmp/test_terminal.XXXXXX";
	int in = mkstemp(in_name), out = mkstemp(out_name);
	char got[32] = "";

	ck_assert_int_eq(write(in, bulk, BULK), BULK);
	ck_assert_int_eq(lseek(in, 1000, SEEK_SET), 1000);
	ck_assert_int_eq(write(out, "one ", 4), 4);
	open_term(in, out);
	terminal_start(&term);
	settle();
	ck_assert_uint_eq(console.nr_got, 0);
	for (unsigned int i = 0; console.nr_got < BULK - 1000 && i < 10000;
	     i++) {
		if (console.room == 0)
			console_make_room(&console, 1 + i * 2909 % 9000);
		loop_step(&loop, 0);
	}
	ck_assert_uint_eq(console.nr_got, BULK - 1000);
	ck_assert(memcmp(console.got, bulk + 1000, BULK - 1000) == 0);
	console_make_room(&console, 100);
	settle();
	ck_assert_int_eq(term.source, SOURCE_CLOSED);

	ck_assert_uint_eq(print(&console, "two ", 4), 4);
	close_term();
	ck_assert_int_eq(write(out, "three", 5), 5);
	ck_assert_int_eq(pread(out, got, sizeof(got), 0), 13);
	ck_assert_str_eq(got, "one two three");
	close(in);
	close(out);
	unlink(in_name);
	unlink(out_name);
}
END_TEST

START_TEST(null_and_closed_descriptors)
{
	int null = open("/dev/null", O_RDWR), other = dup(null), fd;

	open_term(null, other);
	terminal_start(&term);
	settle();
	ck_assert_int_ne(term.source, SOURCE_CLOSED); /* no room, not read */
	console_make_room(&console, 10);
	settle();
	ck_assert_int_eq(term.source, SOURCE_CLOSED);
	ck_assert_uint_eq(print(&console, bulk, BULK), BULK);
	ck_assert_uint_eq(counter_get(&term.sink.dropped), 0);
	close_term();
	close(other);

	fd = fcntl(null, F_DUPFD, 200);
	close(fd);
	open_term(fd, fd + 1);
	terminal_start(&term);
	console_make_room(&console, 10);
	settle();
	ck_assert_uint_eq(print(&console, bulk, BULK), BULK);
	ck_assert_uint_eq(counter_get(&term.sink.dropped), BULK);
	close_term();
	close(null);
}
END_TEST

START_TEST(flush_waits_for_a_slow_reader)
{
	int in[2], out[2], status;
	pid_t child;

	make_pipe(in);
	make_pipe(out);
	open_term(in[0], out[1]);
	terminal_start(&term);
	ck_assert_uint_lt(print(&console, bulk, BULK), BULK);
	ck_assert_int_eq(terminal_flush(&term, 20), -ETIMEDOUT);

	child = fork();
	if (child == 0) {
		static uint8_t buf[4096];
		size_t done = 0;
		ssize_t n;

		close(out[1]);
		close(term.sink.fd);
		while ((n = read(out[0], buf, sizeof(buf))) > 0) {
			if (memcmp(buf, bulk + done, (size_t)n) != 0)
				_exit(2);
			done += (size_t)n;
		}
		_exit(done == BULK ? 0 : 1);
	}
	/* What the device still holds goes out too. */
	ck_assert_int_eq(terminal_flush(&term, 10000), 0);
	ck_assert_uint_eq(console.nr_send, 0);
	close_term();
	close(out[1]);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	close_pair(in);
	close(out[0]);
}
END_TEST

/* Two users, one sink: neither starves, each one's bytes keep their order. */
START_TEST(two_ports_share)
{
	static uint8_t a[KIB(300)], b[KIB(300)];
	int in[2], out[2];
	size_t nr_a = 0, nr_b = 0, first_b = 0;

	make_pipe(in);
	make_pipe(out);
	open_term(in[0], out[1]);
	console_attach(&serial, &term.serial.port);
	terminal_start(&term);
	for (size_t i = 0; i < sizeof(a); i++) {
		a[i] = (uint8_t)(i % 100);
		b[i] = (uint8_t)(100 + i % 100);
	}
	ck_assert_uint_lt(print(&console, a, sizeof(a)), sizeof(a));
	ck_assert_uint_eq(print(&serial, b, sizeof(b)), 0);
	ck_assert_int_eq(fcntl(out[0], F_SETFL, O_NONBLOCK), 0);
	for (int idle = 0; idle < 1000 && nr_a + nr_b < 2 * sizeof(a);) {
		uint8_t buf[8192];
		ssize_t n = read(out[0], buf, sizeof(buf));

		idle = n > 0 ? 0 : idle + 1;
		for (ssize_t i = 0; i < n; i++) {
			if (buf[i] < 100) {
				ck_assert_uint_eq(buf[i], nr_a++ % 100);
			} else {
				ck_assert_uint_eq(buf[i], 100 + nr_b % 100);
				first_b = nr_b++ == 0 ? nr_a : first_b;
			}
		}
		loop_step(&loop, n > 0 ? 0 : 1);
	}
	ck_assert_uint_eq(nr_a, sizeof(a));
	ck_assert_uint_eq(nr_b, sizeof(b));
	/* The second did not have to wait until the first was done. */
	ck_assert_uint_lt(first_b, sizeof(a));
	close_term();
	close_pair(in);
	close_pair(out);
}
END_TEST

START_TEST(input_goes_to_the_console_once_it_is_up)
{
	int in[2], out[2];

	make_pipe(in);
	make_pipe(out);
	open_term(in[0], out[1]);
	console_attach(&serial, &term.serial.port);
	terminal_start(&term);
	console_make_room(&serial, 100);
	ck_assert_int_eq(write(in[1], "early", 5), 5);
	settle();
	ck_assert_uint_eq(serial.nr_got, 5);
	console_make_room(&console, 3);
	ck_assert_int_eq(write(in[1], "later", 5), 5);
	settle();
	/* Not back to the serial when the console is full for a moment. */
	ck_assert_uint_eq(serial.nr_got, 5);
	ck_assert_uint_eq(console.nr_got, 3);
	console_make_room(&console, 3);
	settle();
	ck_assert_uint_eq(console.nr_got, 5);
	close_term();
	close_pair(in);
	close_pair(out);
}
END_TEST

/* A pseudo-terminal with MASTER outside and the terminal on SLAVE. */
static int master, slave, slave_out;
static struct termios cooked;

static void open_pty(void)
{
	struct winsize size = { .ws_col = 132, .ws_row = 43 };

	ck_assert_int_eq(openpty(&master, &slave, NULL, NULL, &size), 0);
	ck_assert_int_eq(fcntl(master, F_SETFL, O_NONBLOCK), 0);
	slave_out = dup(slave);
	ck_assert_int_eq(tcgetattr(slave, &cooked), 0);
	open_term(slave, slave_out);
}

static void close_pty(void)
{
	close(master);
	close(slave);
	close(slave_out);
}

static bool tty_is_raw(void)
{
	struct termios now;

	ck_assert_int_eq(tcgetattr(slave, &now), 0);
	if (now.c_lflag & (ICANON | ECHO | ISIG))
		return false;
	ck_assert_uint_eq(now.c_oflag & OPOST, 0);
	/* What raw mode does not concern stays. */
	ck_assert_uint_eq(now.c_cc[VINTR], cooked.c_cc[VINTR]);
	ck_assert_uint_eq(cfgetospeed(&now), cfgetospeed(&cooked));
	return true;
}

static void check_cooked(void)
{
	struct termios now;

	ck_assert_int_eq(tcgetattr(slave, &now), 0);
	ck_assert_uint_eq(now.c_lflag, cooked.c_lflag);
	ck_assert_uint_eq(now.c_iflag, cooked.c_iflag);
	ck_assert_uint_eq(now.c_oflag, cooked.c_oflag);
}

static void type(const char *keys, size_t len)
{
	ck_assert_int_eq(write(master, keys, len), (ssize_t)len);
	settle();
}

#define TYPE(keys) type(keys, sizeof(keys) - 1)

START_TEST(tty_modes)
{
	open_pty();
	check_cooked();
	terminal_start(&term);
	ck_assert(tty_is_raw());
	ck_assert_int_eq(fcntl(slave, F_GETFL) & O_NONBLOCK, 0);
	ck_assert_int_eq(fcntl(slave_out, F_GETFL) & O_NONBLOCK, 0);

	/* Stopped and continued; then stopped behind our back. */
	terminal_suspend(&term);
	check_cooked();
	terminal_resume(&term);
	ck_assert(tty_is_raw());
	ck_assert_int_eq(tcsetattr(slave, TCSANOW, &cooked), 0);
	terminal_resume(&term);
	ck_assert(tty_is_raw());

	/* Raw mode is not what is put back. */
	terminal_resume(&term);
	ck_assert(tty_is_raw());

	/* A fatal signal; twice does no harm. */
	errno = 42;
	terminal_restore();
	ck_assert_int_eq(errno, 42);
	check_cooked();
	cooked.c_lflag &= ~(tcflag_t)ECHO;
	ck_assert_int_eq(tcsetattr(slave, TCSANOW, &cooked), 0);
	terminal_restore();
	check_cooked();

	terminal_resume(&term);
	ck_assert(tty_is_raw());
	close_term();
	check_cooked();
	close_pty();
}
END_TEST

/* Somebody else says whose the terminal is. */
START_TEST(tty_set_background)
{
	open_pty();
	terminal_set_background(true);
	terminal_start(&term);
	check_cooked();
	TYPE("a");
	terminal_set_background(false);
	terminal_resume(&term);
	ck_assert(tty_is_raw());
	terminal_suspend(&term);
	terminal_set_background(true);
	terminal_resume(&term);
	check_cooked();
	terminal_set_background(false);
	close_term();
	check_cooked();
	close_pty();
}
END_TEST

/* exit(3) without terminal_fini(), in a process of its own. */
START_TEST(tty_modes_at_exit)
{
	int status;
	pid_t child = -1;

	open_pty();
	fflush(NULL);
	child = fork();
	if (child == 0) {
		terminal_start(&term);
		if (!tty_is_raw())
			_exit(1);
		/* what exit(3) does, without Check's own exit handlers */
		exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	check_cooked();
	close_term();
	close_pty();
}
END_TEST

START_TEST(tty_escapes)
{
	char got[512];
	ssize_t n;

	open_pty();
	console.room = 1000;
	terminal_start(&term);
	TYPE("a\1\1b\3\r\n");
	ck_assert_uint_eq(console.nr_got, 6);
	ck_assert(memcmp(console.got, "a\1b\3\r\n", 6) == 0);
	ck_assert_uint_eq(quits, 0);

	/* An escape in two pieces; an unknown one is nothing. */
	TYPE("\1");
	TYPE("z");
	TYPE("x\1qx");
	ck_assert_uint_eq(console.nr_got, 8);
	ck_assert_uint_eq(quits, 0);

	ck_assert_int_lt(read(master, got, sizeof(got)), 0);
	TYPE("\1h");
	n = read(master, got, sizeof(got) - 1);
	ck_assert_int_gt(n, 0);
	got[n] = '\0';
	ck_assert_ptr_nonnull(strstr(got, "Ctrl-A x"));
	/* Help is ours, not the guest's. */
	ck_assert_uint_eq(tail_count(&term.tail), 0);

	TYPE("\1x");
	ck_assert_uint_eq(quits, 1);
	ck_assert_uint_eq(console.nr_got, 8);
	close_term();
	close_pty();
}
END_TEST

/* A guest that takes nothing cannot keep Ctrl-A x from us; what was typed ahead
 * is held up to a bound.
 */
START_TEST(tty_keys_without_room)
{
	char line[256];

	open_pty();
	terminal_start(&term);
	memset(line, 'k', sizeof(line));
	for (int i = 0; i < 20; i++)
		type(line, sizeof(line));
	ck_assert_uint_eq(console.nr_got, 0);
	ck_assert_uint_eq(counter_get(&term.keys_dropped),
			  20 * sizeof(line) - TERMINAL_KEYS);
	TYPE("\1x");
	ck_assert_uint_eq(quits, 1);

	console_make_room(&console, 100);
	settle();
	ck_assert_uint_eq(console.nr_got, 100);
	console_make_room(&console, 10000);
	settle();
	ck_assert_uint_eq(console.nr_got, TERMINAL_KEYS);
	TYPE("!");
	ck_assert_uint_eq(console.got[console.nr_got - 1], '!');
	close_term();
	close_pty();
}
END_TEST

START_TEST(tty_output_is_byte_exact)
{
	for (int polled = 0; polled < 2; polled++) {
		open_pty();
		ck_assert_int_eq(term.sink.kind, SINK_OWN);
		if (polled) {
			close(term.sink.fd);
			term.sink.fd = slave_out;
			term.sink.own = false;
			term.sink.kind = SINK_POLLED;
		}
		terminal_start(&term);
		ck_assert_uint_lt(print(&console, bulk, BULK), BULK);
		drain_check(master, bulk, BULK, 4000);
		ck_assert_uint_eq(console.nr_send, 0);
		close_term();
		close_pty();
	}
}
END_TEST

START_TEST(tty_end_of_line)
{
	char got[64] = "";

	open_pty();
	terminal_start(&term);
	terminal_end_line(&term); /* nothing was said */
	ck_assert_uint_eq(term.console.port.write(&term.console.port, "a\n", 2),
			  2);
	terminal_end_line(&term);
	ck_assert_uint_eq(term.console.port.write(&term.console.port, "b", 1),
			  1);
	terminal_end_line(&term);
	for (size_t have = 0; have < 6;) {
		ssize_t n = read(master, got + have, sizeof(got) - 1 - have);

		ck_assert_int_gt(n, 0);
		have += (size_t)n;
	}
	ck_assert_str_eq(got, "a\n\rb\r\n");
	close_term();
	close_pty();
}
END_TEST

START_TEST(tty_window)
{
	struct winsize size = { .ws_col = 80, .ws_row = 24 };

	open_pty();
	terminal_start(&term);
	ck_assert_uint_eq(console.resized, 0); /* from the loop only */
	settle();
	ck_assert_uint_eq(console.resized, 1);
	ck_assert_uint_eq(console.cols, 132);
	ck_assert_uint_eq(console.rows, 43);
	ck_assert_int_eq(ioctl(master, TIOCSWINSZ, &size), 0);
	terminal_resized(&term);
	settle();
	ck_assert_uint_eq(console.cols, 80);
	ck_assert_uint_eq(console.rows, 24);

	/* unknown size, and a device that has no use for one */
	memset(&size, 0, sizeof(size));
	ck_assert_int_eq(ioctl(master, TIOCSWINSZ, &size), 0);
	terminal_resized(&term);
	settle();
	ck_assert_uint_eq(console.resized, 2);
	console.user.resized = NULL;
	size.ws_col = size.ws_row = 10;
	ck_assert_int_eq(ioctl(master, TIOCSWINSZ, &size), 0);
	terminal_resized(&term);
	settle();
	ck_assert_uint_eq(console.resized, 2);
	close_term();
	close_pty();
}
END_TEST

START_TEST(tty_hangup)
{
	open_pty();
	console.room = 100;
	terminal_start(&term);
	settle();
	close(master);
	settle();
	ck_assert_int_eq(term.source, SOURCE_CLOSED);
	ck_assert_uint_eq(print(&console, "x", 1), 1);
	ck_assert_uint_eq(counter_get(&term.sink.dropped), 1);
	close_term();
	close(slave);
	close(slave_out);
}
END_TEST

static int count_timeouts(unsigned int ms, bool (*done)(void))
{
	uint64_t end = now_ns() + ms * 1000000ull;

	while (now_ns() < end && !done())
		loop_step(&loop, 10);
	return done() ? 0 : 1;
}

static bool has_input(void)
{
	return console.nr_got > 0;
}

/* Plays the shell and its job: a session with the pseudo-terminal, in which the
 * terminal's process is in the background first.  The exit status is the line
 * that failed.
 */
static int background_job(void)
{
	struct termios now;
	int shell_pgrp;
	pid_t job;

	signal(SIGTTOU, SIG_IGN); /* a shell does */
	if (setsid() < 0 || ioctl(slave, TIOCSCTTY, 0) < 0)
		return 1;
	shell_pgrp = getpgrp();
	job = fork();
	if (job > 0) {
		int status;

		if (waitpid(job, &status, WUNTRACED) != job)
			return 2;
		if (WIFEXITED(status))
			return WEXITSTATUS(status);
		kill(job, SIGKILL); /* stopped by SIGTTIN or SIGTTOU */
		return 3;
	}
	signal(SIGTTOU, SIG_DFL);
	if (setpgid(0, 0) < 0 || tcgetpgrp(slave) != shell_pgrp)
		return 4;
	terminal_start(&term);
	console.room = 100;
	if (write(master, "typed\n", 6) != 6)
		return 5;
	settle();
	if (tcgetattr(slave, &now) < 0 || !(now.c_lflag & ICANON))
		return 6;
	if (console.nr_got > 0)
		return 7;
	if (terminal_restore(), tcgetattr(slave, &now) < 0)
		return 8;

	/* fg */
	signal(SIGTTOU, SIG_IGN);
	if (tcsetpgrp(slave, getpgrp()) < 0)
		return 9;
	signal(SIGTTOU, SIG_DFL);
	if (count_timeouts(3000, has_input))
		return 10;
	if (tcgetattr(slave, &now) < 0 || now.c_lflag & ICANON)
		return 11;

	/* bg again: the terminal's modes are no longer ours */
	signal(SIGTTOU, SIG_IGN);
	if (tcsetpgrp(slave, shell_pgrp) < 0 ||
	    tcsetattr(slave, TCSANOW, &cooked) < 0)
		return 12;
	signal(SIGTTOU, SIG_DFL);
	console.nr_got = 0;
	if (write(master, "x\n", 2) != 2)
		return 13;
	settle();
	if (console.nr_got > 0)
		return 14;
	terminal_restore();
	return 0;
}

START_TEST(tty_in_the_background)
{
	int status;
	pid_t child;

	open_pty();
	fflush(NULL);
	child = fork();
	if (child == 0)
		_exit(background_job());
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	close_term();
	close_pty();
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("terminal");
	TCase *tc = tcase_create("terminal");

	tcase_add_unchecked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, pipe_input_is_byte_exact);
	tcase_add_test(tc, no_escapes_in_a_pipe);
	tcase_add_test(tc, pipe_input_waits_for_room);
	tcase_add_test(tc, full_pipe_pushes_back);
	tcase_add_test(tc, held_bytes_go_first);
	tcase_add_test(tc, full_pipe_without_reopening);
	tcase_add_test(tc, socket_both_ways);
	tcase_add_test(tc, closed_pipe_swallows);
	tcase_add_test(tc, full_disk_swallows);
	tcase_add_test(tc, regular_files);
	tcase_add_test(tc, null_and_closed_descriptors);
	tcase_add_test(tc, flush_waits_for_a_slow_reader);
	tcase_add_test(tc, two_ports_share);
	tcase_add_test(tc, input_goes_to_the_console_once_it_is_up);
	tcase_add_test(tc, tty_modes);
	tcase_add_test(tc, tty_set_background);
	tcase_add_test(tc, tty_modes_at_exit);
	tcase_add_test(tc, tty_escapes);
	tcase_add_test(tc, tty_keys_without_room);
	tcase_add_test(tc, tty_output_is_byte_exact);
	tcase_add_test(tc, tty_end_of_line);
	tcase_add_test(tc, tty_window);
	tcase_add_test(tc, tty_hangup);
	tcase_add_test(tc, tty_in_the_background);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
