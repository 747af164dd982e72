"""The book's drawings: one visual language for all chapters, in calls that read like what they draw.

    from book_tools import draw

    prompt = draw.tokens(["The", " cat", " sat"], "text")
    model = draw.box("decoder", role="target", shape="(B, T, d_model)")
    sheet = draw.Sheet(draw.column(prompt, model, gap=26), draw.arrow(prompt, model))
    draw.show(sheet, title="...", desc="...", caption="What to see.", key="ch08-patches")

Square corners are data (`tensor`, `grid`), round ones compute (`box`), monospaced tiles are tokens (`tile`, `tokens`).
A role (`roles.ROLES`) is a colour and a mark: draft, target, accepted, rejected, cached, frozen, trained, masked, text,
picture, sound, now. Parts are put together by `row`, `column`, `frame`, `titled`, `bracket` and `beside`; what can be
computed is drawn from data by `grid`, `lanes`, `bars`, `levels` and `wave`. Arrows lead from part to part: a tile, say,
is `tokens(...)[2]`.
"""

from book_tools.draw.arrows import arrow
from book_tools.draw.charts import bars, grid, lanes, levels, span, table, wave
from book_tools.draw.layout import beside, bracket, column, frame, row, titled, tokens
from book_tools.draw.parts import Part, box, label, space, tensor, tile, visible
from book_tools.draw.roles import ROLES
from book_tools.draw.sheet import Sheet, show

__all__ = [
    "ROLES",
    "Part",
    "Sheet",
    "arrow",
    "bars",
    "beside",
    "box",
    "bracket",
    "column",
    "frame",
    "grid",
    "label",
    "lanes",
    "levels",
    "row",
    "show",
    "space",
    "span",
    "table",
    "tensor",
    "tile",
    "titled",
    "tokens",
    "visible",
    "wave",
]
