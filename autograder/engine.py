"""Checks: how they are written, loaded and run. The same check runs in a notebook, in process, and in the judge.

A check is a function `(call, rng)` that calls the student's function through `call`, computes what is expected after
that, and passes by returning or fails through `fail`.
"""

import hashlib
import hmac
import importlib.util
import inspect
import tomllib
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from autograder.calls import Call, LocalCall
from autograder.device import DEVICES
from autograder.expect import (
    MISSING_RETURN,
    CheckFailed,
    chi_square_test,
    draws_needed,
    expect_close,
    expect_equal,
    expect_law,
    expect_parts,
    expect_tensor,
    explained,
    fail,
)
from autograder.values import Callback, Remote, Seed

__all__ = [
    "MISSING_RETURN",
    "Callback",
    "CheckFailed",
    "LocalCall",
    "Remote",
    "Seed",
    "Trial",
    "check",
    "chi_square_test",
    "draws_needed",
    "expect_close",
    "expect_equal",
    "expect_law",
    "expect_parts",
    "expect_tensor",
    "explained",
    "fail",
    "generator",
    "load_task",
    "run_check",
    "secret_key",
    "seed",
    "speed_check",
]
DEFAULT_EXERCISE_S = 60.0
TWISTER_AT, TWISTER_WORDS = 24, 624  # in the bytes of a torch generator's state
UNUSABLE = (
    TypeError,
    ValueError,
    AttributeError,
    LookupError,
    ArithmeticError,
    RuntimeError,
    MemoryError,
)  # of a bad value in a check


@dataclass(frozen=True)
class Trial:
    """The inputs of one timed call.

    Args:
        args, kwargs: for the student's function; no Callback in them.
        verify: called in the judge with the result, after it was captured; fails through `fail`.
        baseline_args: for a baseline that takes other arguments than the student's function.
    """

    args: tuple
    verify: Callable[[Any], object]
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    baseline_args: Mapping[str, tuple] = field(default_factory=dict)


@dataclass(frozen=True)
class Speed:
    """What a speed check times: `function` against `baselines` ("module:attribute" by name, the first decides).

    `knots` are pairs (speedup, points), both rising.
    """

    function: str
    knots: tuple[tuple[float, float], ...]
    baselines: Mapping[str, str]


@dataclass(frozen=True)
class Check:
    """One check of an exercise; `run` is `(call, rng)`, or `(rng) -> Trial` where there is a `speed`."""

    name: str
    title: str
    exercise: str
    points: float
    run: Callable[..., Any]
    deadline_s: float | None = None
    speed: Speed | None = None
    visible: bool = False


@dataclass(frozen=True)
class Exercise:
    """One exercise of a task.toml, with the fields named as there; `shows` has the task's own before the exercise's.

    Where there is a `host`, only Triton kernels are taken of a cell, and that code of ours launches them.
    `needs` names the device without which it is not graded, one of `device.DEVICES`; the CPU by default.
    """

    id: str
    title: str
    minutes: int
    difficulty: int
    provides: tuple[str, ...]
    shows: tuple[str, ...] = ()
    injects: Mapping[str, str] = field(default_factory=dict)
    deadline_s: float = DEFAULT_EXERCISE_S
    hints: tuple[str, ...] = ()
    host: str = ""
    needs: str = ""


@dataclass(frozen=True)
class Task:
    """An assignment's exercises and checks, in the order of its files."""

    name: str
    title: str
    chapter: str
    setup: str
    exercises: Mapping[str, Exercise]
    checks: Mapping[str, tuple[Check, ...]]


def check(exercise: str, *, points: float = 0, deadline_s: float | None = None) -> Callable[[Callable], Callable]:
    """Make a function `(call, rng)` a check of an exercise; the first line of its docstring is what students read.

    Args:
        points: what it is worth; 0 for a visible check.
        deadline_s: seconds that the student's code may take in it; the judge's own limit by default.
    """
    return _register(exercise, points=points, deadline_s=deadline_s)


def speed_check(
    exercise: str, *, function: str, points: float, knots: list[tuple[float, float]], baselines: Mapping[str, str]
) -> Callable[[Callable], Callable]:
    """Make a function `(rng) -> Trial` a speed check: it is called for each timed input with a generator of its own.

    Args:
        function: the student's function to time.
        points: what it is worth, the points of the last knot.
        knots: pairs (speedup, points); points are linear in log2(speedup) between them.
        baselines: name to "module:attribute", or ":name" of the setup; the first is what speedup is measured against.
    """
    speedups, values = zip(*knots, strict=True)
    if list(speedups) != sorted(set(speedups)) or list(values) != sorted(values) or speedups[0] <= 0:
        raise ValueError(f"knots {knots} do not rise")
    if values[-1] != points:
        raise ValueError(f"the last knot gives {values[-1]} points, the check is worth {points}")
    if not baselines:
        raise ValueError("baselines are empty, one at least is needed")
    return _register(exercise, points=points, speed=Speed(function, tuple(knots), dict(baselines)))


