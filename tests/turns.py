"""Tests that time something run alone, while all others run beside each other.

Under pytest-xdist every worker asks for its turn before each test. A worker that waits to be alone lets nobody in
before it, so it waits only for the tests that are running.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Turns:
    """The turns of one worker among those that share a folder.

    Locks of a process (`lockf`), not of an open file: what a test forked must not keep them when its worker dies.
    """

    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        self._door, self._room = (os.open(folder / name, os.O_RDWR | os.O_CREAT) for name in ("door", "room"))

    @contextmanager
    def turn(self, alone: bool) -> Iterator[None]:
        """Inside, no other worker is in a turn where `alone`, else none that is alone."""
        fcntl.lockf(self._door, fcntl.LOCK_EX)
        fcntl.lockf(self._room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.lockf(self._door, fcntl.LOCK_UN)
        try:
            yield
        finally:
            fcntl.lockf(self._room, fcntl.LOCK_UN)
