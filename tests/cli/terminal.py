# SPDX-License-Identifier: Apache-2.0
"""The terminal: mote on a pty, whose modes must be what they were."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time

from monitor import MOTE, Failure, expect, guest

PATIENCE = 20


class Terminal:
    """mote with a pty as its standard streams and controlling terminal."""

    def __init__(self, *words):
        self.master, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ,
                    struct.pack("HHHH", 40, 100, 0, 0))
        self.before = termios.tcgetattr(self.slave)
        self.seen = b""
        self.process = subprocess.Popen(
            [MOTE, "run", *words], stdin=self.slave, stdout=self.slave,
            stderr=self.slave, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))

    def wait_for(self, text):
        deadline = time.monotonic() + PATIENCE
        while text not in self.seen:
            left = max(deadline - time.monotonic(), 0)
            if not select.select([self.master], [], [], left)[0]:
                raise Failure(f"no {text!r}, but {self.seen!r}")
            try:
                self.seen += os.read(self.master, 4096)
            except OSError as e:
                raise Failure(f"no {text!r}, but {self.seen!r}") from e

    def type(self, keys):
        os.write(self.master, keys)

    def is_raw(self):
        modes = termios.tcgetattr(self.slave)
        return not modes[3] & (termios.ICANON | termios.ECHO | termios.ISIG)

    def wait_raw(self):
        deadline = time.monotonic() + PATIENCE
        while not self.is_raw():
            expect(time.monotonic() < deadline, "never in raw mode")
            expect(self.process.poll() is None, f"ended: {self.seen!r}")
            time.sleep(0.01)

    def end(self):
        """The exit status as a shell would say it; the modes are checked."""
        deadline = time.monotonic() + PATIENCE
        while self.process.poll() is None:
            expect(time.monotonic() < deadline, "it does not end")
            # A pty that nobody reads would hold it.
            if select.select([self.master], [], [], 0.05)[0]:
                self.seen += os.read(self.master, 4096)
        after = termios.tcgetattr(self.slave)
        expect(after == self.before, f"modes {after}, not {self.before}")
        status = self.process.returncode
        return 128 - status if status < 0 else status

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
        os.close(self.slave)


def on_terminal(name, *words):
    """Decorates FUNCTION(terminal) with a started guest that has spoken."""
    def decorate(function):
        def case():
            term = Terminal("-k", guest(name), *words)
            try:
                function(term)
            finally:
                term.close()
        return case
    return decorate


@on_terminal("spin")
def quit_key(term):
    term.wait_for(b"spinning")
    term.wait_raw()
    term.type(b"\x01x")
    status = term.end()
    expect(status == 0, f"status {status}: {term.seen!r}")


@on_terminal("spin")
def help_key(term):
    term.wait_for(b"spinning")
    term.wait_raw()
    term.type(b"\x01h")
    term.wait_for(b"Ctrl-A x")
    expect(term.process.poll() is None, "help ended the machine")
    term.type(b"\x01x")
    term.end()


@on_terminal("spin")
def keys_are_the_guests(term):
    """^C, ^Z and ^\\ end nothing: they are the guest's."""
    term.wait_for(b"spinning")
    term.wait_raw()
    term.type(b"\x03\x1a\x1c")
    time.sleep(0.3)
    expect(term.process.poll() is None, f"ended: {term.seen!r}")
    term.type(b"\x01x")
    term.end()


@on_terminal("hello")
def power_off(term):
    status = term.end()
    expect(status == 0, f"status {status}: {term.seen!r}")
    expect(b"hello" in term.seen, f"{term.seen!r}")


@on_terminal("triple-fault")
def crash(term):
    status = term.end()
    expect(status == 255, f"status {status}: {term.seen!r}")
    expect(b"falling\n\rmote: the guest crashed" in term.seen,
           f"not at the left edge: {term.seen!r}")


@on_terminal("spin", "--timeout", "1")
def timeout(term):
    term.wait_raw()
    status = term.end()
    expect(status == 124, f"status {status}: {term.seen!r}")


@on_terminal("spin")
def sigterm(term):
    term.wait_for(b"spinning")
    term.wait_raw()
    term.process.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    term.process.send_signal(signal.SIGTERM)
    status = term.end()
    expect(status == 143, f"status {status}: {term.seen!r}")


@on_terminal("spin")
def sigint(term):
    term.wait_for(b"spinning")
    term.wait_raw()
    term.process.send_signal(signal.SIGINT)
    status = term.end()
    expect(status == 130, f"status {status}: {term.seen!r}")


@on_terminal("spin", "-v")
def log_lines(term):
    """Lines of ours begin at the left edge, raw mode or not."""
    term.wait_for(b"spinning")
    term.wait_raw()
    term.process.send_signal(signal.SIGTERM)
    term.wait_for(b"power button")
    term.process.send_signal(signal.SIGTERM)
    status = term.end()
    expect(status == 143, f"status {status}: {term.seen!r}")
    for line in term.seen.split(b"\n")[:-1]:
        if line.startswith(b"mote: "):
            expect(line.endswith(b"\r") and not line.endswith(b"\r\r"),
                   f"{line!r} of {term.seen!r}")
    expect(b"mote: ended by signal 15\r\n" in term.seen, f"{term.seen!r}")


def killed_by(number):
    """A signal that nobody expects gives the modes back before it kills."""
    @on_terminal("spin")
    def case(term):
        term.wait_for(b"spinning")
        term.wait_raw()
        term.process.send_signal(number)
        status = term.end()
        expect(status == 128 + number, f"status {status}: {term.seen!r}")
    return case


@on_terminal("spin")
def stop_and_go(term):
    """SIGTSTP gives the modes back, SIGCONT takes them again."""
    term.wait_for(b"spinning")
    term.wait_raw()
    term.process.send_signal(signal.SIGTSTP)
    deadline = time.monotonic() + PATIENCE
    while term.is_raw():
        expect(time.monotonic() < deadline, "still raw after SIGTSTP")
        time.sleep(0.01)
    term.process.send_signal(signal.SIGCONT)
    term.wait_raw()
    term.type(b"\x01x")
    term.end()


CASES = [
    ("tty-quit-key", quit_key),
    ("tty-help-key", help_key),
    ("tty-keys-are-the-guests", keys_are_the_guests),
    ("tty-power-off", power_off),
    ("tty-crash", crash),
    ("tty-timeout", timeout),
    ("tty-sigterm", sigterm),
    ("tty-sigint", sigint),
    ("tty-stop-and-go", stop_and_go),
    ("tty-log-lines", log_lines),
    *[("tty-" + number.name.lower(), killed_by(number)) for number in
      (signal.SIGABRT, signal.SIGSEGV, signal.SIGSYS, signal.SIGTRAP,
       signal.SIGXCPU, signal.SIGALRM, signal.SIGUSR2, signal.SIGPWR)],
]
