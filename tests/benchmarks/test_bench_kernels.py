"""The kernels' benchmarks where there is no GPU: every row is named, and missing."""

import importlib
import json
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]

ROWS = {
    "bench_flash_decoding": {"flash decoding, KV over 256 MB, share of copy bandwidth": 0.7},
    "bench_weight_only_matmul": {
        "int8 weight-only, M=1, 16384^2, against cuBLAS bf16": 1.4,
        "int4 weight-only M=1": 1.5,
        "int4 weight-only M=16": 1.1,
    },
}


@pytest.mark.parametrize("name", ROWS)
def test_without_a_gpu_every_row_is_missing(name, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.setattr(sys, "argv", [name, "--json"])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    importlib.import_module(name).main()
    table, _, last = capsys.readouterr().out.rstrip().rpartition("\n")
    assert "missing" in table
    record = json.loads(last, parse_constant=pytest.fail)  # neither nan nor infinity is JSON
    assert {row["row"]: row["goal"] for row in record["rows"]} == ROWS[name]
    assert all(row["ratio"] is row["low"] is row["high"] is None for row in record["rows"])
