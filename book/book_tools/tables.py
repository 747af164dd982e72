"""Tables of numbers that a cell holds as data: a paper's, with its source, or a benchmark's."""

import html
import re
from collections.abc import Sequence

from IPython.display import HTML, display


def show_table(columns: Sequence[str], rows: Sequence[Sequence[object]], caption: str) -> None:
    """Display a table; the first cell of each row is its heading.

    Args:
        columns: headings, one for each cell of a row; the first may be empty.
        rows: cells; numbers are shown as they are.
        caption: what the table says and where its numbers come from.

    Raises:
        ValueError: the caption is empty, or a row has not one cell for each column.
    """
    if not caption.strip():
        raise ValueError("caption is empty: say what the table shows and where it comes from")
    if uneven := [row for row in rows if len(row) != len(columns)]:
        raise ValueError(f"{len(columns)} columns and the row {uneven[0]!r}")
    head = "".join(f"<th scope='col'>{html.escape(name)}</th>" if name else "<td></td>" for name in columns)
    body = "".join(f"<tr><th scope='row'>{_text(row[0])}</th>{_cells(row[1:])}</tr>" for row in rows)
    label = html.escape(caption.split(".")[0], quote=True)
    display(
        HTML(
            f'<div class="pst-scrollable-table-container" tabindex="0" role="region" aria-label="{label}">'
            f'<table class="table"><caption>{html.escape(caption)}</caption>'
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
        )
    )


def _cells(cells: Sequence[object]) -> str:
    return "".join(f"<td>{_text(cell)}</td>" for cell in cells)


def _text(cell: object) -> str:
    """A number stays on one line with its unit."""
    return re.sub(r"^([\d.,]+) (\w{1,4}|%)$", "\\1\N{NO-BREAK SPACE}\\2", html.escape(str(cell)))
