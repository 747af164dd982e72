"""A transformer with a static cache in which every row of a batch has its own position."""

from jaxtyping import Float, Int
from torch import Tensor

from nimblelm.inference.cache import KVCache
from nimblelm.nn.transformer import Transformer


class StaticModel:
    """What the batched decoders need to know of a model: `CachedModel` with a batch.

    `static(tokens, position)` gives the logits after each of the tokens, which start at `position` of their rows, on
    top of what earlier calls wrote before it. Shapes never depend on positions, so a CUDA graph can hold the call.

    Args:
        model: the transformer.
        batch_size: texts that are decoded together.
        max_seq_len: rows of the cache for each text; the model's own limit by default.

    Raises:
        ValueError: max_seq_len is above the model's.

    Chapter: book/ch02_speculative_decoding
    """

    def __init__(self, model: Transformer, batch_size: int = 1, max_seq_len: int | None = None):
        self.model = model
        self.batch_size, self.max_seq_len = batch_size, max_seq_len or model.config.max_seq_len
        self.device = model.embedding.weight.device
        self.cache = KVCache.allocate(model, self.max_seq_len, batch_size)

    def __call__(self, tokens: Int[Tensor, "B T"], position: int | Int[Tensor, "B"]) -> Float[Tensor, "B T V"]:
        """Logits; positions in a tensor are not checked, since that would wait for the device."""
        return self.model(tokens, self.cache, position)
