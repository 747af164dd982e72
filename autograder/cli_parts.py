"""What the commands of `autograder` share: the app, common arguments, the course around them, progress and JSON."""

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from autograder.course import AutograderError, Course, UsageError, find_course

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


@contextmanager
def course_here(as_json: bool) -> Iterator[Course]:
    """The course around the working directory; a failure inside is told in one line and sets the exit status."""
    try:
        signal.signal(signal.SIGTERM, _interrupt)
        yield find_course()
    except AutograderError as error:
        if as_json:
            print_json({"error": str(error)})
        else:
            typer.secho(str(error), err=True, fg="red")
        raise typer.Exit(BAD_USAGE if isinstance(error, UsageError) else COULD_NOT_GRADE) from None


def _interrupt(*_: object) -> None:
    """Asked to end, end as on Ctrl-C: what was started is ended too, and the ledger knows."""
    raise KeyboardInterrupt


@contextmanager
def progress_bar(title: str, total: int, quiet: bool) -> "Iterator[Callable[[str, float, str], None]]":
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


def print_json(value: dict[str, Any]) -> None:
    json.dump(value, sys.stdout, ensure_ascii=False)
    sys.stdout.write("\n")
