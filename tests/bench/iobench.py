# SPDX-License-Identifier: Apache-2.0
"""A machine that runs build/bench/io-guest, and what it costs the host.

The guest takes one command a line on its serial port and answers with one line.
It counts time by its TSC, which is held against the host's clock over the whole
life of the machine.
"""

import contextlib
import os
import re
import select
import signal
import statistics
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import bench  # noqa: E402

GUEST = os.path.join(bench.BUILD, "bench", "io-guest")
PATIENCE = 120  # seconds for one answer
MIB = 128
COMMANDS = {
    "mote": [bench.MOTE, "run", "-k", GUEST, "-m", f"{MIB}M",
             "--early-serial"],
    "qemu": [bench.QEMU, *bench.QEMU_MACHINE, "-M", "isa-serial=on",
             "-accel", "kvm", "-cpu", "qemu64", "-m", str(MIB), "-smp", "1",
             "-name", "peer,debug-threads=on", "-serial", "stdio",
             "-global", "virtio-mmio.force-legacy=false", "-kernel", GUEST],
}


def come_first(pid):
    """PID, in a session of its own, before what else wants these CPUs, if we
    may: sched(7), the autogroup feature and nice values within it."""
    try:
        os.setpriority(os.PRIO_PROCESS, pid, -20)
        with open(f"/proc/{pid}/autogroup", "w", encoding="utf-8") as f:
            f.write("-20")
    except OSError:
        pass


def is_vcpu(name):
    return name.startswith("CPU ") or name.startswith("vcpu")


class Cpu:
    """CPU seconds that a process has used so far, by kind of thread."""

    def __init__(self, pid):
        self.vcpu = self.rest = 0.0
        for tid in os.listdir(f"/proc/{pid}/task"):
            try:
                with open(f"/proc/{pid}/task/{tid}/comm",
                          encoding="utf-8") as f:
                    name = f.read().strip()
                with open(f"/proc/{pid}/task/{tid}/schedstat",
                          encoding="utf-8") as f:
                    ns = int(f.read().split()[0])
            except FileNotFoundError:
                continue  # a worker that has just ended
            if is_vcpu(name):
                self.vcpu += ns / 1e9
            else:
                self.rest += ns / 1e9


def at_once(tid):
    """TID runs as soon as it is woken, if we may arrange that; not for a thread
    that never sleeps."""
    try:
        os.sched_setscheduler(tid, os.SCHED_FIFO, os.sched_param(1))
    except OSError:
        pass


def pin(pid):
    """The vCPU to the first CPU, all that serves it to the second: what a host
    with a CPU to spare does by itself, and so that two runs are the same."""
    cpus = sorted(os.sched_getaffinity(0))
    for tid in map(int, os.listdir(f"/proc/{pid}/task")):
        with open(f"/proc/{pid}/task/{tid}/comm", encoding="utf-8") as f:
            vcpu = is_vcpu(f.read().strip())
        if len(cpus) > 1:
            os.sched_setaffinity(tid, {cpus[0 if vcpu else 1]})
        if not vcpu:
            at_once(tid)


class Machine:
    """KIND ("mote", "qemu") with MORE words; a context manager.  It runs only
    while it is asked something."""

    def __init__(self, kind, more, name=None, **popen):
        self.name = name or kind
        self.process = subprocess.Popen(
            COMMANDS[kind] + more, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=True, **popen)
        come_first(self.process.pid)
        self.text = b""
        self.hz = 0.0  # of the TSC, once something was measured

    def __enter__(self):
        try:
            self.line("ready")
            pin(self.process.pid)
            self.tsc = self.sample_tsc()
            self.process.send_signal(signal.SIGSTOP)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def line(self, start):
        """The next line, which begins with START."""
        until = time.monotonic() + PATIENCE
        pipe = self.process.stdout.fileno()
        while b"\n" not in self.text:
            ready = select.select([pipe], [], [], until - time.monotonic())[0]
            data = os.read(pipe, 4096) if ready else b""
            if not data:
                self.process.kill()
                err = self.process.communicate()[1].decode()
                sys.exit(f"{self.name}: no answer; said {self.text!r} {err}")
            self.text += data
        line, _, self.text = self.text.partition(b"\n")
        line = line.decode().strip()
        if not line.startswith(start):
            sys.exit(f"{self.name}: {line}")
        return line

    def command(self, text):
        self.process.stdin.write(text.encode() + b"\n")
        self.process.stdin.flush()

    def sample_tsc(self):
        """(host's seconds, the guest's cycles), the closest of three."""
        best = None
        for _ in range(3):
            before = time.monotonic()
            self.command("t")
            cycles = numbers(self.line("tsc"))["tsc"]
            after = time.monotonic()
            if not best or after - before < best[0]:
                best = (after - before, (before + after) / 2, cycles)
        return best[1:]

    def measure(self, command, meanwhile=None):
        """Runs COMMAND, calls MEANWHILE while it runs: the guest's numbers, with
        the seconds by the guest's clock and the host's CPU seconds."""
        self.process.send_signal(signal.SIGCONT)
        before = Cpu(self.process.pid)
        self.command(command)
        if meanwhile:
            meanwhile()
        got = numbers(self.line("cycles"))
        after = Cpu(self.process.pid)
        if got["bad"]:
            sys.exit(f"{self.name}: {command}: {got['bad']} wrong answers")
        now = self.sample_tsc()
        self.process.send_signal(signal.SIGSTOP)
        self.hz = (now[1] - self.tsc[1]) / (now[0] - self.tsc[0])
        got["seconds"] = got["cycles"] / self.hz
        got["cpu"] = after.rest - before.rest
        got["cpu_vcpu"] = after.vcpu - before.vcpu
        return got


def numbers(line):
    """{name: value} of a line of names and 64-bit numbers."""
    return {name: int(high, 16) << 32 | int(low, 16) for name, high, low in
            re.findall(r"(\w+) 0x([0-9a-f]+):0x([0-9a-f]+)", line)}


@contextlib.contextmanager
def machines(peers):
    """A Machine for each {name: (kind, more words)}."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Machine(kind, more, name))
               for name, (kind, more) in peers.items()]


def interleave(machines, commands, rounds):
    """[result, ...] for each (machine's name, command's name): everything once
    to warm up, then ROUNDS times in turns."""
    samples = {(m.name, c): [] for m in machines for c in commands}
    for number in range(rounds + 1):
        for label, command in commands.items():
            for m in machines:
                got = m.measure(command)
                if number:
                    samples[m.name, label].append(got)
    return samples


def middle(results, value):
    """Median of VALUE(result), and half the distance of its quartiles in
    percent of it."""
    got = [value(r) for r in results]
    q = statistics.quantiles(got, n=4) if len(got) > 1 else got * 3
    m = statistics.median(got)
    return m, (q[2] - q[0]) / 2 / m * 100 if m else 0.0
