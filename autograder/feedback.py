"""Feedback pages: one self-contained HTML file a student, and a table for the instructor.

A page shows what each check is called, whether it passed and what was misunderstood: no test code, no seeds, no
inputs. Everything from a submission or a judge is escaped, and a page loads nothing from anywhere.
"""

import re
import shutil
from html import escape
from pathlib import Path
from typing import Any

from autograder.controller import Graded, Report
from autograder.course import Course, write_durably
from autograder.result import CheckResult, ExerciseResult

MARKS = {
    "passed": ("✓", "passed"),
    "failed": ("✗", "not passed"),
    "flagged": ("!", "a person looks at this"),
    "not_graded": ("–", "not graded here"),
    "invalid": ("–", "not graded: the timing was disturbed"),
}

STYLE = """
:root { color-scheme: light dark; --ink: #1c2024; --soft: #5c6670; --page: #fbfbfa; --card: #fff; --line: #dfe2e5;
  --good: #1b6b3a; --bad: #a3261c; --bar: #2f6fb0; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8ea; --soft: #a3adb6; --page: #14171a; --card: #1c2024;
  --line: #343a40; --good: #6fcf97; --bad: #ff8a80; --bar: #6fa8dc; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 52rem; padding: 1.5rem 1rem 4rem; background: var(--page); color: var(--ink);
  font: 1rem/1.55 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; } h2 { font-size: 1.1rem; margin: 0; }
p, ul { margin: .4rem 0; } a { color: var(--bar); } .soft { color: var(--soft); }
section { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: 1rem; margin: 1rem 0; }
.head { display: flex; justify-content: space-between; gap: 1rem; align-items: baseline; }
.points { white-space: nowrap; font-variant-numeric: tabular-nums; }
.total { font-size: 2rem; font-weight: 600; }
.bar { height: .5rem; border-radius: .25rem; background: var(--line); overflow: hidden; margin: .5rem 0 0; }
.bar div { height: 100%; background: var(--bar); }
h3 { font-size: .9rem; font-weight: 600; color: var(--soft); margin: 1rem 0 .25rem; }
ul.checks { list-style: none; padding: 0; margin: 0; }
ul.checks li { display: grid; grid-template-columns: 1.5rem 1fr auto; gap: 0 .5rem; padding: .45rem 0;
  border-top: 1px solid var(--line); }
.passed .mark { color: var(--good); } .failed .mark { color: var(--bad); } .mark { font-weight: 700; }
.message { grid-column: 2 / 4; margin-top: .25rem; padding-left: .6rem; border-left: 3px solid var(--line);
  color: var(--soft); white-space: pre-wrap; overflow-wrap: anywhere; }
.failed .message { color: var(--ink); }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .4rem .6rem; border-bottom: 1px solid var(--line); }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
"""


def write_feedback(course: Course, report: Report, whole_class: bool = True) -> list[Path]:
    """Write each student's page under `_build/feedback/<assignment>/`; the paths.

    Where the report is of the `whole_class` also the index (the last path), and pages of students who are no longer
    there are removed. Pages that did not change are left as they are.
    """
    task = course.task(report.assignment)
    folder = course.feedback(report.assignment)
    pages = {folder / one.student / "index.html": student_page(task, one) for one in report.students}
    if whole_class:
        pages[folder / "index.html"] = class_page(task, report)
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
        notes = "".join(f"<li>{_prose(note)}</li>" for note in graded.bundle.notes)
        parts.append(f"<section><h2>About your notebook</h2><ul>{notes}</ul></section>")
    if graded.result is not None:
        titles = {exercise["id"]: exercise["title"] for exercise in task["exercise"]}
        for name, exercise in graded.result.exercises.items():
            parts.append(_exercise(titles.get(name, name), name, exercise, graded))
        parts.append(f"<p class=soft>{_how(graded)}</p>")
    return _page(f"{task['title']}: {graded.student}", "\n".join(parts))


def class_page(task: dict[str, Any], report: Report) -> str:
    """The table of the class: a row a student, a column an exercise."""
    names = [exercise["id"] for exercise in task["exercise"]]
    head = "".join(f"<th class=number scope=col>{escape(name)}</th>" for name in [*names, "score", "of"])
    rows = "".join(_class_row(one, names) for one in report.students)
    table = f"<table><thead><tr><th scope=col>student</th>{head}</tr></thead><tbody>{rows}</tbody></table>"
    body = f"<h1>{escape(task['title'])}</h1><p class=soft>{len(report.students)} submissions</p>"
    return _page(f"{task['title']}: scores", f"{body}<section class=scroll tabindex=0>{table}</section>")


def number(value: float) -> str:
    """Points as a person writes them: 2, 1.5, 0.25."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


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
    graded_ones = [check for check in exercise.checks if check.max]
    groups = _group("The checks of your notebook: they give no points", shown)
    groups += _group("The checks that give the points", graded_ones)
    missing = "" if graded.bundle.cells.get(name) else "<p class=soft>There was no code in this exercise's cell.</p>"
    return (
        f"<section><div class=head><h2>{escape(title)}</h2><span class=points>{points}</span></div>{missing}"
        f"{groups}</section>"
    )


def _group(heading: str, checks: list[CheckResult]) -> str:
    """A list of checks under its heading; nothing where there are none."""
    if not checks:
        return ""
    before = ["", *(check.message for check in checks)]
    lines = "".join(_check(check, said) for check, said in zip(checks, before, strict=False))
    return f"<h3>{heading}</h3><ul class=checks>{lines}</ul>"


def _check(check: CheckResult, said: str) -> str:
    """One line of the list; a message that was just `said` is not said again."""
    mark, word = MARKS[check.status]
    if check.status == "passed" and check.score < check.max:
        mark, word = "◐", "partly passed"
    points = f"{number(check.score)} of {number(check.max)}" if check.max else ""
    message = f"<span class=message>{_prose(check.message)}</span>" if check.message not in ("", said) else ""
    return (
        f'<li class={check.status}><span class=mark role=img aria-label="{word}">{mark}</span>'
        f"<span>{_prose(check.title)}</span><span class=points>{points}</span>{message}</li>"
    )


def _prose(text: str) -> str:
    """Escaped text, with `names` set as code."""
    return re.sub(r"`([^`\n]+)`", r"<code>\1</code>", escape(text))


def _how(graded: Graded) -> str:
    assert graded.result is not None
    return (
        f"Each exercise ran on its own, with our versions of the others. Sandbox: {escape(graded.result.sandbox)}. "
        f"Submission {graded.bundle.sha256[:12]}, judge {escape(graded.result.judge_version[:12])}."
    )


def _class_row(graded: Graded, names: list[str]) -> str:
    cells = "".join(f"<td class=number>{_cell(graded, name)}</td>" for name in names)
    result = graded.result
    score, best = (number(result.score), number(result.max)) if result else ("–", "–")
    link = f'<a href="{escape(_url(graded.student))}/index.html">{escape(graded.student)}</a>'
    return f"<tr><th scope=row>{link}</th>{cells}<td class=number>{score}</td><td class=number>{best}</td></tr>"


def _cell(graded: Graded, name: str) -> str:
    exercise = graded.result.graded.get(name) if graded.result else None
    return number(exercise.score) if exercise else "–"


def _url(student: str) -> str:
    from urllib.parse import quote

    return quote(student)


def _page(title: str, body: str) -> str:
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n<body><main>{body}</main></body></html>\n"
    )
