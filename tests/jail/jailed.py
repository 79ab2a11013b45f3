# SPDX-License-Identifier: Apache-2.0
"""A jailed machine as /proc shows it, and ways to start one."""

import ctypes
import os
import re
import shutil
import stat
import struct
import subprocess
import time

from monitor import MOTE, Failure, Monitor, expect, guest

NOBODY = 65534
LIBC = ctypes.CDLL(None, use_errno=True)
ALL_LAYERS = """descriptors environment no-core no-new-privs seal seccomp
    user-ns mount-ns pid-ns ipc-ns uts-ns cgroup-ns net-ns root landlock limits
    keyring capabilities bounding-set cgroup""".split()


def read(pid, name):
    with open(f"/proc/{pid}/{name}", encoding="latin-1") as f:
        return f.read()


def status(pid, key, task=None):
    """The words behind KEY in PID's status, or that of one of its tasks."""
    where = f"task/{task}/status" if task else "status"
    found = re.search(rf"^{key}:[ \t]*(.*)$", read(pid, where), re.M)
    return found[1].split() if found else None


def child_of(pid):
    """The one child of PID."""
    words = read(pid, f"task/{pid}/children").split()
    expect(len(words) == 1, f"children of the keeper: {words}")
    return int(words[0])


def gone(pid, patience=10):
    """Waits until PID is no process any more."""
    deadline = time.monotonic() + patience
    while os.path.exists(f"/proc/{pid}"):
        expect(time.monotonic() < deadline, f"{pid} is still there")
        time.sleep(0.01)


def check_identity(pid, uid, gid):
    for key, value in (("Uid", uid), ("Gid", gid)):
        got = status(pid, key)
        expect(got == [str(value)] * 4, f"{key} is {got}")


def check_powers(pid):
    """No capabilities, a filter on every thread, nothing to gain."""
    for task in os.listdir(f"/proc/{pid}/task"):
        for key in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            got = status(pid, key, task)
            expect(int(got[0], 16) == 0, f"{key} is {got}")
        name = read(pid, f"task/{task}/comm").strip()
        expect(status(pid, "NoNewPrivs", task) == ["1"], "NoNewPrivs")
        # KVM's own thread runs in the kernel alone, and is made when the
        # first vCPU, which is under its filter by then, first runs.
        expect(status(pid, "Seccomp", task) == ["2"], f"Seccomp of {name}")


def check_namespaces(pid, same=()):
    for name in ("user", "mnt", "pid", "ipc", "uts", "cgroup", "net"):
        own = os.readlink(f"/proc/{pid}/ns/{name}")
        ours = os.readlink(f"/proc/self/ns/{name}")
        if name in same:
            expect(own == ours, f"namespace {name} is another")
        else:
            expect(own != ours, f"namespace {name} is the host's")
    expect(status(pid, "NSpid")[-1] == "1", "not first in a PID namespace")


def check_root(pid, names=()):
    """One mount, read-only, in which there is nothing but NAMES."""
    mounts = read(pid, "mountinfo").splitlines()
    expect(len(mounts) == 1, f"mounts: {mounts}")
    words = mounts[0].split()
    expect(words[4] == "/", f"mounted at {words[4]}")
    options = words[5].split(",")
    for option in ("ro", "nosuid", "nodev", "noexec"):
        expect(option in options, f"root is not {option}: {options}")
    got = sorted(os.listdir(f"/proc/{pid}/root/"))
    expect(got == sorted(names), f"in the root: {got}")
    expect(os.readlink(f"/proc/{pid}/cwd") == "/", "another directory")


def check_memory(pid):
    """Nothing both writable and executable, nothing of a dump."""
    for line in read(pid, "maps").splitlines():
        flags = line.split()[1]
        expect(not ("w" in flags and "x" in flags), f"mapping {line}")
    expect(set(read(pid, "environ")) <= {"\0"}, "there is an environment")
    for line in read(pid, "limits").splitlines():
        if line.startswith("Max core file size"):
            expect(line.split()[4:6] == ["0", "0"], line)
    # A process that cannot be dumped has files of root's in /proc.
    owner = os.stat(f"/proc/{pid}/maps").st_uid
    expect(owner == 0, f"dumpable: its /proc belongs to {owner}")


def can_seal():
    return LIBC.syscall(462, None, 0, 0) == 0


