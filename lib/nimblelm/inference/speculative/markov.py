"""A model whose distribution is a table: small enough to know every probability."""

import sys

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nimblelm.inference.decoding.sampling import at_least_float32


class MarkovModel:
    """Next-token distribution that depends on the last token alone.

    It is called like a `CachedModel`, and needs no cache.

    Args:
        table: row x holds the distribution of the token after x; rows sum to 1, up to rounding.

    Raises:
        ValueError: the table is not square, or a row of it is no distribution.

    Chapter: book/ch02_speculative_decoding
    """

    def __init__(self, table: Float[Tensor, "V W"]):
        if table.shape[0] != table.shape[1]:
            raise ValueError(f"the table has shape {tuple(table.shape)}, a square one is needed")
        probs = at_least_float32(table)
        error = (probs.sum(-1) - 1).abs().amax() if len(table) else torch.tensor(torch.nan)
        if not (bool((probs >= 0).all()) and error <= 0.01):  # false for nan as well
            raise ValueError(f"a row of the table is no distribution: a sum is off 1 by {float(error):.3g}")
        self.logits = probs.log()
        self.vocab_size, self.max_seq_len = len(table), sys.maxsize

    def __call__(self, tokens: Int[Tensor, "T"], position: int) -> Float[Tensor, "T V"]:
        return self.logits[tokens]
