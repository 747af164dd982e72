"""The visible checks, in a notebook: all that a student gets of the autograder.

    from autograder.check import Checker

    check = Checker("a02_speculative_decoding")
    check("accept", accept)          # prints a line for each check; never raises because of an answer

They run through the same engine as the grading, on the same kind of inputs, in the notebook's own process.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from autograder.bounds import bound_kernels
from autograder.device import device_for, missing
from autograder.engine import Exercise, LocalCall, generator, load_task, run_check

PATIENCE_S = 20.0
_KEY = b"visible"  # the same inputs every time, so that a failure can be looked into
Row = tuple[str, bool | None, str]  # title of a check, whether it passed (None: it was not run), message


class Report:
    """What the visible checks of one exercise found. `repr` is the text that was printed.

    Args:
        outcomes: a row for each check.
        lacking: a sentence about the device without which none was run.
    """

    def __init__(self, title: str, outcomes: list[Row], lacking: str = "") -> None:
        self.passed = all(passed for _, passed, _ in outcomes)
        lines = [_line(*outcome) for outcome in outcomes]
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
        self._setup: dict[str, Any] = {"__name__": "setup"}
        exec(compile(self._task.setup, f"<setup of {assignment}>", "exec"), self._setup)
        if any(one.host for one in self._task.exercises.values()):
            with suppress(ImportError):  # without Triton there are no kernels
                bound_kernels()

    def __call__(self, exercise: str, *functions: Any) -> Report:
        """Check the functions of an exercise, given in the order in which the exercise names them.

        Raises:
            ValueError: no such exercise, or not as many functions as it asks for.
        """
        about = self._task.exercises[self._known(exercise)]
        if len(functions) != len(about.provides):
            raise ValueError(f"exercise {exercise!r} needs {', '.join(about.provides)}; got {len(functions)} functions")
        if device_for(about.needs) is None:
            not_run: list[Row] = [(one.title, None, "") for one in self._task.checks[exercise]]
            report = Report(about.title, not_run, missing(about.needs))
        else:
            report = Report(about.title, self._outcomes(about, dict(zip(about.provides, functions, strict=True))))
        print(report)
        return report

    def _outcomes(self, about: Exercise, functions: dict[str, Any]) -> list[Row]:
        """A row for each check, up to one that had to be interrupted."""
        call, outcomes = LocalCall({**self._setup, **functions}), list[Row]()
        for one in self._task.checks[about.id]:
            with _patience(PATIENCE_S) as interrupted:
                outcome = run_check(one, call, generator(_KEY, one.name))
            outcomes.append((one.title, outcome.passed, interrupted[0] if interrupted else outcome.message))
            if interrupted:
                break
        return outcomes

    def hidden(self, exercise: str) -> None:
        """Say where the hidden checks are: not here."""
        print(f"The hidden checks of {self._known(exercise)!r} run where the autograder grades.")

    def _known(self, exercise: str) -> str:
        if exercise not in self._task.exercises:
            raise ValueError(f"no exercise {exercise!r}; known: {', '.join(self._task.exercises)}")
        return exercise
