"""A transformer with a static cache in which every row of a batch has its own position."""

from jaxtyping import Float, Int
from torch import Tensor

from nimblelm.inference.batched.row_cache import at_rows
from nimblelm.inference.decoding.cache import KVCache
from nimblelm.inference.decoding.fused import for_decoding
from nimblelm.inference.decoding.request_checks import check_sees_all
from nimblelm.language.llama import Llama


class StaticModel:
    """What the batched decoders need to know of a model: `CachedModel` with a batch.

    `static(tokens, first)` gives the logits after each of the tokens, which start at `first` of their rows, on top of
    what earlier calls wrote before it. Shapes never depend on positions, so a CUDA graph can hold the call.

    Args:
        model: the transformer; weights are shared and fused as in `CachedModel`.
        batch_size: sequences that are decoded together.
        max_seq_len: rows of the cache for each sequence; the model's own limit by default.

    Raises:
        ValueError: as `KVCache.allocate`, or a model whose tokens see a window.

    Chapter: book/ch02_speculative_decoding
    """

    def __init__(self, model: Llama, batch_size: int = 1, max_seq_len: int | None = None):
        check_sees_all(model)
        self.model, self.cache = for_decoding(model), KVCache.allocate(model, max_seq_len, batch_size)
        self.batch_size, self.device = batch_size, model.embedding.weight.device
        self.vocab_size, self.max_seq_len = model.config.vocab_size, self.cache.max_seq_len

    def prefill(self, tokens: Int[Tensor, "B T"]) -> Float[Tensor, "B T V"]:
        """Logits after each token of prompts that start at position 0; raises ValueError where they do not fit."""
        return self.model(tokens, self.cache.at(0, tokens.shape[1], self.model.attend))

    def __call__(self, tokens: Int[Tensor, "B T"], first: Int[Tensor, "B"]) -> Float[Tensor, "B T V"]:
        """Logits; positions are not checked, since that would wait for the device."""
        return self.model(tokens, at_rows(self.cache, first, tokens.shape[1]))
