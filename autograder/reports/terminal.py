"""How results look in a terminal."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from autograder.controller.names import listed, shown
from autograder.controller.variation import VARIES
from autograder.wire.causes import begin_here
from autograder.wire.text import number, printable

if TYPE_CHECKING:
    from autograder.cells.bundle import Bundle
    from autograder.controller.appeal import Appeal
    from autograder.controller.course import Course
    from autograder.controller.record import ClassRecord
    from autograder.controller.result import CheckResult, Result

MAX_CHANGES, MAX_PAGES, MAX_NAMED = 20, 10, 10


def show_release(name: str, notebook: Path, changes: tuple[str, ...], check_only: bool) -> None:
    """Whether a student notebook changed, and the first lines that did."""
    if not changes:
        typer.echo(f"{name}: {notebook} is up to date")
        return
    typer.echo(f"{name}: {notebook} {'is out of date' if check_only else 'written'}, {len(changes)} lines differ")
    for line in changes[:MAX_CHANGES]:
        typer.secho(f"  {line[:160]}", fg="green" if line[0] == "+" else "red")


def show_scores(record: "ClassRecord") -> None:
    """The table of a class, why somebody has no score, and what was not understood.

    Names of students are never cut short, so that no two read the same. Where the names of the exercises do not fit
    beside them, they are numbered.
    """
    names = list(dict.fromkeys(name for one in record.students for name in {**one.exercises, **one.marks}))
    console = Console()
    longest = max((cell_len(shown(one.student)) for one in record.students), default=0)
    fits = longest + sum(len(name) + 3 for name in ["student"[longest:], *names, "score", "of"]) <= console.width
    headings = names if fits else [str(place) for place, _ in enumerate(names, 1)]
    table = Table(title=f"Scores of {record.assignment}")
    table.add_column("student", overflow="fold")
    for heading in ["score", "of", *headings]:
        table.add_column(heading, justify="right", no_wrap=True)
    for one in record.students:
        marks = [one.marks.get(name) for name in names]
        points = [one.score, one.max, *(mark.points if mark and not mark.waits else None for mark in marks)]
        table.add_row(Text(shown(one.student)), *("–" if value is None else number(value) for value in points))
    console.print(table)
    if not fits:
        typer.echo("Exercises: " + ", ".join(f"{place} {name}" for place, name in enumerate(names, 1)))
    for remark, students in _remarks(record).items():
        typer.secho(f"{listed(students, MAX_NAMED)}: {printable(remark)}", fg="yellow")
    for warning in record.warnings:
        typer.secho(warning, fg="red")
    show_unseen(record)


def show_unseen(record: "ClassRecord") -> None:
    """Who handed nothing in, and what in `submitted/` was not understood."""
    if record.missing:
        typer.secho(f"In the roster, and handed nothing in: {listed(list(record.missing), MAX_NAMED)}", fg="yellow")
    if record.strays:
        typer.secho(f"Not graded, since it was not understood ({len(record.strays)}):", fg="red")
        for one in record.strays:
            typer.secho(f"  {one}", fg="red")


def show_pages(course: "Course", pages: list[Path]) -> None:
    """Where the pages are; those of a small class one by one."""
    *students, about_class, index = (page.relative_to(course.root) for page in pages)
    if len(students) <= MAX_PAGES:
        for page in students:
            typer.echo(f"Feedback: {page}")
    else:
        typer.echo(f"Feedback: {len(students)} pages, {index.parent}/<student>/index.html")
    typer.echo(f"Feedback: {about_class}")
    typer.echo(f"Feedback: {index}")


def _remarks(record: "ClassRecord") -> dict[str, list[str]]:
    """What a teacher has to know beside the scores, and about whom."""
    remarks: dict[str, list[str]] = {}
    for one in record.students:
        for reason in one.reasons:
            remarks.setdefault(reason, []).append(one.student)
    return remarks


def show_checks(bundle: "Bundle", result: "Result") -> None:
    """The outcome of each check of a notebook, one line each."""
    for note in bundle.notes:
        typer.secho(f"Note: {note}", fg="yellow")
    for exercise, outcome in result.exercises.items():
        typer.secho(exercise, bold=True)
        failed, before = [one for one in outcome.checks if one.status == "failed"], ""
        for one in outcome.checks:
            mark, colour = {"passed": ("✓", "green"), "not_graded": ("–", "yellow")}.get(one.status, ("✗", "red"))
            said = f"{one.title.rstrip('.')}: {one.message}" if one.message not in ("", before) else one.title
            before = one.message
            typer.secho(f"  {mark} {said}", fg=colour)
            if len(failed) > 1 and one is failed[0]:
                typer.secho(f"    {begin_here([check.message for check in failed])}.", fg="yellow")


def show_appeal(found: "Appeal", recorded: bool) -> None:
    """What came out, then the checks that differ, old and new side by side, and the scores."""
    if found.breaks_the_promise:
        typer.secho(
            "The same judge found another correctness from the same inputs, each time anew: do not trust it.", fg="red"
        )
    elif found.varies:
        typer.secho(VARIES.format(checks="; ".join(found.varies)), fg="yellow")
    elif found.same_correctness:
        typer.echo("Correctness came out the same.")
    else:
        typer.secho("Correctness differs, and so does the judge, the library or the machine.", fg="yellow")
    table = Table(title=Text(f"Appeal of {shown(found.student)} in {found.job.bundle.assignment}"))
    for heading in ("exercise", "check", "on record", "now", ""):
        table.add_column(heading, overflow="fold")
    listed = [pair for pair in found.pairs if pair.differs or pair.is_timed]
    for pair in listed:
        remark = "measured" if pair.is_timed else "differs"
        cells = (pair.exercise, pair.either.title, _outcome(pair.old), _outcome(pair.new))
        table.add_row(*map(Text, cells), Text(remark, style="" if pair.is_timed else "red"))
    old, new = (f"{number(one.score)} of {number(one.max)}" for one in (found.old, found.new))
    table.add_section()
    table.add_row("", "automatic points", old, new, "")
    Console().print(table)
    typer.echo(f"{len(found.pairs) - len(listed)} other checks came out as they are on record.")
    standing = found.standing
    if standing.score is not None and standing.max is not None:
        typer.echo(f"The score on record is {number(standing.score)} of {number(standing.max)}.")
    for reason in standing.reasons:
        typer.echo(f"  {printable(reason)}")
    typer.echo("The new outcome is on record." if recorded else "Nothing was changed; --record would put it on record.")


def _outcome(check: "CheckResult | None") -> str:
    if check is None:
        return "–"
    points = f" {number(check.score)} of {number(check.max)}" if check.max else ""
    return f"{check.status.replace('_', ' ')}{points}" + (f"\n{check.message}" if check.message else "")
