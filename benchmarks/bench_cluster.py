"""A class on Slurm, a node killed in the middle, and where the bottleneck of 10,000 submissions on 64 GPUs would be.

python benchmarks/bench_cluster.py                 a class of 200
python benchmarks/bench_cluster.py --quick         a class of 8

Needs root and Debian's slurm-wlm and munge: it starts a Slurm of one node with two declared GPUs and ends it again. The
class is that of the tests' toy assignment, each submission other work, judged by a stand-in that reads instead of
running: so what is measured is everything but the judge, which bench_grading.py measures. Half way the node is lost
(its daemon, the jobs and their supervisors killed with SIGKILL, Slurm told so) and comes back.

The simulation then takes what was measured here and the seconds of a real judge run and of recording a submission that
bench_grading.py measured on the CPU, and lets 10,000 submissions run on 64 GPUs: a GPU is idle until the controller has
seen that a task ended and its next one is submitted, unless more tasks wait in Slurm than there are GPUs.
"""

import heapq
import json
import math
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from report import ROOT, Row, arguments, report, say, update

sys.path.insert(0, str(ROOT))

from autograder.controller.course import Course
from autograder.controller.release import release
from autograder.controller.slurm import GATHER_S, POLL_S
from autograder.controller.slurm_queue import ASK_EVERY_S
from tests.autograder.one_node_slurm import OneNodeSlurm, lacking
from tests.autograder.toy import ADD, DOUBLE, TOY, Toy, make_toy_course

MANY, GPUS = 10_000, 64
GRADE = """
import json, resource, sys, time
from pathlib import Path
from autograder.controller.grading import grade
from autograder.controller.slurm import Slurm, SlurmOptions
from tests.autograder.toy import TOY, Toy
toy = Toy(Path(sys.argv[1]))
options = SlurmOptions(gpus=1, cpus=1, memory_gb=0.1, minutes=5, array_size=int(sys.argv[2]))
told = {}
def tell(student, share, what):
    told[what == "in the gradebook"] = time.monotonic()
began = time.monotonic()
found = grade(toy.course, TOY, policy=toy.policy, executor=Slurm(toy.course, options), progress=tell)
usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
problems = {one.student: one.problem for one in found.students if one.problem}
print(json.dumps({"scores": found.json()["scores"], "problems": problems, "judging_s": told[False] - began,
                  "recording_s": told[True] - told[False], "cpu_s": sum(u.ru_utime + u.ru_stime for u in usage)}))
"""


def make_class(root: Path, students: int) -> tuple[Toy, dict[str, float]]:
    """The toy course with that many submissions, no two alike, and the score that each must get."""
    course: Course = make_toy_course(root)
    release(course, TOY)
    toy, right = Toy(root), {}
    for number in range(students):
        cells = [{"add": ADD}, {"double": DOUBLE}, {"add": ADD, "double": DOUBLE}, {"add": "pass"}][number % 4]
        student = f"s{number:05d}"
        toy.submit(student, toy.notebook(**{name: f"{text}  # student {number}" for name, text in cells.items()}))
        right[student] = [2.0, 3.0, 5.0, 0.0][number % 4]
    return toy, right


def class_with_a_lost_node(students: int, in_flight: int) -> dict[str, Any]:
    """Grade the class through Slurm; the node is lost when half of it is done."""
    with tempfile.TemporaryDirectory() as place:
        (root := Path(place, "course")).mkdir()
        (slurm := Path(place, "slurm")).mkdir()
        toy, right = make_class(root, students)
        cluster = OneNodeSlurm(slurm)
        os.environ["SLURM_CONF"] = cluster.environment["SLURM_CONF"]
        try:
            cluster.start()
            command = [sys.executable, "-W", "ignore", "-c", GRADE, str(root), str(in_flight)]
            with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
                while (done := _done(toy.course)) < students // 2 and process.poll() is None:
                    update(f"class on Slurm: {done} of {students}")
                    time.sleep(0.5)
                cluster.kill_node()
                cluster.start_node()
                cluster("scontrol", "update", f"NodeName={cluster.host}", "State=RESUME")
                said = json.loads(process.communicate()[0])
        finally:
            cluster.stop()
        wrong = [name for name, points in right.items() if said["scores"][name]["score"] != points]
        if wrong:
            reason = said["problems"].get(wrong[0], said["scores"][wrong[0]])
            raise RuntimeError(f"{len(wrong)} students have other scores than they should: {wrong[0]}: {reason}")
        return {**said, "done when the node was lost": done, "judge runs": toy.judge_runs, "students": students}


