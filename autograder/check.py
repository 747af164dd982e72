"""The visible checks, in a notebook: all that a student gets of the autograder.

    from autograder.check import Checker

    check = Checker("a02_speculative_decoding")
    check("accept", accept)          # prints a line for each check; never raises because of an answer

They run through the same engine as the grading, on the same kind of inputs, in the notebook's own process.
"""

import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from autograder.cells.names import borrowed, bound_names, given_names, import_remarks
from autograder.cells.packages import is_there
from autograder.cells.released import ReleasedNotebook, released_path
from autograder.cells.source import as_graded
from autograder.checks import Draws, Exercise, LocalCall, load_task, run_check
from autograder.checks.graded_cell import names_of
from autograder.runtime.device import device_for, missing
from autograder.runtime.execution import Problem
from autograder.runtime.triton_bounds import bound_kernels
from autograder.student.running_notebook import RunningNotebook
from autograder.wire.causes import begin_here

PATIENCE_S = 20.0
_KEY = b"visible"  # the same inputs every time, so that a failure can be looked into
Row = tuple[str, bool | None, str]  # title of a check, whether it passed (None: it was not run), message


class Report:
    """What the visible checks of one exercise found. `repr` is the text that was printed.

    Args:
        outcomes: a row for each check.
        lacking: a sentence about the device without which none was run.
        remarks: what works in the notebook and not where the cell is graded.
    """

    def __init__(self, title: str, outcomes: list[Row], lacking: str = "", remarks: Sequence[str] = ()) -> None:
        self.passed = all(passed for _, passed, _ in outcomes)
        failed = [message for _, passed, message in outcomes if passed is False]
        begin = [f"    {begin_here(failed)}."] if len(failed) > 1 else []
        lines, said = [f"! {remark}" for remark in remarks], ""
        for title_of_check, passed, message in outcomes:
            lines.append(_line(title_of_check, passed, message if message != said else ""))
            said = message
            if passed is False:
                lines, begin = [*lines, *begin], []
        count = sum(bool(passed) for _, passed, _ in outcomes)
        summary = f"{title}: {count} of {len(outcomes)} visible checks passed. The hidden ones run when it is graded."
        if lacking:
            summary = f"{title}: not checked. {lacking} If the machine that grades it has one, it is graded there."
        self._text = "\n".join([*lines, summary])

    def __repr__(self) -> str:
        return self._text

    def _ipython_display_(self) -> None:
        """Nothing: the report was printed already, and a cell's last value would show it again."""


def _line(title: str, passed: bool | None, message: str) -> str:
    mark = {True: "✓", False: "✗", None: "–"}[passed]
    return f"{mark} {title}" + (f"\n    {message}" if message else "")


@contextmanager
def _patience(seconds: float) -> Iterator[list[str]]:
    """Interrupts what takes longer, where the system can, and then says so in the list."""
    said: list[str] = []
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield said
        return

    def interrupt(*_: Any) -> None:
        said.append(f"Still running after {seconds:g} s and stopped: does every loop of yours come to an end?")
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield said
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Checker:
    """The visible checks of an assignment.

    Raises:
        ValueError: there is no such assignment here.
    """

    def __init__(self, assignment: str) -> None:
        folder = Path(__file__).parent / "tasks" / assignment
        if not (folder / "task.toml").is_file():
            known = ", ".join(sorted(path.parent.name for path in folder.parent.glob("*/task.toml"))) or "none"
            raise ValueError(f"no assignment {assignment!r} here; known: {known}")
        self._task = load_task(folder, hidden=False)
        self._released = released_path(assignment, folder.parents[1])
        self._notebook = RunningNotebook()
        self._around({})  # the setup may say how Triton is to be imported
        if any(one.host for one in self._task.exercises.values()):
            with suppress(ImportError):  # without Triton there are no kernels
                bound_kernels()

    def __call__(self, exercise: str, *functions: Any) -> Report:
        """Check the functions of an exercise, given in the order in which the exercise names them.

        In a notebook the cell that they were written in runs once more, alone, as it will when it is graded.

        Raises:
            ValueError: no such exercise, or not as many functions as it asks for.
        """
        about = self._task.exercises[self._known(exercise)]
        if len(functions) != len(about.provides):
            raise ValueError(f"exercise {exercise!r} needs {', '.join(about.provides)}; got {len(functions)} functions")
        cell, others, stray = self._notebook.cell_of(exercise, self._wanted(about))
        if cell is None:
            given = dict(zip(about.provides, functions, strict=True))
            return self._report(about, None, given, [])
        remarks = [*([stray] if stray else []), *as_graded(cell.source).remarks, *import_remarks(cell.source, is_there)]
        remarks += borrowed(exercise, cell.source, others, self._given_names, self._wanted(about))
        return self._report(about, cell.source, {}, remarks)

    def check_source(self, exercise: str, source: str | None) -> Report:
        """Check the cell of an exercise from its text, None where there is no such cell."""
        return self._report(self._task.exercises[self._known(exercise)], source or "", {}, [])

    def _report(
        self, about: Exercise, source: str | None, functions: Mapping[str, Any], remarks: Sequence[str]
    ) -> Report:
        if device_for(about.needs) is None:
            not_run: list[Row] = [(one.title, None, "") for one in self._task.checks[about.id]]
            report = Report(about.title, not_run, missing(about.needs), remarks)
        else:
            report = Report(about.title, self._outcomes(about, source, functions), remarks=remarks)
        print(report)
        return report

    def _outcomes(self, about: Exercise, source: str | None, functions: Mapping[str, Any]) -> list[Row]:
        """A row for each check, up to one that had to be interrupted."""
        checks = self._task.checks[about.id]
        with _patience(PATIENCE_S) as interrupted:
            try:
                names = names_of(source, self._task.setup, about) if source is not None else self._around(functions)
            except Problem as problem:
                said = interrupted[0] if interrupted else problem.sentence("The cell")
                return [(one.title, False, said) for one in checks]
        call, outcomes = LocalCall(names), list[Row]()
        for one in checks:
            with _patience(PATIENCE_S) as interrupted:
                outcome = run_check(one, call, Draws(_KEY, one.name))
            outcomes.append((one.title, outcome.passed, interrupted[0] if interrupted else outcome.message))
            if interrupted:
                break
        return outcomes

    def _around(self, functions: Mapping[str, Any]) -> dict[str, Any]:
        """Functions as they are, with the task's setup around them."""
        names: dict[str, Any] = {"__name__": "setup"}
        exec(compile(self._task.setup, f"<setup of {self._task.name}>", "exec"), names)
        return names | dict(functions)

    @cached_property
    def _stubs(self) -> ReleasedNotebook | None:
        """The notebook as it was released, where it is at hand."""
        return ReleasedNotebook.load(self._released) if self._released.is_file() else None

    @cached_property
    def _given_names(self) -> set[str]:
        known = self._stubs
        return given_names([*known.locked.values(), *known.stubs.values()] if known else [self._task.setup])

    def _wanted(self, about: Exercise) -> set[str]:
        """What the cell of an exercise is to define: where code of ours launches kernels, the kernels."""
        known = self._stubs
        return set(bound_names(known.stubs[about.id])) if known and about.id in known.stubs else set(about.provides)

    def hidden(self, exercise: str) -> None:
        """Say where the hidden checks are: not here."""
        print(f"The hidden checks of {self._known(exercise)!r} run where the autograder grades.")

    def _known(self, exercise: str) -> str:
        if exercise not in self._task.exercises:
            raise ValueError(f"no exercise {exercise!r}; known: {', '.join(self._task.exercises)}")
        return exercise
