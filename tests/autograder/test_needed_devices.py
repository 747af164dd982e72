"""An exercise that needs a device is graded on it, and where there is none, for nobody and against nobody."""

import fcntl

import pytest
import torch

from autograder.checks import load_task
from autograder.judge import sandbox
from autograder.judge.job import BadJob, JobFile
from autograder.judge.judge import Judge
from autograder.runtime import device as devices
from autograder.runtime.device import Cuda, device_for
from tests.autograder.toy import write_task
from tests.autograder.toy_judge import TOY, messages, statuses

from toylib import standin  # isort: skip  (toy_judge makes it importable)

pytestmark = pytest.mark.skipif(not sandbox.state()[0], reason=sandbox.state()[1])
SETUP = """
import torch


def double(x):
    return 2 * x


def slow(x):
    from toylib import standin

    return standin.launch(double, x, 0.06)
"""
TASK = """
title = "On a device"
chapter = "book/none"

[[exercise]]
id = "plain"
title = "Plain"
minutes = 1
difficulty = 1
provides = ["f"]

[[exercise]]
id = "fast"
title = "Fast"
minutes = 1
difficulty = 1
provides = ["f"]
shows = ["toylib.standin"]
needs = "gpu"
"""
CHECKS = {
    "plain": '''import torch

from autograder.checks import check, expect_close


@check("plain", points=1)
def plain_doubles(call, rng):
    """It doubles."""
    expect_close(call("f", torch.ones(3)), 2 * torch.ones(3), "twice")
''',
    "fast": '''import torch

from autograder.checks import Trial, check, expect_close, speed_check


@check("fast", points=2)
def fast_doubles(call, rng):
    """It doubles on the device."""
    expect_close(call("f", torch.ones(3)), 2 * torch.ones(3), "twice")


@speed_check("fast", function="f", points=1, thresholds=[(1.0, 0), (1.5, 1)], baselines={"slow": ":slow"})
def fast_is_fast(rng):
    """It is faster than slow."""
    x = torch.rand(100, generator=rng())
    return Trial(args=(x,), verify=lambda got: expect_close(got, 2 * x, "twice"))
''',
}
FAST = "from toylib import standin\n\n\ndef f(x):\n    return standin.launch(double, x, 0.02)\n"


@pytest.fixture(autouse=True)
def unit(tmp_path, monkeypatch):
    """A stand-in of the test's own."""
    path = tmp_path / "standin"
    standin.create(path)
    monkeypatch.setenv("STANDIN", str(path))
    monkeypatch.setattr(standin, "_own", None)
    return standin.Unit()


@pytest.fixture
def judging(tmp_path):
    """Judges two cells of a task whose second exercise needs a device."""
    folder = write_task(tmp_path / "tasks" / "a92_device", TASK, {}, CHECKS, SETUP)

    def judged(fast: str | None = FAST, exercises=None, speed=False):
        cells = {"plain": "def f(x):\n    return 2 * x\n", "fast": fast}
        options = {"limits": {"speed": speed}, "tasks": str(tmp_path / "tasks"), "lib": str(TOY / "lib")}
        return Judge(JobFile("a92_device", "key", "5e" * 16, cells, exercises, **options)).run()["exercises"]

    judged.folder = folder
    return judged


def test_without_its_device_an_exercise_is_not_graded_and_in_no_maximum(judging, monkeypatch):
    monkeypatch.setitem(devices.DEVICES, "gpu", "toylib.standin:Absent")
    whole = judging(FAST, speed=True)
    assert (whole["plain"]["score"], whole["plain"]["max"]) == (1, 1)
    for fast in (whole["fast"], judging("raise SystemExit\n", ["fast"])["fast"], judging(None, ["fast"])["fast"]):
        assert (fast["status"], fast["score"], fast["max"], fast["log"]) == ("not_graded", 0, 0, "")
        assert statuses(fast) == {"fast_doubles": "not_graded", "fast_is_fast": "not_graded"}
        said = "This needs a GPU, and there is none here: it counts neither for you nor against you."
        assert set(messages(fast).values()) == {said}


def test_with_its_device_an_exercise_is_graded_on_it_and_the_others_are_not(judging, monkeypatch):
    monkeypatch.setitem(devices.DEVICES, "gpu", "toylib.standin:StandIn")
    found = judging(speed=False)
    assert statuses(found["fast"]) == {"fast_doubles": "passed", "fast_is_fast": "not_graded"}
    assert (found["fast"]["score"], found["fast"]["max"]) == (2, 2)
    wrong = judging("def f(x):\n    return x\n")["fast"]
    assert (wrong["score"], wrong["max"]) == (0, 3)


def test_an_unknown_device_is_refused(judging):
    text = (judging.folder / "task.toml").read_text()
    (judging.folder / "task.toml").write_text(text.replace('needs = "gpu"', 'needs = "tpu"'))
    with pytest.raises(ValueError, match=r"needs 'tpu', known: gpu"):
        load_task(judging.folder)
    with pytest.raises(BadJob, match="tpu"):
        judging()


def test_a_machine_without_a_gpu_has_none(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device_for("gpu") is None
    assert device_for("").binds() == []
    assert "nvml" in Cuda().state()


def test_judges_take_turns_on_a_gpu(tmp_path, monkeypatch):
    monkeypatch.setattr(devices.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(Cuda, "flush", lambda self: None)
    with Cuda().reserved():
        (lock,) = tmp_path.glob("nimblelm-gpu-*.lock")
        with open(lock, "ab") as other, pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with open(lock, "ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
