"""The sandbox holds: what code in a worker cannot see, reach or use up, and what the self-test would notice."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from autograder.cells.packages import allowed_packages
from autograder.checks import CheckFailed
from autograder.judge import sandbox, seccomp, workspace
from autograder.judge.sandbox import Limits, NoSandbox
from autograder.judge.worker_process import ForkServer
from autograder.judge.workspace import PACKAGE, Workspace
from tests.autograder.toy_judge import TOY, fork_server, remote

needs_sandbox = pytest.mark.skipif(not sandbox.state()[0], reason=sandbox.state()[1])
PROBES = '''
import importlib, os, resource, socket, subprocess, sys, threading


def outcome(action):
    try:
        action()
    except BaseException as error:
        return type(error).__name__ + ": " + str(error)
    return "done"


def attempts():
    return {
        "fork": outcome(os.fork),
        "program": outcome(lambda: subprocess.run(["/usr/bin/true"])),
        "socket": outcome(lambda: socket.socket(socket.AF_INET)),
        "unix": outcome(lambda: socket.socket(socket.AF_UNIX)),
        "root": outcome(lambda: os.setuid(0)),
        "limits": outcome(lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (10**6, 10**6))),
        "memfd": outcome(lambda: os.memfd_create("x")),
        "disk": outcome(fill_disk),
        "descriptors": outcome(lambda: [open("/dev/null") for _ in range(10**4)]),
        "memory": outcome(lambda: bytearray(2 * 10**9)),
        "tensor": outcome(lambda: torch.zeros(10**9)),
        "write": outcome(lambda: open("/usr/x", "w")),
        "threads": outcome(lambda: threading.Thread(target=int).start()),
    }


def fill_disk():
    for number in range(100):
        with open(f"/tmp/{number}", "wb") as handle:
            handle.write(bytes(1 << 20))


def imports(names):
    return {name: outcome(lambda: importlib.import_module(name)) for name in names}


def searched(text):
    """Files of ours that hold a text, and those that are bytecode."""
    found, compiled = [], []
    for folder, _, names in os.walk("/w", onerror=None):
        compiled += [name for name in names if name.endswith(".pyc")]
        found += [name for name in names if text in open(os.path.join(folder, name), errors="replace").read()]
    return found, compiled


def processes():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def starts_threads():
    threading.stack_size(1 << 16)
    for number in range(10**4):
        try:
            threading.Thread(target=__import__("time").sleep, args=(99,), daemon=True).start()
        except RuntimeError:
            return number


def listed(path):
    return sorted(os.listdir(path))
'''


@pytest.fixture(scope="module")
def space():
    with Workspace(TOY / "lib") as made:
        yield made


@pytest.fixture(scope="module")
def call(space):
    limits = Limits(memory_bytes=2**29, tmp_bytes=8 * 2**20)
    calls = remote(
        space, PROBES, masks=("toylib.doubling",), limits=limits, paths=(str(PACKAGE / "judge" / "judge.py"), str(TOY))
    )
    yield calls
    calls.close()


@needs_sandbox
def test_each_limit_is_there_and_its_message_names_it(call):
    got = call("attempts")
    for attempt in ("fork", "program", "socket", "unix", "root", "memfd"):
        assert "PermissionError" in got[attempt] or "OSError: [Errno 22]" in got[attempt], attempt
    assert "ValueError: not allowed to raise" in got["limits"]
    assert "No space left" in got["disk"]
    assert "Too many open files" in got["descriptors"]
    assert "MemoryError" in got["memory"]
    assert "can't allocate memory" in got["tensor"]
    assert "Read-only file system" in got["write"]
    assert got["threads"] == "done"


@needs_sandbox
def test_only_packages_of_the_allow_list_can_be_imported(call):
    allowed = ("torch", "numpy", "triton", "einops", "jaxtyping", "safetensors.torch", "toylib.mixing")
    refused = (
        "transformers",
        "nbgrader",
        "autograder.judge",
        "autograder.checks.task",
        "autograder.judge.sandbox",
        "pip",
        "pytest",
    )
    got = call("imports", [*allowed, *refused])
    assert {name: got[name] for name in allowed} == dict.fromkeys(allowed, "done")
    assert all("ModuleNotFoundError" in got[name] for name in refused), got


@needs_sandbox
def test_the_masked_reference_is_nowhere_and_says_why(call):
    said = call("imports", ["toylib.doubling"])["toylib.doubling"]
    assert said.startswith("ImportError: toylib.doubling cannot be used in this exercise: it does, or may do, what")
    assert call("searched", "canary-reference") == ([], [])


@needs_sandbox
def test_a_worker_sees_no_other_process_and_no_files_of_ours(call):
    assert call("processes") == [1, 2]
    assert call("listed", "/w") == ["lib"]
    for folder in sandbox.package_folders():
        shown = {name for name, path in allowed_packages().items() if os.path.dirname(path) == folder}
        assert set(call("listed", folder)) == shown
    with pytest.raises(CheckFailed, match="FileNotFoundError"):
        call("listed", str(PACKAGE))


@needs_sandbox
def test_a_worker_is_nobody_and_leaves_nothing_when_killed(space):
    process = fork_server(space).start()
    if os.geteuid() == 0:
        assert os.stat(f"/proc/{process.pid}").st_uid == sandbox.NOBODY  # outside of its user namespace, too
    process.freeze()
    process.kill()
    assert not Path(f"/proc/{process.pid}").exists()


@needs_sandbox
@pytest.mark.parametrize(
    ("hole", "noticed"),
    [({"paths": ("/usr",)}, "read /usr"), ({"masks": ("toylib.mixing",)}, "imported toylib.mixing")],
)
def test_the_self_test_notices_a_hole(space, hole, noticed, monkeypatch):
    monkeypatch.setattr(workspace, "_mask", lambda lib, module: None)
    calls = remote(space, "x = 1", **hole)
    with pytest.raises(NoSandbox, match=noticed):
        calls("f")
    calls.close()


def test_the_self_test_succeeds_in_everything_outside_a_sandbox(tmp_path):
    readable = tmp_path / "secret"
    readable.write_text("x")
    code = (
        "import json, sys; from autograder.worker import escape_probe as probe\n"
        "probe.UNWRITABLE, probe.SETTINGS = [sys.argv[1] + '/new'], [sys.argv[2]]\n"
        "print(json.dumps(probe.escapes([sys.argv[1], sys.argv[2]], ['json'], [])))"
    )
    command = [sys.executable, "-c", code, str(tmp_path), str(readable)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=PACKAGE.parent)
    expected = {"started another process", "opened a network socket", "saw other processes", "imported json"}
    expected |= {"started a program", "saw variables of the environment", f"read {readable}", f"read {tmp_path}"}
    expected |= {f"wrote {tmp_path}/new", f"opened {readable} to write", "held or could gain privileges"}
    assert expected <= set(json.loads(done.stdout)), done.stderr


def test_the_weaker_mode_still_has_limits_and_one_process(space):
    calls = remote(space, PROBES, sandboxed=False, limits=Limits(memory_bytes=2**29), masks=("toylib.doubling",))
    got = calls("attempts")
    for attempt in ("fork", "program", "socket", "unix", "memfd"):
        assert "PermissionError" in got[attempt], attempt
    assert "Too many open files" in got["descriptors"]
    assert "MemoryError" in got["memory"]
    assert "what you are to write" in calls("imports", ["toylib.doubling"])["toylib.doubling"]
    calls.close()


def test_without_bubblewrap_it_says_what_to_install(space, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(NoSandbox, match=r"apt install bubblewrap.*--no-sandbox"):
        ForkServer(space, Limits())
    assert sandbox.state()[0] is False


def test_a_mask_of_a_module_that_is_not_there_is_refused(space):
    with pytest.raises(ValueError, match="does not have it"):
        space.view(["toylib.absent"])


def test_a_view_is_readable_whatever_the_files_modes_were(tmp_path):
    shutil.copytree(TOY / "lib", tmp_path / "lib")
    (tmp_path / "lib" / "toylib" / "mixing.py").chmod(0o600)
    with Workspace(tmp_path / "lib") as made:
        assert made.root.stat().st_mode & 0o077 == 0
        assert all(path.stat().st_mode & 0o004 for path in [*made.view([]).rglob("*"), *made.grader.rglob("*")])


def test_what_a_killed_judge_left_is_removed():
    code = "import os; from autograder.judge.workspace import *; print(Workspace(Path(os.sys.argv[1])).root)"
    command = [sys.executable, "-c", code, str(TOY / "lib")]
    left = Path(subprocess.run(command, capture_output=True, text=True, cwd=PACKAGE.parent).stdout.strip())
    assert left.is_dir()
    with Workspace(TOY / "lib") as made:
        assert not left.exists()
        assert made.root.is_dir()


def test_a_masked_package_is_replaced_whole(tmp_path):
    shutil.copytree(TOY / "lib", tmp_path / "lib")
    with Workspace(tmp_path / "lib") as made:
        view = made.view(["toylib"])
        assert [path.name for path in view.iterdir()] == ["toylib.py"]


def test_the_allow_list_holds_what_torch_needs_and_nothing_of_ours():
    names = allowed_packages().keys()
    assert {"torch", "numpy", "triton", "einops", "jaxtyping", "safetensors", "sympy", "typing_extensions.py"} <= names
    assert not {"transformers", "nbgrader", "nimblelm", "tokenizers", "_pytest", "..", "__pycache__"} & names


@pytest.mark.parametrize("machine", seccomp.MACHINES)
def test_the_filter_fits_the_kernels_limits(machine):
    code = seccomp.program(machine)
    assert len(code) % 8 == 0
    assert len(code) // 8 < 4096
    assert len({numbers for numbers in seccomp.REFUSED.values()}) == len(seccomp.REFUSED)


def test_who_may_start_programs_makes_no_namespace_either():
    """Not by clone(2), which starts them too: in a user namespace of its own a process has every capability."""
    code = """
