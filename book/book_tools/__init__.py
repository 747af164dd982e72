"""What the cells of a chapter use to show things: figures, tokens, widgets, measured results and quoted values."""

from book_tools.figures import COLORS, new_figure, show
from book_tools.glue import glue
from book_tools.results import benchmark_result
from book_tools.tokens import rounds_table, show_rounds
from book_tools.trace import stepper_data, trace_rounds
from book_tools.trees import trace_trees, trees_table
from book_tools.widgets import show_widget

__all__ = [
    "COLORS",
    "benchmark_result",
    "glue",
    "new_figure",
    "rounds_table",
    "show",
    "show_rounds",
    "show_widget",
    "stepper_data",
    "trace_rounds",
    "trace_trees",
    "trees_table",
]
