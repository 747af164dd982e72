"""Fair timing on this machine as it is: our code against itself, against a planted delay, and under planted contention.

python benchmarks/bench_fair_timing.py            five verdicts of each kind
python benchmarks/bench_fair_timing.py --quick    one of each

Both sides are workers in the sandbox, timed as a speed check times them. The timed function is softmax attention with
all scores in memory, 64 MB of them, because it feels its neighbours. Contention is a process on each core that copies
memory during every second block of the reference. Ratios are of what was measured to what was planted; the last row
is the share of verdicts under contention that were INVALID or gave all the points. The recorded blocks are also
replayed with a slowdown of known size in the reference's second block of each sample.
"""

import os
import signal
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from report import ROOT, Row, arguments, missing, report, say

sys.path.insert(0, str(ROOT))

import torch

from autograder.checks import Check, Draws, Speed, Trial, expect_close
from autograder.judge import sandbox, timing
from autograder.judge.program import Guard, Program
from autograder.judge.remote_call import RemoteCall
from autograder.judge.sandbox import Limits
from autograder.judge.speed import Baseline, Student, Trials, injects
from autograder.judge.timing import Sample
from autograder.judge.worker_process import ForkServer
from autograder.judge.workspace import Workspace
from autograder.wire.points import points_for

THRESHOLDS = ((0.5, 0.0), (1.0, 2.0))
FACTORS = (1.0, 1.02, 1.04, 1.06, 1.07, 1.09, 1.1, 1.12, 1.15, 1.2, 1.3, 1.5)  # of the reference's second block
OURS = "nimblelm.nn.long_range.methods:naive_attention"
SAME = "from nimblelm.nn.long_range.methods import naive_attention as attention\n"
TWICE = f"{SAME}once = attention\n\n\ndef attention(q, k, v):\n    once(q, k, v)\n    return once(q, k, v)\n"
# ends with us, however we end
HOG = "import ctypes, numpy\nctypes.CDLL(None).prctl(1, 9)\na = numpy.zeros(2 ** 25)\nwhile True:\n    b = a.copy()\n"


def trial(rng: Draws) -> Trial:
    q, k, v = (torch.randn(1, 4096, 1, 32, generator=rng()) for _ in range(3))
    want = (q[:, :, 0] @ k[:, :, 0].mT / 32**0.5).softmax(-1) @ v[:, :, 0]
    return Trial((q, k, v), lambda got: expect_close(got[:, :, 0], want, "attention", atol=1e-4))


CHECK = Check("timed", "Timed", "timed", 2, trial, speed=Speed("attention", THRESHOLDS, {"ours": OURS}))


class Disturbed:
    """A contestant in whose every second block the hogs run."""

    def __init__(self, inner: Baseline, hogs: "list[subprocess.Popen]") -> None:
        self._inner, self._hogs, self._blocks = inner, hogs, 0

    def block(self, inputs: range) -> list[float]:
        self._blocks += 1
        noisy = self._hogs if self._blocks % 2 == 0 else []
        for hog in noisy:
            hog.send_signal(signal.SIGCONT)
        try:
            return self._inner.block(inputs)
        finally:
            for hog in noisy:
                hog.send_signal(signal.SIGSTOP)


@contextmanager
def frozen_hogs() -> "Iterator[list[subprocess.Popen]]":
    """A process on each core that copies memory whenever it is let."""
    hogs = [subprocess.Popen([sys.executable, "-c", HOG]) for _ in range(os.cpu_count() or 1)]
    for hog in hogs:
        hog.send_signal(signal.SIGSTOP)
    try:
        yield hogs
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()


