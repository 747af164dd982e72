"""A static key-value cache addressed by position."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nimblelm.nn.positions import TreePositions
from nimblelm.nn.transformer import Transformer
from nimblelm.nn.weight_layout import store_by_column


class KVCache(NamedTuple):
    """Keys and values of every layer and position, allocated once.

    Row t belongs to position t. Writing at a position overwrites what stood there, and a forward pass reads only the
    rows before its own block's end, so taking tokens back costs nothing: the next pass names a smaller position.

    Chapter: book/ch01_decoding_and_its_cost
    """

    keys: Float[Tensor, "L B S Hkv D"]
    values: Float[Tensor, "L B S Hkv D"]

    @classmethod
    def allocate(cls, model: Transformer, max_seq_len: int, batch_size: int = 1) -> "KVCache":
        """A cache of `max_seq_len` rows in the model's dtype and on its device.

        Raises:
            ValueError: max_seq_len is above the model's.
        """
        config, weight = model.config, model.embedding.weight
        if max_seq_len > config.max_seq_len:
            raise ValueError(f"max_seq_len {max_seq_len} is above the model's {config.max_seq_len}")
        shape = (config.num_layers, batch_size, max_seq_len, config.num_kv_heads, config.head_dim)
        return cls(*(torch.zeros(shape, dtype=weight.dtype, device=weight.device) for _ in range(2)))

    @property
    def size_bytes(self) -> int:
        return sum(part.numel() * part.element_size() for part in self)


class CachedModel:
    """A transformer together with its cache: what a decoder needs to know of a model.

    `cached(tokens, position)` gives the logits after each of the tokens, which start at `position`, on top of what
    earlier calls wrote into the rows before it. Rows from `position` on are overwritten or ignored.

    Args:
        model: the transformer. On a CPU its weights are stored by column from now on (`store_by_column`).
        max_seq_len: rows of the cache; the model's own limit by default.

    Chapter: book/ch01_decoding_and_its_cost
    """

    def __init__(self, model: Transformer, max_seq_len: int | None = None):
        self.model = model
        if model.embedding.weight.device.type == "cpu":
            store_by_column(model)
        self.cache = KVCache.allocate(model, max_seq_len or model.config.max_seq_len)

    def __call__(self, tokens: Int[Tensor, "T"], position: int) -> Float[Tensor, "T V"]:
        """Logits (T, V); raises ValueError where the tokens reach past the cache."""
        return self.model(tokens[None], self.cache, position)[0]

    def states(self, tokens: Int[Tensor, "T"], position: int | TreePositions) -> Float[Tensor, "T d"]:
        """What the model's head would read: the hidden states (T, d) of a line of tokens, or of a tree."""
        return self.model.states(tokens[None], self.cache, position)[0]
