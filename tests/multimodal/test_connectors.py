"""Projectors, Molmo's pooling and mask, FROMAGe's heads and loss: against loops and closed forms."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from nimblelm.multimodal.fromage import RetrievalHeads, fromage_loss
from nimblelm.multimodal.molmo import AttentionPooling, annotations_mask
from nimblelm.multimodal.projectors import LinearProjector, MLPProjector, NormedProjector, merge_windows
from nimblelm.nn.attend import masked, prefix_mask


def test_windows_hold_the_patches_that_lie_beside_each_other():
    features = torch.arange(24.0).view(1, 24, 1)
    windows = merge_windows(features, (4, 6), 2)
    assert windows.shape == (1, 6, 4, 1)
    assert windows[0, 1, :, 0].tolist() == [2, 3, 8, 9]
    assert windows[0, 3, :, 0].tolist() == [12, 13, 18, 19]
    for grid, window, message in (
        ((4, 5), 2, "does not hold 24"),
        ((4, 6), 4, "not divisible"),
        ((4, 6), 0, "not div"),
    ):
        with pytest.raises(ValueError, match=message):
            merge_windows(features, grid, window)


def test_projectors_are_their_formulas():
    torch.manual_seed(0)
    z = torch.randn(2, 3, 5)
    linear, mlp, normed = LinearProjector(5, 4), MLPProjector(5, 4), NormedProjector(5, 4)
    torch.testing.assert_close(linear(z), z @ linear.projection.weight.T + linear.projection.bias)
    hidden = z @ mlp.up_proj.weight.T + mlp.up_proj.bias
    hidden = hidden * (1 + torch.erf(hidden / 2**0.5)) / 2
    torch.testing.assert_close(mlp(z), hidden @ mlp.down_proj.weight.T + mlp.down_proj.bias)
    out = normed(z)
    torch.testing.assert_close(out.mean(2), torch.zeros(2, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(out.var(2, correction=0), torch.ones(2, 3), atol=1e-3, rtol=0)
    hidden = F.layer_norm(normed.up_proj(z), (4,)) * normed.up_norm.weight + normed.up_norm.bias
    torch.testing.assert_close(out, F.layer_norm(normed.down_proj(F.gelu(hidden)), (4,)))


def test_pooling_asks_with_the_mean_of_its_window():
    torch.manual_seed(0)
    pooling = AttentionPooling(6, 5, num_heads=2, d_ff=7).double()
    features = torch.randn(2, 16, 6, dtype=torch.float64)
    got, attention = pooling(features, (4, 4)), pooling.attention
    for b in range(2):
        for number, patches in enumerate(([0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15])):
            window = features[b, patches]
            q, k, v = attention.q_proj(window.mean(0)), attention.k_proj(window), attention.v_proj(window)
            heads = [(k[:, h : h + 3] @ q[h : h + 3] / 3**0.5).softmax(0) @ v[:, h : h + 3] for h in (0, 3)]
            hidden = attention.out_proj(torch.cat(heads))
            gate, up = pooling.mlp.gate_up_proj(hidden).chunk(2)
            want = pooling.projection(pooling.mlp.down_proj(F.silu(gate) * up))
            torch.testing.assert_close(got[b, number], want, atol=1e-10, rtol=1e-10)
    with pytest.raises(ValueError, match="window of 0"):
        AttentionPooling(6, 5, 2, 7, window=0)


def test_annotations_of_one_image_do_not_see_each_other():
    annotation = torch.tensor([[0, 0, 1, 1, 2, -1]])
    want = torch.tensor(
        [
            [1, 0, 0, 0, 0, 0],
            [1, 1, 0, 0, 0, 0],
            [1, 1, 1, 0, 0, 0],
            [1, 1, 1, 1, 0, 0],
            [1, 1, 0, 0, 1, 0],
            [1, 1, 0, 0, 0, 1],
        ]
    ).bool()
    assert torch.equal(annotations_mask(annotation)[0, 0], want)


def test_a_prefix_is_read_as_a_whole():
    mask = prefix_mask(torch.tensor([0, 3, 4]), 4)
    assert torch.equal(mask[0, 0], torch.ones(4, 4, dtype=torch.bool).tril())
    want = torch.tensor([[1, 1, 1, 0], [1, 1, 1, 0], [1, 1, 1, 0], [1, 1, 1, 1]]).bool()
    assert torch.equal(mask[1, 0], want)
    assert mask[2].all()
    q = torch.randn(3, 4, 1, 2)
    out = masked(mask)(q, q, q)
    torch.testing.assert_close(out[2, 0], F.softmax(q[2, 0] @ q[2, :, 0].T / 2**0.5, -1) @ q[2, :, 0])
    for prefix in (torch.tensor([-1]), torch.tensor([5])):
        with pytest.raises(ValueError, match="not between 0 and the 4 tokens"):
            prefix_mask(prefix, 4)
    assert torch.equal(prefix_mask(torch.tensor([100], dtype=torch.int8), 300)[0, 0, 0], torch.arange(300) < 100)


def test_prefix_mask_is_the_twins_of_paligemma():
    from transformers import PaliGemmaConfig, PaliGemmaForConditionalGeneration

    torch.manual_seed(0)
    vision = dict(model_type="siglip_vision_model", hidden_size=12, intermediate_size=16, num_hidden_layers=1)
    vision |= dict(num_attention_heads=2, image_size=8, patch_size=4, projection_dim=16)
    text = dict(model_type="gemma", vocab_size=40, hidden_size=16, intermediate_size=24, num_hidden_layers=2)
    text |= dict(num_attention_heads=2, num_key_value_heads=1, head_dim=8, pad_token_id=0)
    config = PaliGemmaConfig(vision_config=vision, text_config=text, image_token_index=39, projection_dim=16)
    twin: Any = PaliGemmaForConditionalGeneration(config).eval()
    ids = torch.tensor([[39, 39, 39, 39, 5, 6, 7, 8, 9]])
    types = torch.tensor([[0, 0, 0, 0, 0, 0, 0, 1, 1]])
    pixels = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    reach = []
    with torch.no_grad():
        for changed in range(4, 9):
            other = ids.clone()
            other[0, changed] = 11
            kwargs = dict(pixel_values=pixels, token_type_ids=types, labels=ids, attention_mask=torch.ones_like(ids))
            before, after = (twin(input_ids=i, **kwargs).logits[0].float() for i in (ids, other))
            reach.append(((before - after).abs().amax(1) > 1e-6).tolist())
    seen = prefix_mask(torch.tensor([7]), 9)[0, 0]
    assert torch.equal(torch.tensor(reach).T, seen[:, 4:])


def test_retrieval_compares_states_at_ret_with_pictures():
    torch.manual_seed(0)
    heads = RetrievalHeads(6, 4, 3)
    states, images = torch.randn(5, 6), torch.randn(5, 4)
    texts, found = heads(states, images)
    torch.testing.assert_close(texts.norm(dim=1), torch.ones(5))
    torch.testing.assert_close(found.norm(dim=1), torch.ones(5))
    logits = 9 * texts @ found.T
    own = torch.arange(5)
    want = 1.5 + 0.25 + (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2
    torch.testing.assert_close(
        fromage_loss(torch.tensor(1.5), torch.tensor(0.25), texts, found, torch.tensor(9.0)), want
    )
