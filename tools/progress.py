"""What a long command is doing, told on stderr: at once when it begins something, and again while that lasts.

stdout stays the command's own. In a terminal loops have a bar; elsewhere each message is a line, for a log or a pipe.
"""

import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import TypeVar

EVERY_S = 20.0
T = TypeVar("T")


class Reporter:
    """Says what is under way, and every so often how far it is or for how long it has lasted."""

    def __init__(self, every_s: float = EVERY_S) -> None:
        self._every_s, self._what, self._began, self._said = every_s, "", 0.0, 0.0
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()

    def say(self, what: str) -> None:
        """Something begins."""
        self._what, self._began = what, time.monotonic()
        self._write(f"{what} ...")
        if self._thread is None:
            self._thread = threading.Thread(target=self._remind, daemon=True)
            self._thread.start()

    def update(self, what: str) -> None:
        """It has come further: that is told when it is time for it."""
        self._what = what

    def track(self, items: Sequence[T], what: str) -> Iterator[T]:
        """The items one by one, and which of them is under way."""
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import track

            yield from track(items, what, console=Console(stderr=True))
            return
        self.say(f"{what}: {len(items)}")
        for number, item in enumerate(items, 1):
            self.update(f"{what}: {number} of {len(items)}")
            yield item

    def close(self) -> None:
        """No more is said."""
        self._closed.set()

    def _remind(self) -> None:
        while not self._closed.wait(self._every_s / 4):
            if time.monotonic() - self._said >= self._every_s:
                self._write(f"{self._what}, for {time.monotonic() - self._began:.0f} s ...")

    def _write(self, line: str) -> None:
        self._said = time.monotonic()
        print(line, file=sys.stderr, flush=True)


_reporter = Reporter()
say, update, track = _reporter.say, _reporter.update, _reporter.track
