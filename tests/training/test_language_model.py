"""The shared training loop: resumed equals uninterrupted, the schedule, the crops."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "training"))

import language_model
from nimblelm.language.llama import Llama, LlamaConfig


class Stopped(Exception):
    pass


def train(folder: Path, stop_at: int | None = None) -> Llama:
    """Six steps of a tiny model; `stop_at` breaks the run off in the middle of a step."""
    torch.manual_seed(0)
    model = Llama(LlamaConfig(20, 16, 1, 2, 1, 24, max_seq_len=16))
    generator = torch.Generator().manual_seed(1)
    stream = torch.arange(400) % 19

    def loss_at(step: int) -> torch.Tensor:
        if step == stop_at:
            raise Stopped
        tokens = language_model.random_crops(stream, 4, 9, generator)
        return torch.nn.functional.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())

    optimizer = language_model.Optimizer(model, 1e-2, 1e-2)
    language_model.run(model, optimizer, loss_at, lambda: {"held_out_loss": 0.0}, 6, generator, folder, save_every=2)
    return model


def test_a_resumed_run_ends_where_an_uninterrupted_one_does(tmp_path):
    whole = train(tmp_path / "whole")
    with pytest.raises(Stopped):
        train(tmp_path / "parts", stop_at=5)
    parts = train(tmp_path / "parts")
    for a, b in zip(whole.parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
    assert (tmp_path / "parts" / "log.jsonl").read_text().count("\n") == 3


def test_the_rate_warms_up_stays_and_decays():
    rates = [language_model.learning_rate(step, 1000) for step in range(1000)]
    assert rates[0] < 0.1
    assert set(rates[20:600]) == {1.0}
    assert rates[600:] == sorted(rates[600:], reverse=True)
    assert 0 < rates[-1] < 0.01


def test_crops_are_pieces_of_the_stream():
    stream = torch.arange(100, dtype=torch.int32)
    crops = language_model.random_crops(stream, 50, 7, torch.Generator().manual_seed(0))
    assert crops.shape == (50, 7)
    assert (crops.diff(dim=1) == 1).all()
    assert crops.dtype == torch.int64
    assert crops[:, 0].unique().numel() > 20
