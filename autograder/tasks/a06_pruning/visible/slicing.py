"""Slicing a masked block: the checks that a student sees and runs."""

import torch

from autograder.checks import check, expect_close, expect_tensor, fail

SHAPES = {
    "gain_1": "d", "gain_2": "d", "q": "cd", "k": "cd", "v": "cd", "out": "dc",
    "up": "fd", "up_bias": "f", "down": "df", "down_bias": "d",
}  # fmt: skip


def run_block(weights, masks, head_dim, x):
    """The masked block on x (T, d), in float64."""
    w = {name: weight.double() for name, weight in weights.items()}
    width, heads, units = (masks[name].double() for name in ("width", "heads", "units"))
    x = x.double()

    def read(gain):
        return gain * x / (x.square().sum(-1, keepdim=True) / (width != 0).sum() + 1e-5).sqrt()

    q, k, v = ((read(w["gain_1"]) @ w[name].T).unflatten(-1, (-1, head_dim)) for name in "qkv")  # (T, H, D)
    scores = torch.einsum("thd,shd->hts", q, k) / head_dim**0.5
    gathered = torch.einsum("hts,shd->thd", scores.softmax(-1), v) * heads[:, None]
    x = x + width * (gathered.flatten(1) @ w["out"].T)
    hidden = torch.nn.functional.gelu(read(w["gain_2"]) @ w["up"].T + w["up_bias"]) * units
    return x + width * (hidden @ w["down"].T + w["down_bias"])


def sliced(call, weights, masks, head_dim):
    """The smaller block, with its names and shapes checked."""
    got = call("slice_block", weights, masks, head_dim)
    if not isinstance(got, dict) or got.keys() != weights.keys():
        shown = sorted(got) if isinstance(got, dict) else type(got).__name__
        fail("a dict with the same names is needed; is a `return` missing?", got=shown)
    kept = {name: int((masks[part] != 0).sum()) for name, part in (("d", "width"), ("c", "heads"), ("f", "units"))}
    kept["c"] *= head_dim
    return {
        name: expect_tensor(got[name], name, shape=tuple(kept[letter] for letter in SHAPES[name]), dtype="float")
        for name in weights
    }


def expect_same_block(call, weights, masks, head_dim, x, what, hint=""):
    small = sliced(call, weights, masks, head_dim)
    kept = masks["width"] != 0
    open_masks = {
        "width": torch.ones(int(kept.sum())),
        "heads": torch.ones(int((masks["heads"] != 0).sum())),
        "units": torch.ones(int((masks["units"] != 0).sum())),
    }
    want = run_block(weights, masks, head_dim, x * kept)
    got = run_block(small, open_masks, head_dim, (x * kept)[:, kept])
    if bool((want[:, ~kept] != 0).any()):
        raise AssertionError("the masked block writes into features that are closed")
    expect_close(got, want[:, kept], f"the output of the smaller block {what}", 1e-4, 1e-4, hint=hint)


def some_block(generator, d, num_heads, head_dim, f):
    c = num_heads * head_dim
    sizes = {"d": d, "c": c, "f": f}
    return {
        name: torch.randn(*(sizes[letter] for letter in letters), generator=generator) + (name[:4] == "gain")
        for name, letters in SHAPES.items()
    }


@check("slicing")
def zeros_and_ones(call, rng):
    """A feature, a head and two units go; the others stay as they are."""
    masks = {
        "width": torch.tensor([1.0, 0.0, 1.0, 1.0]),
        "heads": torch.tensor([1.0, 0.0]),
        "units": torch.tensor([0.0, 1.0, 1.0, 0.0, 1.0]),
    }
    weights, x = some_block(rng(), 4, 2, 3, 5), torch.randn(6, 4, generator=rng())
    expect_same_block(call, weights, masks, 3, x, "with masks of 0 and 1", hint="head h has channels hD to (h + 1)D")


@check("slicing")
def a_unit_at_half(call, rng):
    """All stays; one hidden unit writes half of what it did."""
    masks = {"width": torch.ones(3), "heads": torch.ones(2), "units": torch.tensor([1.0, 0.5, 1.0, 1.0])}
    weights, x = some_block(rng(), 3, 2, 2, 4), torch.randn(5, 3, generator=rng())
    hint = "gelu is not linear: the factor belongs behind it, into the columns of down"
    expect_same_block(call, weights, masks, 2, x, "with a unit at half", hint=hint)


@check("slicing")
def a_feature_at_half(call, rng):
    """All stays; one feature takes half of what is written into it."""
    masks = {"width": torch.tensor([1.0, 0.5, 1.0]), "heads": torch.ones(2), "units": torch.ones(4)}
    weights, x = some_block(rng(), 3, 2, 2, 4), torch.randn(5, 3, generator=rng())
    hint = "everything that writes into it is scaled, once: out, down and down_bias; what reads it is not"
    expect_same_block(call, weights, masks, 2, x, "with a feature at half", hint=hint)
