"""How the tables of `autograder mutants`, `exploits`, `verify` and `doctor` look in a terminal."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from autograder.wire.text import number

if TYPE_CHECKING:
    from autograder.assurance.corpus import Attempt
    from autograder.assurance.guarantees import Finding
    from autograder.assurance.mutants import KillMatrix


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
        if one.underpaid:
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


def show_kill_matrix(table: "KillMatrix") -> None:
    """A row for each wrong answer under those of the solution and the stub, and the counts."""
    shown = Table(title=f"Wrong answers of {table.assignment}", show_lines=True)
    shown.add_column("wrong answer", overflow="fold")
    shown.add_column("caught")
    shown.add_column("points lost", justify="right")
    shown.add_column("failed checks", overflow="fold")
    for name, result in (("the solution", table.solution), ("the stub", table.stub)):
        shown.add_row(name, "", f"{number(result.max - result.score)} of {number(result.max)}", "")
    for one in table.mutants:
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
