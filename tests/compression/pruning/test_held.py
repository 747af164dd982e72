"""Masks survive momentum; a gradient that is set to 0 alone does not hold them."""

import pytest
import torch
from torch import nn

from nimblelm.compression.pruning.held import apply_masks, hold_masks, share_of_zeros
from nimblelm.compression.pruning.magnitude import largest

OPTIMIZERS = {
    "adam": lambda p: torch.optim.Adam(p, lr=0.1),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.1),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
}


def trained(optimizer_of, hold: bool) -> tuple[nn.Linear, torch.Tensor, torch.optim.Optimizer]:
    """Five steps dense, then pruned to half and five more, with gradients of pruned weights set to 0."""
    torch.manual_seed(0)
    layer, x = nn.Linear(6, 4), torch.randn(32, 6)
    optimizer, mask = optimizer_of(layer.parameters()), torch.ones(4, 6, dtype=torch.bool)
    for step in range(10):
        if step == 5:
            mask = largest(layer.weight.detach().abs(), 12)
            if hold:
                hold_masks(layer, optimizer, {"weight": mask})
            else:
                apply_masks(layer, {"weight": mask})
        optimizer.zero_grad()
        layer(x).square().mean().backward()
        layer.weight.grad *= mask
        optimizer.step()
    return layer, mask, optimizer


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_held_weights_stay_zero_and_are_forgotten(name):
    layer, mask, optimizer = trained(OPTIMIZERS[name], hold=True)
    assert torch.equal(layer.weight != 0, mask)
    kept = [x for x in optimizer.state[layer.weight].values() if torch.is_tensor(x) and x.shape == mask.shape]
    assert kept
    assert all((x[~mask] == 0).all() for x in kept)
    assert (layer.bias != 0).all()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_without_being_held_momentum_revives_them(name):
    layer, mask, _ = trained(OPTIMIZERS[name], hold=False)
    assert (layer.weight[~mask] != 0).all()


def test_the_handle_lets_go():
    layer = nn.Linear(3, 2)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.1)
    hold_masks(layer, optimizer, {"weight": torch.zeros(2, 3, dtype=torch.bool)}).remove()
    assert share_of_zeros([layer.weight]) == 1
    layer(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    assert share_of_zeros([layer.weight]) == 0


def test_bad_masks_are_refused():
    layer = nn.Linear(3, 2)
    with pytest.raises(ValueError, match="no such parameter"):
        apply_masks(layer, {"weights": torch.ones(2, 3, dtype=torch.bool)})
    with pytest.raises(ValueError, match="bool is needed"):
        apply_masks(layer, {"weight": torch.ones(2, 3)})
    with pytest.raises(ValueError, match=r"does not train \['weight'\]"):
        hold_masks(layer, torch.optim.Adam([layer.bias]), {"weight": torch.ones(2, 3, dtype=torch.bool)})
    with pytest.raises(ValueError, match="no weights"):
        share_of_zeros([])