def _register(exercise: str, **properties: Any) -> Callable[[Callable], Callable]:
    def mark(run: Callable) -> Callable:
        title = (inspect.getdoc(run) or run.__name__.replace("_", " ")).splitlines()[0]
        run.check = Check(run.__name__, title, exercise, run=run, **properties)  # type: ignore[attr-defined]
        return run

    return mark


def load_task(folder: Path, hidden: bool = True) -> Task:
    """Read task.toml, visible.py and, unless `hidden` is off or it is not there, checks.py.

    Raises:
        ValueError: a check names no exercise of the task, two checks have the same name, or the device that an exercise
            needs is unknown.
    """
    raw = tomllib.loads((folder / "task.toml").read_text(encoding="utf-8"))
    exercises = {}
    for one in raw["exercise"]:
        shows = (*raw.get("shows", ()), *one.get("shows", ()))
        exercises[one["id"]] = Exercise(**{**one, "provides": tuple(one.get("provides", ())), "shows": shows})
    if strange := sorted({one.needs for one in exercises.values()} - {"", *DEVICES}):
        raise ValueError(f"{folder}: an exercise needs {strange[0]!r}, known: {', '.join(DEVICES)}")
    found = [Check(**{**vars(one), "visible": True}) for one in _checks_in(folder / "visible.py")]
    if hidden and (folder / "checks.py").is_file():
        found += _checks_in(folder / "checks.py")
    names = [one.name for one in found]
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{folder}: more than one check is named {doubled[0]!r}")
    if unknown := sorted({one.exercise for one in found} - exercises.keys()):
        raise ValueError(f"{folder}: a check is for {unknown[0]!r}, which task.toml does not have")
    checks = {name: tuple(one for one in found if one.exercise == name) for name in exercises}
    return Task(folder.name, raw["title"], raw["chapter"], raw.get("setup", ""), exercises, checks)


def _checks_in(path: Path) -> list[Check]:
    return [
        value.check for value in vars(_import_file(path)).values() if isinstance(getattr(value, "check", None), Check)
    ]


def _import_file(path: Path) -> ModuleType:
    name = "_".join(["task", *path.with_suffix("").parts[-2:]])
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def generator(key: bytes, *names: object) -> torch.Generator:
    """A generator whose whole state comes from the names under the key: nobody without the key can tell its numbers.

    `manual_seed` keeps 32 bits of a seed, few enough to try them all against the inputs of a check. So the 624 words of
    the Mersenne twister (Matsumoto and Nishimura 1998) are set themselves.
    """
    rng = torch.Generator()
    state = rng.get_state()
    words = hashlib.shake_256(_digest(key, names)).digest(4 * TWISTER_WORDS)
    twister = np.frombuffer(words, "<u4").astype("<u8").view(np.uint8)  # torch keeps each word in 8 bytes
    state[TWISTER_AT : TWISTER_AT + len(twister)] = torch.from_numpy(twister)
    return rng.set_state(state)


def secret_number(key: bytes, *names: object) -> int:
    """63 bits of an HMAC of the names under the key."""
    return int.from_bytes(_digest(key, names)[:8], "big") >> 1


def _digest(key: bytes, names: tuple) -> bytes:
    return hmac.digest(key, "\0".join(map(str, names)).encode(), "sha256")


def secret_key(rng: torch.Generator) -> bytes:
    """A key for numbers of a check's own, such as a model's logits after each context, drawn from its generator."""
    return bytes(torch.randint(256, (16,), generator=rng).tolist())


def seed(rng: torch.Generator) -> Seed:
    """A seed for the worker's side, drawn from the check's own generator."""
    return Seed(int(torch.randint(2**62, (), generator=rng)))


@dataclass(frozen=True)
class Outcome:
    """Whether a check passed, what to tell the student, and what to log."""

    passed: bool
    message: str = ""
    log: str = ""


def run_check(one: Check, call: Call, rng: torch.Generator) -> Outcome:
    """Run a check (not a speed check).

    Where a check stumbles over what a student's function returned, such as text where it does arithmetic, it fails. Any
    other exception is a bug of the check and goes through.
    """
    call.answered = False
    try:
        one.run(call, rng)
    except CheckFailed as failure:
        return Outcome(False, str(failure))
    except UNUSABLE as error:
        if not call.answered:
            raise
        return Outcome(False, unusable(error, call.returned), traceback.format_exc())
    return Outcome(True)


def unusable(error: Exception, returned: str = "Your function returned something") -> str:
    """What a student reads where a result, the last one that was `returned`, is of a kind that no check expects."""
    if returned.endswith(" None"):
        return f"{returned}{MISSING_RETURN}"
    said = " ".join(str(error).split())[:200]
    return f"{returned} that cannot be used here ({type(error).__name__}: {said}): is it of the right kind?"
