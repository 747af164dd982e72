"""The sandbox around a worker: bubblewrap with namespaces of its own, and an allow list of read-only files.

The worker sandboxes itself further before any student's code runs (see `worker` and `seccomp`): resource limits, and a
filter of system calls that leaves it one process, no programs and no sockets. So its CPU clock counts all that it does,
and killing the sandbox ends everything in it.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autograder.cells.packages import allowed_packages
from autograder.judge.seccomp import UnknownMachine, filter_for_this_machine
from autograder.runtime.device import CPU, Device
from autograder.wire.text import last_line

SYSTEM_FOLDERS = ("/usr", "/lib", "/lib32", "/lib64", "/libx32", "/bin", "/sbin")
DEVICE_FILES = ("null", "zero", "full", "random", "urandom")  # and no terminals, which could wake a frozen worker
SYSTEM_FILES = ("/etc/ld.so.cache", "/etc/alternatives", "/etc/localtime")
BOOT = "import sys; sys.path[:0] = sys.argv[2:]; from autograder.worker.fork_server import main; main()"
WAIT = ("/bin/sh", "-c", "echo ready; read until")  # what holds a sandbox open, for as long as the judge lives
HELD_BY_FIRST = "CAP_WAKE_ALARM"  # what process 1 has and the worker lacks, or it could write its memory: ptrace(2)
INSTALL = "install bubblewrap (apt install bubblewrap), or ask for the weaker mode with --no-sandbox"
HOST_MUST_ALLOW = {  # what bubblewrap says -> the option that is missing
    "namespace": "In a container, start it with --security-opt seccomp=unconfined --security-opt apparmor=unconfined; "
    "on the host itself, sysctl -w kernel.unprivileged_userns_clone=1 (Debian) "
    "or kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu)",
    "mount proc": "Start the container with --security-opt systempaths=unconfined, for a sandbox's own /proc",
}
NOBODY = 65534
CLONE_NEWUSER = 0x10000000


class NoSandbox(Exception):
    """A worker cannot be held safely on this machine; one sentence that says what to do."""


@dataclass(frozen=True)
class Limits:
    """What a worker may use; memory is counted above what it has mapped before the student's code runs."""

    memory_bytes: int = 4 * 2**30
    tmp_bytes: int = 256 * 2**20
    file_bytes: int = 128 * 2**20
    open_files: int = 256
    processes: int = 512  # threads, in fact: a second process is never allowed
    cpu_s: int = 600
    threads: int = 1  # of torch

    @classmethod
    def of(cls, given: dict[str, Any]) -> "Limits":
        """The defaults with those of the given that are limits of a worker."""
        return cls(**{name: value for name, value in given.items() if name in cls.__dataclass_fields__})


def environment(limits: Limits, device: Device = CPU) -> dict[str, str]:
    """All variables that a worker gets."""
    threads = {f"{name}_NUM_THREADS": str(limits.threads) for name in ("OMP", "MKL", "OPENBLAS")}
    fixed = {"PATH": "/usr/bin:/bin", "HOME": "/tmp", "PWD": "/tmp", "USER": "worker", "LANG": "C.UTF-8"}
    python = {"PYTHONHASHSEED": "0", "PYTHONUNBUFFERED": "1"}
    return {**fixed, **threads, **python, **device.environment(), "TRITON_CACHE_DIR": "/tmp/triton"}


