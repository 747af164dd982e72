"""The benchmark of the batched decoders: its rows, and its measurements made tiny, on the CPU."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import bench_gpu_decoding as bench
from assisted import Assisted
from report import ROOT

from nimblelm.inference.decoding.sampling import GREEDY
from nimblelm.inference.speculative.pair import Pair
from tests.inference.models import varied_pair

PLAN = bench.Plan(count=24, lengths=(1, 3), trials=1, batches=2, repeats=1)


@pytest.fixture(scope="module")
def pair() -> Pair:
    return Pair(*varied_pair())


@pytest.fixture
def batches(monkeypatch) -> list[list[torch.Tensor]]:
    monkeypatch.setattr(bench, "PROMPT_TOKENS", 12)
    return [[(torch.arange(12) * (3 + row) + 5 * i) % 50 for row in range(2)] for i in range(4)]


def test_a_comparison_counts_and_times(pair, batches):
    decoders = bench.Decoders(pair, 2, GREEDY, PLAN)
    row, length, stats, details = bench.compare(bench.BATCH_ROW, decoders, batches, PLAN)
    assert row.row == bench.BATCH_ROW
    assert row.goal == 1.3
    assert 0 < row.low <= row.ratio <= row.high < 100
    assert length in PLAN.lengths
    assert 0 < stats.acceptance_rate < 1
    assert set(details[f"{bench.BATCH_ROW}: milliseconds a round, by draft length"]) == {0, 1, 3}


def test_equal_texts_are_counted_and_wrong_ones_reported(pair, batches):
    decoders = bench.Decoders(pair, 2, GREEDY, PLAN)
    row, details = bench.identical(pair, decoders, 3, batches, PLAN)
    assert (row.ratio, row.low, row.high) == (1.0, 1.0, 1.0)
    assert list(details.values()) == [[8, []]]
    speculative = decoders.speculative

    def wrong(prompts, count, length):
        output = speculative(prompts, count, length)
        output.tokens[0][5] = (output.tokens[0][5] + 1) % 50
        return output

    decoders.speculative = wrong
    row, details = bench.identical(pair, decoders, 3, batches, PLAN)
    assert row.ratio == 0.5
    ((texts, outside),) = details.values()
    assert texts == 8
    assert [place for place, *_ in outside] == [5] * 4


def test_assisted_generation_gives_the_texts_of_our_decoders(pair, batches):
    single = [[batch[0]] for batch in batches]
    decoders = bench.Decoders(pair, 1, GREEDY, PLAN)
    expected = decoders.autoregressive(single[0], 24).tokens[0]
    assert Assisted(pair).generate(single[0][0], 24, 3).tolist() == expected
    row = bench.against_transformers(pair, decoders, 3, single, PLAN)
    assert row.row == bench.ASSISTED_ROW
    assert row.ratio > 0


@pytest.mark.slow
def test_without_a_gpu_the_batch_is_measured_and_the_rest_is_missing():
    command = [sys.executable, "benchmarks/bench_gpu_decoding.py", "--quick", "--json"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr[-2000:]
    record = json.loads(ended.stdout.splitlines()[-1], parse_constant=pytest.fail)
    ratios = {row["row"]: row["ratio"] for row in record["rows"]}
    assert list(ratios) == list(bench.GOALS)
    if record["device"] == "cpu":
        measured = ratios.pop(bench.BATCH_ROW)
        assert math.isfinite(measured)
        assert set(ratios.values()) == {None}
