"""The benchmark of Medusa heads: its choice of a tree, and the whole of it made tiny."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import bench_medusa as bench


def test_the_tree_is_the_one_that_promises_most_tokens_a_second(monkeypatch):
    monkeypatch.setattr(bench, "SIZES", (2, 3, 5))
    accuracies = [[0.5, 0.4], [0.5, 0.1]]
    assert len(bench.choose(accuracies, {2: 1.0, 3: 1.1, 5: 1.2})) == 5
    assert len(bench.choose(accuracies, {2: 1.0, 3: 1.1, 5: 2.0})) == 3
    assert len(bench.choose(accuracies, {2: 1.0, 3: 2.0, 5: 4.0})) == 2


def test_it_prints_every_row_and_counts_the_texts_that_are_equal(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["bench_medusa", "--quick", "--json"])
    monkeypatch.setattr(bench, "SIZES", (2, 6))
    monkeypatch.setattr(bench, "NEW_TOKENS", 12)
    monkeypatch.setattr(bench, "best_length", lambda decode, prompts: 3)
    bench.main()
    record = json.loads(capsys.readouterr().out.splitlines()[-1], parse_constant=pytest.fail)
    assert {row["row"]: row["goal"] for row in record["rows"]} == {
        name: goal for name, (_, _, goal) in bench.ROWS.items()
    }
    assert all(0 < row["low"] <= row["ratio"] <= row["high"] for row in record["rows"])
    equal = record["details"]["texts equal to greedy decoding"]
    assert equal["medusa"] == equal["speculative"] == record["details"]["prompts"] == 4
