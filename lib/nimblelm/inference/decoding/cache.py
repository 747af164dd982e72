"""A static key-value cache addressed by position."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nimblelm.inference.decoding.fused import for_decoding
from nimblelm.language.llama import Llama
from nimblelm.nn.attend import Attend, Past, causal


class KVCache(NamedTuple):
    """Keys and values of every layer and position, allocated once.

    Row t belongs to position t. Writing at a position overwrites what stood there, and a forward pass reads only the
    rows before its own block's end, so taking tokens back costs nothing: the next pass names a smaller position.

    Chapter: book/ch01_decoding_and_its_cost
    """

    keys: Float[Tensor, "L B S Hkv D"]
    values: Float[Tensor, "L B S Hkv D"]

    @classmethod
    def allocate(cls, model: Llama, max_seq_len: int | None = None, batch_size: int = 1) -> "KVCache":
        """A cache of `max_seq_len` rows, by default the model's limit, in the model's dtype and on its device.

        Raises:
            ValueError: max_seq_len is below 1 or above the model's, or batch_size is below 1.
        """
        config, weight = model.config, model.embedding.weight
        max_seq_len = config.max_seq_len if max_seq_len is None else max_seq_len
        if max_seq_len > config.max_seq_len:
            raise ValueError(f"max_seq_len {max_seq_len} is above the model's {config.max_seq_len}")
        if not (max_seq_len >= 1 and batch_size >= 1):
            raise ValueError(f"max_seq_len {max_seq_len} and batch_size {batch_size} must be 1 or more")
        shape = (config.num_layers, batch_size, max_seq_len, config.num_kv_heads, config.head_dim)
        return cls(*(torch.zeros(shape, dtype=weight.dtype, device=weight.device) for _ in range(2)))

    @property
    def max_seq_len(self) -> int:
        return self.keys.shape[2]

    @property
    def size_bytes(self) -> int:
        return sum(part.numel() * part.element_size() for part in self)

    def at(self, position: int, length: int, attend: Attend = causal) -> Past:
        """For a pass over `length` tokens that start at `position`.

        Their rows are overwritten, every earlier row is read, later rows are ignored.

        Args:
            position: of the first token.
            length: number of tokens.
            attend: what they see of the rows up to the last of them.

        Raises:
            ValueError: the position is negative, or the tokens reach past the cache.
        """
        end = self.checked_end(position, length)
        layers = [_appended(keys, values, position, attend) for keys, values in self.layers(end)]
        return Past(layers, slice(position, end))

    def layers(self, end: int) -> list[tuple[Float[Tensor, "B E Hkv D"], Float[Tensor, "B E Hkv D"]]]:
        """Keys and values of each layer up to position `end`, to be read and written."""
        # One view at a time: autograd lets nobody write into what came out of an unbind.
        return [(self.keys[i, :, :end], self.values[i, :, :end]) for i in range(len(self.keys))]

    def checked_end(self, position: int, length: int) -> int:
        """position + length; raises ValueError where that is past the cache, or keys and values differ."""
        if self.keys.shape != self.values.shape or self.keys.dtype != self.values.dtype:
            raise ValueError(
                f"keys are {self.keys.dtype} of {tuple(self.keys.shape)}, values {self.values.dtype} of "
                f"{tuple(self.values.shape)}"
            )
        end, limit = position + length, self.keys.shape[2]
        if position < 0 or end > limit:
            raise ValueError(f"tokens at position {position} reach position {end}, the limit is {limit}")
        return end


def _appended(keys: Tensor, values: Tensor, position: int, attend: Attend) -> Attend:
    """Writes what is new behind the rows before `position`, and attends to all of them."""

    def write_and_attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        check_rows(k, v, keys[:, position:])
        keys[:, position:], values[:, position:] = k, v
        return attend(q.to(keys.dtype), keys, values)

    return write_and_attend


def check_rows(k: Tensor, v: Tensor, rows: Tensor) -> None:
    """Raise ValueError where new keys and values are not of the shape of the rows that they are written to.

    Chapter: book/ch01_decoding_and_its_cost
    """
    if not k.shape == v.shape == rows.shape:
        raise ValueError(
            f"new keys {tuple(k.shape)} and values {tuple(v.shape)} do not fit the cache's {tuple(rows.shape)}"
        )


class Cache(Protocol):
    """What a model decodes on: a function that gives a pass its past.

    Chapter: book/ch01_decoding_and_its_cost
    """

    def at(self, position: int, length: int, attend: Attend) -> Past:
        """For a pass over `length` tokens that start at `position`; raises ValueError where they do not fit."""
        ...

    @property
    def size_bytes(self) -> int: ...

    @property
    def max_seq_len(self) -> int: ...


class CachedModel:
    """A transformer together with its cache: what a decoder needs to know of a model.

    `cached(tokens, position)` gives the logits after each of the tokens, which start at `position`, on top of what
    earlier calls wrote into the rows before it. Rows from `position` on are overwritten or ignored.

    Args:
        model: the transformer. It shares its weights, which are fused and, on a CPU, stored by column from now on
            (`for_decoding`).
        max_seq_len: rows of the cache; the model's own limit by default.
        allocate: makes the cache from the model and `max_seq_len`, `KVCache.allocate` by default.

    Raises:
        ValueError: as `KVCache.allocate`.

    Chapter: book/ch01_decoding_and_its_cost
    """

    def __init__(
        self,
        model: Llama,
        max_seq_len: int | None = None,
        allocate: Callable[[Llama, int | None], Any] = KVCache.allocate,
    ):
        self.cache = allocate(model, max_seq_len)
        self.model, self.vocab_size, self.max_seq_len = (
            for_decoding(model),
            model.config.vocab_size,
            self.cache.max_seq_len,
        )

    def __call__(self, tokens: Int[Tensor, "T"], position: int) -> Float[Tensor, "T V"]:
        """Logits (T, V); raises ValueError where the tokens reach past the cache."""
        return self.model.head(self.states(tokens, position))

    def states(self, tokens: Int[Tensor, "T"], position: int) -> Float[Tensor, "T d"]:
        """What the model's head would read: the hidden states (T, d)."""
        past = self.cache.at(position, len(tokens), self.model.attend)
        return self.model.states(self.model.embed(tokens[None]), past)[0]
