"""Checks: how they are written, loaded and run. The same check runs in a notebook, in process, and in the judge.

A check is a function `(call, rng)` that calls the student's function through `call`, computes what is expected after
that, and passes by returning or fails through `fail`. `rng` gives a generator for each draw, see `draws`.
"""

import importlib.util
import inspect
import tomllib
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from autograder.checks.calls import Call
from autograder.checks.draws import Draws
from autograder.checks.expect import MISSING_RETURN, CheckFailed
from autograder.checks.task_files import HIDDEN, SETUP, TASK, VISIBLE, files_of, hosts_of, setup_of
from autograder.runtime.device import DEVICES
from autograder.wire.text import decoded
from autograder.wire.values import Seed

DEFAULT_EXERCISE_S = 60.0
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

    `thresholds` are pairs (speedup, points), both rising.
    """

    function: str
    thresholds: tuple[tuple[float, float], ...]
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
    exercise: str, *, function: str, points: float, thresholds: list[tuple[float, float]], baselines: Mapping[str, str]
) -> Callable[[Callable], Callable]:
    """Make a function `(rng) -> Trial` a speed check: it is called for each timed input with draws of its own.

    Args:
        function: the student's function to time.
        points: what it is worth, the points of the last threshold.
        thresholds: pairs (speedup, points); points are linear in log2(speedup) between them.
        baselines: name to "module:attribute", or ":name" of the setup; the first is what speedup is measured against.
    """
    speedups, values = zip(*thresholds, strict=True)
    if list(speedups) != sorted(set(speedups)) or list(values) != sorted(values) or speedups[0] <= 0:
        raise ValueError(f"thresholds {thresholds} do not rise")
    if values[-1] != points:
        raise ValueError(f"the last threshold gives {values[-1]} points, the check is worth {points}")
    if not baselines:
        raise ValueError("baselines are empty, one at least is needed")
    return _register(exercise, points=points, speed=Speed(function, tuple(thresholds), dict(baselines)))


def _register(exercise: str, **properties: Any) -> Callable[[Callable], Callable]:
    def mark(run: Callable) -> Callable:
        title = (inspect.getdoc(run) or run.__name__.replace("_", " ")).splitlines()[0]
        run.check = Check(run.__name__, title, exercise, run=run, **properties)  # type: ignore[attr-defined]
        return run

    return mark


def load_task(folder: Path, hidden: bool = True) -> Task:
    """Read a task's folder; where `hidden` is off, or a student has it, without the hidden checks.

    Raises:
        ValueError: something is missing in task.toml or is code, a file of checks cannot be imported, a check names no
            exercise of the task or stands in another's file, two checks have the same name, or the device that an
            exercise needs is unknown.
    """
    raw = _read_toml(folder / TASK)
    exercises = {one.id: one for one in _exercises(folder, raw)}
    if strange := sorted({one.needs for one in exercises.values()} - {"", *DEVICES}):
        raise ValueError(f"{folder}: an exercise needs {strange[0]!r}, known: {', '.join(DEVICES)}")
    found = [replace(one, visible=True) for path in files_of(folder, VISIBLE) for one in _checks_in(path, exercises)]
    if hidden:
        found += [one for path in files_of(folder, HIDDEN) for one in _checks_in(path, exercises)]
    names = [one.name for one in found]
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{folder}: more than one check is named {doubled[0]!r}, in {VISIBLE}/ and {HIDDEN}/ together")
    checks = {name: tuple(one for one in found if one.exercise == name) for name in exercises}
    return Task(folder.name, raw["title"], raw["chapter"], setup_of(folder), exercises, checks)


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        raw = tomllib.loads(decoded(path.read_bytes()))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if lacking := sorted({"title", "chapter", "exercise"} - raw.keys()):
        raise ValueError(f"{path}: {lacking[0]!r} is missing")
    if "setup" in raw or any("host" in one for one in raw["exercise"]):
        raise ValueError(f"{path}: it holds no code: a setup stands in {SETUP}, a host in host_<exercise>.py")
    return raw


def _exercises(folder: Path, raw: Mapping[str, Any]) -> Iterator[Exercise]:
    hosts = hosts_of(folder, [one.get("id", "") for one in raw["exercise"]])
    for place, one in enumerate(raw["exercise"], 1):
        shows, host = (*raw.get("shows", ()), *one.get("shows", ())), hosts.get(one.get("id", ""), "")
        try:
            yield Exercise(**{**one, "provides": tuple(one.get("provides", ())), "shows": shows, "host": host})
        except TypeError as error:
            raise ValueError(f"{folder / TASK}: exercise {one.get('id', place)!r}: {error}") from None


def _checks_in(path: Path, exercises: Collection[str]) -> list[Check]:
    """The checks of a file, all for the exercise that it is named after."""
    values = vars(_import_file(path)).values()
    found = [value.check for value in values if isinstance(getattr(value, "check", None), Check)]
    for one in found:
        if one.exercise not in exercises:
            raise ValueError(f"{path}: a check is for {one.exercise!r}, which {TASK} does not have")
        if one.exercise != path.stem:
            raise ValueError(f"{path}: the check {one.name!r} is for {one.exercise!r}: move it to {one.exercise}.py")
    return found


def _import_file(path: Path) -> ModuleType:
    name = "_".join(["task", *path.with_suffix("").parts[-3:]])
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ValueError(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
    return module


def seed(rng: Draws) -> Seed:
    """A seed for the worker's side; the student's code may look at it."""
    return Seed(rng.number())


@dataclass(frozen=True)
class Outcome:
    """Whether a check passed, what to tell the student, and what to log."""

    passed: bool
    message: str = ""
    log: str = ""


def run_check(one: Check, call: Call, rng: Draws) -> Outcome:
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
