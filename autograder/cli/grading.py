"""The commands that release, check and grade assignments."""

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
    Workers,
    app,
    course_here,
    print_json,
    progress_bar,
)
from autograder.controller.course import Course
from autograder.controller.names import shown
from autograder.wire.errors import CannotGrade, UsageError

INTERRUPTED = (
    "Interrupted. Outcomes that were finished are kept, all others are as they were before. "
    "Run: autograder grade {assignment}. It judges none of them twice, and brings gradebook and pages up to date."
)


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
    with course_here(as_json) as course:
        from autograder.controller import release as releasing
        from autograder.controller import student_zip
        from autograder.reports import terminal

        if (assignment is None) == (not every):
            raise UsageError("Name an assignment or say --all.")
        names = course.assignments() if assignment is None else [course.require(assignment)]
        found, zips = {}, {}
        with progress_bar("Release", len(names), quiet=as_json or not archive) as step:
            for name in names:
                step(name, 0.0, "is generated")
                found[name] = releasing.release(course, name, check_only=check)
                if archive:
                    step(name, 0.5, "is packed")
                    zips[name] = student_zip.build_zip(course, name)
                step(name, 1.0, "done")
    if as_json:
        print_json({"assignments": {name: {"changed": len(one.changes)} for name, one in found.items()}})
    else:
        for name, one in found.items():
            terminal.show_release(name, one.notebook.relative_to(course.root), one.changes, check)
        for path in zips.values():
            typer.echo(f"{path.relative_to(course.root)}  {path.stat().st_size / 1e6:.1f} MB")
    if check and any(one.changes for one in found.values()):
        raise typer.Exit(1)


@app.command(epilog="Example: autograder new a05_quantization_and_lora --exercise absmax --exercise lora")
def new(
    assignment: Annotated[str, typer.Argument(help="for example a05_quantization_and_lora", show_default=False)],
    exercise: Annotated[list[str], typer.Option(help="An exercise, named as a function; may be repeated.")],
    as_json: Json = False,
) -> None:
    """Write the skeleton of an assignment: master, task, one wrong answer an exercise, rows in the book's tables.

    It grades at once. Each exercise asks for twice a tensor: replace that in its cell of the master, its checks and its
    wrong answer, and say in book/_data/slides.toml which slide leads to it.
    """
    with course_here(as_json) as course:
        from autograder.controller import release as releasing
        from autograder.controller.skeleton import write_skeleton

        written = [*write_skeleton(course, assignment, exercise), releasing.release(course, assignment).notebook]
        names = [str(path.relative_to(course.root)) for path in written]
    if as_json:
        print_json({"assignment": assignment, "written": names})
    else:
        typer.echo("\n".join([*names, f"Try: autograder mutants {assignment}"]))


