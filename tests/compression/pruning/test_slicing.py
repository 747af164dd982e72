"""A model that was cut gives the logits of the one with masks, in float64 to 1e-10."""

import pytest
import torch
from torch.func import functional_call

from nimblelm.compression.pruning.slicing import (
    StructuredMasks,
    masked_gains,
    masked_model,
    masked_weights,
    sliced_model,
)
from nimblelm.language.llama import Llama, LlamaConfig
from nimblelm.nn.norms import RMSNorm

CONFIGS = {
    "grouped heads": LlamaConfig(50, 48, num_layers=4, num_heads=6, num_kv_heads=2, d_ff=40, max_seq_len=32),
    "one key-value head each": LlamaConfig(50, 48, num_layers=3, num_heads=4, num_kv_heads=4, d_ff=33, d_head=6),
    "untied": LlamaConfig(50, 40, num_layers=3, num_heads=6, num_kv_heads=3, d_ff=24, d_head=8, tie_embeddings=False),
}
KEPT_HEADS = {  # by layer; every layer keeps as many
    "grouped heads": [[0, 2, 3, 5], [1, 2, 3, 4], [0, 1, 4, 5], [0, 1, 3, 4]],
    "one key-value head each": [[0, 3], [1, 2], [2, 3]],
    "untied": [[0, 1, 4, 5], [2, 3, 4, 5], [0, 1, 2, 3]],  # a key-value head goes with both of its queries
}
TOKENS = torch.randint(50, (2, 17), generator=torch.Generator().manual_seed(3))


def perturbed(config: LlamaConfig) -> Llama:
    torch.manual_seed(0)
    model = Llama(config).double()
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.1 * torch.randn_like(weight)
    return model


def masks_of(name: str) -> StructuredMasks:
    """Random masks between 0.5 and 1.5 where something is kept."""
    config, generator = CONFIGS[name], torch.Generator().manual_seed(1)

    def some(shape: tuple[int, int], keep: int) -> torch.Tensor:
        order = torch.rand(shape, generator=generator).argsort(-1)
        return (order < keep) * (0.5 + torch.rand(shape, generator=generator))

    heads = torch.zeros(config.num_layers, config.num_heads)
    for row, kept in zip(heads, KEPT_HEADS[name], strict=True):
        row[kept] = 0.5 + torch.rand(len(kept), generator=generator)
    layers = some((1, config.num_layers), config.num_layers - 1)[0]
    return StructuredMasks(layers, heads, some((config.num_layers, config.d_ff), 17), some((1, config.d_model), 29)[0])


@pytest.mark.parametrize("name", CONFIGS)
def test_slicing_equals_masking(name):
    model, masks = perturbed(CONFIGS[name]), masks_of(name)
    small = sliced_model(model, masks)
    assert (small.config.d_model, small.config.d_ff, small.config.num_layers) == (29, 17, CONFIGS[name].num_layers - 1)
    assert small.config.num_heads == len(KEPT_HEADS[name][0])
    assert small.config.head_dim == CONFIGS[name].head_dim
    with torch.no_grad():
        torch.testing.assert_close(small(TOKENS), masked_model(model, masks)(TOKENS), atol=1e-10, rtol=0)
        assert (small(TOKENS) - model(TOKENS)).abs().max() > 0.1


def test_masks_of_one_change_nothing():
    model = perturbed(CONFIGS["grouped heads"])
    with torch.no_grad():
        torch.testing.assert_close(sliced_model(model, StructuredMasks.all_open(model))(TOKENS), model(TOKENS))


def test_a_norm_divides_by_the_features_that_are_left():
    """The trap: zeros in the residual stream lower the mean square that a norm divides by."""
    model, masks = perturbed(CONFIGS["grouped heads"]), masks_of("grouped heads")
    with torch.no_grad():
        naive = functional_call(model, masked_weights(model, masks), (TOKENS,))
        gains = functional_call(model, masked_weights(model, masks) | masked_gains(model, masks), (TOKENS,))
        cut = sliced_model(model, masks)(TOKENS)
    assert (naive - cut).abs().max() > 0.1
    torch.testing.assert_close(gains, cut, atol=1e-2, rtol=0)  # but for the epsilon, which masked_model sets too


def test_gradients_reach_masks_and_weights():
    model, masks = perturbed(CONFIGS["grouped heads"]), StructuredMasks.all_open(perturbed(CONFIGS["grouped heads"]))
    leaves = [mask.requires_grad_(True) for mask in vars(masks).values()]
    functional_call(model, masked_weights(model, masks), (TOKENS,)).square().sum().backward()
    assert all(leaf.grad is not None and (leaf.grad != 0).all() for leaf in leaves)
    assert all(weight.grad is not None for weight in model.parameters())


def test_the_model_stays_as_it_is():
    model, masks = perturbed(CONFIGS["untied"]), masks_of("untied")
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    masked, small = masked_model(model, masks), sliced_model(model, masks)
    with torch.no_grad():
        for weight in (*masked.parameters(), *small.parameters()):
            weight.zero_()
    assert all(torch.equal(before[name], weight) for name, weight in model.state_dict().items())
    assert all(module.eps == 1e-5 for module in model.modules() if isinstance(module, RMSNorm))


def test_what_has_no_common_shape_is_refused():
    model, masks = perturbed(CONFIGS["grouped heads"]), StructuredMasks.all_open(perturbed(CONFIGS["grouped heads"]))
    masks.heads[0, 0] = 0
    with pytest.raises(ValueError, match=r"\[\[2, 3\], \[3, 3\]"):
        sliced_model(model, masks)
    masks.heads[0, 0], masks.units[1, 3] = 1, 0
    with pytest.raises(ValueError, match=r"\[40, 39, 40, 40\] units"):
        sliced_model(model, masks)
    masks.width[:] = 0
    with pytest.raises(ValueError, match="no layer, or no feature"):
        masked_weights(model, masks)
    with pytest.raises(ValueError, match=r"mask of layers is \(3,\), the model's \(4,\)"):
        masked_model(model, masks_of("one key-value head each"))
