"""Learned masks: counts, targets and penalties by hand; the sources' weights; the committed model."""

import json

import pytest
import torch

from nimblelm.compression.pruning.hard_concrete import lagrangian, open_probability
from nimblelm.compression.pruning.sheared import SHEARED_FOLDER, SOURCES, TARGET_SHAPE, load_sheared, source_of
from nimblelm.compression.pruning.shearing import DIMENSIONS, LearnedMasks, Shape, reweighted
from nimblelm.compression.pruning.slicing import sliced_model
from nimblelm.inference.speculative.pair import load_pair
from nimblelm.language.llama import Llama, LlamaConfig

CONFIG = LlamaConfig(50, 24, num_layers=3, num_heads=6, num_kv_heads=2, d_ff=16, max_seq_len=32)
SHAPE = Shape(layers=2, heads=4, units=10, width=15)


def masks(seed: int = 0) -> LearnedMasks:
    made, generator = LearnedMasks(CONFIG, SHAPE, 10), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for alpha in made.log_alphas.values():
            alpha.copy_(3 * torch.randn(alpha.shape, generator=generator))
        for pair in made.multipliers.values():
            pair.copy_(torch.randn(2, generator=generator))
    return made


def test_settled_masks_have_the_target_shape():
    torch.manual_seed(0)
    small = sliced_model(Llama(CONFIG), masks().settled())
    config = small.config
    assert (config.num_layers, config.num_heads, config.d_ff, config.d_model) == (2, 4, 10, 15)
    assert config.num_kv_heads == 2


def test_the_penalty_is_four_lagrangians_with_ramped_targets():
    made = masks()
    shares = {"layers": 1 / 3, "heads": 1 / 3, "units": 6 / 16, "width": 9 / 24}
    assert made.targets(4) == pytest.approx({name: 0.4 * share for name, share in shares.items()})
    total = sum(
        lagrangian(1 - open_probability(made.log_alphas[name]).mean(-1), shares[name], made.multipliers[name])
        for name in DIMENSIONS
    )
    torch.testing.assert_close(made.penalty(99), total)


def test_samples_fit_the_model_and_are_clamped_back():
    made = masks()
    drawn = made.sample(torch.Generator().manual_seed(0))
    assert drawn.heads.shape == (3, 6)
    with torch.no_grad():
        made.log_alphas["units"].fill_(50)
    made.clamp_()
    assert made.log_alphas["units"].max().item() == pytest.approx(4.605, abs=1e-3)


def test_sources_that_lag_are_drawn_more():
    weights, losses = torch.tensor([0.5, 0.25, 0.25]), torch.tensor([3.0, 3.0, 2.0])
    moved = reweighted(weights, losses, torch.tensor([3.0, 2.0, 2.5]), floor=0.0)
    want = weights * (losses - torch.tensor([3.0, 2.0, 2.5])).exp()
    torch.testing.assert_close(moved, want / want.sum())
    assert reweighted(torch.tensor([1.0, 0.0]), torch.zeros(2), torch.zeros(2), 0.1)[1].item() == pytest.approx(0.05)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="multiple of 2 heads"):
        LearnedMasks(CONFIG, Shape(2, 3, 10, 15), 10)
    with pytest.raises(ValueError, match="must be part of"):
        LearnedMasks(CONFIG, Shape(4, 4, 10, 15), 10)
    with pytest.raises(ValueError, match="sum to 1"):
        reweighted(torch.ones(2), torch.zeros(2), torch.zeros(2))
    with pytest.raises(ValueError, match="floor 2"):
        reweighted(torch.tensor([0.5, 0.5]), torch.zeros(2), torch.zeros(2), 2.0)


def test_sources_of_modules():
    assert [source_of(name) for name in ("json/decoder.py", "ast.py", "unittest/mock.py")] == list(SOURCES)


def test_the_committed_model_has_the_target_shape_and_beats_the_same_shape_from_scratch():
    config, target = load_sheared().config, load_pair().target.config
    assert Shape(config.num_layers, config.num_heads, config.d_ff, config.d_model) == TARGET_SHAPE
    assert config.vocab_size == target.vocab_size
    log = json.loads((SHEARED_FOLDER / "log.json").read_text())
    assert log["continue"][-1]["held_out_loss"] < log["scratch"][-1]["held_out_loss"]
    assert log["scratch"][-1]["step"] == len(log["trace"]) + log["continue"][-1]["step"]
