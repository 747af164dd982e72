"""Every method of the recall training learns through its own attention, and the committed record is complete."""

import json
import sys
from pathlib import Path

import pytest
import torch

sys.path.append(str(Path(__file__).resolve().parents[2] / "training"))

import train_long_range
from nimblelm.nn.long_range.methods import long_range_methods

NAMES = list(long_range_methods(256, 32)[0])


@pytest.mark.parametrize("name", NAMES)
def test_a_few_steps_run_and_tell_accuracy_by_distance(name):
    row = train_long_range.train(name, steps=2)
    assert 0 <= row["accuracy"] <= 1
    assert list(row["accuracy_by_distance"]) == ["1-32", "33-64", "65-128", "129-256"]
    assert torch.tensor([row["loss_first"], row["loss_last"]]).isfinite().all()


def test_the_record_names_every_method_and_how_it_was_made():
    record = json.loads(train_long_range.RESULTS.read_text(encoding="utf-8"))
    assert [row["method"] for row in record["rows"]] == NAMES
    assert record["seed"] == train_long_range.SEED
    assert record["num_pairs"] == train_long_range.NUM_PAIRS
    exact = [row["accuracy"] for row in record["rows"] if row["method"].startswith("full")]
    assert max(exact) - min(exact) < 0.05  # one function, two ways of computing it
