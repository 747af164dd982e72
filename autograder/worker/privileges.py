"""What a worker gives up before a student's code runs: root, capabilities, memory, files, threads, system calls."""

import ctypes
import os
import resource
import signal
from typing import Any

import torch

from autograder.runtime.execution import Problem

SLACK_BYTES = 2**30  # address space beside memory in use: thread stacks, fragments of the allocator
SET_PARENT_DEATH_SIGNAL, SET_NO_NEW_PRIVILEGES = 1, 38  # prctl(2)
SECCOMP_SET_MODE_FILTER, ALL_THREADS = 1, 1  # seccomp(2)
CAPABILITY_VERSION_3 = 0x20080522
_LIBC = ctypes.CDLL(None, use_errno=True)


def drop_privileges(request: dict[str, Any]) -> dict[str, Any]:
    """Give up root, memory, files, threads and system calls for good."""
    limits = request["limits"]
    if limits["nobody"] is not None:
        os.setgroups([])
        os.setresgid(*[limits["nobody"]] * 3)
        os.setresuid(*[limits["nobody"]] * 3)
    _drop_capabilities()
    torch.set_num_threads(limits["threads"])
    with open("/proc/self/statm") as handle:
        mapped = int(handle.read().split()[0]) * resource.getpagesize()
    for kind, value in (
        *([(resource.RLIMIT_AS, mapped + limits["memory_bytes"] + SLACK_BYTES)] if limits["bounded"] else []),
        (resource.RLIMIT_DATA, limits["memory_bytes"] + SLACK_BYTES),
        (resource.RLIMIT_FSIZE, limits["file_bytes"]),
        (resource.RLIMIT_NOFILE, limits["open_files"]),
        (resource.RLIMIT_NPROC, limits["processes"]),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (value, value))
    resource.setrlimit(resource.RLIMIT_CPU, (limits["cpu_s"], limits["cpu_s"] + 1))  # SIGXCPU, then SIGKILL
    _filter_system_calls(limits["filter"]["syscall"], bytes.fromhex(limits["filter"]["program"]))
    return {"op": "ready"}


def _drop_capabilities() -> None:
    """All of them, also those that whoever enters a user namespace has in it (capset(2))."""
    _must("capset", (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0), (ctypes.c_uint32 * 6)())


def _filter_system_calls(seccomp: int, program: bytes) -> None:
    class FilterProgram(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))

    _must("prctl", SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    _must("prctl", SET_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    code = FilterProgram(len(program) // 8, program)
    _must("syscall", seccomp, SECCOMP_SET_MODE_FILTER, ALL_THREADS, ctypes.byref(code))


def _must(call: str, *arguments: Any) -> None:
    """A call of the C library without which no student's code runs."""
    try:
        libc(call, *arguments)
    except OSError as error:
        raise Problem("result", "OSError", str(error)) from None


def libc(call: str, *arguments: Any) -> None:
    """A call of the C library; raises OSError with its name."""
    if getattr(_LIBC, call)(*arguments):
        raise OSError(f"{call}: {os.strerror(ctypes.get_errno())}")