class Sandbox:
    """A sandbox in which nothing runs yet; `inside` is a descriptor of its first process (pidfd_open(2)).

    Args:
        lib: the view of lib that it shows.
        device: what it shows beside that.

    Raises:
        NoSandbox: bubblewrap could not make it.
    """

    def __init__(self, lib: Path, limits: Limits, device: Device = CPU) -> None:
        status, status_in_child = os.pipe()
        users = [user_namespace()] if os.geteuid() == 0 else []
        self._process = subprocess.Popen(
            bubblewrap(lib, limits, status_in_child, device, *users), pass_fds=[status_in_child, *users],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        for descriptor in (status_in_child, *users):
            os.close(descriptor)
        assert self._process.stdout is not None
        with os.fdopen(status, "rb", buffering=0) as told:
            if self._process.stdout.readline() != b"ready\n":
                said = last_line(self._process.communicate()[1].decode(errors="replace"))
                raise NoSandbox(f"no sandbox could be made: {said}; {INSTALL}")
            self.first = json.loads(told.readline())["child-pid"]
            self.inside = os.pidfd_open(self.first)

    def close(self) -> None:
        """End all that runs in it."""
        self._process.kill()
        self._process.communicate()
        os.close(self.inside)


def python_command(control: int, path: list[str]) -> list[str]:
    """A fork server in the base interpreter, without user site, site-packages, bytecode and the working directory."""
    python = os.path.realpath(sys.executable)
    return [python, "-P", "-s", "-S", "-B", "-c", BOOT, str(control), *path]


def package_folders() -> list[str]:
    """Where the packages on the allow list are: at the same place inside a sandbox as outside."""
    return sorted({os.path.dirname(path) for path in allowed_packages().values()})


def bubblewrap(lib: Path, limits: Limits, status: int, device: Device = CPU, users: int | None = None) -> list[str]:
    """The command line of a sandbox that waits for its worker; it sees /w/lib and the packages on the allow list.

    Args:
        lib: the view of lib.
        status: descriptor on which bubblewrap tells the process id of the sandbox.
        users: that of a `user_namespace`, for a judge run by root.
    """
    command = [require_bubblewrap(), "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"]
    command += ["--unshare-cgroup-try", "--hostname", "worker", "--as-pid-1"]
    command += ["--cap-drop", "ALL", "--cap-add", HELD_BY_FIRST]
    if users is not None:  # the worker changes to nobody itself, before any student's code runs
        command += ["--userns", str(users)]
    else:
        command += ["--unshare-user", "--uid", str(NOBODY), "--gid", str(NOBODY)]
    command += ["--die-with-parent", "--new-session", "--json-status-fd", str(status), "--clearenv"]
    command += ["--perms", "1777", "--size", str(limits.tmp_bytes), "--tmpfs", "/tmp"]  # first: packages may lie there
    command += _system_files() + _packages() + _folder(Path("/w")) + ["--ro-bind", str(lib), "/w/lib"]
    command += ["--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys", "--dir", "/dev"]
    for name in DEVICE_FILES:
        command += ["--dev-bind", f"/dev/{name}", f"/dev/{name}"]
    return [*command, *device.binds(), "--chdir", "/tmp", "--remount-ro", "/", "--", *WAIT]


def _packages() -> list[str]:
    """The packages on the allow list, each at its own place; covered folders are closed again."""
    options: list[str] = []
    for folder in package_folders():
        options += _folder(Path(folder))
    for path in allowed_packages().values():
        options += ["--ro-bind", path, path]
    for folder in _packages_in_view():
        options += ["--remount-ro", folder]
    return options


def _folder(path: Path) -> list[str]:
    """Options that make a folder and those around it, which anybody may enter."""
    options: list[str] = []
    for each in reversed([path, *path.parents[:-1]]):
        options += ["--perms", "0755", "--dir", str(each)]
    return options


def _system_files() -> list[str]:
    """The system's programs and libraries and the interpreter's own folder, without the packages installed there."""
    options: list[str] = []
    for folder in SYSTEM_FOLDERS:
        if os.path.islink(folder):
            options += ["--symlink", os.readlink(folder), folder]
        elif os.path.isdir(folder):
            options += ["--ro-bind", folder, folder]
    for file in SYSTEM_FILES:
        options += ["--ro-bind-try", file, file]
    base = Path(sys.base_prefix)
    if not base.is_relative_to("/usr"):
        options += [*_folder(base), "--ro-bind", str(base), str(base)]
    for folder in _packages_in_view():
        options += ["--tmpfs", folder]
    return options


def _packages_in_view() -> list[str]:
    """Folders of installed packages that the interpreter's own folder or /usr would show: they are covered."""
    base = {"base": sys.base_prefix, "platbase": sys.base_prefix}
    folders = {
        sysconfig.get_path("purelib", vars=base),
        sysconfig.get_path("purelib"),
        "/usr/lib/python3/dist-packages",
    }
    folders.add(f"/usr/local/lib/python3.{sys.version_info.minor}/dist-packages")
    shown = (Path(sys.base_prefix), Path("/usr"))
    return sorted(one for one in folders if os.path.isdir(one) and any(Path(one).is_relative_to(top) for top in shown))


def require_bubblewrap() -> str:
    """The path of bwrap; raises NoSandbox saying what to install."""
    path = shutil.which("bwrap")
    if path is None:
        raise NoSandbox(f"there is no sandbox on this machine: {INSTALL}")
    return path


def user_namespace() -> int:
    """For a judge run by root: a descriptor of a user namespace that knows root and nobody, so that a worker can become
    nobody and is not root outside either. Each sandbox has its own: threads are counted by user and namespace."""
    enter = f"import ctypes, sys; print(ctypes.CDLL(None).unshare({CLONE_NEWUSER}), flush=True); sys.stdin.read()"
    command = [sys.executable, "-S", "-c", enter]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        if process.stdout.readline().strip() != "0":
            raise NoSandbox(f"this kernel makes no user namespace: {INSTALL}")
        for kind in ("uid_map", "gid_map"):
            Path(f"/proc/{process.pid}/{kind}").write_text(f"0 0 1\n{NOBODY} {NOBODY} 1\n")
        return os.open(f"/proc/{process.pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)


def state() -> tuple[bool, str]:
    """Whether workers can be held in the sandbox here, and a sentence about it."""
    try:
        bwrap = require_bubblewrap()
        filter_for_this_machine()
    except (NoSandbox, UnknownMachine) as error:
        return False, str(error)
    command = [bwrap, "--unshare-all", "--cap-drop", "ALL", "--cap-add", HELD_BY_FIRST, "--ro-bind", "/", "/"]
    command += ["--proc", "/proc", "true"]
    tried = subprocess.run(command, capture_output=True, text=True)
    version = subprocess.run([bwrap, "--version"], capture_output=True, text=True).stdout.strip()
    if tried.returncode:
        return (
            False,
            f"{version} is installed but cannot make a sandbox here: {tried.stderr.strip()}{_advice(tried.stderr)}",
        )
    return True, f"{version} works"


def _advice(said: str) -> str:
    """What the host of a container must allow, by what bubblewrap said."""
    found = next((advice for words, advice in HOST_MUST_ALLOW.items() if words in said), "")
    return f". {found}" if found else ""
