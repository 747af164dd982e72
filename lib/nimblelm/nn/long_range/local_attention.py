"""Local attention: every position sees its neighbours, arXiv:1802.05751 and arXiv:2004.05150."""

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from nimblelm.kernels.shapes import check_fit
from nimblelm.nn.long_range.precision import widened


def local_attention(
    q: Float[Tensor, "B T H D"],
    k: Float[Tensor, "B T H D"],
    v: Float[Tensor, "B T H D"],
    window: int,
    causal: bool = False,
    scale: float | None = None,
) -> Float[Tensor, "B T H D"]:
    """Softmax attention over a sliding window: O(T window) scores.

    Query i sees the keys |i - j| < window; if causal, those with 0 <= i - j < window
    (Parmar et al., 2018, arXiv:1802.05751, section 3; the sliding window of Beltagy et al., 2020, arXiv:2004.05150,
    section 3.1).

    Blocks of `window` queries against their own block of keys and its neighbours, masked to the band.

    Args:
        q, k, v: queries, keys and values.
        window: positions on each side, the query's own included.
        causal: nothing after the query is seen.
        scale: factor of the scores, 1 / sqrt(D) by default.

    Raises:
        ValueError: q, k and v do not fit each other, or window is below 1.

    Chapter: book/ch04_flash_attention
    """
    check_fit(q=(q, "B T H D"), k=(k, "B T H D"), v=(v, "B T H D"))
    if window < 1:
        raise ValueError(f"window {window} is below 1")
    length, head_dim = q.shape[1], q.shape[3]
    padded = [F.pad(x, (0, 0, 0, 0, 0, -length % window)) for x in widened(q, k, v)]
    query, key, value = (rearrange(x, "b (c i) h d -> b h c i d", i=window) for x in padded)
    shifts = (1, 0) if causal else (1, 0, -1)  # the block before, the own one, the block after
    key, value = (torch.cat([x.roll(s, dims=2) for s in shifts], dim=3) for x in (key, value))

    blocks = torch.arange(query.shape[2], device=q.device)[:, None, None]
    i = blocks * window + torch.arange(window, device=q.device)[:, None]
    j = (blocks - 1) * window + torch.arange(key.shape[3], device=q.device)
    distance = i - j  # (C, window, keys)
    seen = (distance < window) & (distance >= 0 if causal else distance > -window) & (j >= 0) & (j < length)

    factor: float = head_dim**-0.5 if scale is None else scale
    scores = (query * factor @ key.mT).masked_fill(~seen, torch.finfo(query.dtype).min)  # padded queries see nothing
    out = rearrange(scores.softmax(-1) @ value, "b h c i d -> b (c i) h d")
    return out[:, :length].to(v.dtype)
