"""A key-value cache in eight bits: a quarter of float32's bytes and one scale for each row."""

from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Float, Int8
from torch import Tensor

from nimblelm.inference.decoding.cache import KVCache
from nimblelm.inference.decoding.sampling import at_least_float32
from nimblelm.kernels.absmax import absmax_scales, round_to_scales
from nimblelm.language.llama import Llama
from nimblelm.nn.attend import Attend, Past, causal

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
    arXiv:2208.07339, section 2), so that |scale code_i - x_i| <= scale / 2. Scales are float32 or wider, since half
    precision does not hold those of small rows, and at least its smallest normal number: a row of zeros has codes 0. A
    row with nan or an infinity has no scale: it comes back as nan, and harms no other row.

    Chapter: book/ch01_decoding_and_its_cost
    """
    x = at_least_float32(x)
    scales = absmax_scales(x, LEVELS, x.dtype)
    return QuantizedRows(round_to_scales(x, scales, LEVELS), scales)


def dequantize_rows(rows: QuantizedRows) -> Float[Tensor, "*rows D"]:
    """The values that the codes stand for, in the dtype of the scales.

    Chapter: book/ch01_decoding_and_its_cost
    """
    return rows.codes.to(rows.scales.dtype) * rows.scales[..., None]


class QuantizedKVCache(NamedTuple):
    """A `KVCache` that keeps its keys and values in int8 between passes.

    A pass turns the rows before its block back into floats, attends, and stores its own rows as codes, so its own
    tokens still see each other exactly. The floats live for one layer only; a kernel of a serving engine makes them in
    registers instead.

    Chapter: book/ch01_decoding_and_its_cost
    """

    keys: QuantizedRows
    values: QuantizedRows

    @classmethod
    def allocate(cls, model: Llama, max_seq_len: int | None = None) -> "QuantizedKVCache":
        """A cache of `max_seq_len` rows on the model's device; errors as of `KVCache.allocate`."""
        return cls(*(quantize_rows(part) for part in KVCache.allocate(model, max_seq_len)))

    @property
    def max_seq_len(self) -> int:
        return self.keys.codes.shape[2]

    @property
    def size_bytes(self) -> int:
        return self.keys.size_bytes + self.values.size_bytes

    def at(self, position: int, length: int, attend: Attend = causal) -> Past:
        """As `KVCache.at`."""
        end, limit = position + length, self.keys.codes.shape[2]
        if position < 0 or end > limit:
            raise ValueError(f"tokens at position {position} reach position {end}, the limit is {limit}")
        layers = range(len(self.keys.codes))
        return Past([partial(self._attend, layer, position, attend) for layer in layers], slice(position, end))

    def _attend(self, layer: int, position: int, attend: Attend, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        end, whole = position + k.shape[1], []
        for rows, new in zip(self, (k, v), strict=True):
            before = QuantizedRows(rows.codes[layer, :, :position], rows.scales[layer, :, :position])
            whole.append(torch.cat([dequantize_rows(before).to(new.dtype), new], dim=1))
            rows.codes[layer, :, position:end], rows.scales[layer, :, position:end] = quantize_rows(new)
        return attend(q, *whole)
