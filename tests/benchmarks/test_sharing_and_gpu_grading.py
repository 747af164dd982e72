"""What can be said without a GPU of the two steps that need one: the way through the sandbox, the cell, the words."""

import json
import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import bench_gpu_grading
import carried
import probe_sharing
import pytest
import torch
from bench_gpu_grading import POINTS, SPEEDS, solution
from carried import ROOT

from autograder.assurance.answers import solution_cells
from autograder.checks import load_task
from autograder.controller.course import Course
from autograder.judge import sandbox

needs_bubblewrap = pytest.mark.skipif(not sandbox.state()[0], reason=sandbox.state()[1])


@needs_bubblewrap
def test_memory_is_shared_across_namespaces_and_the_round_trip_is_timed():
    times = probe_sharing.exchange("host memory", carried.bring_bubblewrap(), 3)
    assert 0 < times["empty, us"] < times["64 MB, us"]


@needs_bubblewrap
def test_a_way_that_does_not_work_is_told_with_what_it_said(monkeypatch):
    monkeypatch.setattr(probe_sharing.Pinned, "__init__", probe_sharing.Host.__init__)  # here, not in the sandbox
    monkeypatch.setattr(probe_sharing, "WAYS", dict(list(probe_sharing.WAYS.items())[:2]))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    times, details = probe_sharing.measure(2)
    if not torch.cuda.device_count():
        assert list(times) == ["host memory"]
        assert details["pinned host memory"].startswith("does not work: RuntimeError: ")


@needs_bubblewrap
def test_memory_that_is_not_shared_is_noticed(monkeypatch):
    monkeypatch.setattr(
        probe_sharing.Host, "holds", lambda self, value: bool((self.memory == value - 1).all()) and False
    )
    with pytest.raises(RuntimeError, match="is not in the shared memory"):
        probe_sharing.exchange("host memory", carried.bring_bubblewrap(), 1)


def test_bubblewrap_is_brought_only_where_it_was_carried_along(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"no bubblewrap_\*\.deb lies in"):
        carried.bring_bubblewrap(tmp_path)
    package = tmp_path / "bubblewrap_1_amd64.deb"
    package.touch()
    (tmp_path / "dpkg-deb").write_text('#!/bin/sh\n/bin/mkdir -p "$3/usr/bin" && /usr/bin/touch "$3/usr/bin/bwrap"\n')
    (tmp_path / "dpkg-deb").chmod(0o755)
    found = Path(carried.bring_bubblewrap(tmp_path))
    assert found.is_file()
    assert os.environ["PATH"].startswith(str(found.parent))


def test_the_cell_and_the_goals_are_those_of_the_assignment():
    assert solution() == solution_cells(Course(ROOT), "a04_flash_attention")["launch"]
    checks = load_task(ROOT / "autograder" / "tasks" / "a04_flash_attention").checks["launch"]
    thresholds = {one.name: one.speed.thresholds[-1][0] for one in checks if one.speed}
    assert thresholds == dict(SPEEDS.values())


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("name", ["probe_sharing", "bench_gpu_grading"])
def test_without_a_gpu_each_says_so_and_reports_every_row_as_missing(name):
    paths = f"{ROOT / 'lib'}{os.pathsep}{ROOT}"
    ran = subprocess.run(
        [sys.executable, f"benchmarks/{name}.py", "--json"], cwd=ROOT, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": paths},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    record = json.loads(ran.stdout.splitlines()[-1])
    assert record["details"] == {"not measured": "no CUDA device here"}
    assert [row["ratio"] for row in record["rows"]] == [None] * len(record["rows"])
    wanted = probe_sharing.ROWS if name == "probe_sharing" else [POINTS, *SPEEDS]
    assert [row["row"] for row in record["rows"]] == list(wanted)


@needs_bubblewrap
def test_where_the_judge_grades_nothing_the_rows_are_missing_and_the_reasons_stay(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    rows, details = bench_gpu_grading.grade()
    assert all(row.ratio != row.ratio for row in rows)
    assert "needs a GPU" in details["said: float16_is_as_accurate_as_eager"]
