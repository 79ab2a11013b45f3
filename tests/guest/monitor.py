# SPDX-License-Identifier: Apache-2.0
"""What the runners share: one mote process under test, and TAP-like lines."""

import fcntl
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
BUILD = os.environ.get("BUILD", os.path.join(ROOT, "build"))
MOTE = os.environ.get("MOTE", os.path.join(BUILD, "mote"))
GUESTS = os.path.join(BUILD, "guest")
KVM_GET_API_VERSION = 0xae00
# A shell's background job, or nohup's, starts with these ignored, and so would
# mote.
for _number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
    if signal.getsignal(_number) == signal.SIG_IGN:
        signal.signal(_number, signal.SIG_DFL)
PATIENCE = float(os.environ.get("PATIENCE", "60"))  # seconds a case


class Failure(Exception):
    """A case did not go as promised; the text says how."""


def guest(name):
    return os.path.join(GUESTS, name)


def expect(condition, why):
    if not condition:
        raise Failure(why)


def why_no_kvm():
    """None when machines can be started here, else the reason."""
    try:
        fd = os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC)
        try:
            if fcntl.ioctl(fd, KVM_GET_API_VERSION) != 12:
                return "/dev/kvm: not KVM's API version 12"
        finally:
            os.close(fd)
    except OSError as e:
        return "/dev/kvm: " + e.strerror
    return None


class Monitor:
    """`mote WORDS...`, its output read as it comes."""

    def __init__(self, *words, stdin=subprocess.DEVNULL, **more):
        self.out = b""
        self.err = b""
        self.process = subprocess.Popen(
            [MOTE, *words], stdin=stdin, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, **more)
        self.deadline = time.monotonic() + PATIENCE

    def _read(self, until):
        """Collects output until UNTIL is in it, or all of it has come."""
        pipes = [self.process.stdout, self.process.stderr]
        while pipes and not (until and until in self.out):
            left = self.deadline - time.monotonic()
            ready = select.select(pipes, [], [], max(left, 0))[0]
            if not ready:
                raise Failure(f"no end after {PATIENCE:.0f} s; so far: "
                              f"{self.out[-300:]!r} {self.err[-300:]!r}")
            for pipe in ready:
                data = os.read(pipe.fileno(), 65536)
                if not data:
                    pipes.remove(pipe)
                elif pipe is self.process.stdout:
                    self.out += data
                else:
                    self.err += data
                if len(self.out) + len(self.err) > 1 << 20:
                    raise Failure("more than 1 MiB of output")

    def wait_for(self, text):
        self._read(text)
        expect(text in self.out, f"no {text!r}, but {self.out!r} "
                                 f"and {self.err!r}")

    def signal(self, number):
        self.process.send_signal(number)

    def state(self):
        """Of the main thread, a letter as in proc(5)."""
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0]

    def wait(self):
        """The exit status as a shell would say it."""
        self._read(None)
        status = self.process.wait(timeout=PATIENCE)
        return 128 - status if status < 0 else status

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout,
                     self.process.stderr):
            if pipe:
                pipe.close()


class Report:
    """Runs cases, prints a line each, remembers whether all went well."""

    def __init__(self, words):
        self.chosen = words
        self.failed = 0
        self.passed = 0
        self.skipped = 0
        self.scratch = tempfile.mkdtemp(prefix="mote-test-")

    def case(self, name, function):
        if self.chosen and not any(w in name for w in self.chosen):
            return
        try:
            function()
        except Failure as e:
            self.failed += 1
            print(f"not ok {name}")
            for line in str(e).splitlines():
                print(f"# {line}")
        else:
            self.passed += 1
            print(f"ok {name}")
        sys.stdout.flush()

    def skip(self, name, why):
        if self.chosen and not any(w in name for w in self.chosen):
            return
        self.skipped += 1
        print(f"ok {name} # skip {why}")

    def end(self, what):
        shutil.rmtree(self.scratch, ignore_errors=True)
        print(f"# {what}: {self.passed} passed, {self.failed} failed, "
              f"{self.skipped} skipped")
        return 1 if self.failed else 0

    def path(self, name):
        return os.path.join(self.scratch, name)

    def file(self, name, data=b"", mode=0o644):
        path = self.path(name)
        with open(path, "wb") as f:
            f.write(data)
        os.chmod(path, mode)
        return path