@app.command(epilog="Example: autograder grade a02_speculative_decoding --workers 2")
def grade(
    assignment: Assignment,
    student: Annotated[list[str] | None, typer.Option(help="Only this student; may be repeated.")] = None,
    regrade: Annotated[bool, typer.Option("--regrade", help="Judge again what the ledger knows.")] = False,
    no_sandbox: NoSandbox = False,
    workers: Workers = None,
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
    """Grade what is in submitted/, record it in the gradebook, and write the feedback pages."""
    with course_here(as_json) as course:
        from autograder.controller import grading, submissions
        from autograder.controller.judge_runs import Policy
        from autograder.reports import feedback, terminal

        course.require(assignment)
        students = student or course.students(assignment)
        strangers = sorted(set(students) - set(course.students(assignment)))
        if strangers:
            raise UsageError(f"No folder submitted/{shown(strangers[0])}/{assignment}.")
        if not students:
            unseen = "".join(f"\n{one}" for one in submissions.strays(course, assignment))
            raise CannotGrade(f"Nothing in submitted/*/{assignment}. Try: autograder sample {assignment}{unseen}")
        executor = cluster.executor(
            course, where, partition, constraint, gpus, memory, minutes, array_size, node_python, sbatch,
            sandbox=not no_sandbox,
        )  # fmt: skip
        try:
            with progress_bar(f"Grading {assignment}", len(students), quiet=as_json) as step:
                record = grading.grade(
                    course, assignment, students=students, policy=Policy(sandbox=not no_sandbox),
                    workers=workers, executor=executor, regrade=regrade, progress=step,
                )  # fmt: skip
        except KeyboardInterrupt:
            raise CannotGrade(INTERRUPTED.format(assignment=assignment)) from None
        pages = feedback.write_feedback(course, record)
    graded = record.of(students)
    if as_json:
        print_json(graded.json())
    else:
        terminal.show_scores(graded)
        terminal.show_pages(course, pages)
    raise typer.Exit(COULD_NOT_GRADE if graded.grader_failed else OK)


@app.command(epilog="Example: autograder check a02_speculative_decoding.ipynb")
def check(
    notebook: Annotated[Path, typer.Argument(help="The notebook to check.", show_default=False)],
    assignment: Annotated[str | None, typer.Option(help="Its assignment, where its name does not tell.")] = None,
    no_sandbox: NoSandbox = False,
    as_json: Json = False,
) -> None:
    """Run the visible checks on a notebook, the way the autograder will: each exercise on its own, in a sandbox."""
    with course_here(as_json) as course:
        from autograder.cells import bundle
        from autograder.controller import judge_runs
        from autograder.reports import terminal

        if not notebook.is_file():
            raise UsageError(f"There is no file {notebook}.")
        name = course.require(assignment or _assignment_of(course, notebook))
        released = bundle.ReleasedNotebook.load(course.student_notebook(name))
        found = bundle.read_bundle(notebook, name, released)
        if not found.readable:
            raise UsageError(found.notes[0])
        with (
            judge_runs.judging_for(course, name) as judge,
            progress_bar(f"Checking {notebook.name}", 1, quiet=as_json) as step,
        ):
            policy = judge_runs.Policy(sandbox=not no_sandbox, hidden=False)
            result = judge.result(judge_runs.Job(found, policy), lambda share, what: step(name, share, what))
    if as_json:
        print_json(
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
    terminal.show_checks(found, result)


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
    with course_here(as_json) as course:
        from autograder.assurance import mutants as killing
        from autograder.assurance import tables
        from autograder.controller.judge_runs import Policy

        planted = killing.read_mutants(course, assignment, exercise)
        with progress_bar(f"Wrong answers of {assignment}", len(planted) + 2, quiet=as_json) as step:
            table = killing.kill_matrix(
                course, assignment, exercise=exercise, quick=quick,
                policy=Policy(sandbox=not no_sandbox), workers=workers, progress=step,
            )  # fmt: skip
    if as_json:
        print_json(table.json())
    else:
        tables.show_kill_matrix(table)


@app.command(epilog="Example: autograder sample a02_speculative_decoding")
def sample(
    assignment: Annotated[str | None, typer.Argument(help="Default: every assignment with a sample class.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Also beside the notebooks of real students.")] = False,
    as_json: Json = False,
) -> None:
    """Submit the sample class: a few notebooks with known scores."""
    with course_here(as_json) as course:
        from autograder.assurance.sample import write_sample_class

        with_samples = [name for name in course.assignments() if any(course.sample_class(name).glob("*.py"))]
        names = [assignment] if assignment else with_samples
        written = {name: write_sample_class(course, name, force) for name in names}
    if as_json:
        print_json({"written": written})
        return
    for name, students in written.items():
        what = f"submitted for {', '.join(students)}" if students else "nothing to submit"
        typer.echo(f"{name}: {what}")


@app.command(epilog="Example: autograder doctor --json")
def doctor(as_json: Json = False) -> None:
    """Say what this machine can do: sandbox, GPU, Slurm, versions."""
    from autograder.assurance import doctor as examining
    from autograder.assurance import tables

    found = examining.report()
    if as_json:
        print_json(found)
        return
    tables.show_machine(examining.lines(found))


def _assignment_of(course: Course, notebook: Path) -> str:
    """The assignment whose name the file's begins with: a browser saves `a02 (1).ipynb`."""
    fitting = [name for name in course.assignments() if notebook.stem.startswith(name)]
    return max(fitting, key=len) if fitting else notebook.stem
