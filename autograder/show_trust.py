"""How the tables of `autograder exploits` and `autograder verify` look in a terminal."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from autograder.pages import number

if TYPE_CHECKING:
    from autograder.corpus import Attempt
    from autograder.guarantees import Finding


def show_exploits(attempts: "list[Attempt]") -> None:
    """A row for each exploit: what it tries, what it deserves and what it got."""
    table = Table(title="Exploits", show_lines=True)
    for heading in ("assignment", "exploit", "what it tries"):
        table.add_column(heading, overflow="fold")
    for heading in ("deserves", "got"):
        table.add_column(heading, justify="right")
    for one in attempts:
        cells = [one.exploit.assignment[:3], Text(one.exploit.name), Text(one.exploit.file.summary)]
        if one.score is None or one.deserved is None:
            table.add_row(*cells, "", Text(f"left out: needs a {one.exploit.file.fields['proof']}", style="yellow"))
            continue
        table.add_row(*cells, number(one.deserved), Text(number(one.score), style="red" if one.gained else ""))
    Console().print(table)
    gained = [one.exploit.name for one in attempts if one.gained]
    tried = sum(one.score is not None for one in attempts)
    typer.echo(f"{tried - len(gained)} of {tried} contained" + (f"; gained: {', '.join(gained)}" if gained else ""))
    for one in attempts:
        if one.robbed:
            typer.secho(f"{one.exploit.name} got less than its honest part deserves", fg="yellow")


def show_guarantees(found: "Mapping[str, Finding]") -> None:
    """A row for each guarantee: what it promises, whether it holds here, and the figure that says so."""
    table = Table(title="Guarantees on this machine", show_lines=True)
    for heading in ("", "promise", "holds", "figure"):
        table.add_column(heading, overflow="fold")
    for name, one in found.items():
        holds = Text("yes") if one.holds else Text("NO", style="red")
        table.add_row(name, one.promise, holds, Text(one.figure))
    Console().print(table)
