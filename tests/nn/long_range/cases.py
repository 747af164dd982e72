"""Inputs that the tests of long-range attention share, and the formula that they are held against."""

import torch


def tensors(length, heads=2, dim=8, batch=2, keys=None, seed=0):
    """(q, k, v), float64, (batch, length, heads, dim)."""
    rng = torch.Generator().manual_seed(seed)
    lengths = (length, keys or length, keys or length)
    return [torch.randn(batch, n, heads, dim, generator=rng, dtype=torch.float64) for n in lengths]


def dense(q, k, v, seen=None, scale=None):
    """Softmax attention with all scores in memory; `seen` (T, S) says which keys a query sees."""
    scores = torch.einsum("bihd,bjhd->bhij", q, k) * (q.shape[-1] ** -0.5 if scale is None else scale)
    if seen is not None:
        scores = scores.masked_fill(~seen, float("-inf"))
    return torch.einsum("bhij,bjhd->bihd", scores.softmax(-1), v)
