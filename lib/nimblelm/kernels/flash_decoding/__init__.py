"""Attention of a few new tokens over a static cache: on a GPU in Triton, elsewhere in plain torch."""

import torch
from jaxtyping import Float, Int32
from torch import Tensor

from nimblelm.kernels.flash_decoding import reference
from nimblelm.kernels.shapes import check_decoding

DTYPES = (torch.float16, torch.bfloat16, torch.float32)
MAX_HEAD_DIM = 128


def flash_decoding(
    q: Float[Tensor, "B T H D"],
    keys: Float[Tensor, "B S Hkv D"],
    values: Float[Tensor, "B S Hkv D"],
    lengths: Int32[Tensor, "B"],
    scale: float | None = None,
) -> Float[Tensor, "B T H D"]:
    """Attention of T new queries over a static cache with a length per sequence.

    out_i = softmax_j(scale q_i . k_j) v_j over the rows j < lengths - T + i + 1       (Vaswani et al., 2017, eq. 1)

    Shapes alone decide what is launched, never `lengths`, so a CUDA graph may hold the call.

    Args:
        q: queries of the T newest tokens: the current one, or a block of drafts to be checked.
        keys, values: the static cache; query heads h share the key-value head h Hkv // H.
        lengths: valid rows of each sequence, the T new ones among them.
        scale: 1 / sqrt(D) by default.

    Returns:
        In q's dtype; 0 where a query sees nothing (lengths below T).

    Raises:
        ValueError: shapes, devices or dtypes do not fit together, or a GPU has no kernel for the dtype or for D.

    Chapter: book/ch04_flash_attention
    """
    check_decoding(q, keys, values, lengths)
    if not q.is_cuda or 0 in (q.numel(), keys.numel()):
        return reference.flash_decoding(q, keys, values, lengths, scale)
    if q.dtype not in DTYPES:
        raise ValueError(f"dtype {q.dtype} is none of {DTYPES}")
    if q.shape[3] > MAX_HEAD_DIM:
        raise ValueError(f"head dimension {q.shape[3]} is above {MAX_HEAD_DIM}")
    from nimblelm.kernels.flash_decoding import launch

    return launch.flash_decoding(q, keys, values, lengths, scale)
