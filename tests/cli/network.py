# SPDX-License-Identifier: Apache-2.0
"""`--net user`: passt is started, used, and gone with the machine."""

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from monitor import Monitor, expect, guest

PATIENCE = 10


def why_no_passt():
    """None when passt can be started here, else the reason."""
    if not shutil.which("passt"):
        return "no passt"
    ours, theirs = socket.socketpair()
    with ours, theirs:
        done = subprocess.run(["passt", "-F", str(theirs.fileno())],
                              pass_fds=[theirs.fileno()], check=False,
                              stderr=subprocess.DEVNULL)
    return "no network for passt here" if done.returncode else None


def free_ports(count):
    """Numbers that nobody listens on."""
    with_each = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in with_each]
    for s in with_each:
        s.close()
    return ports


def is_served(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def passts_of(port):
    """Processes of passt, not zombies, that were told of PORT."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/cmdline", "rb") as f:
                words = f.read().split(b"\0")
        except OSError:
            continue
        if b"passt" in words[0] and any(
                re.search(rb"\b%d:" % port, w) for w in words):
            found.append(int(entry))
    return found


def wait_until(condition, what):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        expect(time.monotonic() < deadline, what)
        time.sleep(0.02)


def machine(*nets, **more):
    words = [w for net in nets for w in ("--net", net)]
    return Monitor("run", "-k", guest("button"), *words, **more)


def missing():
    """Without passt, one line names the package that it is in."""
    empty = tempfile.mkdtemp()
    mote = machine("user", env={"PATH": empty})
    try:
        status = mote.wait()
    finally:
        mote.close()
        os.rmdir(empty)
    expect(status == 125, f"status {status}: {mote.err!r}")
    expect(re.fullmatch(rb"mote: --net user: [^\n]*apt install passt\)\n",
                        mote.err), f"{mote.err!r}")


def port_in_use():
    """A port that somebody has is named, although passt would not mind."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        mote = machine(f"user,publish={port}:80")
        try:
            status = mote.wait()
        finally:
            mote.close()
    expect(status == 125, f"status {status}: {mote.err!r}")
    expect(re.fullmatch(rb"mote: --net user,publish=%d:80: [^\n]*in use[^\n]*"
                        rb"\n" % port, mote.err), f"{mote.err!r}")


def gone_with(end):
    """Two interfaces, three ports; nothing is left after END."""
    ports = free_ports(3)
    mote = machine(f"user,publish={ports[0]}:80,publish={ports[1]}:81/tcp",
                   f"user,publish={ports[2]}:80,mtu=65520")
    try:
        mote.wait_for(b"waiting\n")
        for port in ports:
            expect(is_served(port), f"nobody listens on {port}")
            expect(len(passts_of(port)) == 1, f"no passt for {port}")
        mote.signal(end)
        status = mote.wait()
    finally:
        mote.close()
    expect(status == (0 if end == signal.SIGTERM else 128 + end),
           f"status {status}: {mote.err!r}")
    wait_until(lambda: not any(map(is_served, ports)), "a port is left")
    wait_until(lambda: not any(map(passts_of, ports)), "a passt is left")


def again_at_once():
    """The next machine gets the port that this one had."""
    port = free_ports(1)[0]
    for _ in range(5):
        mote = Monitor("run", "-k", guest("hello"),
                       "--net", f"user,publish={port}:80")
        try:
            status = mote.wait()
        finally:
            mote.close()
        expect(status == 0, f"status {status}: {mote.err!r}")


def dies():
    """passt dies: one line, and the machine goes on to its own end."""
    port = free_ports(1)[0]
    mote = machine(f"user,publish={port}:80")
    try:
        mote.wait_for(b"waiting\n")
        for pid in passts_of(port):
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not passts_of(port), "passt does not die")
        time.sleep(0.2)
        mote.signal(signal.SIGTERM)
        status = mote.wait()
    finally:
        mote.close()
    expect(status == 0, f"status {status}: {mote.err!r}")
    expect(mote.err == b"mote: net: passt is gone, the link is down\n",
           f"{mote.err!r}")


ANYWHERE = [("net-user-missing", missing),
            ("net-user-port-in-use", port_in_use)]
CASES = [("net-user-ends", lambda: gone_with(signal.SIGTERM)),
         ("net-user-killed", lambda: gone_with(signal.SIGKILL)),
         ("net-user-again", again_at_once),
         ("net-user-dies", dies)]
