"""Feedback pages: one self-contained HTML file a student, and two for the instructor.

A page shows what each check is called, whether it passed and what was misunderstood: no test code, no seeds, and of
the inputs only what a check says in its message. Everything from a submission or a judge is escaped.
"""

import re
import shutil
from html import escape
from pathlib import Path
from typing import Any

from autograder.class_page import class_page, index_page
from autograder.controller import Graded, Report
from autograder.course import Course, write_durably
from autograder.drawings import speed_drawing
from autograder.pages import number, page, prose
from autograder.result import CheckResult, ExerciseResult

MARKS = {
    "passed": ("✓", "passed"),
    "failed": ("✗", "not passed"),
    "flagged": ("!", "a person looks at this"),
    "not_graded": ("–", "not graded here"),
    "invalid": ("–", "not graded: the timing was disturbed"),
}
VALUE_NAMES = {"got": "yours", "want": "expected"}  # as `fail` names them


def write_feedback(course: Course, report: Report, whole_class: bool = True) -> list[Path]:
    """Write each student's page under `_build/feedback/<assignment>/`; the paths.

    Where the report is of the `whole_class` also the page about the class and the index (the last path), and pages of
    students who are no longer there are removed. Pages that did not change are left as they are.
    """
    task = course.task(report.assignment)
    folder = course.feedback(report.assignment)
    pages = {folder / one.student / "index.html": student_page(task, one) for one in report.students}
    if whole_class:
        pages[folder / "class.html"] = class_page(task, report)
        pages[folder / "index.html"] = index_page(task, report)
    for path, text in pages.items():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            write_durably(path, text)
    if whole_class:
        for old in folder.iterdir():
            if old.is_dir() and old / "index.html" not in pages:
                shutil.rmtree(old)
    return list(pages)


def student_page(task: dict[str, Any], graded: Graded) -> str:
    """One student's page."""
    parts = [f"<h1>{escape(task['title'])}</h1><p class=soft>{escape(graded.student)}</p>", _summary(graded)]
    if graded.bundle.notes and graded.bundle.readable:
        notes = "".join(f"<li>{prose(note)}</li>" for note in graded.bundle.notes)
        parts.append(f"<section><h2>About your notebook</h2><ul>{notes}</ul></section>")
    if graded.result is not None:
        titles = {exercise["id"]: exercise["title"] for exercise in task["exercise"]}
        for name, exercise in graded.result.exercises.items():
            parts.append(_exercise(titles.get(name, name), name, exercise, graded))
        parts.append(f"<p class=soft>{_how(graded)}</p>")
    return page(f"{task['title']}: {graded.student}", "\n".join(parts))


def _summary(graded: Graded) -> str:
    result = graded.result
    if result is None:
        whose = "The grader could not grade this" if graded.grader_failed else "There was nothing to grade"
        why = f"<p>{whose}: this is not a score of 0.</p><p>{escape(graded.problem)}</p>"
        return f"<section><h2>No score yet</h2>{why}</section>"
    share = 100 * result.score / result.max if result.max else 0
    return (
        f"<section><p><span class=total>{number(result.score)}</span> of {number(result.max)} points</p>"
        f'<div class=bar role=img aria-label="{share:.0f} percent">'
        f'<div style="width:{share:.1f}%"></div></div></section>'
    )


def _exercise(title: str, name: str, exercise: ExerciseResult, graded: Graded) -> str:
    points = f"{number(exercise.score)} of {number(exercise.max)}" if exercise.status == "graded" else "not graded"
    shown = [check for check in exercise.checks if not check.max]
    counted = [check for check in exercise.checks if check.max]
    first = next((check for check in [*shown, *counted] if check.status == "failed"), None)
    groups = _group("The checks of your notebook: they give no points", shown, first)
    groups += _group("The checks that give the points", counted, first)
    missing = "" if graded.bundle.cells.get(name) else "<p class=soft>There was no code in this exercise's cell.</p>"
    return (
        f"<section><div class=head><h2>{escape(title)}</h2><span class=points>{points}</span></div>{missing}"
        f"{groups}</section>"
    )


def _group(heading: str, checks: list[CheckResult], first: CheckResult | None) -> str:
    """A list of checks under its heading; nothing where there are none."""
    if not checks:
        return ""
    before = ["", *(check.message for check in checks)]
    lines = "".join(_check(check, said, check is first) for check, said in zip(checks, before, strict=False))
    return f"<h3>{heading}</h3><ul class=checks>{lines}</ul>"


def _check(check: CheckResult, said: str, is_first: bool) -> str:
    """One line of the list; a message that was just `said` is not said again."""
    mark, word = MARKS[check.status]
    if check.status == "passed" and check.score < check.max:
        mark, word = "◐", "partly passed"
    points = f"{number(check.score)} of {number(check.max)}" if check.max else ""
    first = "<span class=first>Begin here: the first thing in this exercise that is wrong</span>" if is_first else ""
    sentence, values = said_and_values(check.message) if check.message != said else ("", {})
    message = f"<span class=message>{prose(sentence)}</span>" if sentence else ""
    if values:
        rows = "".join(f"<dt>{escape(VALUE_NAMES.get(n, n))}</dt><dd>{escape(v)}</dd>" for n, v in values.items())
        message += f"<dl class=values>{rows}</dl>"
    drawing = speed_drawing(check.details, check.score)
    drawing = f"<span class=drawing>{drawing}</span>" if drawing else ""
    return (
        f'<li class={check.status}><span class=mark role=img aria-label="{word}">{mark}</span>'
        f"<span>{prose(check.title)}</span><span class=points>{points}</span>{first}{message}{drawing}</li>"
    )


def said_and_values(message: str) -> tuple[str, dict[str, str]]:
    """A message of `expect.fail` taken apart: the sentence, and the values that follow it in brackets by name."""
    found = re.fullmatch(r"(.*?) \(([a-z_]\w*=.*)\)(| Most likely: .*)", message, re.S)
    if found is None:
        return message, {}
    names = list(re.finditer(r"(?:^|, )([a-z_]\w*)=", found[2]))
    ends = [*(name.start() for name in names[1:]), len(found[2])]
    values = {name[1]: found[2][name.end() : end] for name, end in zip(names, ends, strict=True)}
    return found[1] + found[3], values


def _how(graded: Graded) -> str:
    assert graded.result is not None
    return (
        f"Each exercise ran on its own, with our versions of the others. Sandbox: {escape(graded.result.sandbox)}. "
        f"Submission {graded.bundle.sha256[:12]}, judge {escape(graded.result.judge_version[:12])}."
    )
