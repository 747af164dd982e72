"""The benchmark of beam search: one output, every row, made tiny."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import bench_beam_search as bench


def test_it_prints_every_row(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["bench_beam_search", "--quick", "--json"])
    monkeypatch.setattr(bench, "UTTERANCES", 1)
    bench.main()
    record = json.loads(capsys.readouterr().out.splitlines()[-1], parse_constant=pytest.fail)
    assert [row["row"] for row in record["rows"]] == [bench.THEIRS, bench.STREAM]
    assert record["rows"][1]["low"] > 0
    assert record["details"]["utterances"] == 1


def test_the_committed_result_is_as_fast_as_the_other_or_faster():
    path = Path(__file__).resolve().parents[2] / "benchmarks/results/cpu/bench_beam_search.json"
    rows = {row["row"]: row for row in json.loads(path.read_text())["rows"]}
    assert rows[bench.THEIRS]["low"] >= rows[bench.THEIRS]["goal"] == 1.0
