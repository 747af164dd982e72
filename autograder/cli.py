"""The command line `autograder`. Each command imports what it needs, so that --help answers at once."""

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from autograder.course import AutograderError, CannotGrade, Course, UsageError, find_course

if TYPE_CHECKING:
    from collections.abc import Callable

OK, BAD_USAGE, COULD_NOT_GRADE = 0, 2, 3

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Release, check and grade the assignments of this course.",
    epilog="Example: autograder sample && autograder grade a02_speculative_decoding\n\n"
    "Exit status: 0 done, 2 bad usage, 3 could not grade. With --json, one object on stdout and nothing else.",
)

Assignment = Annotated[str, typer.Argument(help="for example a02_speculative_decoding", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
NoSandbox = Annotated[
    bool, typer.Option("--no-sandbox", help="Weaker mode without bubblewrap, for code that you trust.")
]
Workers = Annotated[int | None, typer.Option(min=1, help="Judge runs at a time. Default: half the cores.")]


@app.command(epilog="Example: autograder release a02_speculative_decoding --zip")
def release(
    assignment: Annotated[str | None, typer.Argument(help="An assignment, or leave it out and say --all.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every assignment that has a master.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 where a notebook is out of date.")
    ] = False,
    archive: Annotated[bool, typer.Option("--zip", help="Also build _build/release/<assignment>.zip.")] = False,
    as_json: Json = False,
) -> None:
    """Generate the student notebook from its master, and say what changed."""
    with _course(as_json) as course:
        from autograder import package, show
        from autograder import release as releasing

        if (assignment is None) == (not every):
            raise UsageError("Name an assignment or say --all.")
        names = course.assignments() if assignment is None else [course.require(assignment)]
        found = {name: releasing.release(course, name, check_only=check) for name in names}
        zips = {name: package.build_zip(course, name) for name in names} if archive else {}
    if as_json:
        _print_json({"assignments": {name: {"changed": len(one.changes)} for name, one in found.items()}})
    else:
        for name, one in found.items():
            show.show_release(name, one.notebook.relative_to(course.root), one.changes, check)
        for path in zips.values():
            typer.echo(f"{path.relative_to(course.root)}  {path.stat().st_size / 1e6:.1f} MB")
    if check and any(one.changes for one in found.values()):
        raise typer.Exit(1)


@app.command(epilog="Example: autograder grade a02_speculative_decoding --workers 2")
def grade(
    assignment: Assignment,
    student: Annotated[list[str] | None, typer.Option(help="Only this student; may be repeated.")] = None,
    regrade: Annotated[bool, typer.Option("--regrade", help="Judge again what the ledger knows.")] = False,
    no_sandbox: NoSandbox = False,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Grade what is in submitted/, record it in the gradebook, and write the feedback pages."""
    with _course(as_json) as course:
        from autograder import controller, feedback, show
        from autograder.judging import Policy

        course.require(assignment)
        students = student or course.students(assignment)
        strangers = sorted(set(students) - set(course.students(assignment)))
        if strangers:
            raise UsageError(f"No folder submitted/{strangers[0]}/{assignment}.")
        if not students:
            raise CannotGrade(f"Nothing in submitted/*/{assignment}. Try: autograder sample {assignment}")
        with _progress(f"Grading {assignment}", len(students), quiet=as_json) as step:
            report = controller.grade(
                course, assignment, students=students, policy=Policy(sandbox=not no_sandbox),
                workers=workers, regrade=regrade, progress=step,
            )  # fmt: skip
        pages = feedback.write_feedback(course, report, whole_class=not student)
    if as_json:
        _print_json(report.json())
    else:
        show.show_scores(report)
        for page in pages:
            typer.echo(f"Feedback: {page.relative_to(course.root)}")
    raise typer.Exit(COULD_NOT_GRADE if report.grader_failed else OK)


@app.command(epilog="Example: autograder check a02_speculative_decoding.ipynb")
def check(
    notebook: Annotated[Path, typer.Argument(help="The notebook to check.", show_default=False)],
    assignment: Annotated[str | None, typer.Option(help="Its assignment, where its name does not tell.")] = None,
    no_sandbox: NoSandbox = False,
    as_json: Json = False,
) -> None:
    """Run the visible checks on a notebook, the way the autograder will: each exercise on its own, in a sandbox."""
    with _course(as_json) as course:
        from autograder import bundle, judging, show

        if not notebook.is_file():
            raise UsageError(f"There is no file {notebook}.")
        name = course.require(assignment or _assignment_of(course, notebook))
        released = bundle.ReleasedNotebook.load(course.student_notebook(name))
        found = bundle.read_bundle(notebook, name, released)
        if not found.readable:
            raise CannotGrade(found.notes[0])
        with (
            judging.judging_for(course, name) as judge,
            _progress(f"Checking {notebook.name}", 1, quiet=as_json) as step,
        ):
            policy = judging.Policy(sandbox=not no_sandbox, hidden=False)
            result = judge.result(judging.Job(found, policy), lambda share, what: step(name, share, what))
    if as_json:
        _print_json(
            {
                "assignment": name,
                "notes": list(found.notes),
                "exercises": {
                    exercise: [
                        {"title": one.title, "status": one.status, "message": one.message} for one in outcome.checks
                    ]
                    for exercise, outcome in result.exercises.items()
                },
            }
        )
        return
    show.show_checks(found, result)


@app.command(epilog="Example: autograder mutants a02_speculative_decoding --exercise accept")
def mutants(
    assignment: Assignment,
    exercise: Annotated[str | None, typer.Option(help="Only the wrong answers of this exercise.")] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Leave out the proof that other exercises keep their points.")
    ] = False,
    no_sandbox: NoSandbox = False,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Grade every planted wrong answer and show which checks catch it."""
    with _course(as_json) as course:
        from autograder import mutants as killing
        from autograder import show
        from autograder.judging import Policy

        planted = killing.read_mutants(course, assignment, exercise)
        with _progress(f"Wrong answers of {assignment}", len(planted) + 2, quiet=as_json) as step:
            table = killing.kill_table(
                course, assignment, exercise=exercise, quick=quick,
                policy=Policy(sandbox=not no_sandbox), workers=workers, progress=step,
            )  # fmt: skip
    if as_json:
        _print_json(table.json())
    else:
        show.show_kill_table(table)


@app.command(epilog="Example: autograder sample a02_speculative_decoding")
def sample(
    assignment: Annotated[str | None, typer.Argument(help="Default: every assignment with a sample class.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Also beside the notebooks of real students.")] = False,
    as_json: Json = False,
) -> None:
    """Hand in the sample class: a few notebooks with known scores."""
    with _course(as_json) as course:
        from autograder.sample import write_sample_class

        with_samples = [name for name in course.assignments() if any(course.sample_class(name).glob("*.py"))]
        names = [assignment] if assignment else with_samples
        written = {name: write_sample_class(course, name, force) for name in names}
    if as_json:
        _print_json({"written": written})
        return
    for name, students in written.items():
        what = f"handed in for {', '.join(students)}" if students else "nothing to hand in"
        typer.echo(f"{name}: {what}")


@app.command(epilog="Example: autograder doctor --json")
def doctor(as_json: Json = False) -> None:
    """Say what this machine can do: sandbox, GPU, Slurm, versions."""
    from autograder import doctor as examining
    from autograder import show

    found = examining.report()
    if as_json:
        _print_json(found)
        return
    show.show_machine(examining.lines(found))


@contextmanager
def _course(as_json: bool) -> Iterator[Course]:
    """The course around the working directory; a failure inside is told in one line and sets the exit status."""
    try:
        signal.signal(signal.SIGTERM, _interrupt)
        yield find_course()
    except AutograderError as error:
        if as_json:
            _print_json({"error": str(error)})
        else:
            typer.secho(str(error), err=True, fg="red")
        raise typer.Exit(BAD_USAGE if isinstance(error, UsageError) else COULD_NOT_GRADE) from None


def _interrupt(*_: object) -> None:
    """Asked to end, end as on Ctrl-C: what was started is ended too, and the ledger knows."""
    raise KeyboardInterrupt


@contextmanager
def _progress(title: str, total: int, quiet: bool) -> "Iterator[Callable[[str, float, str], None]]":
    """Progress on stderr: a bar in a terminal, elsewhere a line for each that is done; none where `quiet`.

    Yields what takes (name, share of it done, what).
    """
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, disable=quiet or not console.is_terminal, transient=True) as bar:
        task = bar.add_task(title, total=total)
        shares: dict[str, float] = {}

        def step(name: str, share: float, what: str) -> None:
            if share >= 1.0 > shares.get(name, 0.0) and not quiet and not console.is_terminal:
                finished = 1 + sum(one >= 1.0 for one in shares.values())
                typer.echo(f"{title}: {name} done ({finished} of {total})", err=True)
            shares[name] = max(share, shares.get(name, 0.0))
            bar.update(task, completed=sum(shares.values()), description=f"{title}: {name} {what}")

        yield step


def _assignment_of(course: Course, notebook: Path) -> str:
    """The assignment whose name the file's begins with: a browser saves `a02 (1).ipynb`."""
    fitting = [name for name in course.assignments() if notebook.stem.startswith(name)]
    return max(fitting, key=len) if fitting else notebook.stem


def _print_json(value: dict[str, Any]) -> None:
    json.dump(value, sys.stdout, ensure_ascii=False)
    sys.stdout.write("\n")


from autograder import cli_trust as _trust  # noqa: E402, F401  (registers its commands on `app`)
