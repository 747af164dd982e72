"""The benchmark of speculative decoding, run as a user would."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))


def test_distinct_share_counts_n_grams():
    import torch
    from bench_speculative import distinct_share

    assert distinct_share([torch.arange(10)]) == 1.0
    assert distinct_share([torch.zeros(13, dtype=torch.long)]) == 0.1
    assert distinct_share([torch.arange(4), torch.arange(4)]) == 0.5


@pytest.mark.slow
def test_the_last_line_is_the_promised_json():
    command = [sys.executable, "benchmarks/bench_speculative.py", "--quick", "--json"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr[-2000:]
    record = json.loads(ended.stdout.splitlines()[-1])
    assert record["benchmark"] == "bench_speculative"
    assert {"device", "commit", "versions"} <= record.keys()
    assert [row["row"] for row in record["rows"]] == [
        "cpu speculative / autoregressive",
        "cpu speculative / autoregressive T=1",
        "cpu speculative / transformers assisted",
    ]
    for row in record["rows"]:
        assert 0 < row["low"] <= row["ratio"] <= row["high"]
    goals = {row["row"]: row["goal"] for row in record["rows"]}
    assert list(goals.values()) == [2.0, 1.6, 2.2]
