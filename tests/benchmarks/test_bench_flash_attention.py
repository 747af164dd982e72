"""The benchmark of flash attention: its arithmetic, and what it prints where there is no GPU."""

import json
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

import bench_flash_attention as bench  # noqa: E402


def test_a_row_is_a_ratio_of_geometric_means_and_names_its_worst_cell():
    short, long = bench.Cell(4096, 128, False), bench.Cell(8192, 128, False)
    measured = bench.Measurements(repeats=3)
    measured.times = {
        (short, "ours"): [1.0, 1.0, 1.0],
        (long, "ours"): [4.0, 4.0, 4.0],
        (short, "cudnn"): [2.0, 2.0, 2.0],
        (long, "cudnn"): [2.0, 2.0, 2.0],
    }
    row, worst = measured.row("forward d128 / cuDNN SDPA, full", [short, long], "cudnn")
    assert row.ratio == row.low == row.high == 1.0  # sqrt(2 * 1/2)
    assert worst == "0.500 at 8k d128 full"


def test_operations_are_those_of_two_products():
    cell = bench.Cell(4096, 64, False)
    q, k, v = cell.tensors("meta", torch.bfloat16)
    batch, length, heads, head_dim = q.shape
    assert k.shape == v.shape == q.shape
    assert cell.forward_flop == batch * heads * 2 * (2 * length * length * head_dim)
    assert bench.Cell(4096, 64, True).forward_flop == cell.forward_flop / 2


def test_without_a_gpu_every_gpu_row_is_missing_and_the_cpu_row_measured(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["bench_flash_attention", "--quick", "--json"])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    bench.main()
    record = json.loads(capsys.readouterr().out.splitlines()[-1], parse_constant=pytest.fail)
    assert {row["row"]: row["goal"] for row in record["rows"]} == bench.GOALS
    *others, cpu = record["rows"]
    assert cpu["row"] == bench.CPU_ROW
    assert 0 < cpu["low"] <= cpu["ratio"] <= cpu["high"]
    assert all(row["ratio"] is row["low"] is row["high"] is None for row in others)
