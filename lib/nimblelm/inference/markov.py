"""A model whose law is a table: small enough to know every probability."""

from jaxtyping import Float, Int
from torch import Tensor


class MarkovModel:
    """Next-token law that depends on the last token alone.

    It is called like a `CachedModel`, and needs no cache.

    Args:
        table: row x holds the law of the token after x; rows sum to 1.

    Raises:
        ValueError: the table is not square.

    Chapter: book/ch02_speculative_decoding
    """

    def __init__(self, table: Float[Tensor, "V W"]):
        if table.shape[0] != table.shape[1]:
            raise ValueError(f"the table has shape {tuple(table.shape)}, a square one is needed")
        self.logits = table.log()

    def __call__(self, tokens: Int[Tensor, "T"], position: int) -> Float[Tensor, "T V"]:
        return self.logits[tokens]
