"""What a text earns in an exercise where it is pasted unread.

Each public callable of the text can stand where an exercise's function should, and so can a part of what it returns.
`as_it_is` takes functions, classes and methods under another name; `adapted` also leaves out the last arguments, which
they do not know or do without, and reads the methods and properties of objects that are made of the arguments. What a
pasted text imports is there, as if it had been pasted too: more than a worker of the sandbox shows.
"""

import ast
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from autograder.assurance.answers import solution_cells
from autograder.checks import Check, Draws, Exercise, LocalCall, Task, load_task, run_check
from autograder.controller.course import Course
from autograder.runtime.execution import Problem, resolve, run_cell
from autograder.runtime.triton_bounds import bound_kernels
from tests.solutions.adapters import Adapter, adapters, members, takes
from tests.solutions.parts import Named, Noted, Part
from tests.solutions.pasted_sources import ROOT, Source

KEY = b"what is pasted"
START_S = 10  # for a pasted text, until its functions are there


@dataclass(frozen=True)
class Gain:
    """What a pasted text earns: points of correctness, out of how many, and what stood for the exercise's functions."""

    exercise: str
    source: str
    stands: str
    points: float
    out_of: float


def gains(assignment: str, sources: list[Source], stand_ins: Callable[[Source], list[Named]]) -> list[Gain]:
    """Wherever a source earns half of an exercise's points of correctness or more, by its best stand-ins together."""
    bound_kernels()
    task = load_task(ROOT / "autograder" / "tasks" / assignment)
    solutions = solution_cells(Course(ROOT), assignment)
    trials = [Trials(task, exercise, solutions[name]) for name, exercise in task.exercises.items()]
    found = [trial.best(source, stand_ins(source)) for source in sources for trial in trials]
    return [gain for gain in found if gain.points >= gain.out_of / 2]


class Trials:
    """The functions that an exercise asks for, and which of its checks fail where something else stands for one."""

    def __init__(self, task: Task, exercise: Exercise, solution: str) -> None:
        self.exercise, self.host = exercise.id, exercise.host
        setup: dict[str, Any] = {"__name__": "student"}
        exec(task.setup, setup)
        injected = {name: resolve(target, setup) for name, target in exercise.injects.items()}
        self.solution = {**setup, **injected}
        run_cell(solution, exercise.id, self.solution)
        scored = [one for one in task.checks[exercise.id] if one.points and one.speed is None]
        scored = [one for one in scored if not (exercise.needs and "bfloat16" in one.name)]
        self.out_of = sum(one.points for one in scored)
        self.seconds = {one.name: self._seconds(one) for one in scored}
        self.checks = sorted(scored, key=lambda one: self.seconds[one.name])
        written = [node for node in ast.parse(solution).body if isinstance(node, ast.FunctionDef)]
        wanted = [node for node in written if (node.decorator_list if self.host else node.name in exercise.provides)]
        self.arguments = {node.name: [each.arg for each in node.args.args] for node in wanted}
        self.users = {name: self._failed(name, _nothing, self.checks, self.out_of) for name in self.arguments}

    def _seconds(self, one: Check) -> float:
        start = time.perf_counter()
        assert self._passes(one, self.solution, 600), f"{self.exercise}'s solution fails {one.name}"
        return time.perf_counter() - start

    def _passes(self, one: Check, namespace: dict[str, Any], seconds: float) -> bool:
        if self.host:
            exec(self.host, namespace := dict(namespace))
        try:
            with time_limit(seconds):
                return run_check(one, LocalCall(namespace), Draws(KEY, one.name)).passed
        except TimeUp:
            return False

    def _failed(self, name: str, function: Any, checks: list[Check], spare: float) -> list[Check]:
        """The checks that fail where this stands for one of the functions; all from where more than `spare` is lost."""
        failed: list[Check] = []
        for one in checks:
            lost = sum(other.points for other in failed) > spare
            limit = 1 + 3 * self.seconds[one.name]
            if lost or not self._passes(one, {**self.solution, name: function}, limit):
                failed.append(one)
        return failed

    def best(self, source: Source, stand_ins: list[Named]) -> Gain:
        """The points of the best stand-in for each function, beside right answers for the others."""
        failed, stands = set[str](), []
        for name, arguments in self.arguments.items():
            least, chosen = self.users[name], ""
            fitting = [named for named in stand_ins if self._fits(named[1], arguments)]
            for how, lost in self._lost(name, fitting):
                if len(lost) < len(least):
                    least, chosen = lost, f"{name} = {how}"
            failed |= {one.name for one in least}
            stands += [chosen] if chosen else []
        points = sum(one.points for one in self.checks if one.name not in failed)
        return Gain(self.exercise, source.name, ", ".join(stands), points if stands else 0, self.out_of)

    def _lost(self, name: str, stand_ins: list[Named]) -> Iterator[tuple[str, list[Check]]]:
        """The checks that fail with each stand-in for a function, and with each part of what it returned in them."""
        for how, function in stand_ins:
            if self.host:  # of a kernel nothing is returned
                yield how, self._failed(name, function, self.users[name], self.out_of / 2)
                continue
            noted = Noted(function)
            yield how, self._failed(name, noted, self.users[name], self.out_of / 2)
            for part in noted.parts():
                taken = Part(function, part)
                yield part.of(how), self._failed(name, taken, self.users[name], self.out_of / 2)

    def _fits(self, function: Any, arguments: list[str]) -> bool:
        kernel = getattr(function, "arg_names", ())  # of a Triton kernel, which is launched with arguments by name
        if self.host or kernel:
            return bool(self.host) and set(arguments) <= set(kernel)
        return takes(function, len(arguments))


