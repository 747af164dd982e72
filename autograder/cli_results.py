"""The commands around results: appeals and exports for instructors, hints and a fresh start for students."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from autograder.cli_parts import (
    COULD_NOT_GRADE,
    Assignment,
    Json,
    NoSandbox,
    app,
    course_here,
    print_json,
    progress_bar,
)


class Format(StrEnum):
    """What a score can be exported as."""

    canvas = "canvas"
    gradescope = "gradescope"


Record = Annotated[bool, typer.Option("--record", help="Put the new outcome on record. Else nothing changes.")]
Notebook = Annotated[Path, typer.Argument(help="The notebook, for example a02_speculative_decoding.ipynb.")]
Exercise = Annotated[str, typer.Argument(help="The exercise, for example accept.")]


@app.command(epilog="Example: autograder appeal ann a02_speculative_decoding")
def appeal(
    student: Annotated[str, typer.Argument(help="The folder under submitted/.", show_default=False)],
    assignment: Assignment,
    record: Record = False,
    no_sandbox: NoSandbox = False,
    as_json: Json = False,
) -> None:
    """Judge one submission once more from its run key, and show the old and the new outcome of each check.

    Correctness must come out the same: where it does not, the exit status is 3. Only timings may differ.
    """
    with course_here(as_json) as course:
        from autograder import appeal as appealing
        from autograder import show
        from autograder.judging import Policy

        with progress_bar(f"Appeal of {student}", 1, quiet=as_json) as step:
            found = appealing.appeal(course, assignment, student, Policy(sandbox=not no_sandbox), step)
        if record:
            appealing.record(course, found)
    if as_json:
        print_json(found.json(record))
    else:
        show.show_appeal(found, record)
    raise typer.Exit(COULD_NOT_GRADE if found.breaks_the_promise else 0)


@app.command(epilog="Example: autograder export a02_speculative_decoding --format canvas --out grades.csv")
def export(
    assignment: Assignment,
    kind: Annotated[Format, typer.Option("--format", help="Which system is to take it.", show_default=False)],
    out: Annotated[
        Path | None, typer.Option(help="File for Canvas, folder for Gradescope. Default: under _build/export/.")
    ] = None,
    canvas_id: Annotated[int | None, typer.Option(help="The assignment's number in Canvas.", min=1)] = None,
    no_sandbox: NoSandbox = False,
    as_json: Json = False,
) -> None:
    """Write the scores on record as Canvas' gradebook CSV or as Gradescope's results.json of each student."""
    with course_here(as_json) as course:
        from autograder import exports
        from autograder.judging import Policy

        found = exports.outcomes(course, assignment, Policy(sandbox=not no_sandbox))
        folder = course.build / "export" / course.require(assignment)
        if kind is Format.canvas:
            path = out or folder / "canvas.csv"
            exports.write_canvas(course, assignment, found, path, canvas_id)
        else:
            path = out or folder / "gradescope"
            exports.write_gradescope(course, assignment, found, path)
    without = [one.student for one in found if one.score is None]
    if as_json:
        exported = len(found) - len(without)
        print_json({"assignment": assignment, "path": str(path), "exported": exported, "without_score": without})
        return
    typer.echo(f"{path}: {len(found) - len(without)} students")
    if without:
        typer.secho(f"Without a score, so left empty: {', '.join(without)}", err=True, fg="yellow")


@app.command(epilog="Example: autograder hint a02_speculative_decoding.ipynb accept")
def hint(notebook: Notebook, exercise: Exercise, as_json: Json = False) -> None:
    """For students: show the next hint of an exercise."""
    with course_here(as_json) as course:
        from autograder import student

        found = student.next_hint(notebook, exercise, course.package)
    if as_json:
        print_json({"exercise": exercise, "hint": found.text, "number": found.number, "of": found.of})
    else:
        typer.echo(found)


@app.command(epilog="Example: autograder reset a02_speculative_decoding.ipynb accept")
def reset(notebook: Notebook, exercise: Exercise, as_json: Json = False) -> None:
    """For students: put one exercise's cell back as it was released; a backup of the notebook is kept."""
    with course_here(as_json) as course:
        from autograder import student

        backup = student.reset(notebook, exercise, course.package)
    if as_json:
        print_json({"exercise": exercise, "backup": str(backup)})
    else:
        typer.echo(student.reset_sentence(exercise, backup))