def _done(course: Course) -> int:
    """How many jobs the ledger has finished."""
    try:
        with sqlite3.connect(f"file:{course.ledger_path}?mode=ro", uri=True) as database:
            return int(database.execute("SELECT count(*) FROM jobs WHERE state = 'DONE'").fetchone()[0])
    except sqlite3.OperationalError:  # it is not made yet
        return 0


def simulated(
    submissions: int, gpus: int, in_flight: int, *, start_s: float, judge_s: float, controller_s: float
) -> float:
    """Seconds until all are judged: tasks start where a GPU is free, the controller handles one end at a time.

    Args:
        in_flight: tasks that wait or run in Slurm at a time.
        start_s: from a free GPU until the judge runs.
        controller_s: of the controller for each result.
    """
    seen_s = GATHER_S + (POLL_S + ASK_EVERY_S) / 2  # until an end is seen, and what follows it is submitted
    free = [0.0] * gpus
    submitted = [0.0] * min(in_flight, submissions)  # when each place in Slurm's queue got its task
    controller = 0.0
    heapq.heapify(free)
    heapq.heapify(submitted)
    for _ in range(submissions):
        begin = max(heapq.heappop(free), heapq.heappop(submitted))
        end = begin + start_s + judge_s
        heapq.heappush(free, end)
        controller = max(controller, end + seen_s) + controller_s
        heapq.heappush(submitted, controller)
    return controller


def main() -> None:
    options = arguments(str(__doc__), {"students": "how many submit; default 200, with --quick 8"})
    if why := lacking():
        raise SystemExit(f"no Slurm can be started here: {why}")
    students = options.students or (8 if options.quick else 200)
    say("a class on Slurm")
    seen = class_with_a_lost_node(students, in_flight=16)
    recorded = json.loads((ROOT / "benchmarks/results/cpu/bench_grading.json").read_text(encoding="utf-8"))["details"]
    recording_s = recorded["of which recording in nbgrader's gradebook"]
    judge_s = recorded["grader with all checks and timings, s a submission"] - recording_s
    slot_s = 2 * seen["judging_s"] / students  # of one of the two GPUs, the lost node's time included
    measured = {"start_s": slot_s, "judge_s": judge_s, "controller_s": seen["cpu_s"] / students}
    ideal = MANY * judge_s / GPUS
    hours = {count: simulated(MANY, GPUS, count, **measured) for count in (GPUS, 2 * GPUS)}
    rows = {
        "ideal / simulated, as many tasks in Slurm as GPUs": ideal / hours[GPUS],
        "ideal / simulated, twice as many": ideal / hours[2 * GPUS],
        "recording in nbgrader / judging, twice as many": MANY * recording_s / hours[2 * GPUS],
    }
    details = {
        "students": students,
        "done when the node was lost": seen["done when the node was lost"],
        "judge runs that ended": seen["judge runs"],
        "students with another score than they should have": 0,
        "submissions an hour, two declared GPUs": round(3600 * students / (seen["judging_s"] + seen["recording_s"])),
        "Slurm and node, s of a GPU for each submission": round(slot_s, 2),
        "grader's own CPU, s a submission, recording included": round(measured["controller_s"], 2),
        "a judge run, s, from bench_grading": round(judge_s, 2),
        f"simulated: {MANY} on {GPUS} GPUs, hours until judged, {GPUS} tasks in Slurm": round(hours[GPUS] / 3600, 2),
        f"simulated: the same with {2 * GPUS} tasks in Slurm": round(hours[2 * GPUS] / 3600, 2),
        "simulated: hours until recorded after that": round(MANY * recording_s / 3600, 2),
        "load average in the last minute": round(os.getloadavg()[0], 1),
    }
    report("bench_cluster", [Row(name, one, one, one, math.nan) for name, one in rows.items()], details, options)


if __name__ == "__main__":
    main()
