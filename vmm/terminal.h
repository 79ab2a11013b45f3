// SPDX-License-Identifier: Apache-2.0
/*
 * terminal.h - stdin and stdout as the back end of the guest's consoles
 *
 * Two ports lead to one pair of descriptors.  Both may write; their bytes
 * interleave as they come.  Input goes to the console's user from the first
 * time that it has room (its driver is up) and to the serial's user before
 * that; bytes that nobody has room for wait outside, see below.
 *
 * Output goes to a sink, which never blocks.  When that holds as much as it
 * may, port->write() takes less than it is offered; when it is gone the machine
 * lives on.
 *
 * Input that is not a terminal is passed on byte for byte and read only as far
 * as there is room.  On a terminal Ctrl-A is an escape, x, h or Ctrl-A follow;
 * keys are always read, and those that neither the user nor 4 KiB hold are
 * dropped and counted.
 *
 * Callbacks.  user->room(), receive(), writable() and resized() are called from
 * the terminal's own loop callbacks and from terminal_flush() only: never from
 * inside port->write() or port->readable(), which a device calls with its lock
 * held.  All functions are for the loop's thread, but for terminal_restore().
 */
#ifndef MOTE_VMM_TERMINAL_H
#define MOTE_VMM_TERMINAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/fifo.h"
#include "base/loop.h"
#include "base/port.h"
#include "base/telemetry.h"
#include "vmm/sink.h"
#include "vmm/tail.h"

#define TERMINAL_KEYS (4u << 10)

struct terminal;

/* One of the two ways in; PORT is what a device gets. */
struct terminal_port {
	struct port port;
	struct terminal *terminal;
	bool starved; /* was refused bytes and waits for writable() */
};

enum terminal_source {
	SOURCE_CLOSED, /* before terminal_start(), and after the end of file */
	SOURCE_TTY,    /* always watched, escapes looked for */
	SOURCE_STREAM, /* watched while there is room */
	SOURCE_FILE,   /* epoll refuses it: read when there is room */
};

struct terminal {
	struct terminal_port console; /* for the virtio console */
	struct terminal_port serial;  /* for the 16550 */
	struct tail tail;	      /* of everything that was written */
	struct sink sink;	      /* where output goes */
	struct counter keys_dropped;
	/* Ctrl-A x.  Must not call terminal_fini(). */
	void (*quit)(struct terminal *t);

	/* Private to terminal.c from here on. */
	struct loop *loop;
	int in_fd;
	bool in_own;	 /* re-opened: non-blocking, and ours to close */
	bool escape;	 /* Ctrl-A was the last key */
	bool console_up; /* input is the console's own from now on */
	bool window_due;
	bool serial_first; /* whose turn it is when both are starved */
	enum terminal_source source, source_found; /* found before the start */
	struct loop_source in_source;
	struct loop_timer deferred, background;
	struct fifo keys;
	uint8_t keys_buf[TERMINAL_KEYS];
};

/* T is all zeros: it is not cleared here, since most of it is buffers whose
 * pages are never used.  Looks at the two descriptors (borrowed, different
 * numbers) and re-opens them where that is possible; nothing is read and no
 * mode is changed yet, output is taken from now on.  Ignores SIGPIPE for the
 * process.  Needs /proc; without it output to pipes and terminals still works,
 * in small pieces.  Never fails: a descriptor that is closed reads as ended and
 * swallows what is written.
 */
void terminal_init(struct terminal *t, struct loop *loop, int in_fd, int out_fd,
		   void (*quit)(struct terminal *t));

/* Puts a terminal into raw mode, starts reading, and announces the size of the
 * window.  After the devices have attached themselves to the ports.
 *
 * In a background job nothing is read and no mode is changed until the job
 * comes to the foreground, which is looked for twice a second; so a background
 * job is not stopped by SIGTTIN.
 */
void terminal_start(struct terminal *t);

/* Whether somebody else has the terminal, for a process that cannot see that
 * itself: in a PID namespace other process groups have no numbers.
 */
void terminal_set_background(bool background);

/* SIGWINCH arrived: the console's user hears of the new size. */
void terminal_resized(struct terminal *t);

/* Before the process stops for SIGTSTP: the shell's modes are put back.  (The
 * keys ^Z and ^C go to the guest; the signal comes from kill.)
 */
void terminal_suspend(struct terminal *t);

/* After SIGCONT: raw mode and the size of the window once more.  Also right
 * after a SIGSTOP, of which nobody was told.
 */
void terminal_resume(struct terminal *t);

/* Writes what is held, and what starved users still hold, for at most
 * TIMEOUT_MS.  0, or -ETIMEDOUT.  For the end of the machine: no device lock is
 * held.
 */
int terminal_flush(struct terminal *t, unsigned int timeout_ms);

/* Leaves the cursor of a terminal at the left edge, below what the guest has
 * left unfinished: for what the monitor and the shell say next.
 */
void terminal_end_line(struct terminal *t);

/* Restores the modes and lets go of the loop and of the descriptors. */
void terminal_fini(struct terminal *t);

/* Puts the modes back that terminal_start() found, once.  Async-signal-safe and
 * from any thread, for handlers of fatal signals; exit(3) calls it too.  Does
 * nothing in a background job, whose terminal is somebody else's by now.
 */
void terminal_restore(void);

#endif
