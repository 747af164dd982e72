"""Importance against finite differences; what stays has the shape; block influence by hand; sparse products."""

import pytest
import torch
import torch.nn.functional as F

from nimblelm.compression.pruning.magnitude import largest
from nimblelm.compression.pruning.shearing import Shape
from nimblelm.compression.pruning.slicing import StructuredMasks, masked_weights, sliced_model
from nimblelm.compression.pruning.sparse_decoding import SparseLinear, bitmap_bytes
from nimblelm.compression.pruning.structured import block_influence, importance, most_important
from nimblelm.compression.quantization.packed import packed_for_decoding
from nimblelm.inference.decoding.cache import CachedModel
from tests.compression.pruning.test_slicing import CONFIGS, TOKENS, perturbed


@pytest.mark.parametrize("part", [("layers", (1,)), ("heads", (0, 3)), ("units", (2, 5)), ("width", (7,))])
def test_importance_is_the_slope_of_the_loss(part):
    name, place = part
    model = perturbed(CONFIGS["grouped heads"])

    def loss(text: torch.Tensor, scale: float) -> float:
        masks = StructuredMasks(*(mask.double() for mask in vars(StructuredMasks.all_open(model)).values()))
        mask = getattr(masks, name)
        mask[place] = scale
        weights = masked_weights(model, masks)
        logits = torch.func.functional_call(model, weights, (text[None, :-1],))[0]
        return F.cross_entropy(logits, text[1:]).item()

    slopes = [(loss(text, 1 + 1e-5) - loss(text, 1 - 1e-5)) / 2e-5 for text in TOKENS]
    want = sum(abs(slope) for slope in slopes) / len(slopes)
    assert getattr(importance(model, TOKENS), name)[place].item() == pytest.approx(want, rel=1e-4)


def test_what_stays_has_the_shape_and_is_worth_most():
    model = perturbed(CONFIGS["grouped heads"])
    worth = importance(model, TOKENS)
    masks = most_important(worth, Shape(layers=3, heads=4, units=20, width=30), num_kv_heads=2)
    small = sliced_model(model, masks).config
    assert (small.num_layers, small.num_heads, small.d_ff, small.d_model) == (3, 4, 20, 30)
    for kept, score in zip(masks.units, worth.units, strict=True):
        assert score[kept == 1].min() >= score[kept == 0].max()
    with pytest.raises(ValueError, match="3 heads do not divide over 2"):
        most_important(worth, Shape(3, 3, 20, 30), 2)


def test_block_influence_is_one_minus_the_cosine():
    model = perturbed(CONFIGS["untied"])
    states = list(model.layers(model.embed(TOKENS)))
    by_hand = 1 - F.cosine_similarity(states[1], states[2], dim=-1).mean()
    found = block_influence(model, TOKENS)
    assert found.shape == (3,)
    assert found[1].item() == pytest.approx(by_hand.item())
    with pytest.raises(ValueError, match="texts of 1 tokens"):
        importance(model, TOKENS[:, :1])


@pytest.mark.parametrize("tokens", [1, 5])
def test_a_sparse_product_is_the_dense_one(tokens):
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(12, 30, generator=generator)
    weight *= largest(weight.abs(), 90)
    weight[4] = 0  # a row with nothing in it
    layer, x = SparseLinear(weight), torch.randn(2, tokens, 30, generator=generator)
    for rows in (x, x[:1]):
        torch.testing.assert_close(layer(rows), rows @ weight.T)
    left = int((weight != 0).sum())
    assert layer.size_bytes == 8 * left + 4 * 13
    assert bitmap_bytes(weight) == 45 + 4 * left


def test_a_sparse_model_decodes_as_the_dense_one():
    model = perturbed(CONFIGS["grouped heads"]).float().eval().requires_grad_(False)
    sparse = CachedModel(packed_for_decoding(model, SparseLinear))
    got = torch.cat([sparse(TOKENS[0, :6], 0), *(sparse(TOKENS[0, i : i + 1], i) for i in range(6, 17))])
    torch.testing.assert_close(got, model(TOKENS[:1])[0], atol=2e-3, rtol=1e-3)
