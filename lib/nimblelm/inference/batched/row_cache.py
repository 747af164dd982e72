"""A static cache in which every sequence of a batch stands at a position of its own, known to the device alone."""

import torch
from jaxtyping import Int
from torch import Tensor

from nimblelm.inference.decoding.cache import KVCache, check_rows
from nimblelm.kernels.flash_decoding import flash_decoding
from nimblelm.nn.attend import Attend, Past


def at_rows(cache: KVCache, first: Int[Tensor, "B"], length: int) -> Past:
    """For a pass over `length` tokens of each sequence, which start at `first` of their rows.

    As `KVCache.at`, row by row. Positions are read on the device alone, so a CUDA graph can hold the pass, and the
    caller sees to their range.

    Raises:
        ValueError: there is not one position for each row.
    """
    if first.shape != cache.keys.shape[1:2]:
        raise ValueError(f"{tuple(first.shape)} positions were given, {cache.keys.shape[1]} rows need one each")
    rows = torch.arange(len(first), device=first.device)[:, None]
    positions = first[:, None] + torch.arange(length, device=first.device)  # (B, T)
    ends = (first + length).to(torch.int32)

    def layer(keys: Tensor, values: Tensor) -> Attend:
        def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            check_rows(k, v, keys[:, :length])
            keys[rows, positions], values[rows, positions] = k.to(keys.dtype), v.to(values.dtype)
            return flash_decoding(q.to(keys.dtype), keys, values, ends)

        return attend

    return Past([layer(keys, values) for keys, values in cache.layers(cache.max_seq_len)], positions)
