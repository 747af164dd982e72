"""The commands around results: appeals and exports for instructors, hints and a fresh start for students."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from autograder.cli import cluster
from autograder.cli.common import (
    COULD_NOT_GRADE,
    OK,
    Assignment,
    Json,
    NoSandbox,
    app,
    course_here,
    print_json,
    progress_bar,
)
from autograder.controller.names import shown
from autograder.wire.text import printable

VARIED = 1


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
    where: cluster.On = cluster.Where.local,
    partition: cluster.Partition = None,
    constraint: cluster.Constraint = None,
    gpus: cluster.Gpus = 0,
    memory: cluster.Memory = 8,
    minutes: cluster.Minutes = 60,
    array_size: cluster.ArraySize = 64,
    node_python: cluster.NodePython = None,
    sbatch: cluster.Sbatch = None,
    as_json: Json = False,
) -> None:
    """Judge one submission once more from its run key, and show the old and the new outcome of each check.

    Correctness must come out the same; only timings may differ. Where it does not, the submission is judged some times
    more: if it comes out now one way, now another, it is the submission that varies, and the exit status is 1. If it
    never comes out as on record, the exit status is 3.
    """
    with course_here(as_json) as course:
        from autograder.controller import appeal as appealing
        from autograder.controller.judge_runs import Policy
        from autograder.reports import feedback, terminal

        executor = cluster.executor(
            course, where, partition, constraint, gpus, memory, minutes, array_size, node_python, sbatch,
            sandbox=not no_sandbox,
        )  # fmt: skip
        with progress_bar(f"Appeal of {shown(student)}", 1, quiet=as_json) as step:
            found = appealing.appeal(course, assignment, student, Policy(sandbox=not no_sandbox), step, executor)
        if record:
            feedback.write_feedback(course, appealing.record(course, found, executor))
    if as_json:
        print_json(found.json(record))
    else:
        terminal.show_appeal(found, record)
    raise typer.Exit(COULD_NOT_GRADE if found.breaks_the_promise else VARIED if found.varies else OK)


@app.command(epilog="Example: autograder export a02_speculative_decoding --format canvas --out grades.csv")
def export(
    assignment: Assignment,
    kind: Annotated[Format, typer.Option("--format", help="Which system is to take it.", show_default=False)],
    out: Annotated[
        Path | None, typer.Option(help="File for Canvas, folder for Gradescope. Default: under _build/export/.")
    ] = None,
    canvas_id: Annotated[int | None, typer.Option(help="The assignment's number in Canvas.", min=1)] = None,
    as_json: Json = False,
) -> None:
    """Write the scores on record as Canvas' gradebook CSV or as Gradescope's results.json of each student.

    The feedback pages are brought up to date as well, so that nobody sees two scores.
    """
    with course_here(as_json) as course:
        from autograder.reports import exports, feedback

        found = exports.exportable(course, assignment)
        folder = course.build / "export" / assignment
        if kind is Format.canvas:
            path = out or folder / "canvas.csv"
            exports.write_canvas(course, assignment, found, path, canvas_id)
        else:
            path = out or folder / "gradescope"
            exports.write_gradescope(course, assignment, found, path)
        feedback.write_feedback(course, found)
    without = {one.student: one.problem for one in found.students if one.score is None}
    outdated = {one.student: one.outdated for one in found.students if one.outdated}
    remarks = found.warnings + (exports.canvas_remarks(found) if kind is Format.canvas else [])
    exported = len(found.students) - len(without)
    if as_json:
        print_json(
            {"assignment": assignment, "path": str(path), "exported": exported, "without_score": list(without),
             "reasons": without, "wants_another_look": outdated, "missing": sorted(found.missing), "remarks": remarks}
        )  # fmt: skip
        return
    typer.echo(f"{path}: {exported} students")
    if without:
        typer.secho(f"Without a score, so left empty: {', '.join(map(shown, without))}", err=True, fg="yellow")
        for student, problem in without.items():
            typer.secho(f"  {shown(student)}: {printable(problem)}", err=True, fg="yellow")
    for student, exercises in outdated.items():
        said = f"the mark by hand in {', '.join(exercises)} was given for an earlier version and needs another look"
        typer.secho(f"{shown(student)}: {said}", err=True, fg="yellow")
    for remark in remarks:
        typer.secho(remark, err=True, fg="yellow")


@app.command("gradescope-zip", epilog="Example: autograder gradescope-zip a02_speculative_decoding")
def gradescope_zip(
    assignment: Assignment,
    speed: Annotated[
        bool, typer.Option("--speed", help="Time as well: Gradescope's machines are shared, so much would be invalid.")
    ] = False,
    no_sandbox: NoSandbox = False,
    as_json: Json = False,
) -> None:
    """Build the zip that Gradescope takes as an autograder. It holds hidden checks: give it to nobody else.

    There the judge sits outside of the student's process as here. Points that need speed or a GPU are not graded, and
    cost nothing.
    """
    with course_here(as_json) as course:
        from autograder.controller.gradescope_zip import build_gradescope_zip

        path = build_gradescope_zip(course, assignment, sandbox=not no_sandbox, speed=speed)
        size = path.stat().st_size
    if as_json:
        print_json({"assignment": assignment, "path": str(path), "bytes": size})
    else:
        typer.echo(f"{path}: {size / 1e6:.0f} MB. In Gradescope: Configure Autograder, upload, Ubuntu 24.04.")


@app.command(epilog="Example: autograder hint a02_speculative_decoding.ipynb accept")
def hint(notebook: Notebook, exercise: Exercise, as_json: Json = False) -> None:
    """For students: show the next hint of an exercise."""
    with course_here(as_json) as course:
        from autograder.student import commands

        found = commands.next_hint(notebook, exercise, course.package)
    if as_json:
        print_json({"exercise": exercise, "hint": found.text, "number": found.number, "of": found.of})
    else:
        typer.echo(found)


@app.command(epilog="Example: autograder reset a02_speculative_decoding.ipynb accept")
def reset(notebook: Notebook, exercise: Exercise, as_json: Json = False) -> None:
    """For students: put one exercise's cell back as it was released; a backup of the notebook is kept."""
    with course_here(as_json) as course:
        from autograder.student import commands

        backup = commands.reset(notebook, exercise, course.package)
    if as_json:
        print_json({"exercise": exercise, "backup": str(backup)})
    else:
        typer.echo(commands.reset_sentence(exercise, backup))
