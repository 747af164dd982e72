"""The source of a cell as it is graded: plain Python with the student's own line numbers, and remarks on what differs.

A notebook runs IPython's language, a grader Python. Whoever runs a cell or tells a student about it asks here, so that
notebook, controller and judge say the same. Nothing is executed or parsed as Python: any text will do.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from autograder.wire.text import python_lines

# cell magics behind which the cell stays Python in the notebook's own namespace, and line magics before a statement
AROUND_PYTHON = ("time", "timeit", "capture", "prun", "memit")
BEFORE_PYTHON = ("time", "prun")
MAX_REMARKS = 5  # about the commands of one cell
_COMMAND = re.compile(r"[ \t]*[%!?;,/]")  # no statement of Python begins so
_FROM_COMMAND = re.compile(r"(?:^|[^=!<>])=\s*(?:%\s*([A-Za-z_]\w*)|!)")
_PROMPT = re.compile(r"[ \t]*(?:>>>|In \[\d+\]:)(?: |$)")
_GOES_ON = re.compile(r"[ \t]*\.\.\.+:(?: |$)")
_ANY_PROMPT = re.compile(r"[ \t]*(?:>>>|\.\.\.+:?|In \[\d+\]:)(?: |$)")
_IN_CODE = re.compile(r"'''|\"\"\"|['\"#()\[\]{}\n]|\\\n")
_IN_STRING = {
    quote: re.compile(rf"\\.|{quote}" + ("|\n" if len(quote) == 1 else ""), re.S) for quote in ("'", '"', "'''", '"""')
}


@dataclass(frozen=True)
class GradedSource:
    """Python that has as many lines as the cell, and what was done to get it, in sentences for the student."""

    text: str
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Statement:
    """A logical line: its first physical line, counted from 1, its text, and the same without comments and strings."""

    line: int
    text: str
    bare: str

    @property
    def indent(self) -> str:
        return self.text[: len(self.text) - len(self.text.lstrip(" \t"))]


@lru_cache(maxsize=64)  # its remarks, its names and its program are asked for one after the other
def as_graded(source: str) -> GradedSource:
    """What is run of a cell, the same for equal cells and for its own result."""
    lines = _unindented(_without_prompts(python_lines(source)))
    first = next((number for number, line in enumerate(lines) if line.strip()), 0)
    taken, remarks = [], []
    if magic := re.match(r"%%(\w+)", lines[first]):
        said = f"Line {first + 1}, `{_shown(lines[first])}`, is an IPython command"
        if magic[1] not in AROUND_PYTHON:
            refusal = f"{said} that makes the whole cell something else than Python, so there is nothing to run in it"
            return GradedSource("\n".join([*[""] * first, _refusal(refusal)]), (f"{refusal}.",))
        remarks.append(f"{said}; it was left out, since grading runs Python alone.")
        lines[first] = ""
    for statement in statements("\n".join(lines)):
        text, remark = _python(statement)
        taken += text.split("\n") + [""] * (statement.text.count("\n") - text.count("\n"))
        remarks += [remark] if remark else []
    return GradedSource("\n".join(taken), _few(remarks))


def statements(source: str) -> Iterator[Statement]:
    """The logical lines of a cell. A line that begins like a command of IPython's is one, whatever stands in it."""
    position, line = 0, 1
    while position <= len(source):
        if _COMMAND.match(source, position):
            end = _end_of_command(source, position)
            bare = source[position:end]
        else:
            end, bare = _end_of_statement(source, position)
        text = source[position:end]
        yield Statement(line, text, bare)
        position, line = end + 1, line + 1 + text.count("\n")


def _end_of_command(source: str, position: int) -> int:
    """It goes on where its line ends with a backslash."""
    while (end := source.find("\n", position)) > 0 and source[end - 1] == "\\":
        position = end + 1
    return end if end >= 0 else len(source)


def _end_of_statement(source: str, position: int) -> tuple[int, str]:
    """Where a logical line ends, brackets, strings and backslashes considered, and its bare text."""
    pieces: list[str] = []
    depth, quote = 0, ""
    while found := (_IN_STRING[quote] if quote else _IN_CODE).search(source, position):
        token = found.group()
        if quote:
            if token == "\n":  # a string that nobody closed
                return found.start(), "".join(pieces)
            position, quote = found.end(), "" if token == quote else quote
            continue
        pieces.append(source[position : found.start()])
        position = found.end()
        if token == "#":
            position = source.find("\n", position)
            position = len(source) if position < 0 else position
        elif token == "\n" and depth == 0:
            return found.start(), "".join(pieces)
        elif token in _IN_STRING:
            quote = token
            pieces.append("''")
        else:
            depth = max(0, depth + (token in "([{") - (token in ")]}"))
            pieces.append(token if token in "()[]{}" else " ")
    return len(source), "".join([*pieces, "" if quote else source[position:]])


def _python(statement: Statement) -> tuple[str, str]:
    """A statement as Python, and a remark where that is something else."""
    text, bare = statement.text, statement.bare.strip()
    said = f"Line {statement.line}, `{_shown(text)}`, is an IPython command"
    if _COMMAND.match(text):
        before = re.match(rf"[ \t]*%[ \t]*(?:{'|'.join(BEFORE_PYTHON)})[ \t]+(?!-)(?=\S)", text)
        if before:
            return statement.indent + text[before.end() :], ""
    elif not bare.endswith("?"):
        command = _FROM_COMMAND.search(bare) if "%" in bare or "!" in bare else None
        if command is None:
            return text, ""
        if command[1] in BEFORE_PYTHON:
            return re.sub(r"=(\s*)%\s*\w+[ \t]+", r"=\1", text, count=1), ""
        refusal = f"{said}, and grading runs Python alone: what it gives is not there"
        return statement.indent + _refusal(refusal), f"{refusal}."
    return f"{statement.indent}pass", f"{said}; it was left out, since grading runs Python alone."


def _refusal(sentence: str) -> str:
    return f"raise RuntimeError({sentence!r})"


def _few(remarks: list[str]) -> tuple[str, ...]:
    more = len(remarks) - MAX_REMARKS
    return tuple(remarks) if more <= 0 else (*remarks[:MAX_REMARKS], f"... and {more} more IPython commands.")


def _shown(text: str) -> str:
    line = " ".join(text.split()).replace("`", "'")
    return line if len(line) <= 40 else line[:40] + " ..."


def _without_prompts(lines: list[str]) -> list[str]:
    """Lines pasted with `>>>` or `In [1]:` before them run in a notebook, also where the first `In [1]:` is missing."""
    at = next((number for number, line in enumerate(lines) if line.strip()), 0)
    was_pasted = _PROMPT.match(lines[at]) or any(map(_GOES_ON.match, lines[at + 1 : at + 2]))
    return [_ANY_PROMPT.sub("", line, count=1) for line in lines] if was_pasted else lines


def _unindented(lines: list[str]) -> list[str]:
    """A cell that is indented as a whole runs in a notebook."""
    first = next((line for line in lines if line.strip()), "")
    indents = [line[: len(line) - len(line.lstrip(" \t"))] for line in lines if line.strip()]
    if not first.startswith((" ", "\t")) or not all(indents):
        return lines
    common = min(indents, key=len)
    if not all(indent.startswith(common) for indent in indents):
        return lines
    return [line[len(common) :] if line.strip() else "" for line in lines]
