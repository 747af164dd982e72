"""What the cells of a chapter use to show things: figures, tables, tokens, widgets, measured results and quoted values.

Here is what imports nothing of lib. The rest a chapter imports by its module (`book_tools.trace`, `trees`, `tokens`),
so that it is executed again for its own part of lib and no other.
"""

from book_tools.figures import COLORS, new_figure, show
from book_tools.glue import glue
from book_tools.results import benchmark_detail, benchmark_ratio, benchmark_result, measured_on, show_results
from book_tools.tables import show_table
from book_tools.widgets import code_lines, show_widget

__all__ = [
    "COLORS",
    "benchmark_detail",
    "benchmark_ratio",
    "benchmark_result",
    "code_lines",
    "glue",
    "measured_on",
    "new_figure",
    "show",
    "show_results",
    "show_table",
    "show_widget",
]
