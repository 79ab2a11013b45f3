# SPDX-License-Identifier: Apache-2.0
"""A machine that runs build/bench/io-guest, and what it costs the host.

The guest takes one command a line on its serial port and answers with one line.
It counts time by its TSC, which is held against the host's clock over the whole
life of the machine.
"""

import os
import re
import select
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


class Machine:
    """NAME ("mote", "qemu") with MORE words; a context manager."""

    def __init__(self, name, more, **popen):
        self.name = name
        self.process = subprocess.Popen(
            COMMANDS[name] + more, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **popen)
        self.text = b""

    def __enter__(self):
        try:
            self.line("ready")
            self.tsc = self.sample_tsc()
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

    def measure(self, command):
        """Runs COMMAND: the guest's numbers, with the seconds that it took
        by the guest and the CPU seconds by the host."""
        before = Cpu(self.process.pid)
        self.command(command)
        got = numbers(self.line("cycles"))
        after = Cpu(self.process.pid)
        if got["bad"]:
            sys.exit(f"{self.name}: {command}: {got['bad']} wrong answers")
        now = self.sample_tsc()
        hz = (now[1] - self.tsc[1]) / (now[0] - self.tsc[0])
        got["seconds"] = got["cycles"] / hz
        got["cpu"] = after.rest - before.rest
        got["cpu_vcpu"] = after.vcpu - before.vcpu
        return got


def numbers(line):
    """{name: value} of a line of names and 64-bit numbers."""
    return {name: int(high, 16) << 32 | int(low, 16) for name, high, low in
            re.findall(r"(\w+) 0x([0-9a-f]+):0x([0-9a-f]+)", line)}


def median(samples):
    return statistics.median(samples)


def quartiles(samples):
    """How far a quarter of the samples is from the median, in percent."""
    if len(samples) < 2:
        return 0.0
    q = statistics.quantiles(samples, n=4)
    return (q[2] - q[0]) / 2 / median(samples) * 100
