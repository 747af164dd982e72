"""What differs on a device: waiting, the clock, the cache, hung and left work; on a stand-in that behaves like a GPU.

Each defence is also taken out, to see that without it the trick works.
"""

import math
import time

import pytest
import torch

from autograder.checks import CheckFailed, Trial, expect_close, speed_check
from autograder.judge import remote_call, sandbox
from autograder.judge.program import Guard, Program
from autograder.judge.remote_call import RemoteCall
from autograder.judge.sandbox import Limits, NoSandbox, bubblewrap, environment
from autograder.judge.speed import Student, Trials, injects, time_check
from autograder.judge.timing import Plan
from autograder.judge.worker_process import ForkServer, WorkerProcess
from autograder.judge.workspace import Workspace
from autograder.runtime import device as devices
from autograder.runtime.device import Cuda
from tests.autograder.toy_judge import TOY

from toylib import standin  # isort: skip  (toy_judge makes it importable)

pytestmark = pytest.mark.skipif(not sandbox.state()[0], reason=sandbox.state()[1])
SETUP = """
import os, subprocess, threading, time
import torch
from toylib import standin


def double(x):
    return 2 * x


def slow(x):
    return standin.launch(double, x, 0.06)
"""
X = torch.arange(1000.0)
QUICK = Plan(samples=3, extra=0, block_s=0.1, min_calls=2, noise=0.5)


@pytest.fixture(autouse=True)
def unit(tmp_path, monkeypatch):
    """A stand-in of the test's own."""
    path = tmp_path / "standin"
    standin.create(path)
    monkeypatch.setenv("STANDIN", str(path))
    monkeypatch.setattr(standin, "_own", None)
    return standin.Unit()


@pytest.fixture(scope="module")
def fork_servers():
    """By device: one for all kinds of stand-in, whose workers differ in nothing before the first call."""
    with (
        Workspace(TOY / "lib") as space,
        ForkServer(space, Limits()) as plain,
        ForkServer(space, Limits(), True, standin.StandIn()) as other,
    ):
        yield lambda device: plain if device is devices.CPU else other


@pytest.fixture
def calling(fork_servers):
    """Calls of a cell's functions on a device."""
    opened = []

    def start(source, device=None, names=None, check_s=20.0, paths=()):
        device = device or standin.StandIn()
        program, guard = Program("cell", SETUP, names or {}, source), Guard(paths, (), check_s, 120)
        call = RemoteCall(lambda: fork_servers(device).start(()), program, guard, b"key", device)
        opened.append(call)
        call.begin("a check")
        return call

    yield start
    for call in opened:
        call.close()


def right(got):
    return bool(torch.equal(got, 2 * X))


# ---------------------------------------------------------------- waiting


LATER = "def f(x):\n    return standin.launch(double, x, 0.4)\n"
ASIDE = "def f(x):\n    return standin.launch(double, x, 0.4, stream='side')\n"


@pytest.mark.parametrize(("cell", "careless"), [(LATER, standin.WithoutSynchronise), (ASIDE, standin.OneStreamOnly)])
def test_queued_work_is_waited_for_on_every_stream_and_timed_in_full(calling, cell, careless):
    call = calling(cell)
    assert right(call("f", X))
    assert call.decisive_s == call.wall_s > 0.4
    assert call.cpu_s < 0.3
    assert not right(calling(cell, careless())("f", X))


SKIPPED = "standin.synchronize = lambda stream=None: None\n" + LATER
EARLY = """
import gc
from autograder.wire.values import Arena


def f(x):
    arenas = [one for one in gc.get_objects() if isinstance(one, Arena)]

    def finish():
        time.sleep(0.3)
        for arena in arenas:
            arena.bytes[: 4 * len(x)] = (2 * x).view(torch.uint8)

    threading.Thread(target=finish).start()
    return torch.zeros_like(x)
"""


def test_an_answer_given_before_the_work_is_done_is_a_wrong_answer(calling, monkeypatch):
    assert not right(calling(SKIPPED)("f", X))
    assert not right(calling(EARLY)("f", X))
    at_once = remote_call.unpack

    def late(*arguments, **options):
        time.sleep(0.6)
        return at_once(*arguments, **options)

    monkeypatch.setattr(remote_call, "unpack", late)  # a judge that looks when it has time
    assert right(calling(EARLY)("f", X))


# ---------------------------------------------------------------- the cache


def seconds(call, times=2):
    found = []
    for _ in range(times):
        assert right(call("f", X))
        found.append(call.decisive_s)
    return found


def test_no_call_finds_its_inputs_in_the_cache(calling, unit):
    cold, again = seconds(calling(LATER))
    assert again > 0.8 * cold
    unit.cached = 0
    cold, warm = seconds(calling(LATER, standin.WithoutFlush()))
    assert warm < 0.6 * cold


# ---------------------------------------------------------------- hung and left work

HANGS = "def f(x):\n    return standin.launch(double, x, {seconds})\n"


def test_a_hung_kernel_is_killed_and_a_device_that_answers_again_is_used_again(calling):
    call = calling(HANGS.format(seconds="5.0 if len(x) == 1000 else 0.0"), check_s=1.0)
    with pytest.raises(CheckFailed, match="did not finish within the limit of 1 s"):
        call("f", X)
    call.grant(20)
    assert call("f", torch.ones(3)).tolist() == [2, 2, 2]


