"""How results look in a terminal."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from autograder.pages import number

if TYPE_CHECKING:
    from autograder.appeal import Appeal
    from autograder.bundle import Bundle
    from autograder.controller import Report
    from autograder.mutants import KillTable
    from autograder.result import CheckResult, Result

MAX_CHANGES = 20


def show_release(name: str, notebook: Path, changes: tuple[str, ...], check_only: bool) -> None:
    """Whether a student notebook changed, and the first lines that did."""
    if not changes:
        typer.echo(f"{name}: {notebook} is up to date")
        return
    typer.echo(f"{name}: {notebook} {'is out of date' if check_only else 'written'}, {len(changes)} lines differ")
    for line in changes[:MAX_CHANGES]:
        typer.secho(f"  {line[:160]}", fg="green" if line[0] == "+" else "red")


def show_scores(report: "Report") -> None:
    """The table of a class, and why somebody has no score."""
    names = list(dict.fromkeys(name for one in report.students if one.result for name in one.result.exercises))
    table = Table(title=f"Scores of {report.assignment}")
    table.add_column("student")
    for name in [*names, "score", "of"]:
        table.add_column(name, justify="right")
    for one in report.students:
        graded = one.result.graded if one.result else {}
        cells = [number(graded[name].score) if name in graded else "–" for name in names]
        total = [number(one.result.score), number(one.result.max)] if one.result else ["–", "–"]
        table.add_row(Text(one.student), *cells, *total)
    Console().print(table)
    for remark, students in _remarks(report).items():
        typer.secho(f"{', '.join(students)}: {remark}", fg="yellow")


def _remarks(report: "Report") -> dict[str, list[str]]:
    """What a teacher has to know beside the scores, and about whom."""
    remarks: dict[str, list[str]] = {}
    for one in report.students:
        if one.result is None:
            remarks.setdefault(f"no score. {one.problem}", []).append(one.student)
            continue
        for name, exercise in one.result.exercises.items():
            if exercise.grader_failed:
                said = f"{name} is not graded, the grader failed: {exercise.failure}"
                remarks.setdefault(said, []).append(one.student)
            for check in exercise.checks:
                if check.is_disturbed:
                    remarks.setdefault(f"{name}: {check.message}", []).append(one.student)
                if check.status == "flagged":
                    remarks.setdefault(f"look at {name}: {check.message}", []).append(one.student)
    return remarks


def show_checks(bundle: "Bundle", result: "Result") -> None:
    """The outcome of each check of a notebook, one line each."""
    for note in bundle.notes:
        typer.secho(f"Note: {note}", fg="yellow")
    for exercise, outcome in result.exercises.items():
        typer.secho(exercise, bold=True)
        for one in outcome.checks:
            mark, colour = {"passed": ("✓", "green"), "not_graded": ("–", "yellow")}.get(one.status, ("✗", "red"))
            said = f"{one.title.rstrip('.')}: {one.message}" if one.message else one.title
            typer.secho(f"  {mark} {said}", fg=colour)


def show_appeal(found: "Appeal", recorded: bool) -> None:
    """Old and new outcome of each check side by side, and what they mean together."""
    table = Table(title=f"Appeal of {found.student} in {found.job.bundle.assignment}")
    for heading in ("exercise", "check", "on record", "now", ""):
        table.add_column(heading, overflow="fold")
    for pair in found.pairs:
        remark = "measured" if pair.is_timed else "differs" if pair.differs else "the same"
        style = "red" if pair.differs and not pair.is_timed else ""
        cells = (pair.exercise, pair.either.title, _outcome(pair.old), _outcome(pair.new))
        table.add_row(*map(Text, cells), Text(remark, style=style))
    old, new = (f"{number(one.score)} of {number(one.max)}" for one in (found.old, found.new))
    table.add_section()
    table.add_row("", "score", old, new, "")
    Console().print(table)
    if found.breaks_the_promise:
        typer.secho("The same judge found another correctness from the same inputs: do not trust it.", fg="red")
    elif found.same_correctness:
        typer.echo("Correctness came out the same.")
    else:
        typer.secho("Correctness differs, and so does the judge, the library or the machine.", fg="yellow")
    typer.echo("The new outcome is on record." if recorded else "Nothing was changed; --record would put it on record.")


def _outcome(check: "CheckResult | None") -> str:
    if check is None:
        return "–"
    points = f" {number(check.score)} of {number(check.max)}" if check.max else ""
    return f"{check.status.replace('_', ' ')}{points}" + (f"\n{check.message}" if check.message else "")


def show_kill_table(table: "KillTable") -> None:
    """A row for each wrong answer under those of the solution and the stub, and the counts."""
    shown = Table(title=f"Wrong answers of {table.assignment}", show_lines=True)
    shown.add_column("wrong answer", overflow="fold")
    shown.add_column("caught")
    shown.add_column("points lost", justify="right")
    shown.add_column("failed checks", overflow="fold")
    for name, result in (("the solution", table.solution), ("the stub", table.stub)):
        shown.add_row(name, "", f"{number(result.max - result.score)} of {number(result.max)}", "")
    for one in table.verdicts:
        lines = Text("\n".join(one.failed))
        for missed in sorted(set(one.expected) - set(one.failed)):
            lines.append(f"\npassed: {missed}", style="red")
        for other in one.collateral:
            lines.append(f"\ncollateral: {other}", style="red")
        caught = Text("yes") if one.killed else Text("NO", style="red")
        caught = Text("not run: its device is not here", style="yellow") if one.not_run else caught
        shown.add_row(one.mutant, caught, number(one.points_lost), lines)
    counts = table.json()
    Console().print(shown)
    typer.echo(f"{counts['killed']} of {counts['mutants']} caught; collateral: {len(counts['collateral'])}")


def show_machine(rows: list[tuple[str, str]]) -> None:
    """What the machine can do."""
    table = Table(title="This machine", show_header=False)
    for name, value in rows:
        table.add_row(name, Text(value))
    Console().print(table)
