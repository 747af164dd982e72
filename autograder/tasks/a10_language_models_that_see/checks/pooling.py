"""Attention pooling: the hidden checks."""

import torch

from autograder.checks import check, expect_close, integer
from autograder.tasks.a10_language_models_that_see.oracles import normal, softmax
from autograder.tasks.a10_language_models_that_see.visible.pooling import pooled


def by_hand(features, grid, there, weights, heads):
    """Window by window, head by head, in float64."""
    w_q, w_k, w_v = (w.double() for w in weights)
    rows, columns = grid
    batch = []
    for image, seen in zip(features.double(), there.tolist(), strict=True):
        windows = []
        for y in range(0, rows, 2):
            for x in range(0, columns, 2):
                own = [i * columns + j for i in (y, y + 1) for j in (x, x + 1)]
                own = [n for n in own if seen[n]]
                out = torch.zeros(w_v.shape[1], dtype=torch.float64)
                if own:
                    patches = image[own]
                    q, k, v = patches.mean(0) @ w_q, patches @ w_k, patches @ w_v
                    d, e = len(q) // heads, len(out) // heads
                    for h in range(heads):
                        scores = (k[:, h * d : (h + 1) * d] @ q[h * d : (h + 1) * d] / d**0.5).tolist()
                        chances = torch.tensor(softmax(scores), dtype=torch.float64)
                        out[h * e : (h + 1) * e] = chances @ v[:, h * e : (h + 1) * e]
                windows.append(out)
        batch.append(torch.stack(windows))
    return torch.stack(batch)


def expect_pooled(call, rng, grid, heads, missing, batch=2, width=5, head_dim=3, value_dim=2, empty=False):
    count = grid[0] * grid[1]
    features = normal(rng, batch, count, width)
    there = torch.rand(batch, count, generator=rng()) >= missing
    corners = torch.arange(count).view(grid)[::2, ::2].flatten()
    there[:, corners] |= not empty  # one patch at least of each window
    if empty:
        there[0, [0, 1, grid[1], grid[1] + 1]] = False
    weights = (normal(rng, width, heads * head_dim), normal(rng, width, heads * head_dim))
    weights += (normal(rng, width, heads * value_dim),)
    got = pooled(call, features, grid, there, weights, heads)
    want = by_hand(features, grid, there, weights, heads)
    expect_close(got, want, f"{count // 4} windows, {heads} heads", 1e-4, 1e-3)


@check("pooling", points=2)
def all_patches_are_there(call, rng):
    """Grids that are no squares, one head and several."""
    for grid, heads in (((4, 6), 1), ((6, 2), 2), ((2 * integer(rng, 2, 4), 4), 3)):
        expect_pooled(call, rng, grid, heads, 0.0)


@check("pooling", points=2)
def patches_are_missing(call, rng):
    """A few, or most of them: means and softmaxes over what is there."""
    for missing in (0.2, 0.5):
        expect_pooled(call, rng, (4, 6), 2, missing)


@check("pooling", points=2)
def whole_windows_are_missing(call, rng):
    """They give 0, and no nan anywhere."""
    expect_pooled(call, rng, (6, 6), 2, 0.6, batch=3, empty=True)
    expect_pooled(call, rng, (2, 2), 1, 1.0, empty=True)