import ctypes, platform, signal, subprocess, threading
from autograder.judge import seccomp
from autograder.worker.privileges import _filter_system_calls

filtered = seccomp.filter_for_this_machine(programs=True)
_filter_system_calls(filtered["syscall"], bytes.fromhex(filtered["program"]))
libc, clone = ctypes.CDLL(None), seccomp.MACHINES[platform.machine()][2]
made = []
for bit in (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000):
    for flags in (bit, bit | 0x10000000):
        pid = libc.syscall(clone, flags | signal.SIGCHLD, 0, 0, 0, 0)
        if pid == 0:
            libc._exit(0)
        made += [hex(flags)] if pid > 0 else []
thread = threading.Thread(target=print, args=("a thread",))
thread.start()
thread.join()
print(subprocess.run(["/bin/echo", "a program"], capture_output=True, text=True).stdout.strip(), made)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=PACKAGE.parent)
    assert done.stdout.splitlines() == ["a thread", "a program []"], done.stderr


@needs_sandbox
@pytest.mark.slow
@pytest.mark.skipif(
    os.geteuid() != 0 or not os.access("/usr/bin/python3", os.X_OK), reason="needs root and a system Python"
)
def test_an_ordinary_user_can_hold_workers_too():
    """As nobody, with the system's Python, root's own being out of sight: clock and freezing are right, too."""
    code = """
import time
from autograder.judge.workspace import PACKAGE, Workspace
from tests.autograder.toy_judge import TOY, remote
SOURCE = '''
import threading, time


def burn(seconds):
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


def burn_beside(seconds):
    threading.Thread(target=burn, args=(seconds,), daemon=True).start()
'''
with Workspace(TOY / "lib") as space:
    call = remote(space, SOURCE, masks=("toylib.doubling",), paths=(str(PACKAGE), "/root"))
    call("burn", 0.3)
    counted = call.cpu_s
    call("burn_beside", 30)
    call._worker.freeze()
    time.sleep(0.1)
    before = call._worker.cpu_ns()
    time.sleep(0.2)
    frozen = call._worker.cpu_ns() == before
    call.close()
    print(0.29 < counted < 0.5, frozen)
"""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    if (
        subprocess.run(["/usr/bin/python3", "--version"], capture_output=True, text=True).stdout.split()[1][
            : len(version)
        ]
        != version
    ):
        pytest.skip("the system's Python is another version")
    path = os.pathsep.join([str(PACKAGE.parent), str(Path(allowed_packages()["torch"]).parent)])
    command = [
        "setpriv",
        "--reuid",
        "65534",
        "--regid",
        "65534",
        "--clear-groups",
        "/usr/bin/python3",
        "-B",
        "-c",
        code,
    ]
    done = subprocess.run(
        command, env={"PYTHONPATH": path, "PATH": "/usr/bin:/bin"}, capture_output=True, text=True, cwd="/"
    )
    assert done.stdout.strip() == "True True", done.stderr