def _nothing(*args: Any, **kwargs: Any) -> None:
    """Stands for a function to see what needs it."""


@cache
def defined_by(source: Source) -> list[Named]:
    """The functions and classes that there are when a text has run; none where it cannot."""
    namespace: dict[str, Any] = {"__name__": "student"}
    try:
        with time_limit(START_S):
            run_cell(source.text, "pasted", namespace)
    except (Problem, TimeUp):
        return []
    return [(name, namespace[name]) for name in sorted(source.offers)]


@cache
def records(source: Source) -> list[type]:
    """The library's records that a text has, imported ones too."""
    namespace: dict[str, Any] = {"__name__": "nimblelm.pasted"}
    try:
        with time_limit(START_S):
            run_cell(source.text, "pasted", namespace)
    except (Problem, TimeUp):
        return []
    kinds = [kind for kind in namespace.values() if isinstance(kind, type) and members(kind)]
    return [kind for kind in kinds if kind.__module__.startswith("nimblelm")]


@cache
def as_it_is(source: Source) -> list[Named]:
    """Functions, classes and methods of a text."""
    named = defined_by(source)
    return named + [method for name, kind in named if isinstance(kind, type) for method in methods(name, kind)]


@cache
def adapted(source: Source) -> list[Named]:
    """The same, with what a line of the student's own makes of them."""
    named = as_it_is(source)
    kinds = records(source)
    others = [one for name, function in named for one in adapters(name, function, kinds)]
    for name, kind in defined_by(source):
        named = named + (list(of_objects(name, kind)) if isinstance(kind, type) else [])
    return named + others + [less for name, function in named + others for less in with_less(name, function)]


def methods(name: str, kind: type) -> Iterator[Named]:
    for attribute, value in vars(kind).items():
        public = not attribute.startswith("_") or attribute == "__call__"
        if public and (isinstance(value, classmethod | staticmethod) or callable(value)):
            yield f"{name}.{attribute}", getattr(kind, attribute)


def of_objects(name: str, kind: type) -> Iterator[Named]:
    """Methods of an object that is made of none, one or two of the arguments; properties of one made of all."""
    for attribute, value in vars(kind).items():
        if isinstance(value, property | cached_property):
            yield f"{name}(...).{attribute}", Made(kind, attribute, None)
        elif callable(value) and not attribute.startswith("_"):
            for count in range(3):
                if takes(kind, count):
                    yield f"{name}(of {count}).{attribute}", Made(kind, attribute, count)


@dataclass(frozen=True)
class Made(Adapter):
    """Calls a method of an object that is made of the first arguments, or reads a property of one made of all."""

    kind: type
    attribute: str
    count: int | None

    def __call__(self, *args: Any) -> Any:
        made = getattr(self.kind(*args[: self.count]), self.attribute)
        return made if self.count is None else made(*args[self.count :])

    def takes(self, count: int) -> bool:
        if self.count is None:
            return takes(self.kind, count)
        return count >= self.count and takes(getattr(self.kind, self.attribute), count - self.count + 1)


def with_less(name: str, function: Any) -> Iterator[Named]:
    """What leaves the last one or two arguments out."""
    for less in (1, 2):
        yield f"{name} without the last {less}", Less(function, less)


@dataclass(frozen=True)
class Less(Adapter):
    function: Any
    less: int

    def __call__(self, *args: Any) -> Any:
        return self.function(*args[: -self.less])

    def takes(self, count: int) -> bool:
        return count > self.less and takes(self.function, count - self.less)


class TimeUp(Exception):
    """A pasted text that takes so long is no answer."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """An exception in whatever runs here when the time is up; in a process's first thread only."""

    def ring(number: int, frame: Any) -> None:
        raise TimeUp(f"{seconds} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
