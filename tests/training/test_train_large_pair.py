"""The large pair's training, made tiny: both models learn, land where the benchmark looks, and a second run resumes."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "training"))

import train_large_pair as large
import train_pair
from nimblelm.language.llama import Llama
from nimblelm.nn.checkpoint import load


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    for module in (large, train_pair):
        monkeypatch.setattr(module, "LENGTH", 24)
        monkeypatch.setattr(module, "DEVICE", torch.device("cpu"))
    small = replace(large.TARGET, d_model=16, num_layers=2, num_heads=2, num_kv_heads=1, d_ff=24, max_seq_len=24)
    stream = torch.arange(4000, dtype=torch.int32) * 7 % 50
    settings = {
        "FOLDER": tmp_path,
        "TARGET": small,
        "TOKENS_PER_STEP": 96,
        "PROMPT_TOKENS": 6,
        "WRITTEN_BATCHES": 2,
        "WRITTEN_BATCH_SIZE": 3,
        "streams": lambda: (stream, stream[:1000]),
    }
    for name, value in settings.items():
        monkeypatch.setattr(large, name, value)
    monkeypatch.setattr(sys, "argv", ["train_large_pair.py", "--minutes", "0.1"])
    return tmp_path


def test_a_tiny_pair_learns_and_resumes(tiny):
    large.main()
    log = json.loads((tiny / "log.json").read_text())
    losses = [line["held_out_loss"] for line in log["target"]]
    assert losses[-1] < losses[0] < 8
    shares = [line["held_out_acceptance"] for line in log["draft"]]
    assert 0 < shares[-1] <= 1
    target, draft = (load(Llama, tiny / f"{name}.safetensors") for name in ("target", "draft"))
    assert (target.config.num_layers, draft.config.num_layers) == (2, 1)
    written = torch.load(tiny / "written.pt", weights_only=True)
    assert written.shape == (6, 24)
    assert written.max() < large.TARGET.vocab_size
    large.main()  # all is saved: nothing is trained anew
    assert json.loads((tiny / "log.json").read_text()) == log


def test_the_target_has_between_300_and_600_million_parameters():
    config = large.TARGET
    heads = config.num_heads + 2 * config.num_kv_heads
    layer = config.d_model * (heads * config.head_dim + config.d_model + 3 * config.d_ff)
    assert 300e6 < config.num_layers * layer + config.vocab_size * config.d_model < 600e6
