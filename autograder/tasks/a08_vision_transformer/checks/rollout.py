"""Rollout that drops weak links: the hidden checks."""

import itertools

import torch

from autograder.checks import check, expect_close, expect_tensor, integer
from autograder.tasks.a08_vision_transformer.oracles import normal


def maps_of(rng, layers, heads, length):
    return [(2 * normal(rng, heads, length, length)).softmax(-1) for _ in range(layers)]


def link(layer, discard):
    """One layer as a mixture of rows, entry by entry."""
    heads, length, _ = layer.shape
    found = torch.zeros(length, length, dtype=torch.float64)
    for i in range(length):
        row = [max(float(layer[h, i, j]) for h in range(heads)) for j in range(length)]
        weak = sorted(range(1, length), key=row.__getitem__)[: int(discard * length)]
        for j in range(length):
            found[i, j] = (0.0 if j in weak else row[j]) + (i == j)
        found[i] /= found[i].sum()
    return found


def expect_map(call, rng, layers, heads, length, discard):
    maps = maps_of(rng, layers, heads, length)
    links = [link(layer, discard) for layer in maps]
    want = torch.zeros(length, dtype=torch.float64)
    for path in itertools.product(range(length), repeat=layers):  # from the class token of the last layer down
        share, above = 1.0, 0
        for one, below in zip(reversed(links), path, strict=True):
            share, above = share * float(one[above, below]), below
        want[above] += share
    got = expect_tensor(call("class_map", maps, discard), "the map", shape=(length - 1,), dtype="float")
    what = f"the map of {layers} layers, {heads} heads and {length} tokens, discard {discard}"
    expect_close(got, want[1:] / want[1:].sum(), what, 1e-6, 1e-4)


@check("rollout", points=1)
def nothing_is_dropped(call, rng):
    """discard 0: the sum over all paths through the layers."""
    for layers, heads, length in ((1, 2, 4), (2, 3, 5), (3, 1, 4)):
        expect_map(call, rng, layers, heads, length, 0.0)


@check("rollout", points=2)
def the_weakest_of_each_row_are_dropped(call, rng):
    """Several shares, several sizes."""
    for layers, heads, length, discard in ((1, 2, 6, 0.5), (2, 2, 7, 0.3), (3, 3, 5, 0.45), (2, 1, 8, 0.7)):
        expect_map(call, rng, layers, heads, length, discard)


@check("rollout", points=1)
def the_class_column_stays(call, rng):
    """Every row's weakest entry is that of the class token."""
    length = integer(rng, 5, 7)
    maps = maps_of(rng, 2, 2, length)
    for layer in maps:
        layer[..., 0] = 1e-3
    product = torch.eye(length, dtype=torch.float64)
    for layer in maps:
        product = link(layer, 0.4) @ product
    got = expect_tensor(call("class_map", maps, 0.4), "the map", shape=(length - 1,), dtype="float")
    hint = "the class token's column is never dropped"
    expect_close(got, product[0, 1:] / product[0, 1:].sum(), "the map", 1e-6, 1e-4, hint)


@check("rollout", points=1)
def the_same_map_in_every_layer(call, rng):
    """Three layers that are alike, half of each row dropped."""
    (layer,) = maps_of(rng, 1, 3, 6)
    want = link(layer, 0.5) @ link(layer, 0.5) @ link(layer, 0.5)
    got = expect_tensor(call("class_map", [layer] * 3, 0.5), "the map", shape=(5,), dtype="float")
    expect_close(got, want[0, 1:] / want[0, 1:].sum(), "the map of one layer three times", 1e-6, 1e-4)
