"""Feedback pages: one self-contained HTML file a student, and two for the instructor.

A page shows what each check is called, whether it passed and what was misunderstood: no test code, no seeds, and of
the inputs only what a check says in its message. Everything from a submission or a judge is escaped.
"""

import re
import shutil
from html import escape
from pathlib import Path
from typing import Any

from autograder.controller.course import Course
from autograder.controller.names import file_name, shown
from autograder.controller.record import ClassRecord, Mark, Record
from autograder.controller.result import CheckResult, Result
from autograder.reports.class_page import class_page
from autograder.reports.html import page, prose
from autograder.reports.index_page import index_page
from autograder.reports.svg import speed_drawing
from autograder.wire.causes import begin_here
from autograder.wire.files import write_durably
from autograder.wire.text import number

MARKS = {
    "passed": ("✓", "passed"),
    "failed": ("✗", "not passed"),
    "not_graded": ("–", "not graded here"),
}
VALUE_NAMES = {"at": "first wrong at", "got": "yours", "want": "expected"}  # as `fail` names them


def write_feedback(course: Course, record: ClassRecord) -> list[Path]:
    """Write everybody's page under `_build/feedback/<assignment>/`, the page about the class and the index; the paths.

    The index is the last. Pages of students who are no longer there are removed; those that did not change are left as
    they are.
    """
    task = course.task(record.assignment)
    folder = course.feedback(record.assignment)
    pages = {folder / file_name(one.student) / "index.html": student_page(task, one) for one in record.students}
    pages[folder / "class.html"] = class_page(task, record)
    pages[folder / "index.html"] = index_page(task, record)
    for path, text in pages.items():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            write_durably(path, text)
    for old in folder.iterdir():
        if old.is_dir() and old / "index.html" not in pages:
            shutil.rmtree(old)
    return list(pages)


def student_page(task: dict[str, Any], record: Record) -> str:
    """One student's page: what is on record, without anything of the grader's machine."""
    parts = [f"<h1>{escape(task['title'])}</h1><p class=soft>{escape(shown(record.student))}</p>", _summary(record)]
    if record.bundle.notes and record.bundle.readable:
        notes = "".join(f"<li>{prose(note)}</li>" for note in record.bundle.notes)
        parts.append(f"<section><h2>About your notebook</h2><ul>{notes}</ul></section>")
    named = {**record.exercises, **record.marks, **record.entry.comments}
    parts += [_exercise(one["title"], one["id"], record) for one in task["exercise"] if one["id"] in named]
    if record.result is not None:
        parts.append(f"<p class=soft>{_how(record, record.result)}</p>")
    return page(f"{task['title']}: {shown(record.student)}", "\n".join(parts))


def _summary(record: Record) -> str:
    late = f"<p>{escape(record.lateness.capitalize())}.</p>" if record.lateness else ""
    if record.score is None or record.max is None:
        why = f"<p>This is not a score of 0.</p><p>{escape(record.reason_for_student)}</p>"
        return f"<section><h2>No score yet</h2>{why}{late}</section>"
    read = "" if record.bundle.readable else f"<p>{escape(record.problem)} A person gave the points.</p>"
    return (
        f"<section><p><span class=total>{number(record.score)}</span> of {number(record.max)} points</p>{late}{read}"
        f'<div class=bar role=img aria-label="{100 * record.share:.0f} percent">'
        f'<div style="width:{100 * min(1.0, record.share):.1f}%"></div></div></section>'
    )


def _exercise(title: str, name: str, record: Record) -> str:
    mark, exercise = record.marks.get(name), record.exercises.get(name)
    points = f"{number(mark.points)} of {number(mark.max)}" if mark else "not graded"
    shown = [check for check in exercise.checks if not check.max] if exercise else []
    counted = [check for check in exercise.checks if check.max] if exercise else []
    failed = [check for check in [*shown, *counted] if check.status == "failed"]
    begin = {id(failed[0]): begin_here([check.message for check in failed])} if failed else {}
    groups = _group("The checks of your notebook: they give no points", shown, begin)
    groups += _group("The checks that give the points", counted, begin)
    empty = exercise is not None and not record.bundle.cells.get(name)
    missing = "<p class=soft>There was no code in this exercise's cell.</p>" if empty else ""
    return (
        f"<section><div class=head><h2>{escape(title)}</h2><span class=points>{points}</span></div>{missing}"
        f"{_by_a_person(mark, record.entry.comments.get(name, ''))}{groups}</section>"
    )


def _by_a_person(mark: Mark | None, comment: str) -> str:
    """Where the points come from if not from the checks alone, and what a person wrote."""
    lines = [f"{mark.origin[0].upper()}{mark.origin[1:]}."] if mark and mark.origin else []
    if mark and mark.is_outdated:
        lines.append("This mark was given for an earlier version: it is to be looked at again.")
    said = "".join(f"<p>{escape(line)}</p>" for line in lines)
    return said + (f"<p class=comment>{escape(comment)}</p>" if comment else "")


def _group(heading: str, checks: list[CheckResult], begin: dict[int, str]) -> str:
    """A list of checks under its heading; nothing where there are none.

    Args:
        begin: what is said beside the check with that id, where one begins.
    """
    if not checks:
        return ""
    before = ["", *(check.message for check in checks)]
    lines = "".join(_check(check, said, begin.get(id(check), "")) for check, said in zip(checks, before, strict=False))
    return f"<h3>{heading}</h3><ul class=checks>{lines}</ul>"


def _check(check: CheckResult, said: str, begin: str) -> str:
    """One line of the list; a message that was just `said` is not said again."""
    mark, word = MARKS[check.status]
    if check.status == "passed" and check.score < check.max:
        mark, word = "◐", "partly passed"
    points = f"{number(check.score)} of {number(check.max)}" if check.max else ""
    first = f"<span class=first>{escape(begin)}</span>" if begin else ""
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


def _how(record: Record, result: Result) -> str:
    return (
        f"Each exercise ran on its own, with our versions of the others. Sandbox: {escape(result.sandbox)}. "
        f"Submission {record.bundle.sha256[:12]}, judge {escape(result.judge_version[:12])}."
    )
