"""The GPU programme with stages that need no GPU: states, budgets, resumption, the archive."""

import json
import sys
import tarfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import gpu_run
from gpu_run import ROOT, STAGES, Stage, pack, programme, rows_of

RECORD = {"benchmark": "b", "rows": [{"row": "quick / slow", "ratio": 2.5, "goal": 2.0}]}


def code(name: str, text: str, minutes: float = 1, least: float = 0.0, needs: str | None = None) -> Stage:
    return Stage(name, ["-c", text], minutes, least, needs)


def test_a_failure_costs_one_stage_and_is_owed_until_it_succeeds(tmp_path, capsys):
    flag = tmp_path / "flag"
    stages = [
        code("measures", f"print({json.dumps(RECORD)!r}); open({str(tmp_path / 'times')!r}, 'a').write('x')"),
        code("fails once", f"import os; ready = os.path.exists({str(flag)!r}); open({str(flag)!r}, 'w'); 1 / ready"),
        code("waits", "pass", needs="fails once"),
    ]
    states = programme(stages, 1, tmp_path / "out")
    assert states["measures"] == "done"
    assert states["fails once"] == "failed (1)"
    assert states["waits"] == "not started: 'fails once' is not done"
    assert "quick / slow: 2.5 (goal 2.0)" in capsys.readouterr().out
    assert "ZeroDivisionError" in (tmp_path / "out" / "1.log").read_text()
    assert set(programme(stages, 1, tmp_path / "out").values()) == {"done"}
    assert (tmp_path / "times").read_text() == "x", "a stage that was done ran again"


def test_budgets_hold(tmp_path):
    slow = "import time; print('begun', flush=True); time.sleep(60)"
    stages = [code("slow", slow, minutes=0.05), code("long", "pass", least=9), code("short", "pass")]
    states = programme(stages, 2, tmp_path)
    assert states["slow"] == "out of time"
    assert states["long"].startswith("not started: ")
    assert states["long"].endswith("of 9.0 minutes left")
    assert states["short"] == "done"
    assert "begun" in (tmp_path / "0.log").read_text()


def test_the_archive_holds_states_results_and_the_ends_of_logs(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu_run, "MAX_LOG_BYTES", 1000)
    programme([code("talks", "print('a' * 5000 + 'end')")], 1, tmp_path)
    with tarfile.open(pack(tmp_path)) as tar:
        names = tar.getnames()
        log = tar.extractfile("_build/gpu_run/0.log").read()
    assert "_build/gpu_run/stages.json" in names
    assert len(log) == 1000
    assert log.endswith(b"end\n")
    monkeypatch.setattr(gpu_run, "MAX_ARCHIVE_BYTES", 10)
    with pytest.raises(ValueError, match="the limit is 10"):
        pack(tmp_path)


def test_rows_come_from_the_last_record_of_a_log(tmp_path):
    log = tmp_path / "log"
    older = {"benchmark": "b", "rows": []}
    log.write_text(f"{json.dumps(older)}\ntable\n{json.dumps(RECORD)}\n")
    assert rows_of(log) == ["quick / slow: 2.5 (goal 2.0)"]
    assert rows_of(tmp_path / "none") == []


def test_every_stage_runs_a_file_that_exists_and_half_an_hour_is_enough_for_the_worthwhile_part():
    for stage in STAGES:
        if stage.arguments[0] != "-m":
            assert (ROOT / stage.arguments[0]).exists(), stage.name
    assert len({stage.name for stage in STAGES}) == len(STAGES)
    assert sum(stage.least_minutes for stage in STAGES) < 28


def test_without_a_gpu_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["gpu_run.py", "--minutes", "1", "--out", str(tmp_path)])
    monkeypatch.setattr(gpu_run.torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match="no CUDA device"):
        gpu_run.main()
