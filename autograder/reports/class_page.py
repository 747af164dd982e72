"""The page about a class as a whole: how the scores are distributed, what was hard, and whom to look at.

It names checks by their titles and messages alone: no test code, no seeds.
"""

import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from html import escape
from typing import Any

from autograder.controller.names import link
from autograder.controller.record import ClassRecord, Record
from autograder.controller.result import CheckResult
from autograder.reports.html import bullets, page, prose, table
from autograder.reports.svg import histogram
from autograder.wire.text import printable


def class_page(task: dict[str, Any], record: ClassRecord) -> str:
    """Scores and their distribution, the checks that most students failed, and who has to be looked at."""
    scored = [one for one in record.students if one.score is not None and one.max]
    judged = [one for one in record.students if one.result is not None]
    parts = [
        f"<h1>{escape(task['title'])}: the class</h1><p class=soft>{len(record.students)} submissions · "
        "<a href=index.html>everybody's scores</a></p>",
        *(f"<section><p><strong>{escape(said)}</strong></p></section>" for said in record.warnings),
        _scores(scored),
        _exercises(task, scored),
        _hardest(task, judged),
        _to_look_at(record.students),
        _without(record),
    ]
    return page(f"{task['title']}: the class", "\n".join(parts))


def _scores(scored: list[Record]) -> str:
    if not scored:
        return "<section><h2>Scores</h2><p>Nobody has a score yet.</p></section>"
    shares = sorted(one.share for one in scored)
    middle, mean = statistics.median(shares), statistics.fmean(shares)
    who = "1 student has" if len(scored) == 1 else f"{len(scored)} students have"
    said = (
        f"{who} a score. Median {middle:.0%} of the points, mean {mean:.0%}, from {shares[0]:.0%} to {shares[-1]:.0%}."
    )
    late = sum(one.entry.penalty > 0 for one in scored)
    said += f" {late} lost points for lateness." if late else ""
    return f"<section><h2>Scores</h2><p>{said}</p>{histogram(shares)}</section>"


def _exercises(task: dict[str, Any], scored: list[Record]) -> str:
    """How much of each exercise's points the class has."""
    rows = []
    for exercise in task["exercise"]:
        marks = [one.marks.get(exercise["id"]) for one in scored]
        found = [mark for mark in marks if mark and mark.max and not mark.waits]
        if found:
            whole, none = sum(one.points >= one.max for one in found), sum(one.points == 0 for one in found)
            mean = statistics.fmean(one.points / one.max for one in found)
            rows.append([escape(exercise["title"]), f"{mean:.0%}", str(whole), str(none)])
    listed = table(["exercise", "mean share", "all points", "no points"], rows) if rows else "<p>None.</p>"
    return f"<section class=scroll tabindex=0><h2>Exercises</h2>{listed}</section>"


def _hardest(task: dict[str, Any], judged: list[Record]) -> str:
    """The checks that give points, by the share of those checked who did not get all of them."""
    titles = {exercise["id"]: exercise["title"] for exercise in task["exercise"]}
    lost: dict[tuple[str, str], list[bool]] = {}
    for _, exercise, check in _checks(judged):
        if check.max and check.status in ("passed", "failed"):
            lost.setdefault((exercise, check.title), []).append(check.score < check.max)
    ranked = sorted(lost.items(), key=lambda one: -statistics.fmean(one[1]))
    rows = [
        [f"{prose(title)} <span class=soft>({escape(titles.get(exercise, exercise))})</span>",
         f"{statistics.fmean(found):.0%}", f"{sum(found)} of {len(found)}"]
        for (exercise, title), found in ranked if any(found)
    ]  # fmt: skip
    listed = table(["check", "failed", "students"], rows) if rows else "<p>Nobody failed one.</p>"
    return f"<section class=scroll tabindex=0><h2>Hardest checks</h2>{listed}</section>"


def _to_look_at(students: Sequence[Record]) -> str:
    """What a person has to judge or mark, marks whose code has changed, timings that stayed disturbed."""
    named = {
        "Marks by hand that want another look: code or checks have changed since": [
            f"{link(one.student)}: {escape(', '.join(one.outdated))}" for one in students if one.outdated
        ],
        "Waiting for a mark by a person": [
            f"{link(one.student)}: {escape(', '.join(names))}"
            for one in students
            if (names := [name for name, mark in one.marks.items() if mark.waits])
        ],
        "Timing too disturbed to count": _lines(students, lambda check: check.is_disturbed),
    }
    parts = [f"<h3>{heading}</h3>{bullets(lines, 'Nobody.')}" for heading, lines in named.items()]
    return f"<section><h2>To look at</h2>{''.join(parts)}</section>"


def _lines(students: Sequence[Record], wanted: Callable[[CheckResult], bool]) -> list[str]:
    return [
        f"{link(student)}, {escape(exercise)}: {prose(check.title)} <span class=soft>{prose(check.message)}</span>"
        for student, exercise, check in _checks(students)
        if wanted(check)
    ]


def _without(record: ClassRecord) -> str:
    """Who has no score, and which checks this machine could not grade: neither costs points."""
    lines = [
        f"{link(one.student)}: {'the grader failed. ' if one.grader_failed else ''}{escape(printable(one.problem))}"
        for one in record.students
        if one.score is None
    ]
    left_out = Counter(
        (exercise, check.title)
        for _, exercise, check in _checks(record.students)
        if check.status == "not_graded" and not check.is_disturbed
    )
    lines += [f"{escape(name)}: {prose(title)} ({count} students)" for (name, title), count in left_out.items()]
    never = "<p class=soft>This is never a 0, and no maximum holds it.</p>"
    return f"<section><h2>Not graded</h2>{never}{bullets(lines, 'Nothing.')}</section>"


def _checks(students: Sequence[Record]) -> Iterator[tuple[str, str, CheckResult]]:
    """(student, exercise, check) of everybody with a result."""
    for one in students:
        for name, exercise in one.exercises.items():
            for check in exercise.checks:
                yield one.student, name, check
