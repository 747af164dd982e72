"""A key-value cache in eight bits: a quarter of float32's bytes and one scale for each row."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int, Int8
from torch import Tensor

from nimblelm.inference.cache import KVCache
from nimblelm.nn.transformer import Transformer

LEVELS = 127  # codes -127 .. 127: -128 is left out, so that the grid is symmetric and holds 0


class QuantizedRows(NamedTuple):
    """Rows as whole numbers, and what one unit of each row is worth.

    Chapter: book/ch01_decoding_and_its_cost
    """

    codes: Int8[Tensor, "*rows D"]
    scales: Float[Tensor, "*rows"]

    @property
    def size_bytes(self) -> int:
        return sum(part.numel() * part.element_size() for part in self)


def quantize_rows(x: Float[Tensor, "*rows D"]) -> QuantizedRows:
    """Round each row to 255 equal steps up to its own largest absolute value.

    scale = max_i |x_i| / 127,  code_i = round(x_i / scale)      (absmax quantization: Dettmers et al., 2022,
    arXiv:2208.07339, section 2), so that |scale code_i - x_i| <= scale / 2. A row of zeros has scale 0 and codes 0.

    Chapter: book/ch01_decoding_and_its_cost
    """
    scales = x.abs().amax(-1) / LEVELS
    codes = (x / scales.clamp(min=torch.finfo(x.dtype).tiny)[..., None]).round().clamp(-LEVELS, LEVELS)
    return QuantizedRows(codes.to(torch.int8), scales)


def dequantize_rows(rows: QuantizedRows) -> Float[Tensor, "*rows D"]:
    """The values that the codes stand for, in the dtype of the scales.

    Chapter: book/ch01_decoding_and_its_cost
    """
    return rows.codes.to(rows.scales.dtype) * rows.scales[..., None]


class QuantizedCachedModel:
    """A `CachedModel` that keeps its keys and values in int8 between passes.

    A pass turns the rows before its block back into floats, attends, and stores its own rows as codes, so its own
    tokens still see each other exactly. The floats live for the pass only; a kernel of a serving engine makes them in
    registers instead.

    Args:
        model: the transformer.
        max_seq_len: rows of the cache; the model's own limit by default.

    Raises:
        ValueError: max_seq_len is above the model's.

    Chapter: book/ch01_decoding_and_its_cost
    """

    def __init__(self, model: Transformer, max_seq_len: int | None = None):
        self.model = model
        self.max_seq_len = max_seq_len or model.config.max_seq_len
        empty = KVCache.allocate(model, self.max_seq_len)
        self.keys, self.values = quantize_rows(empty.keys), quantize_rows(empty.values)

    @property
    def size_bytes(self) -> int:
        return self.keys.size_bytes + self.values.size_bytes

    def __call__(self, tokens: Int[Tensor, "T"], position: int) -> Float[Tensor, "T V"]:
        """Logits (T, V); raises ValueError where the tokens reach past the cache."""
        end = position + len(tokens)
        if end > self.max_seq_len:
            raise ValueError(f"tokens reach position {end}, the limit is {self.max_seq_len}")
        work = KVCache.allocate(self.model, end)
        for floats, rows in zip(work, (self.keys, self.values), strict=True):
            floats[:, :, :position] = dequantize_rows(QuantizedRows(*(part[:, :, :position] for part in rows)))
        logits = self.model(tokens[None], work, position)[0]
        for floats, rows in zip(work, (self.keys, self.values), strict=True):
            new = quantize_rows(floats[:, :, position:])
            rows.codes[:, :, position:end], rows.scales[:, :, position:end] = new
        return logits
