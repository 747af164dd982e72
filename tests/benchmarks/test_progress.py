"""A long command says on stderr what it does, also where that is no terminal, and leaves stdout alone."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from autograder.cli import common
from tools.progress import Reporter

ROOT = Path(__file__).resolve().parents[2]


def test_what_begins_is_said_at_once_and_again_while_it_lasts(capsys: pytest.CaptureFixture[str]) -> None:
    reporter = Reporter(every_s=0.2)
    reporter.say("models")
    assert capsys.readouterr() == ("", "models ...\n")
    time.sleep(0.6)
    reporter.close()
    said = capsys.readouterr().err.splitlines()
    assert said
    assert all(line == "models, for 0 s ..." for line in said)


def test_a_loop_says_where_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    reporter, got = Reporter(every_s=0.2), []
    for item in reporter.track(["a", "b", "c"], "prompts"):
        got.append(item)
        time.sleep(0.6)
    reporter.close()
    out, err = capsys.readouterr()
    assert (got, out) == (["a", "b", "c"], "")
    lines = err.splitlines()
    assert lines[0] == "prompts: 3 ..."
    assert any(line.startswith("prompts: 2 of 3, for") for line in lines)


def test_a_loop_shows_a_bar_on_stderr_in_a_terminal(capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert list(Reporter().track([1, 2], "prompts")) == [1, 2]
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("script", sorted(path.name for path in (ROOT / "benchmarks").glob("bench_*.py")))
def test_every_benchmark_speaks_before_it_measures(script: str) -> None:
    """Both ways to say it are in `report`, which all of them begin with."""
    text = (ROOT / "benchmarks" / script).read_text()
    assert "arguments(" in text
    assert "rich.progress" not in text  # its bar goes to stdout, and is silent off a terminal


def test_scripts_for_training_have_the_same_progress() -> None:
    for path in (ROOT / "training").glob("*.py"):
        assert "from rich.progress import track" not in path.read_text(), path.name


def test_a_benchmarks_stdout_ends_with_its_json() -> None:
    command = [sys.executable, "benchmarks/bench_calibration.py", "--quick", "--json"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stderr.startswith("bench_calibration.py measures ...\n")
    assert json.loads(ran.stdout.splitlines()[-1])["benchmark"] == "bench_calibration"
    assert "measures ..." not in ran.stdout


def test_a_command_says_what_it_does_off_a_terminal(capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(common, "LINE_EVERY_S", 1.0)
    with common.progress_bar("Grading a90", 2, quiet=False) as step:
        step("ann", 0.1, "add")
        step("ann", 0.2, "add")  # too soon to be told
        time.sleep(1.2)
        step("ann", 0.6, "double")
        step("ann", 1.0, "done")
        step("ann", 1.0, "in the gradebook")
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == ["Grading a90: ann add", "Grading a90: ann double", "Grading a90: ann done (1 of 2)"]
    with common.progress_bar("Grading a90", 2, quiet=True) as step:
        step("ann", 0.1, "add")
    assert capsys.readouterr() == ("", "")
