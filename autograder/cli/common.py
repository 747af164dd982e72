"""What the commands of `autograder` share: the app, common arguments, the course around them, progress and JSON."""

import json
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from autograder.controller.course import Course, find_course
from autograder.controller.names import shown
from autograder.wire.errors import AutograderError, UsageError
from autograder.wire.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable

OK, BAD_USAGE, COULD_NOT_GRADE = 0, 2, 3
LINE_EVERY_S = 10.0

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
            typer.secho(printable(str(error)), err=True, fg="red")
        raise typer.Exit(BAD_USAGE if isinstance(error, UsageError) else COULD_NOT_GRADE) from None


def _interrupt(*_: object) -> None:
    """Asked to end, end as on Ctrl-C: what was started is ended too, and the ledger knows."""
    raise KeyboardInterrupt


@contextmanager
def progress_bar(title: str, total: int, quiet: bool) -> "Iterator[Callable[[str, float, str], None]]":
    """Progress on stderr: a bar in a terminal, elsewhere lines; none where `quiet`.

    There is a line for each that is done, and one every few seconds while none is.

    Yields what takes (name, share of it done, what).
    """
    console, title = Console(stderr=True), shown(title)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, disable=quiet or not console.is_terminal, transient=True) as bar:
        task = bar.add_task(escape(title), total=total)
        shares: dict[str, float] = {}
        by_lines, told = not quiet and not console.is_terminal, 0.0

        def step(name: str, share: float, what: str) -> None:
            nonlocal told
            if by_lines and share >= 1.0 > shares.get(name, 0.0):
                finished = 1 + sum(one >= 1.0 for one in shares.values())
                typer.echo(f"{title}: {shown(name)} done ({finished} of {total})", err=True)
                told = time.monotonic()
            elif by_lines and share < 1.0 and time.monotonic() - told > LINE_EVERY_S:
                typer.echo(f"{title}: {shown(name)} {what}".rstrip(), err=True)
                told = time.monotonic()
            shares[name] = max(share, shares.get(name, 0.0))
            bar.update(task, completed=sum(shares.values()), description=escape(f"{title}: {shown(name)} {what}"))

        yield step


def print_json(value: dict[str, Any]) -> None:
    json.dump(value, sys.stdout)  # as ASCII: a name may be no text that could be written
    sys.stdout.write("\n")