def test_a_device_that_does_not_answer_any_more_stops_the_judge(calling, unit, monkeypatch):
    monkeypatch.setattr(standin.StandIn, "patience_s", 3.0)
    hangs = HANGS.format(seconds="float('inf')")
    with pytest.raises(NoSandbox, match="the device does not answer any more"):
        calling(hangs, check_s=1.0)("f", X)
    assert unit.busy_until == math.inf
    monkeypatch.setattr(standin.StandIn, "is_well", lambda self: True)  # not asked: the next student would hang
    call = calling("def f(x):\n    return standin.launch(double, x, 0.0)\n", check_s=1.0)
    with pytest.raises(CheckFailed, match="did not finish"):
        call("f", X)


def against_slow():
    """A check that times `f` against `slow`."""

    def trial(rng):
        x = torch.rand(100, generator=rng())
        return Trial(args=(x,), verify=lambda got: expect_close(got, 2 * x, "twice"))

    mark = speed_check("f", function="f", points=1, thresholds=[(1.0, 0), (1.5, 1)], baselines={"ours": ":slow"})
    return mark(trial).check


def timed(cell, calling):
    one = against_slow()
    return time_check(one, b"key", calling(cell), calling(None, None, injects(one)), QUICK)


LEAVES_WORK = """
wait = standin.synchronize


def f(x):
    out = standin.launch(double, x, 0.01)
    wait()
    standin.launch(double, x, 5.0)
    standin.synchronize = lambda stream=None: None
    return out
"""
LEAVES_CHILD = """
def f(x):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(60)
        os._exit(0)
    os.wait()
    return double(x)
"""


@pytest.mark.parametrize(
    ("cell", "said", "defence"),
    [
        (LEAVES_WORK, "work of yours was still running on the device", (standin.StandIn, "is_idle", True)),
        (LEAVES_CHILD, "a process that it had started was still running", (WorkerProcess, "has_children", False)),
    ],
)
def test_nothing_of_a_student_goes_on_while_the_reference_is_timed(calling, monkeypatch, cell, said, defence):
    with pytest.raises(CheckFailed, match=said):
        timed(cell, calling)
    where, name, blind = defence
    monkeypatch.setattr(where, name, lambda self: blind)
    student = Student(Trials(against_slow(), b"key"), "f", calling(cell))
    student.block(range(1))


def test_what_somebody_else_runs_on_the_device_costs_nobody_points(calling, unit, monkeypatch):
    unit.claim(60.0, 1)  # by this process, which no kill of a worker ends
    call = calling("def f(x):\n    return double(x)\n")
    call.start()
    call._worker.freeze()
    with pytest.raises(devices.Busy):
        call.require_idle()
    unit.busy_until = 0.0  # else the reference would wait for it, too
    monkeypatch.setattr(standin.StandIn, "is_idle", lambda self: False)
    outcome = timed("def f(x):\n    return double(x)\n", calling)
    assert outcome.points is None
    assert "not yours" in outcome.sentence


# ---------------------------------------------------------------- the clock


def test_the_judges_clock_decides_although_no_cpu_time_is_used(calling):
    outcome = timed("def f(x):\n    return standin.launch(double, x, 0.03)\n", calling)
    assert outcome.details["interval"]["median"] == pytest.approx(2.0, rel=0.3)
    assert outcome.points == 1
    assert outcome.details["device"] == [{"busy": False}, {"busy": False}]


# ---------------------------------------------------------------- the sandbox

PROBES = """
import resource


def f():
    said = subprocess.run(["/bin/echo", "compiled"], capture_output=True, text=True).stdout
    return said, resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY, os.environ["TRITON_INTERPRET"]
"""


def test_a_worker_on_a_device_starts_compilers_has_addresses_and_is_held_all_the_same(calling):
    call = calling(PROBES, paths=("/etc/shadow", str(TOY)))
    assert call("f") == ("compiled\n", True, "0")  # the self-test has passed before
    with pytest.raises(CheckFailed, match="PermissionError"):
        calling(PROBES, devices.CPU)("f")
    with pytest.raises(NoSandbox, match="read /usr"):
        calling(PROBES, paths=("/usr",)).start()


def test_a_gpus_files_are_bound_and_nothing_else(tmp_path, monkeypatch):
    for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm", "nvidia-modeset", "sda", "mem"):
        (tmp_path / name).touch()
    bound = Cuda().binds(tmp_path)
    shown = ["nvidia-uvm", "nvidia0", "nvidia1", "nvidiactl"]
    assert bound == [word for name in shown for word in ("--dev-bind", str(tmp_path / name), f"/dev/{name}")]
    monkeypatch.setattr(Cuda, "binds", lambda self: bound)
    line = bubblewrap(tmp_path, Limits(), 3, Cuda())
    text = " ".join(line)
    assert f"--dev-bind /dev/urandom /dev/urandom {' '.join(bound)} --chdir" in text
    assert len(line) == len(bubblewrap(tmp_path, Limits(), 3)) + len(bound)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    differs = environment(Limits(), Cuda()).items() - environment(Limits()).items()
    assert dict(differs) == {"TRITON_INTERPRET": "0", "CUDA_VISIBLE_DEVICES": "1"}
