"""The commands of a term: the roster, and what a platform's download holds."""

from pathlib import Path
from typing import Annotated

import typer

from autograder.cli.common import Assignment, Json, app, course_here, print_json
from autograder.controller.names import listed, shown
from autograder.wire.text import printable


@app.command(epilog="Example: autograder roster ~/Downloads/grades.csv")
def roster(
    grades: Annotated[Path, typer.Argument(help="Canvas' gradebook export (Grades, Export).", show_default=False)],
    as_json: Json = False,
) -> None:
    """Take Canvas' gradebook export as the roster: each login becomes a student, with name and Canvas' ID."""
    with course_here(as_json) as course:
        from autograder.controller.downloads import import_canvas_roster

        people = import_canvas_roster(course, grades)
    if as_json:
        print_json({"students": {one.student: one.lms_id for one in people}})
    else:
        typer.echo(f"{len(people)} in the roster: {listed([one.student for one in people])}")


@app.command(epilog="Example: autograder collect a02_speculative_decoding ~/Downloads/submissions.zip")
def collect(
    assignment: Assignment,
    download: Annotated[Path, typer.Argument(help="Canvas' or Moodle's zip of submissions, or its folder.")],
    as_json: Json = False,
) -> None:
    """Put the notebooks of a platform's download into submitted/, by the roster; the last of each student counts.

    What fits nobody, or more than one, is listed and left out. Nothing is graded.
    """
    with course_here(as_json) as course:
        from autograder.controller.downloads import collect as collecting

        found = collecting(course, assignment, download)
    if as_json:
        print_json({"assignment": assignment, "taken": found.taken, "late": found.late, "left_out": found.left_out})
        return
    typer.echo(f"{len(found.taken)} taken. Grade them: autograder grade {assignment}")
    if found.late:
        typer.echo(f"Canvas calls late: {listed(found.late, 50)}")
    for name, reason in found.left_out.items():
        typer.secho(f"  {shown(name)} {printable(reason)}", err=True, fg="yellow")


@app.command("feedback-zip", epilog="Example: autograder feedback-zip a02_speculative_decoding")
def feedback_zip(assignment: Assignment, as_json: Json = False) -> None:
    """Pack the feedback pages under the names of the platform's download, so that it takes them back.

    Upload it when you publish: in Canvas under Upload Submissions, in Moodle under Upload multiple feedback files.
    """
    with course_here(as_json) as course:
        from autograder.reports.feedback_zip import write_feedback_zip

        path, included, left_out = write_feedback_zip(course, assignment)
    if as_json:
        print_json({"assignment": assignment, "path": str(path), "included": included, "left_out": left_out})
        return
    typer.echo(f"{path}: {len(included)} students")
    if left_out:
        typer.secho(
            f"Without a page in it, for want of a score or of a download: {listed(left_out)}", err=True, fg="yellow"
        )
