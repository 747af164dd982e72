"""The commands that ask whether the autograder can be trusted: `exploits` and `verify`."""

from typing import Annotated

import typer

from autograder.cli.common import COULD_NOT_GRADE, Json, Workers, app, course_here, print_json, progress_bar


@app.command(epilog="Example: autograder exploits --json")
def exploits(
    assignment: Annotated[str | None, typer.Argument(help="Only those against this assignment.")] = None,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Hand every known cheat to the grader and show what it got; exit 3 where one got more than it deserves."""
    with course_here(as_json) as course:
        from autograder.assurance import corpus, tables

        if assignment is not None:
            course.require(assignment)
        total = len(corpus.read_exploits(course, assignment))
        with progress_bar("Exploits", total, quiet=False) as step:
            attempts = corpus.run_exploits(course, assignment, workers=workers, progress=step)
    found = corpus.summary(attempts)
    if as_json:
        print_json(found)
    else:
        tables.show_exploits(attempts)
    if found["gained"]:
        raise typer.Exit(COULD_NOT_GRADE)


@app.command(epilog="Example: autograder verify --quick")
def verify(
    quick: Annotated[
        bool, typer.Option("--quick", help="Minutes instead of an hour; what was left out is said.")
    ] = False,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Try the guarantees G1 to G10 on this machine; exit 3 where one does not hold."""
    with course_here(as_json) as course:
        from autograder.assurance import guarantees, tables

        with progress_bar("Guarantees", len(guarantees.GUARANTEES), quiet=False) as step:
            found = guarantees.verify(course, quick=quick, workers=workers, progress=step)
    if as_json:
        print_json({name: {"holds": one.holds, "figure": one.figure} for name, one in found.items()})
    else:
        tables.show_guarantees(found)
    if not all(one.holds for one in found.values()):
        raise typer.Exit(COULD_NOT_GRADE)
