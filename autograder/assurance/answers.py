"""Answer files: what one student wrote, as a percent-format Python file. Wrong answers and the sample class are these.

    '''The bug or the story in one sentence.

    base: solution
    kills: name_of_a_check, name_of_another
    '''

    # %% accept
    def accept(...): ...            (the whole new source of that exercise's cell)

    # %% delete: accept_test
    # %% add: accept
    print("a cell of the student's own, put after that cell")
    # %% edit: accept_test
    print("the new source of a cell that is none of the exercises'")
    # %% copy: accept
    print("another cell with the mark of that one, put after it")
    # %% mark: accept_test
    {"points": 1000}        (changes of nbgrader's mark of that cell)

`base` says what the other solution cells hold: `solution` (the default) or `stub`. Other `word: value` lines of the
docstring are kept for whoever reads the file (`kills` for a wrong answer, and `visible` for checks in the notebook that
see it, too; `keeps` for the sample class).
"""

import ast
import copy
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autograder.cells.released import ReleasedNotebook
from autograder.controller import release
from autograder.controller.course import Course
from autograder.wire.errors import AutograderError
from autograder.wire.files import text_of

_SECTION = re.compile(r"^# %% *(.*?) *$", re.M)
_FIELD = re.compile(r"^([a-z]+): *(.*)$", re.M)


class AnswerFileError(AutograderError):
    """An answer file that does not fit its format or its assignment; the message names the file."""


@dataclass(frozen=True)
class AnswerFile:
    """One parsed answer file; `fields` are the `word: value` lines of its docstring."""

    name: str
    summary: str
    fields: Mapping[str, str]
    cells: Mapping[str, str]
    deleted: tuple[str, ...] = ()
    added: tuple[tuple[str, str], ...] = ()
    edited: Mapping[str, str] = field(default_factory=dict)
    copied: Mapping[str, str] = field(default_factory=dict)
    marked: Mapping[str, str] = field(default_factory=dict)

    @property
    def from_stub(self) -> bool:
        return self.fields.get("base", "solution") == "stub"

    def listed(self, field: str) -> tuple[str, ...]:
        """A comma-separated field as its parts; empty where the field is missing."""
        return tuple(part.strip() for part in self.fields.get(field, "").split(",") if part.strip())


def read_answer_file(path: Path) -> AnswerFile:
    """Parse an answer file.

    Raises:
        AnswerFileError: no docstring, a field that is unknown to `base`, or code before the first section.
    """
    text = text_of(path)
    header, *sections = _SECTION.split(text)
    try:
        docstring = ast.get_docstring(ast.parse(header))
    except SyntaxError as error:
        raise AnswerFileError(f"{path}: {error}") from None
    if not docstring:
        raise AnswerFileError(f"{path}: the file must begin with a docstring that says what it is")
    fields = fields_of(docstring)
    if fields.get("base", "solution") not in ("solution", "stub"):
        raise AnswerFileError(f"{path}: base is 'solution' or 'stub', not {fields['base']!r}")
    cells: dict[str, str] = {}
    deleted: list[str] = []
    added: list[tuple[str, str]] = []
    changes: dict[str, dict[str, str]] = {"edit": {}, "copy": {}, "mark": {}}
    for title, body in zip(sections[::2], sections[1::2], strict=True):
        action, _, target = title.partition(":")
        if target and action == "delete":
            deleted.append(target.strip())
        elif target and action == "add":
            added.append((target.strip(), body.strip("\n")))
        elif target and action in changes:
            changes[action][target.strip()] = body.strip("\n")
        elif re.fullmatch(r"\w+", title) and body.strip():
            cells[title] = body.strip("\n")
        else:
            raise AnswerFileError(
                f"{path}: a section is '# %% exercise' with code, or '# %% delete: cell' (add, edit, copy, mark), "
                f"not {title!r}"
            )
    edited, copied, marked = changes.values()
    return AnswerFile(
        path.stem, summary_of(docstring), fields, cells, tuple(deleted), tuple(added), edited, copied, marked
    )


def summary_of(header: str) -> str:
    """The first line of what stands at the top of an answer."""
    return header.strip().split("\n")[0]


def fields_of(header: str) -> dict[str, str]:
    """The `word: value` lines of what stands at the top of an answer."""
    return dict(_FIELD.findall(header))


def solution_cells(course: Course, assignment: str) -> dict[str, str]:
    """The source of each exercise's cell in the solution notebook, without the marks of its regions."""
    document = json.loads(release.solution_text(course, assignment))
    found = {}
    for cell in document["cells"]:
        mark = cell["metadata"].get("nbgrader", {})
        if mark.get("solution"):
            lines = "".join(cell["source"]).split("\n")
            found[mark["grade_id"]] = "\n".join(
                line for line in lines if "### BEGIN" not in line and "### END" not in line
            )
    return found


def answered_cells(answer: AnswerFile, released: ReleasedNotebook, solutions: Mapping[str, str]) -> dict[str, str]:
    """The source of every solution cell with the answers in place.

    Raises:
        AnswerFileError: the file answers an exercise that the assignment does not have.
    """
    strangers = sorted(set(answer.cells) - set(solutions))
    if strangers:
        raise AnswerFileError(f"{answer.name}: no exercise {strangers[0]!r} (there are {', '.join(solutions)})")
    return {**(released.stubs if answer.from_stub else solutions), **answer.cells}


def answered_notebook(answer: AnswerFile, released: ReleasedNotebook, solutions: Mapping[str, str]) -> dict[str, Any]:
    """The released notebook as that student would hand it in (its JSON)."""
    document = copy.deepcopy(dict(released.document))
    sources = answered_cells(answer, released, solutions)
    cells: list[dict[str, Any]] = []
    for cell in document["cells"]:
        name = cell["metadata"].get("nbgrader", {}).get("grade_id")
        if name in sources:
            cell["source"] = sources[name]
        cell["source"] = answer.edited.get(name, cell["source"])
        if name in answer.marked:
            cell["metadata"]["nbgrader"] |= ast.literal_eval(answer.marked[name].strip())
        if name not in answer.deleted:
            cells.append(cell)
        if name in answer.copied:
            cells.append({**copy.deepcopy(cell), "id": f"copy-of-{name}", "source": answer.copied[name]})
        for number, (after, body) in enumerate(answer.added):
            if name == after and name is not None:
                cells.append(_code_cell(f"own-{number}", body))
    return {**document, "cells": cells}


def _code_cell(name: str, source: str) -> dict[str, Any]:
    return {"cell_type": "code", "id": name, "metadata": {}, "execution_count": None, "outputs": [], "source": source}
