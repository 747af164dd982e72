"""The encoder block: the hidden checks."""

import torch

from autograder.checks import check, expect_close, expect_parts, expect_tensor, fail, integer
from autograder.tasks.a08_vision_transformer.oracles import block, block_weights, normal, small


def expect_block(call, rng, batch, length, is_token=None):
    heads, width, hidden = small(rng)
    z, weights = normal(rng, batch, length, width), block_weights(rng, width, hidden, heads)
    is_token = torch.ones(batch, length, dtype=torch.bool) if is_token is None else is_token
    out, attention = expect_parts(
        call("encoder_block", z, weights, heads, is_token), "encoder_block", "out", "attention"
    )
    out = expect_tensor(out, "the output", (batch, length, width), "float", dims="B T D")
    attention = expect_tensor(attention, "the attention", (batch, heads, length, length), "float", dims="B H T T")
    for name, value in (("output", out), ("attention", attention)):
        if not bool(value.isfinite().all()):
            fail(f"the {name} holds NaN or infinity")
    for b, there in enumerate(is_token):
        want, shares = block(z[b, there], weights, heads)
        expect_close(attention[b][:, there][:, :, there], shares, f"the attention of image {b}", 1e-5, 1e-3)
        expect_close(attention[b][:, :, ~there], torch.zeros_like(attention[b][:, :, ~there]), "weights of padding")
        expect_close(out[b, there], want, f"the output of image {b}", 4e-3, 4e-3)


@check("block", points=2)
def a_block_of_images_of_one_size(call, rng):
    """No padding; two and three heads, against a block that goes token by token."""
    for batch, length in ((2, 5), (1, 1), (3, 4)):
        expect_block(call, rng, batch, length)


@check("block", points=2)
def padding_is_seen_by_nobody(call, rng):
    """Padding behind, before and between the tokens."""
    rows = [[1, 1, 1, 0, 0], [0, 1, 0, 1, 1], [0, 0, 1, 0, 0], [1, 1, 1, 1, 1]]
    expect_block(call, rng, 4, 5, torch.tensor(rows, dtype=torch.bool))


@check("block", points=1)
def what_stands_in_padding_changes_nothing(call, rng):
    """Huge numbers in padding leave the tokens as they are."""
    heads, width, hidden = small(rng)
    z, weights = normal(rng, 1, 6, width), block_weights(rng, width, hidden, heads)
    is_token = torch.tensor([[True, False, True, True, False, True]])
    first = call("encoder_block", z, weights, heads, is_token)[0]
    changed = torch.where(is_token[..., None], z, 1e3 * normal(rng, 1, 6, width))
    second = call("encoder_block", changed, weights, heads, is_token)[0]
    expect_close(second[is_token], first[is_token], "the tokens when padding changes", 1e-4, 1e-3)
    want, _ = block(z[is_token], weights, heads)
    expect_close(second[is_token], want, "the tokens beside huge padding", 4e-3, 4e-3)


@check("block", points=1)
def details_are_those_of_the_text(call, rng):
    """The exact GELU, and an epsilon of 1e-6 where tokens are nearly 0."""
    heads, width = 1, integer(rng, 4, 6)
    weights = block_weights(rng, width, 7, heads)
    z = 1e-3 * normal(rng, 2, 3, width)  # around 0: beside a large mean float32 itself would lose the third digit
    weights["out"], weights["out_bias"] = 1e-3 * weights["out"], 0 * weights["out_bias"]
    out = call("encoder_block", z, weights, heads, torch.ones(2, 3, dtype=torch.bool))[0]
    for b in range(2):
        want, _ = block(z[b], weights, heads)
        expect_close(out[b], want, f"the output of image {b}, whose tokens are nearly 0", 1e-3, 1e-3, "epsilon is 1e-6")
    weights["up"] = weights["up"] * 0
    weights["up_bias"] = torch.full_like(weights["up_bias"], -2.3)
    weights["down"] = weights["down"] * 30
    out = call("encoder_block", z, weights, heads, torch.ones(2, 3, dtype=torch.bool))[0]
    want, _ = block(z[0], weights, heads)
    expect_close(out[0], want, "the output where GELU's argument is -2.3", 1e-3, 1e-4)
