"""One run of the judge as a subprocess: started, watched, ended with everything it started, and its result read."""

import contextlib
import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from autograder.wire.errors import CannotGrade

MAX_RESULT_BYTES = 4 * 2**20
WATCH_EVERY_S = 0.5


def run_judge(
    command: Sequence[str], folder: Path, cwd: Path, *, deadline_s: float,
    watch: Callable[[], object], event: Callable[[dict[str, Any]], object],
) -> None:  # fmt: skip
    """Run `command job.json result.json --progress FD` on the files in `folder`.

    Args:
        watch: called about twice a second while it runs; what it raises ends the run.
        event: called with each progress object of the judge.

    Raises:
        CannotGrade: it failed, refused, or took longer than `deadline_s`.
    """
    log_path = folder / "judge.log"
    reading, writing = os.pipe()
    arguments = [*command, str(folder / "job.json"), str(folder / "result.json"), "--progress", str(writing)]
    with open(log_path, "w", encoding="utf-8") as log, open(reading, "rb", buffering=0) as pipe:
        try:
            process = subprocess.Popen(
                arguments, cwd=cwd, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                pass_fds=(writing,), start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise CannotGrade(f"The judge could not be started: {error}") from None
        finally:
            os.close(writing)
        try:
            _attend(process, pipe.fileno(), time.monotonic() + deadline_s, watch, event)
        finally:
            _end_group(process)
    if process.returncode != 0:
        raise failed(process.returncode, log_path)


def failed(status: int, log_path: Path) -> CannotGrade:
    """Why a judge failed, by the last line that it said."""
    said = log_path.read_text(encoding="utf-8", errors="replace")[-2000:].strip().splitlines()
    return CannotGrade(f"{said[-1] if said else 'The judge said nothing'} (status {status}, {log_path})")


def read_result(path: Path) -> Any:
    """The JSON a judge left.

    Raises:
        CannotGrade: it left none, or one that cannot be read.
    """
    try:
        if path.stat().st_size > MAX_RESULT_BYTES:
            raise CannotGrade(f"The judge's result {path} is larger than {MAX_RESULT_BYTES} bytes.")
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CannotGrade(f"The judge left no usable result: {error}") from None


def _attend(
    process: "subprocess.Popen[bytes]", pipe: int, deadline: float,
    watch: Callable[[], object], event: Callable[[dict[str, Any]], object],
) -> None:  # fmt: skip
    waiting = b""
    is_open = True
    while process.poll() is None:
        if is_open and select.select([pipe], [], [], WATCH_EVERY_S)[0]:
            chunk = os.read(pipe, 65536)
            is_open = bool(chunk)
            *lines, waiting = (waiting + chunk).split(b"\n")
            for line in lines:
                tell(line, event)
        elif not is_open:
            time.sleep(0.02)
        watch()
        if time.monotonic() > deadline:
            raise CannotGrade("The judge took too long and was ended.")


def tell(line: bytes, event: Callable[[dict[str, Any]], object]) -> None:
    """Pass on one line of a judge's progress."""
    try:
        found = json.loads(line)
    except ValueError:
        return
    if isinstance(found, dict):
        event(found)


def _end_group(process: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