def check_sealed(pid):
    """The program, the vCPUs' pages and guest memory cannot be remapped."""
    maps = re.findall(r"^([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \d+ *(.*)\n"
                      r"(?:[A-Z][^:\n]*:[^\n]*\n)*?VmFlags: (.*)$",
                      read(pid, "smaps"), re.M)
    expect(len(maps) > 10, f"{len(maps)} mappings")
    large = 0
    for start, end, rights, name, flags in maps:
        size = int(end, 16) - int(start, 16)
        large += size >= 64 << 20
        if name.endswith("/mote") or "kvm-vcpu" in name or size >= 64 << 20:
            expect("sl" in flags.split(), f"{name} {rights} {size}: {flags}")
    expect(large > 0, "no guest memory")


def descriptors(pid):
    return {int(n): os.readlink(f"/proc/{pid}/fd/{n}")
            for n in os.listdir(f"/proc/{pid}/fd")}


def check_descriptors(pid, named, filled=False):
    """Descriptors 0 to 2, our own anonymous ones, and those NAMED: numbers and
    what they are (regular expressions)."""
    kinds = {408: "anon_inode:kvm-vm", 409: r"anon_inode:\[io_uring\]"}
    found = descriptors(pid)
    for number, what in found.items():
        if number <= 2 or re.fullmatch(r"anon_inode:\[eventfd\]", what) and \
                320 <= number < 384:
            continue
        if re.fullmatch(r"anon_inode:kvm-vcpu:\d+", what) and \
                256 <= number < 320:
            continue
        wanted = named.get(number) or kinds.get(number)
        if number < 16 and not wanted:
            # The loop, the keeper's socket, what tells of changed files.
            # A disk's lock is an open file of its own.
            wanted = "|".join([r"anon_inode:\[eventpoll\]|socket:\[\d+\]|"
                               "anon_inode:inotify",
                               *(w for n, w in named.items() if n >= 384)])
        # What else a connection could get: fd_fill() in base/fd.h.
        if 256 <= number < 448 and what == "/" and filled:
            continue
        if number in (406, 407):  # our own descriptions of 0 and 1
            wanted = r"pipe:\[\d+\]"
        expect(wanted and re.fullmatch(wanted, what),
               f"descriptor {number} is {what}")
    for number in named:
        expect(number in found, f"no descriptor {number}: {found}")
    sockets = [n for n, w in found.items() if n > 2 and w.startswith("socket")]
    return sockets


def settle(pid):
    """Until the first vCPU has run: KVM makes a thread of its own then."""
    deadline = time.monotonic() + 10
    while status(pid, "Seccomp") != ["2"]:
        expect(time.monotonic() < deadline, "never under a filter")
        time.sleep(0.01)


def copied(report, *names):
    """Copies that others may reach: a checkout may be below somebody's home."""
    os.chmod(report.scratch, 0o711)
    paths = []
    for name in names:
        path = report.path(os.path.basename(name))
        if not os.path.exists(path):
            shutil.copy(name, path)
            os.chmod(path, 0o755)
        paths.append(path)
    return paths


def as_nobody(report, *words):
    """WORDS as a user without any power, who may open /dev/kvm."""
    if os.getuid() != 0:
        return list(words)
    node = report.path("kvm")
    if not os.path.exists(node):
        os.mknod(node, stat.S_IFCHR | 0o666, os.stat("/dev/kvm").st_rdev)
        os.chmod(node, 0o666)
    return ["unshare", "-m", "sh", "-c",
            f"mount --bind {node} /dev/kvm && exec setpriv "
            f'--reuid={NOBODY} --regid={NOBODY} --clear-groups "$@"', "sh",
            *words]


class Other(Monitor):
    """Any words that come to be a mote."""

    def __init__(self, words, **more):
        self.out = b""
        self.err = b""
        more.setdefault("stdin", subprocess.DEVNULL)
        self.process = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)
        self.deadline = time.monotonic() + 60


def forbid(calls):
    """A preexec_fn: the system calls CALLS, number to errno, fail."""
    code = [struct.pack("HBBI", 0x20, 0, 0, 0)]  # the number
    for number, error in calls.items():
        code.append(struct.pack("HBBI", 0x15, 0, 1, number))
        code.append(struct.pack("HBBI", 0x06, 0, 0, 0x00050000 | error))
    code.append(struct.pack("HBBI", 0x06, 0, 0, 0x7fff0000))
    program = ctypes.create_string_buffer(b"".join(code))

    def install():
        fprog = struct.pack("HxxxxxxQ", len(code), ctypes.addressof(program))
        if LIBC.prctl(38, 1, 0, 0, 0) or LIBC.prctl(22, 2, fprog, 0, 0):
            os._exit(99)
    return install


def run_once(*words, **more):
    """(status, stdout, stderr) of one run to its end."""
    mote = Monitor("run", *words, **more)
    try:
        return mote.wait(), mote.out.decode(), mote.err.decode()
    finally:
        mote.close()


__all__ = [name for name in dir() if not name.startswith("_")]