def verdict(
    fork_server: ForkServer, source: str, key: bytes, hogs: "list[subprocess.Popen] | None" = None
) -> timing.TimingResult:
    """One verdict of a speed check on fresh workers."""

    def call(source: str | None, names: dict[str, str]) -> RemoteCall:
        program, guard = Program("timed", "import torch", names, source), Guard((), (), 60, 600)
        return RemoteCall(fork_server.start, program, guard, key)

    trials, student, ours = Trials(CHECK, key), call(source, {}), call(None, injects(CHECK))
    try:
        for one in (student, ours):
            one.begin(CHECK.name)
            one.start()
        reference = Baseline(trials, "ours", 0, ours)
        against = Disturbed(reference, hogs) if hogs else reference
        return timing.judge_speed(against, Student(trials, "attention", student), THRESHOLDS)
    finally:
        student.close()
        ours.close()


def plain(found: timing.TimingResult) -> dict[str, Any]:
    """A verdict for the file: seconds of each block, and whether its sample counted."""
    samples = [
        {"before_s": round(sum(s.before), 4), "student_s": round(sum(s.student), 4), "after_s": round(sum(s.after), 4),
         "counts": s.disagreement <= timing.PLAN.noise}
        for s in found.samples
    ]  # fmt: skip
    return {"points": found.points, "interval": asdict(found.interval) if found.interval else None, "samples": samples}


def replayed(found: list[timing.TimingResult], factor: float) -> dict[str, Any]:
    """Recorded verdicts once more, the second block of the reference in each sample slower by a planted factor."""
    points = []
    for one in found:
        slowed = [Sample(s.before, s.student, [factor * seconds for seconds in s.after]) for s in one.samples]
        good = [s for s in slowed if s.disagreement <= timing.PLAN.noise]
        enough = len(good) >= timing.PLAN.samples
        points.append(points_for(timing.interval(good, timing.PLAN.noise).high, THRESHOLDS) if enough else None)
    return {"factor": factor, "invalid": points.count(None), "of": len(points), "points": points}


def pooled(row: str, found: list[timing.TimingResult], planted: float) -> Row:
    """The median verdict over what was planted, with the widest of their intervals' bounds."""
    known = [one.interval for one in found if one.interval]
    if not known:
        return missing(row, 1.0)
    low, high = min(one.low for one in known), max(one.high for one in known)
    return Row(row, statistics.median(one.median for one in known) / planted, low / planted, high / planted, 1.0)


def measure(count: int) -> dict[str, list[timing.TimingResult]]:
    found: dict[str, list[timing.TimingResult]] = {"itself": [], "delay": [], "contention": []}
    with (
        Workspace(Path(ROOT / "lib")) as space,
        ForkServer(space, Limits()) as fork_server,
        frozen_hogs() as hogs,
    ):
        for number in range(count):
            key = f"{number}".encode()
            say(f"timings of three kinds: {number + 1} of {count}")
            found["itself"].append(verdict(fork_server, SAME, key))
            found["delay"].append(verdict(fork_server, TWICE, key))
            found["contention"].append(verdict(fork_server, SAME, key, hogs))
    return found


def main() -> None:
    options = arguments(str(__doc__))
    torch.set_num_threads(1)
    works, said = sandbox.state()
    if not works:
        report("bench_fair_timing", [], {"not measured": said}, options)
        return
    found = measure(1 if options.quick else 5)
    free = THRESHOLDS[-1][1]
    kept = sum(one.points in (None, free) for one in found["contention"]) / len(found["contention"])
    rows = [
        pooled("reference against itself / 1", found["itself"], 1.0),
        pooled("planted delay / 0.5", found["delay"], 0.5),
        Row("verdicts under contention that cost nothing / all", kept, kept, kept, 1.0),
    ]
    details: dict[str, Any] = {"noise": timing.PLAN.noise, "thresholds": THRESHOLDS, "cores": os.cpu_count()}
    details |= {name: [plain(one) for one in verdicts] for name, verdicts in found.items()}
    details["replayed with a planted slowdown"] = [replayed(found["itself"], factor) for factor in FACTORS]
    report("bench_fair_timing", rows, details, options)


if __name__ == "__main__":
    main()
