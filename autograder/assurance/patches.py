"""A wrong answer as a patch of the solution: the lines that make it wrong, and nothing else.

    Keeps a token whose ratio equals its number.

    kills: name_of_a_check, name_of_another

    @@
     def accept(p, q, tokens, uniforms):
    -    kept = uniforms < keep_probs
    +    kept = uniforms <= keep_probs

After the words of an answer file's docstring come hunks. Each begins with `@@`; its lines begin with `-` (only in the
solution), `+` (only in the wrong answer) or a space (in both, to say which place is meant).
"""

import re
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from autograder.assurance.answers import AnswerFile, AnswerFileError, fields_of, summary_of
from autograder.wire.files import text_of

_HUNK = re.compile(r"^@@.*\n", re.M)


@dataclass(frozen=True)
class Hunk:
    """Lines of the solution, and what a wrong answer has in their place."""

    old: tuple[str, ...]
    new: tuple[str, ...]


def read_patch(path: Path, exercise: str, solution: str) -> AnswerFile:
    """A patch file as the answer that it describes, with the whole new source of the exercise's cell.

    Raises:
        AnswerFileError: the file is malformed, or the old lines of a hunk do not stand in the solution exactly once.
    """
    header, *parts = _HUNK.split(text_of(path))
    if not header.strip() or not parts:
        raise AnswerFileError(
            f"{path}: a patch begins with a sentence that says what it is, then come hunks after '@@'"
        )
    source = solution
    for number, part in enumerate(parts, 1):
        hunk = _read_hunk(path, number, part)
        try:
            source = applied(hunk, source)
        except ValueError as error:
            raise AnswerFileError(f"{path}: hunk {number}: {error} of {exercise!r}: {hunk.old[0].strip()!r}") from None
    return AnswerFile(path.stem, summary_of(header), fields_of(header), {exercise: source})


def applied(hunk: Hunk, source: str) -> str:
    """The source with the hunk's new lines in the place of its old ones.

    Raises:
        ValueError: the old lines do not stand in it exactly once.
    """
    lines, size = source.split("\n"), len(hunk.old)
    places = [at for at in range(len(lines) - size + 1) if tuple(islice(lines, at, at + size)) == hunk.old]
    if len(places) != 1:
        raise ValueError(f"its old lines stand {len(places)} times, not once, in the solution")
    return "\n".join([*lines[: places[0]], *hunk.new, *lines[places[0] + size :]])


def _read_hunk(path: Path, number: int, text: str) -> Hunk:
    lines = text.rstrip().split("\n")
    if strange := next((line for line in lines if line[:1] not in ("", " ", "-", "+")), None):
        raise AnswerFileError(f"{path}: hunk {number}: a line begins with '-', '+' or a space, not as {strange!r}")
    old = tuple(line[1:] for line in lines if line[:1] != "+")
    new = tuple(line[1:] for line in lines if line[:1] != "-")
    if not any(old) or old == new:
        raise AnswerFileError(f"{path}: hunk {number} has no old lines or changes nothing")
    return Hunk(old, new)
