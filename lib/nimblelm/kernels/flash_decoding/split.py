"""Split-KV attention in plain torch: the two steps of flash decoding, one after the other."""

import torch
from jaxtyping import Float
from torch import Tensor

from nimblelm.kernels.flash_attention.online_softmax import merge_parts
from nimblelm.kernels.flash_attention.tiled import tiled_attention
from nimblelm.kernels.shapes import check_attention


def split_attention(
    q: Float[Tensor, "B Sq H D"],
    k: Float[Tensor, "B Sk Hkv D"],
    v: Float[Tensor, "B Sk Hkv D"],
    num_splits: int,
    scale: float | None = None,
) -> tuple[Float[Tensor, "B Sq H D"], Float[Tensor, "B H Sq"]]:
    """Attention of a few queries over many keys, cut along the keys so that many processors can work at once.

    Each part gives (O_p, L_p) on its own; then O = sum_p exp(L_p - L) O_p, L = log sum_p exp(L_p), see `merge_parts`
    (Dao et al., 2023, "Flash-Decoding for long-context inference", steps 1 to 3). With more splits than keys some are
    empty.

    Args:
        q, k, v, scale: as in `nimblelm.kernels.flash_attention.tiled.tiled_attention`; every query sees every key.
        num_splits: parts, of equal length but for the last ones.

    Returns:
        (out, lse) as there.

    Raises:
        ValueError: q, k and v do not fit each other, or num_splits is below 1.

    Chapter: book/ch04_flash_attention
    """
    if num_splits < 1:
        raise ValueError(f"num_splits is {num_splits}, 1 at least is needed")
    check_attention(q, k, v)
    rows = max(1, -(-k.shape[1] // num_splits))
    bounds = [slice(i * rows, (i + 1) * rows) for i in range(num_splits)]
    parts = [tiled_attention(q, k[:, part], v[:, part], scale=scale) for part in bounds]  # independent of each other
    outs = torch.stack([out.transpose(1, 2).to(lse.dtype) for out, lse in parts])  # (P, B, H, Sq, D)
    out, lse = merge_parts(outs, torch.stack([lse for _, lse in parts]))
    return out.transpose(1, 2).to(q.dtype), lse
