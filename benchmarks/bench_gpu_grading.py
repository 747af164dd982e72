"""Assignment 4's exercise on a GPU, graded: does its solution get every point from the judge on this machine?

The judge is the one that grades students, and so are its checks, clocks and thresholds. It needs no nbgrader. Where
there is no bubblewrap the worker runs in the weaker mode, which the details say.

python benchmarks/bench_gpu_grading.py [--json] [--save]
"""

import re
import secrets
import subprocess
import sys
from typing import Any

import torch
from carried import ROOT, bring_bubblewrap
from report import Row, arguments, missing, report

sys.path.insert(0, str(ROOT))

from autograder.judge.job import JobFile
from autograder.judge.judge import Judge

ASSIGNMENT, EXERCISE = "a04_flash_attention", "launch"
POINTS = "points of the solution / maximum"
SPEEDS = {  # row: (check, least speedup that we ask of the solution)
    "a04 solution / attention with all scores in memory": ("faster_than_scores_in_memory", 6.0),
    "a04 solution / torch's FlashAttention-2": ("close_to_torchs_own_attention", 0.9),
}


def solution(assignment: str = ASSIGNMENT, exercise: str = EXERCISE) -> str:
    """The cell of an exercise in the master, without the marks of its regions; read without jupytext."""
    text = (ROOT / "solutions" / assignment / f"{assignment}.md").read_text(encoding="utf-8")
    for cell in re.findall(r"^```\{code-cell\} ipython3\n---\n(.*?)^```$", text, re.S | re.M):
        header, source = cell.split("---\n", 1)
        if f"grade_id: {exercise}\n" in header:
            return "\n".join(line for line in source.rstrip("\n").split("\n") if "### " not in line)
    raise ValueError(f"{assignment} has no cell {exercise!r}")


def grade() -> tuple[list[Row], dict[str, Any]]:
    """One run of the judge; a check that was not graded is a missing row with the reason in the details."""
    details: dict[str, Any] = {}
    try:
        bring_bubblewrap()
        sandboxed = True
    except (OSError, subprocess.CalledProcessError) as error:
        sandboxed, details["sandbox"] = False, str(error)
    key = secrets.token_hex(16)
    job = JobFile(ASSIGNMENT, "benchmark", key, {EXERCISE: solution()}, [EXERCISE], sandbox=sandboxed)
    result = Judge(job).run()
    found = result["exercises"][EXERCISE]
    share = found["score"] / found["max"] if found["max"] else float("nan")
    rows = [Row(POINTS, share, share, share, 1.0) if found["max"] else missing(POINTS, 1.0)]
    checks = {check["name"]: check for check in found["checks"]}
    for row, (name, goal) in SPEEDS.items():
        if interval := checks[name].get("details", {}).get("interval"):
            median, low, high = (round(interval[x], 3) for x in ("median", "low", "high"))
            rows.append(Row(row, median, low, high, goal))
        else:
            rows.append(missing(row, goal))
        details[name] = {**checks[name].get("details", {}), "samples": "in the audit only"}
    for name, check in checks.items():
        details[f"said: {name}"] = f"{check['status']}, {check['points']} of {check['max']} {check['message']}".strip()
    about = {"status": found["status"], "run key": key, "seconds": result["seconds"], "log": found["log"][-2000:]}
    return rows, {**details, **about, "sandbox": details.get("sandbox", result["sandbox"])}


def main() -> None:
    options = arguments(str(__doc__))
    rows = [missing(POINTS, 1.0), *(missing(row, goal) for row, (_, goal) in SPEEDS.items())]
    details: dict[str, Any] = {"not measured": "no CUDA device here"}
    if torch.cuda.is_available():
        rows, details = grade()
    report("bench_gpu_grading", rows, details, options)


if __name__ == "__main__":
    main()
