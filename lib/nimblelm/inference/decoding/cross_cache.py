"""Decoding with an encoder: keys and values of its states are computed once and seen by every token."""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Bool, Float, Int
from torch import Tensor

from nimblelm.inference.decoding.cache import KVCache
from nimblelm.nn.attend import Attend, Past


class CrossCache:
    """An `Attend` that keeps the keys and values of its first call; later calls bring none and see those.

    Args:
        attend: what queries see of them.
    """

    def __init__(self, attend: Attend):
        self.attend, self.kept = attend, None

    def __call__(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        self.kept = self.kept or (k, v)
        return self.attend(q, *self.kept)


@runtime_checkable
class EncoderDecoder(Protocol):
    """A model whose decoder attends to its encoder's states, such as `nimblelm.language.t5.T5`."""

    config: Any
    decoder: Any

    def decode(self, tokens: Tensor, encoded: Tensor, past: Past | None, cross: Sequence[Attend] | None) -> Tensor: ...
    def decoder_attend(self, position: int, length: int) -> Attend: ...
    def cross_attend(self, is_token: Tensor | None) -> Attend: ...
    def head(self, states: Tensor) -> Tensor: ...


class CachedDecoder:
    """The decoder of a model on the states of one input: called as a `CachedModel` is, by every decoder of ours.

    Args:
        model: encoder and decoder.
        encoded: the encoder's states of one input.
        max_seq_len: rows of the cache.
        is_token: false where the input is padding.
    """

    def __init__(
        self,
        model: EncoderDecoder,
        encoded: Float[Tensor, "1 S d"],
        max_seq_len: int,
        is_token: Bool[Tensor, "1 S"] | None = None,
    ):
        self.model, self.encoded, config = model, encoded, model.config
        self.vocab_size, self.max_seq_len = config.vocab_size, max_seq_len
        shape = (len(model.decoder), 1, max_seq_len, config.num_heads, config.head_dim)
        self.cache = KVCache(*(encoded.new_zeros(shape) for _ in range(2)))
        self.cross = [CrossCache(model.cross_attend(is_token)) for _ in model.decoder]

    def __call__(self, tokens: Int[Tensor, "T"], position: int) -> Float[Tensor, "T V"]:
        """Logits (T, V); raises ValueError where the tokens reach past the cache."""
        past = self.cache.at(position, len(tokens), self.model.decoder_attend(position, len(tokens)))
        states = self.model.decode(tokens[None], self.encoded, past, self.cross)
        self.encoded = self.encoded[:, :0]  # the cross caches hold what they need of it
        return self.model.head(states)[0]
