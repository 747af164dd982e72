"""`python -m autograder.judge.gradescope /autograder`: grade one submission in Gradescope's container.

Here the parts of the controller and of the judge run as root of the container; the student's code runs in the judge's
sandbox as everywhere. What is read of the submission is one notebook, what is written is results/results.json. The
run's key derives from a secret of the assignment that stands in source/grading.json, which no sandbox sees.
"""

import hashlib
import hmac
import json
import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from autograder.cells.bundle import Bundle, read_bundle, unreadable
from autograder.cells.released import RELEASED, ReleasedNotebook
from autograder.checks import load_task
from autograder.wire.files import write_durably
from autograder.wire.gradescope import row

SORRY = "The grader failed, which says nothing about your work: tell your instructors. Nothing was scored."
MAX_FILES = 1000


def graded(place: Path) -> dict[str, Any]:
    """The content of results.json for what lies in submission/."""
    source = place / "source"
    about = json.loads((source / "grading.json").read_text(encoding="utf-8"))
    assignment, tasks = about["assignment"], source / "autograder" / "tasks"
    released = ReleasedNotebook.load(tasks / assignment / RELEASED)
    bundle = _bundle(place / "submission", assignment, released)
    if not bundle.readable:
        return {"score": 0, "output": "\n".join(bundle.notes), "output_format": "text", "stdout_visibility": "hidden"}
    result, said = _judged(bundle, about, source)
    if result is None:
        print(said)  # Gradescope shows a run's output to instructors
        return {"output": SORRY, "output_format": "text", "stdout_visibility": "hidden", "score": 0}
    titles = {one.id: one.title for one in load_task(tasks / assignment).exercises.values()}
    broken = [name for name, one in result["exercises"].items() if one["status"] == "not_graded" and one["log"]]
    notes = [*bundle.notes, *(f"{SORRY} Exercise: {titles[name]}" for name in broken)]
    tests: list[dict[str, Any]] = []
    for number, (name, one) in enumerate(result["exercises"].items(), 1):
        for place_in, check in enumerate(one["checks"], 1):
            tests.append({"number": f"{number}.{place_in}", **_row(titles[name], check)})
    return {
        "score": sum(one["score"] for one in result["exercises"].values()),
        "execution_time": result["seconds"],
        "output": "\n".join(notes),
        "output_format": "text",
        "stdout_visibility": "hidden",
        "tests": tests,
        "extra_data": {
            "max_score": sum(one["max"] for one in result["exercises"].values()),
            "bundle": bundle.sha256,
            "judge_version": result["judge_version"],
        },
    }


def _bundle(submission: Path, assignment: str, released: ReleasedNotebook) -> Bundle:
    """The notebook of the assignment's name, or the only one; regular files alone, nothing that leads elsewhere."""
    found: list[Path] = []
    for folder, folders, files in os.walk(submission, followlinks=False):
        folders[:] = [one for one in folders if not one.startswith((".", "__"))]
        found += [Path(folder, one) for one in files if one.endswith(".ipynb")]
        if len(found) > MAX_FILES:
            break
    plain = [one for one in found if stat.S_ISREG(one.lstat().st_mode)]
    named = [one for one in plain if one.stem == assignment]
    if len(chosen := named or plain) != 1:
        here = f"There are {len(chosen)}" if chosen else "There is no"
        what = f"notebooks {assignment}.ipynb" if named else "notebooks" if chosen else "notebook"
        return unreadable(assignment, released, f"{here} {what} in the submission. Submit {assignment}.ipynb alone.")
    return read_bundle(chosen[0], assignment, released)


def _judged(bundle: Bundle, about: dict[str, Any], source: Path) -> tuple[dict[str, Any] | None, str]:
    """The judge's result, or None and what it said."""
    message = f"{bundle.assignment}\n{bundle.sha256}".encode()
    job = {
        "assignment": bundle.assignment,
        "key": bundle.sha256,
        "run_key": hmac.new(bytes.fromhex(about["secret"]), message, hashlib.sha256).hexdigest(),
        "cells": dict(bundle.cells),
        "sandbox": about["sandbox"],
        "limits": {} if about["speed"] else {"speed": False},
        "tasks": str(source / "autograder" / "tasks"),
        "lib": str(source / "lib"),
    }
    with tempfile.TemporaryDirectory() as place:  # readable by its owner alone
        job_file, result = Path(place, "job.json"), Path(place, "result.json")
        job_file.write_text(json.dumps(job), encoding="utf-8")
        command = [sys.executable, "-m", "autograder.judge", str(job_file), str(result)]
        done = subprocess.run(command, cwd=source, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode != 0 or not result.is_file():
            return None, f"The judge ended with status {done.returncode}: {done.stderr[-4000:]}"
        return json.loads(result.read_text(encoding="utf-8")), ""


def _row(exercise: str, check: dict[str, Any]) -> dict[str, Any]:
    return row(
        exercise, check["title"], status=check["status"], score=check["points"], most=check["max"],
        message=check["message"],
    )  # fmt: skip


def main(place: str) -> int:
    """Grade, and leave results/results.json."""
    write_durably(Path(place, "results", "results.json"), json.dumps(graded(Path(place)), indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
