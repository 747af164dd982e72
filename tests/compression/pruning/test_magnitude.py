"""Magnitude pruning: against torch.nn.utils.prune, and exact counts where scores tie."""

import itertools

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from nimblelm.compression.pruning.magnitude import cubic_sparsity, global_masks, kept_of, largest, layer_masks


def weights(seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shapes = {"wide": (7, 31), "tall": (40, 9), "small": (3, 3)}
    scales = {"wide": 1.0, "tall": 0.3, "small": 3.0}
    return {name: scales[name] * torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def layers(weights: dict[str, torch.Tensor]) -> dict[str, nn.Linear]:
    found = {}
    for name, weight in weights.items():
        found[name] = nn.Linear(weight.shape[1], weight.shape[0])
        found[name].weight.data = weight.clone()
    return found


@pytest.mark.parametrize("sparsity", [0.0, 0.1, 0.33, 0.5, 0.97, 1.0])
def test_layer_masks_are_those_of_torch(sparsity):
    masks = layer_masks(weights(), sparsity)
    for name, layer in layers(weights()).items():
        prune.l1_unstructured(layer, "weight", amount=sparsity)
        assert torch.equal(masks[name], layer.weight_mask.bool())


@pytest.mark.parametrize("sparsity", [0.0, 0.2, 0.5, 0.9])
def test_global_masks_are_those_of_torch(sparsity):
    masks, modules = global_masks(weights(), sparsity), layers(weights())
    pairs = [(layer, "weight") for layer in modules.values()]
    prune.global_unstructured(pairs, prune.L1Unstructured, amount=sparsity)
    for name, layer in modules.items():
        assert torch.equal(masks[name], layer.weight_mask.bool() if sparsity else torch.ones_like(layer.weight).bool())
    shares = [mask.float().mean().item() for mask in masks.values()]
    assert sparsity == 0 or max(shares) - min(shares) > 0.2  # not the same share of each


@pytest.mark.parametrize("keep", range(8))
def test_ties_are_broken_by_order_and_the_count_is_exact(keep):
    scores = torch.tensor([[1.0, 2.0, 2.0, 0.0], [2.0, 0.0, 0.0, 0.0]])
    order = [(0, 1), (0, 2), (1, 0), (0, 0), (0, 3), (1, 1), (1, 2), (1, 3)]
    mask = largest(scores, keep)
    assert {tuple(place) for place in mask.nonzero().tolist()} == set(order[:keep])


def test_many_equal_scores():
    """Where a sort that isn't stable would show."""
    mask = largest(torch.ones(5000), 1234)
    assert mask[:1234].all()
    assert not mask[1234:].any()


def test_iterative_sparsity_rises_from_nothing_to_the_end():
    values = [cubic_sparsity(0.9, step, 10) for step in range(11)]
    assert values[0] == 0
    assert values[-1] == 0.9
    gains = [b - a for a, b in itertools.pairwise(values)]
    assert gains == sorted(gains, reverse=True)
    assert values[5] == pytest.approx(0.9 - 0.9 / 8)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match=r"sparsity 1\.2 must be between 0 and 1"):
        kept_of(10, 1.2)
    with pytest.raises(ValueError, match="keep 5 must be between 0 and 4"):
        largest(torch.ones(4), 5)
    with pytest.raises(ValueError, match="nan"):
        largest(torch.tensor([1.0, float("nan")]), 1)
    with pytest.raises(ValueError, match="no weights"):
        global_masks({}, 0.5)
    with pytest.raises(ValueError, match="step 4 between 0 and 3"):
        cubic_sparsity(0.5, 4, 3)


@pytest.mark.parametrize("masks", [layer_masks, global_masks])
def test_whole_numbers_have_no_magnitudes_to_rank(masks):
    """The magnitude of int8's -128 is -128."""
    with pytest.raises(ValueError, match="floating-point"):
        masks({"w": torch.tensor([[-128, 3]], dtype=torch.int8)}, 0.5)
