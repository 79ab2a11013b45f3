# SPDX-License-Identifier: Apache-2.0
"""System calls from within a jailed machine, as somebody could make them who
has taken it over: by ptrace(2), which stops its main thread in a system call and
has it make others.  For machines with --no-seccomp, so that what answers is the
layer behind the filters."""

import ctypes
import os

from monitor import Failure, expect

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p,
                        ctypes.c_void_p]
LIBC.ptrace.restype = ctypes.c_long
ATTACH, DETACH, GETREGS, SETREGS, STEP = 16, 17, 12, 13, 9
NAMES = """r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax
    rip cs eflags rsp ss fs_base gs_base ds es fs gs""".split()


class Registers(ctypes.Structure):
    _fields_ = [(name, ctypes.c_ulonglong) for name in NAMES]


def ptrace(request, pid, data=None):
    if LIBC.ptrace(request, pid, None, data) < 0:
        raise Failure(f"ptrace {request}: {os.strerror(ctypes.get_errno())}")


class Intruder:
    """`with Intruder(pid) as call: call(number, argument...)`: what the kernel
    returns.  Bytes are passed by address."""

    def __init__(self, pid):
        self.pid = pid
        self.registers = Registers()

    def __enter__(self):
        ptrace(ATTACH, self.pid)
        os.waitpid(self.pid, 0)
        ptrace(GETREGS, self.pid, ctypes.byref(self.registers))
        with open(f"/proc/{self.pid}/mem", "rb") as memory:
            memory.seek(self.registers.rip - 2)
            expect(memory.read(2) == b"\x0f\x05", "not in a system call")
        return self.call

    def __exit__(self, *why):
        ptrace(SETREGS, self.pid, ctypes.byref(self.registers))
        ptrace(DETACH, self.pid)

    def call(self, number, *arguments):
        # Below the red zone of the interrupted function.
        at = (self.registers.rsp - 4096) & ~15
        values = []
        with open(f"/proc/{self.pid}/mem", "r+b", buffering=0) as memory:
            for argument in arguments:
                if isinstance(argument, bytes):
                    memory.seek(at)
                    memory.write(argument + b"\0")
                    values.append(at)
                    at += len(argument) + 16 & ~15
                else:
                    values.append(argument)
        use = Registers.from_buffer_copy(self.registers)
        use.rip -= 2
        use.rax = number
        use.orig_rax = 2**64 - 1  # no call to be restarted
        for name, value in zip(("rdi", "rsi", "rdx", "r10", "r8", "r9"),
                               values):
            setattr(use, name, value & 2**64 - 1)
        ptrace(SETREGS, self.pid, ctypes.byref(use))
        ptrace(STEP, self.pid)
        os.waitpid(self.pid, 0)
        ptrace(GETREGS, self.pid, ctypes.byref(use))
        return ctypes.c_longlong(use.rax).value
