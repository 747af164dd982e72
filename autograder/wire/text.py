"""Text that somebody else wrote, made fit to be shown: no control characters, of bearable length, told from ours."""

import json
import re


def printable(text: str) -> str:
    """The same without what a terminal or a page would obey: control characters, changes of writing direction."""
    return "".join(letter if letter.isprintable() or letter in "\n\t" else "�" for letter in text)


def one_line(text: str, limit: int) -> str:
    """At most `limit` characters on one line."""
    line = printable(" ".join(text.split()))
    return line if len(line) <= limit else line[:limit] + " ..."


def quoted(text: str) -> str:
    """In quotes that it cannot close: what stands between them is never taken for a sentence of ours."""
    return "“" + text.replace("“", '"').replace("”", '"') + "”"


def type_name(text: str) -> str:
    """The name of a type, or what to say where it is none."""
    return text if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.]{0,79}", text) else "an exception"


def python_lines(source: str) -> list[str]:
    """The lines of a program as Python counts them, without their ends; `splitlines` knows more ends."""
    return source.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def last_line(said: str) -> str:
    """The last line that a process wrote, which is where its error stands."""
    return (said.strip().splitlines() or ["it said nothing"])[-1]


def decoded(content: bytes) -> str:
    """The text of a file, whatever an editor saved it as: UTF-8, UTF-16 or UTF-32. Its line ends are those of Unix.

    Raises:
        ValueError: it is text in none of the three.
    """
    text = content.decode(json.detect_encoding(content))
    return text.replace("\r\n", "\n").replace("\r", "\n")


def number(value: float) -> str:
    """Points as a person writes them: 2, 1.5, 0.25."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def duration(seconds: float) -> str:
    """A span of time as a person says it, in its largest unit: 2 days, 1 hour."""
    for unit, length_s in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length_s:
            count = f"{seconds / length_s:.1f}".removesuffix(".0")
            return f"{count} {unit}{'' if count == '1' else 's'}"
    return "less than a minute"
