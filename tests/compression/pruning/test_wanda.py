"""Wanda: its scores by hand, its norms over batches, the whole model block by block."""

import copy

import pytest
import torch

from nimblelm.compression.pruning.semi_structured import nm_mask
from nimblelm.compression.pruning.wanda import InputNorms, row_masks, wanda_model, wanda_scores
from nimblelm.compression.quantization.simulated import projections
from tests.compression.quantization.test_packed import model


def test_norms_do_not_depend_on_how_batches_are_cut():
    x = torch.randn(6, 5, 7, generator=torch.Generator().manual_seed(0)) * torch.arange(1.0, 8.0)
    norms = InputNorms(7)
    for part in x.split([1, 3, 2]):
        norms.add(part)
    torch.testing.assert_close(norms.norms.float(), x.flatten(0, 1).norm(dim=0) / 30**0.5)


def test_a_large_input_saves_a_small_weight():
    weight, norms = torch.tensor([[1.0, -0.2, 0.5], [0.1, 0.3, -0.2]]), torch.tensor([0.1, 10.0, 1.0])
    torch.testing.assert_close(wanda_scores(weight, norms).float(), torch.tensor([[0.1, 2.0, 0.5], [0.01, 3.0, 0.2]]))
    assert row_masks(wanda_scores(weight, norms), 1 / 3).tolist() == [[False, True, True]] * 2


def test_each_output_loses_as_much():
    """One row of large scores keeps no more than the others."""
    scores = torch.rand(4, 10, generator=torch.Generator().manual_seed(0)) * torch.tensor([[100.0], [1], [1], [1]])
    assert row_masks(scores, 0.3).sum(1).tolist() == [7, 7, 7, 7]


@pytest.mark.parametrize("pattern", [lambda scores: row_masks(scores, 0.5), nm_mask])
def test_later_blocks_see_what_the_pruned_ones_give(pattern):
    """Block by block by hand, with hooks on the whole model, pruned so far."""
    full, tokens = model(), torch.randint(50, (3, 9), generator=torch.Generator().manual_seed(1))
    by_hand = copy.deepcopy(full)
    for index in range(len(by_hand.blocks)):
        seen, hooks = {}, []
        layers = [(n, layer) for n, layer in projections(by_hand) if n.startswith(f"blocks.{index}.")]
        for name, layer in layers:
            hooks.append(
                layer.register_forward_pre_hook(lambda m, inputs, name=name, seen=seen: seen.update({name: inputs[0]}))
            )
        with torch.no_grad():
            by_hand(tokens)
            for name, layer in layers:
                layer.weight *= pattern(layer.weight.abs() * seen[name].flatten(0, 1).norm(dim=0))
        for hook in hooks:
            hook.remove()
    pruned = wanda_model(full, tokens, pattern)
    for (name, got), (_, want) in zip(projections(pruned), projections(by_hand), strict=True):
        assert torch.equal(got.weight, want.weight), name
        assert (got.weight == 0).float().mean() == 0.5
    assert not any((layer.weight == 0).any() for _, layer in projections(full))  # the model stays as it is


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="there were no inputs"):
        InputNorms(3).norms  # noqa: B018
    with pytest.raises(ValueError, match="finite and 3 wide"):
        InputNorms(3).add(torch.ones(2, 4))
    with pytest.raises(ValueError, match="0 or more"):
        wanda_scores(torch.ones(2, 3), torch.tensor([1.0, -1.0, 1.0]))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_scores_beyond_half_precision_still_rank(dtype):
    """Products that overflow are all infinite, and products that vanish all 0: then the earlier would stay."""
    for weights, norms in (((900.0, 1000.0), (200.0, 200.0)), ((1e-4, 3e-4), (1e-6, 1e-6))):
        scores = wanda_scores(torch.tensor([weights], dtype=dtype), torch.tensor(norms))
        assert row_masks(scores, 0.5).tolist() == [[False, True]]
