"""Tries to leave the sandbox from inside, before any student's code runs; the judge refuses to grade where it can."""

import importlib
import os
import socket
from collections.abc import Callable, Iterable

UNWRITABLE = ("/escape", "/usr/escape", "/w/lib/escape", "/dev/escape", "/dev/shm/escape")
SETTINGS = ("/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger")


def escapes(
    paths: Iterable[str], masks: Iterable[str], environment: Iterable[str], programs: bool = False
) -> list[str]:
    """What succeeded that must not, in words; empty in a sandbox that holds.

    Args:
        paths: files and folders of the judge's side.
        masks: modules that must not be importable.
        environment: the variables that may be set.
        programs: whether it may start processes and programs; even then the sandbox holds them all.
    """
    attempts: dict[str, Callable[[], object]] = {
        "opened a network socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM).close(),
        "became root": lambda: os.setuid(0),
        "saw other processes": _see_processes,
        "opened the memory of process 1 to write": lambda: os.close(os.open("/proc/1/mem", os.O_RDWR)),
        "held or could gain privileges": _hold_privileges,
        "saw variables of the environment": lambda: _require(set(os.environ) - set(environment)),
    }
    attempts |= {} if programs else {"started another process": _fork, "started a program": _execute}
    attempts |= {f"read {path}": lambda path=path: _read(path) for path in paths}
    attempts |= {f"wrote {path}": lambda path=path: _write(path) for path in UNWRITABLE}
    attempts |= {f"opened {path} to write": lambda path=path: os.close(os.open(path, os.O_WRONLY)) for path in SETTINGS}
    attempts |= {f"imported {name}": lambda name=name: importlib.import_module(name) for name in masks}
    return [name for name, attempt in attempts.items() if _succeeds(attempt)]


def _succeeds(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except (OSError, ImportError):
        return False
    return True


def _require(found: object) -> None:
    if not found:
        raise PermissionError


def _fork() -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


def _execute() -> None:
    try:
        os.execv("/nowhere", ["nowhere"])
    except FileNotFoundError:
        return  # only the file was missing


def _see_processes() -> None:
    """Beside this process there is only the sandbox's own process 1, whose command line shows no files of the judge."""
    others = {name for name in os.listdir("/proc") if name.isdigit()} - {str(os.getpid()), "1"}
    _require(others or os.getpid() > 2)


def _hold_privileges() -> None:
    with open("/proc/self/status") as handle:
        fields = dict(line.split(":\t", 1) for line in handle if ":\t" in line)
    held = any(int(fields[name], 16) for name in ("CapPrm", "CapEff", "CapAmb"))
    _require(held or fields["NoNewPrivs"].strip() != "1" or fields["Seccomp"].strip() != "2")


def _write(path: str) -> None:
    open(path, "wb").close()
    os.remove(path)


def _read(path: str) -> None:
    if os.path.isdir(path):
        os.listdir(path)
    else:
        open(path, "rb").close()
