"""The instructor's two pages: the index with everybody's scores, and what the class as a whole found hard.

They name checks by their titles and messages alone: no test code, no seeds.
"""

import statistics
from collections import Counter
from collections.abc import Iterator
from html import escape
from typing import Any

from autograder.controller import Graded, Report
from autograder.drawings import histogram
from autograder.pages import bullets, link_to, number, page, prose, table
from autograder.result import CheckResult


def index_page(task: dict[str, Any], report: Report) -> str:
    """The table of the class: a row a student, a column an exercise."""
    names = [exercise["id"] for exercise in task["exercise"]]
    rows = [_row(one, names) for one in report.students]
    body = (
        f"<h1>{escape(task['title'])}</h1><p class=soft>{len(report.students)} submissions · "
        "<a href=class.html>the class as a whole</a></p>"
        f"<section class=scroll tabindex=0>{table(['student', *names, 'score', 'of'], rows)}</section>"
    )
    return page(f"{task['title']}: scores", body)


def class_page(task: dict[str, Any], report: Report) -> str:
    """Scores and their distribution, the checks that most students failed, and who has to be looked at."""
    scored = [one for one in report.students if one.result is not None and one.result.max]
    parts = [
        f"<h1>{escape(task['title'])}: the class</h1><p class=soft>{len(report.students)} submissions · "
        "<a href=index.html>everybody's scores</a></p>",
        _scores(scored),
        _exercises(task, scored),
        _hardest(task, scored),
        _to_look_at(scored),
        _without(report),
    ]
    return page(f"{task['title']}: the class", "\n".join(parts))


def _row(graded: Graded, names: list[str]) -> list[str]:
    result = graded.result
    found = result.graded if result else {}
    cells = [number(found[name].score) if name in found else "–" for name in names]
    return [link_to(graded.student), *cells, *([number(result.score), number(result.max)] if result else ["–", "–"])]


def _shares(scored: list[Graded]) -> list[float]:
    return [one.result.score / one.result.max for one in scored if one.result]


def _scores(scored: list[Graded]) -> str:
    if not scored:
        return "<section><h2>Scores</h2><p>Nobody has a score yet.</p></section>"
    shares = sorted(_shares(scored))
    middle, mean = statistics.median(shares), statistics.fmean(shares)
    said = (
        f"{len(scored)} students have a score. Median {middle:.0%} of the points, mean {mean:.0%}, "
        f"from {shares[0]:.0%} to {shares[-1]:.0%}."
    )
    return f"<section><h2>Scores</h2><p>{said}</p>{histogram(shares)}</section>"


def _exercises(task: dict[str, Any], scored: list[Graded]) -> str:
    """How much of each exercise's points the class has."""
    rows = []
    for exercise in task["exercise"]:
        results = [one.result.graded.get(exercise["id"]) for one in scored if one.result]
        found = [one for one in results if one and one.max]
        if found:
            whole, none = sum(one.score == one.max for one in found), sum(one.score == 0 for one in found)
            mean = statistics.fmean(one.score / one.max for one in found)
            rows.append([escape(exercise["title"]), f"{mean:.0%}", str(whole), str(none)])
    listed = table(["exercise", "mean share", "all points", "no points"], rows) if rows else "<p>None.</p>"
    return f"<section class=scroll tabindex=0><h2>Exercises</h2>{listed}</section>"


def _hardest(task: dict[str, Any], scored: list[Graded]) -> str:
    """The checks that give points, by the share of those checked who did not get all of them."""
    titles = {exercise["id"]: exercise["title"] for exercise in task["exercise"]}
    lost: dict[tuple[str, str], list[bool]] = {}
    for _, exercise, check in _checks(scored):
        if check.max and check.status in ("passed", "failed", "flagged"):
            lost.setdefault((exercise, check.title), []).append(check.score < check.max)
    ranked = sorted(lost.items(), key=lambda one: -statistics.fmean(one[1]))
    rows = [
        [f"{prose(title)} <span class=soft>({escape(titles.get(exercise, exercise))})</span>",
         f"{statistics.fmean(found):.0%}", f"{sum(found)} of {len(found)}"]
        for (exercise, title), found in ranked if any(found)
    ]  # fmt: skip
    listed = table(["check", "failed", "students"], rows) if rows else "<p>Nobody failed one.</p>"
    return f"<section class=scroll tabindex=0><h2>Hardest checks</h2>{listed}</section>"


def _to_look_at(scored: list[Graded]) -> str:
    """Timings that stayed disturbed, and what a person has to judge."""
    parts = []
    for heading, wanted in (
        ("Flagged: a person decides", lambda check: check.status == "flagged"),
        ("Timing too disturbed to count", lambda check: check.is_disturbed),
    ):
        lines = [
            f"{link_to(student)}, {escape(exercise)}: {prose(check.title)} "
            f"<span class=soft>{prose(check.message)}</span>"
            for student, exercise, check in _checks(scored)
            if wanted(check)
        ]
        parts.append(f"<h3>{heading}</h3>{bullets(lines, 'Nobody.')}")
    return f"<section><h2>To look at</h2>{''.join(parts)}</section>"


def _without(report: Report) -> str:
    """Who has no score, and which checks this machine could not grade: neither costs points."""
    lines = [
        f"{link_to(one.student)}: {'the grader failed. ' if one.grader_failed else ''}{escape(one.problem)}"
        for one in report.students
        if one.result is None
    ]
    left_out = Counter(
        (exercise, check.title)
        for _, exercise, check in _checks(list(report.students))
        if check.status == "not_graded" and not check.is_disturbed
    )
    lines += [f"{escape(name)}: {prose(title)} ({count} students)" for (name, title), count in left_out.items()]
    never = "<p class=soft>This is never a 0, and no maximum holds it.</p>"
    return f"<section><h2>Not graded</h2>{never}{bullets(lines, 'Nothing.')}</section>"


def _checks(students: list[Graded]) -> Iterator[tuple[str, str, CheckResult]]:
    """(student, exercise, check) of everybody with a result."""
    for one in students:
        for name, exercise in one.result.exercises.items() if one.result else ():
            for check in exercise.checks:
                yield one.student, name, check
