"""Whether a submission comes out now one way, now another.

All that a run draws is derived, so the same judge finds the same in the same code, unless that code throws a coin of
its own, looks at a clock, or needs as long as it may. Two runs that differ do not tell whose fault it is; further ones
do: a submission that varies differs among them, a record that is wrong differs from all of them.
"""

from collections.abc import Callable, Sequence

from autograder.controller.result import CheckResult, Result

MAX_RUNS = 6  # under one judge, before its outcome counts as always the same: a fair coin shows 31 times in 32
VARIES = "The submission varies: on the same inputs it came out now one way, now another ({checks}). The record stands."


def until_it_varies(first: Result, again: Callable[[], Result]) -> list[str]:
    """Judges again until two runs differ, or often enough; the checks that differ."""
    found = [first]
    while len(found) < MAX_RUNS and not differing(found):
        found.append(again())
    return differing(found)


def differing(results: Sequence[Result]) -> list[str]:
    """The checks, with their exercises, that did not come out the same in all results.

    Where the grader failed in an exercise there is nothing to compare.
    """
    outcomes: dict[tuple[str, str], set[object]] = {}
    titles: dict[tuple[str, str], str] = {}
    broken = {name for one in results for name, exercise in one.exercises.items() if exercise.grader_failed}
    for one in results:
        for place, check in _checks(one):
            if place[0] not in broken:
                outcomes.setdefault(place, set()).add(outcome(check))
                titles[place] = f"{place[0]}: {check.title}"
    return [titles[place] for place, found in outcomes.items() if len(found) > 1]


def outcome(check: CheckResult) -> object:
    """What has to be the same each time: that something was measured, not what; of any other check what it gave.

    A wrong answer in a timed call ends the timing, so it is no measurement.
    """
    return "measured" if check.details else (check.status, check.score)


def _checks(result: Result) -> list[tuple[tuple[str, str], CheckResult]]:
    return [((name, check.name), check) for name, exercise in result.exercises.items() for check in exercise.checks]
