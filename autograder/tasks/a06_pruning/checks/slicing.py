"""Slicing a masked block: the hidden checks."""

import torch

from autograder.checks import check, integer
from autograder.tasks.a06_pruning.visible.slicing import expect_same_block, some_block


def some_mask(rng, size, keep, soft):
    """`keep` of the entries at random places, 1 or between 0.2 and 1."""
    mask = torch.zeros(size)
    place = torch.randperm(size, generator=rng())[:keep]
    mask[place] = 0.2 + 0.8 * torch.rand(keep, generator=rng()) if soft else 1.0
    return mask


def expect_cut(call, rng, sizes, kept, soft, what):
    d, num_heads, head_dim, f = sizes
    weights = some_block(rng(), d, num_heads, head_dim, f)
    names = ("width", d, kept[0]), ("heads", num_heads, kept[1]), ("units", f, kept[2])
    masks = {name: some_mask(rng, size, keep, name in soft) for name, size, keep in names}
    x = torch.randn(7, d, generator=rng())
    expect_same_block(call, weights, masks, head_dim, x, what)


@check("slicing", points=2)
def hard_masks(call, rng):
    """Masks of 0 and 1 over several sizes."""
    for sizes, kept in (((9, 4, 3, 10), (5, 2, 6)), ((6, 3, 2, 4), (4, 1, 2)), ((5, 2, 5, 7), (5, 2, 7))):
        expect_cut(call, rng, sizes, kept, (), f"of {sizes[0]} features cut to {kept[0]}")


@check("slicing", points=1)
def soft_heads(call, rng):
    """Heads with masks between 0 and 1."""
    expect_cut(call, rng, (7, 4, 3, 5), (6, 3, 5), ("heads",), "with soft heads")


@check("slicing", points=1)
def soft_units(call, rng):
    """Units with masks between 0 and 1."""
    expect_cut(call, rng, (6, 2, 3, 9), (6, 2, integer(rng, 4, 8)), ("units",), "with soft units")


@check("slicing", points=2)
def soft_width(call, rng):
    """Features with masks between 0 and 1, and all masks soft together."""
    expect_cut(call, rng, (8, 2, 3, 6), (integer(rng, 4, 8), 2, 6), ("width",), "with a soft width")
    expect_cut(call, rng, (8, 4, 2, 6), (5, 3, 4), ("width", "heads", "units"), "with all masks soft")
