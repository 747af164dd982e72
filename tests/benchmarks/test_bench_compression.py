"""The ledger of compression, made tiny, and the rows that a GPU owes."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import bench_compression as bench
import bench_qlora


def test_it_prints_every_row_and_every_point_of_the_ledger(monkeypatch, capsys, small_pair):
    monkeypatch.setattr(sys, "argv", ["bench_compression", "--quick", "--json"])
    monkeypatch.setattr(bench, "load_pair", lambda: small_pair)
    monkeypatch.setattr(bench, "NEW_TOKENS", 6)
    monkeypatch.setattr(bench, "TEXT_TOKENS", 40)
    monkeypatch.setattr(bench, "PROMPT_TOKENS", 20)
    monkeypatch.setattr(bench, "CALIBRATION_TOKENS", 32)
    bench.main()
    record = json.loads(capsys.readouterr().out.splitlines()[-1], parse_constant=pytest.fail)
    assert {row["row"]: row["goal"] for row in record["rows"]} == {
        name: goal for name, (_, _, goal) in bench.ROWS.items()
    }
    assert all(row["ratio"] is None or 0 < row["low"] <= row["ratio"] <= row["high"] for row in record["rows"])
    ledger = record["details"]["ledger"]
    assert {"fp32", "bf16", "int8", "int4", "NF4", "GPTQ 4", "GPTQ 3", "int4, speculative"} <= ledger.keys()
    assert ledger["GPTQ 3"]["bytes"] < ledger["int4"]["bytes"] < ledger["int8"]["bytes"] < ledger["bf16"]["bytes"]
    assert ledger["fp32"]["more than fp32"] == pytest.approx([0, 0, 0], abs=1e-3)
    assert all(point["loss"][1] <= point["loss"][0] <= point["loss"][2] for point in ledger.values())


def test_without_a_gpu_what_it_owes_is_missing(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["bench_qlora", "--json"])
    monkeypatch.setattr(bench_qlora.torch.cuda, "is_available", lambda: False)
    bench_qlora.main()
    record = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [row["row"] for row in record["rows"]] == list(bench_qlora.ROWS)
    assert all(row["ratio"] is None for row in record["rows"])
