"""Rollout against the sum over all paths; gradient rollout against finite differences of the logits."""

import itertools

import pytest
import torch

from nimblelm.vision.rollout import attention_rollout, class_relevance, gradient_rollout
from nimblelm.vision.vit import ViT, ViTConfig


def maps_of(layers=3, batch=2, heads=2, tokens=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shape = (batch, heads, tokens, tokens)
    return [torch.randn(shape, generator=generator, dtype=torch.float64).mul(2).softmax(-1) for _ in range(layers)]


@pytest.mark.parametrize("residual", [0.0, 0.3, 0.5, 1.0])
def test_rollout_is_the_weight_of_all_paths_from_the_last_layer_to_the_input(residual):
    maps = maps_of()
    rolled = attention_rollout(maps, residual)

    def step(layer, b, above, below):
        return (residual if above == below else 0.0) + (1 - residual) * maps[layer][b, :, above, below].mean()

    for b, top, bottom in itertools.product(range(2), range(4), range(4)):
        want = sum(
            step(2, b, top, middle) * step(1, b, middle, low) * step(0, b, low, bottom)
            for middle, low in itertools.product(range(4), range(4))
        )
        torch.testing.assert_close(rolled[b, top, bottom], want)
    torch.testing.assert_close(rolled.sum(-1), torch.ones(2, 4, dtype=torch.float64))


def test_the_first_layer_is_applied_first():
    """Token 1 reads token 2 in the first layer, token 0 reads token 1 in the second: so token 0 has some of token 2."""
    first, second = torch.eye(3).repeat(2, 1, 1, 1)[:, None].unbind()
    first[0, 0, 1], second[0, 0, 0] = torch.tensor([0.0, 0.0, 1.0]), torch.tensor([0.0, 1.0, 0.0])
    assert attention_rollout([first, second])[0, 0, 2] == 0.25
    assert attention_rollout([second, first])[0, 0, 2] == 0


def test_gradient_rollout_by_paths():
    """Every path takes or skips each layer: the identity plus the products of all sub-sequences of layers."""
    maps = maps_of()
    gradients = [torch.randn(one.shape, generator=torch.Generator().manual_seed(9)).double() for one in maps]
    weighted = [(m * g).clamp(min=0).mean(1) for m, g in zip(maps, gradients, strict=True)]
    want = torch.eye(4, dtype=torch.float64).expand(2, 4, 4)
    for count in (1, 2, 3):
        for chosen in itertools.combinations(weighted, count):
            product = chosen[0]
            for layer in chosen[1:]:
                product = layer @ product
            want = want + product
    torch.testing.assert_close(gradient_rollout(maps, gradients), want)


def small_vit():
    torch.manual_seed(0)
    model = ViT(ViTConfig(8, 4, d_model=12, num_layers=2, num_heads=3, d_ff=10, num_classes=5)).double().eval()
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.5)
    return model


def test_class_relevance_uses_the_gradient_of_that_classs_logit_by_each_attention_weight():
    """The gradient is taken here by moving one weight of one map, nothing else of the library's."""
    model, images = small_vit(), torch.randn(2, 3, 8, 8, dtype=torch.float64)
    classes = [3, 1]

    def logits(moved=None, by=0.0):
        maps, count = [], 0

        def attend(q, k, v):
            nonlocal count
            weights = torch.einsum("bihd,bjhd->bhij", q, k).div(q.shape[-1] ** 0.5).softmax(-1)
            maps.append(weights.clone())
            if moved is not None and moved[0] == count:
                weights[moved[1:]] += by
            count += 1
            return torch.einsum("bhij,bjhd->bihd", weights, v)

        with torch.no_grad():
            return model(images, attend), maps

    _, maps = logits()
    gradients = [torch.zeros_like(one) for one in maps]
    for layer, gradient in enumerate(gradients):
        for at in itertools.product(*map(range, gradient.shape)):
            up, down = (logits((layer, *at), by)[0][at[0], classes[at[0]]] for by in (1e-5, -1e-5))
            gradient[at] = (up - down) / 2e-5
    relevance = torch.eye(5, dtype=torch.float64).expand(2, 5, 5)
    for one, gradient in zip(maps, gradients, strict=True):
        relevance = relevance + torch.einsum("bhij,bjk->bik", (one * gradient).clamp(min=0) / 3, relevance)
    got = class_relevance(model, images, classes)
    torch.testing.assert_close(got, relevance[:, 0, 1:], atol=1e-7, rtol=1e-5)
    assert not torch.allclose(got, class_relevance(model, images, [0, 0]), rtol=1e-2)
    assert all(weight.grad is None for weight in model.parameters())


def test_it_works_where_gradients_are_off():
    with torch.no_grad():
        assert class_relevance(small_vit().requires_grad_(False), torch.randn(1, 3, 8, 8).double(), [2]).shape == (1, 4)


def test_what_does_not_fit_is_refused():
    maps = maps_of()
    with pytest.raises(ValueError, match="one or more"):
        attention_rollout([])
    with pytest.raises(ValueError, match="all be of one"):
        attention_rollout([maps[0], maps[1][:, :, :2]])
    with pytest.raises(ValueError, match=r"residual 1\.5"):
        attention_rollout(maps, 1.5)
    with pytest.raises(ValueError, match="3 maps and 2 gradients"):
        gradient_rollout(maps, maps[:2])
    with pytest.raises(ValueError, match=r"\[5\]"):
        class_relevance(small_vit(), torch.zeros(1, 3, 8, 8).double(), [5])
    with pytest.raises(ValueError, match="must be 1"):
        class_relevance(small_vit(), torch.zeros(1, 3, 8, 8).double(), [1, 2])
