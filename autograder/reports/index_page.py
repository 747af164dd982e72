"""The index of a class: everybody's scores with the reason for each dash, in a table that sorts by any column."""

from html import escape
from typing import Any

from autograder.controller.names import link, shown
from autograder.controller.record import ClassRecord, Record
from autograder.reports.html import bullets, page, prose
from autograder.wire.text import number

# A click on a heading sorts by its column, another one the other way round; dashes stay last. Without scripts the table
# is by name.
SORTING = """
for (const table of document.querySelectorAll("table.sorts")) {
  const body = table.tBodies[0];
  [...table.tHead.rows[0].cells].forEach((heading, column) => {
    const button = document.createElement("button");
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const order = heading.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", order === 1 ? "ascending" : "descending");
      const text = row => row.cells[column].textContent.trim();
      const compare = (a, b) => {
        if ((a === "–") !== (b === "–")) return a === "–" ? 1 : -1;
        return order * (heading.className === "number" ? a - b : a.localeCompare(b)) || 0;
      };
      body.append(...[...body.rows].sort((a, b) => compare(text(a), text(b))));
    });
  });
}
"""


def index_page(task: dict[str, Any], record: ClassRecord) -> str:
    """The table of the class: a row a student, the score first, then a column an exercise and what is to be known."""
    names = [exercise["id"] for exercise in task["exercise"]]
    counted = f"{len(record.students)} submissions"
    if record.missing:
        counted += f", {len(record.missing)} of the roster without one"
    parts = [
        f"<h1>{escape(task['title'])}</h1><p class=soft>{counted} · <a href=class.html>the class as a whole</a></p>",
        *(f"<section><p><strong>{escape(said)}</strong></p></section>" for said in record.warnings),
        f"<section class=scroll tabindex=0>{_table(record, names)}</section>",
        _missing(record),
        _strays(record),
    ]
    return page(f"{task['title']}: scores", "\n".join(parts), script=SORTING, wide=True)


def _table(record: ClassRecord, names: list[str]) -> str:
    headings = "".join(
        f"<th class=number scope=col>{escape(name).replace('_', '_<wbr>')}</th>" for name in ["score", "of", *names]
    )
    rows = "".join(_row(one, names) for one in record.students)
    return (
        f"<table class=sorts><thead><tr><th scope=col>student</th>{headings}<th scope=col>remarks</th></tr></thead>"
        f"<tbody>{rows}</tbody></table>"
    )


def _row(one: Record, names: list[str]) -> str:
    marks = [one.marks.get(name) for name in names]
    points = [one.score, one.max, *(mark.points if mark and not mark.waits else None for mark in marks)]
    cells = "".join(f"<td class=number>{'–' if value is None else number(value)}</td>" for value in points)
    remarks = "<br>".join(prose(said) for said in one.reasons)
    return f"<tr><th scope=row>{link(one.student)}</th>{cells}<td class=remarks>{remarks}</td></tr>"


def _missing(record: ClassRecord) -> str:
    if not record.missing:
        return ""
    lines = [
        f"{escape(shown(student))} <span class=soft>{escape(shown(person.name))}</span>"
        for student, person in record.missing.items()
    ]
    return f"<section><h2>In the roster, and handed nothing in</h2>{bullets(lines, '')}</section>"


def _strays(record: ClassRecord) -> str:
    if not record.strays:
        return ""
    lines = [f"<code>{escape(one.path)}</code> {escape(one.reason)}. {escape(one.advice)}" for one in record.strays]
    return f"<section><h2>Not understood in submitted/</h2>{bullets(lines, '')}</section>"
