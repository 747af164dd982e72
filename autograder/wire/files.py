"""Files of ours: read as text, and written so that nobody ever sees a part of one."""

import os
import secrets
from pathlib import Path

from autograder.wire.errors import UsageError
from autograder.wire.text import decoded


def text_of(path: Path) -> str:
    """The text of a file of a course, such as a master.

    Raises:
        UsageError: it is no text; the message names the file.
    """
    try:
        return decoded(path.read_bytes())
    except ValueError:
        raise UsageError(f"{path} is not text that can be read. Save it as UTF-8.") from None


def append_durably(path: Path, line: str) -> None:
    """Append a line whole: what a killed writer left of another one is closed off first."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        size = os.fstat(handle).st_size
        torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
        os.write(handle, b"\n" * torn + line.encode() + b"\n")
        os.fsync(handle)
    finally:
        os.close(handle)


def write_durably(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old one or the whole new one, also after a power cut."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")  # two nodes may share it
    with open(temporary, "w", encoding="utf-8") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())
    os.replace(temporary, path)
