# SPDX-License-Identifier: Apache-2.0
"""A client of the control API that sees every byte: requests as they are given,
answers as they come."""

import json
import os
import socket
import time

from monitor import Failure, expect

SECONDS = 20


class Answer:
    """One answer: status, headers as they were spelled, body."""

    def __init__(self, status_line, headers, body):
        self.line = status_line
        self.status = int(status_line.split(" ")[1])
        self.headers = headers
        self.body = body

    def json(self):
        return json.loads(self.body) if self.body else None

    def fault(self):
        return (self.json() or {}).get("fault_message")


class Connection:
    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(SECONDS)
        end = time.monotonic() + SECONDS
        while True:
            try:
                self.sock.connect(path)
                break
            except ConnectionRefusedError:
                # Between bind(2) and listen(2): clients try again.
                if time.monotonic() > end:
                    raise
                time.sleep(0.001)
        self.buffer = b""

    def send(self, data):
        self.sock.sendall(data)

    def _fill(self):
        try:
            data = self.sock.recv(65536)
        except socket.timeout as e:
            raise Failure(f"no answer in {SECONDS} s; so far "
                          f"{self.buffer!r}") from e
        self.buffer += data
        return bool(data)

    def answer(self):
        while b"\r\n\r\n" not in self.buffer:
            expect(self._fill(), f"closed in a head: {self.buffer!r}")
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        lines = head.decode("ascii").split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines[1:])
        length = int(headers.get("Content-Length", 0))
        while len(self.buffer) < length:
            expect(self._fill(), f"closed in a body: {self.buffer!r}")
        body, self.buffer = self.buffer[:length], self.buffer[length:]
        return Answer(lines[0], headers, body)

    def closed(self):
        """True when the other end has closed, and nothing came before."""
        try:
            return not self._fill() and not self.buffer
        except ConnectionResetError:
            return True

    def request(self, method, path, body=None):
        if isinstance(body, (dict, list, int, str)) or body is None:
            body = b"" if body is None else json.dumps(body).encode()
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        self.send(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n"
                  f"{length}\r\n".encode() + body)
        return self.answer()

    def close(self):
        self.sock.close()


def wait_for_socket(path, process):
    """The file's appearance is how clients know that the API is there."""
    end = time.monotonic() + SECONDS
    while not os.path.exists(path):
        expect(process.poll() is None, "the process has ended")
        expect(time.monotonic() < end, "no socket")
        time.sleep(0.005)
