"""The cells of the notebook that runs in this process, as they were run."""

import sys
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from autograder.cells.names import Own, bound_names


@dataclass(frozen=True)
class RanCell:
    """A cell that was run: its number as the notebook shows it, its identity where that is known, its source."""

    number: int
    name: str | None
    source: str

    @property
    def label(self) -> str:
        return f"the cell [{self.number}]"


class RunningNotebook:
    """What IPython remembers. Outside of IPython there are no cells."""

    def __init__(self) -> None:
        self._names: dict[int, str | None] = {}
        if (shell := _shell()) is not None:
            shell.events.register("pre_run_cell", self._note)

    def _note(self, about: Any) -> None:
        """A released cell is called as its exercise is; a frontend says which cell it runs."""
        self._names[_shell().execution_count] = getattr(about, "cell_id", None)

    def cells(self) -> list[RanCell]:
        """All that were run, in order."""
        shell = _shell()
        sources = shell.history_manager.input_hist_raw if shell is not None else []
        return [RanCell(number, self._names.get(number), source) for number, source in enumerate(sources) if source]

    def cell_of(self, exercise: str, names: Collection[str]) -> tuple[RanCell | None, list[Own], str]:
        """The cell that last gave one of the names their meaning, the others, and a remark where it is a wrong one."""
        cells = self.cells()
        found = next((cell for cell in reversed(cells) if bound_names(cell.source).keys() & set(names)), None)
        if found is None:
            return None, [], ""
        others = [Own(cell.label, cell.source) for cell in cells if cell.source != found.source]
        marked = any(cell.name == exercise for cell in cells)
        stray = marked and found.name not in (None, exercise)
        remark = f"What is checked was written in {found.label}, which is not the cell that is graded: copy it there."
        return found, others, remark if stray else ""


def _shell() -> Any:
    """The shell of a notebook or terminal that is running."""
    module = sys.modules.get("IPython")
    return module.get_ipython() if module is not None else None
