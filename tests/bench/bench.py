# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks share: paths, rounds, medians, tables, JSON."""

import json
import os
import platform
import statistics
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
BUILD = os.environ.get("BUILD", os.path.join(ROOT, "build"))
MOTE = os.environ.get("MOTE", os.path.join(BUILD, "mote"))
QEMU = "/usr/bin/qemu-system-x86_64"
FLOOR = os.path.join(BUILD, "bench", "floor")
STOPWATCH = os.path.join(BUILD, "bench", "stopwatch")
HELLO = os.path.join(BUILD, "guest", "hello-serial")

# The same microvm for every comparison, with all that it can do without
# switched off: no PIC, PIT, clock, option ROMs, default devices, and no
# configuration files to read.
QEMU_MACHINE = [
    "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
    "-M", "microvm,x-option-roms=off,pit=off,pic=off,rtc=off,acpi=off,"
          "auto-kernel-cmdline=off",
]


def need(*paths):
    """Ends the program when a file that it measures is missing."""
    for path in paths:
        if not os.access(path, os.R_OK):
            sys.exit(f"{os.path.basename(sys.argv[0])}: no {path}; "
                     "make it first (make all guests benches)")


def need_kvm():
    try:
        os.close(os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC))
    except OSError as e:
        sys.exit(f"{os.path.basename(sys.argv[0])}: /dev/kvm: {e.strerror}")


def stopwatch(command, text=None):
    """Microseconds from execve(2) of COMMAND to its first output."""
    words = [STOPWATCH] + (["-t", text] if text else [])
    done = subprocess.run(words + command, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, check=False, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: {done.stderr.strip()}")
    return float(done.stdout)


def spread(samples):
    """Median, and the tenth and ninetieth percentile."""
    tenths = statistics.quantiles(samples, n=10)
    return statistics.median(samples), tenths[0], tenths[-1]


def version(program):
    done = subprocess.run([program, "--version"], stdout=subprocess.PIPE,
                          check=False, text=True)
    return done.stdout.splitlines()[0] if done.stdout else "unknown"


def table(head, rows):
    """Prints ROWS below HEAD: the first column left, the others right."""
    rows = [head, *rows]
    widths = [max(len(r[i]) for r in rows) for i in range(len(head))]
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [c.rjust(w) for c, w in zip(row[1:], widths[1:])]
        print("  ".join(cells).rstrip())


def write_json(name, result):
    """build/bench/NAME.json, with what the figures depend on."""
    result["host"] = {"kernel": platform.release(), "cpus": os.cpu_count()}
    path = os.path.join(BUILD, "bench", name + ".json")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path + ".new", "w", encoding="utf-8") as f:
        json.dump(result, f, indent=2)
        f.write("\n")
    os.replace(path + ".new", path)
    print(f"written: {path}")
