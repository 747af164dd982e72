"""The fast kernels as one differentiable function of torch tensors."""

import torch
from jaxtyping import Float
from torch import Tensor

from nimblelm.kernels.flash_attention.backward import backward
from nimblelm.kernels.flash_attention.configs import Config, config_for
from nimblelm.kernels.flash_attention.forward import forward
from nimblelm.kernels.flash_attention.shared import tma_aligned
from nimblelm.kernels.shapes import check_attention


class _FlashAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx, q, k, v, causal, scale, config):
        q, k, v = tma_aligned(q), tma_aligned(k), tma_aligned(v)
        out, lse = forward(q, k, v, causal, scale, config.forward, config.precision)
        ctx.save_for_backward(q, k, v, out, lse)
        ctx.settings = causal, scale, config
        return out, lse

    @staticmethod
    def backward(ctx, dout, dlse):
        q, k, v, out, lse = ctx.saved_tensors
        causal, scale, config = ctx.settings
        gradients = backward(q, k, v, out, lse, tma_aligned(dout), dlse.contiguous(), causal, scale, config)
        return *gradients, None, None, None


def triton_flash_attention(
    q: Float[Tensor, "B Sq H D"],
    k: Float[Tensor, "B Sk Hkv D"],
    v: Float[Tensor, "B Sk Hkv D"],
    causal: bool = False,
    scale: float | None = None,
    config: Config | None = None,
) -> tuple[Float[Tensor, "B Sq H D"], Float[Tensor, "B H Sq"]]:
    """Attention by the Triton kernels, with gradients of both results.

    O = softmax(scale Q K^T) V, L = log sum_j exp(scale Q K_j^T)
    (Dao, 2023, arXiv:2307.08691, algorithms 1 and 2).

    Memory beyond inputs and outputs: nothing forward, two float32 numbers per query and head backward. Bytes moved: see
    `forward` and `backward`. Accumulates in float32; probabilities are rounded to the inputs' dtype before they meet V.
    Oracle: `nimblelm.kernels.flash_attention.reference`.

    Args:
        q, k, v: queries, keys and values, on a GPU or under TRITON_INTERPRET=1; what TMA cannot move is copied.
        causal: query i sees only the keys j <= i + Sk - Sq.
        scale: factor of the scores, 1 / sqrt(D) by default.
        config: tile shapes; the table's by default.

    Returns:
        (out, lse): the output in q's dtype and the float32 log-sum-exp. A query that sees no key gives 0 and -inf.

    Raises:
        ValueError: q, k and v do not fit each other, or head_dim, dtype or scale are none that the kernels take.
    """
    factor = checked_scale(q, k, v, scale)
    config = config or config_for(q.shape[3], causal, q.dtype)
    if q.numel() == 0 or k.numel() == 0:
        return nothing(q, k, v)
    return _FlashAttention.apply(q, k, v, causal, factor, config)


def checked_scale(q: Tensor, k: Tensor, v: Tensor, scale: float | None) -> float:
    """The factor of the scores, for tensors that fit together.

    Raises:
        ValueError: they do not, or the scale is not positive.
    """
    check_attention(q, k, v)
    factor = q.shape[3] ** -0.5 if scale is None else scale
    if not factor > 0:
        raise ValueError(f"scale {scale} is not positive")
    return factor


def nothing(q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """(out, lse) where there are no queries or no keys, with gradients of zero: TMA has no empty tensors.

    Chapter: book/ch04_flash_attention
    """
    lse = torch.full((q.shape[0], q.shape[2], q.shape[1]), float("-inf"), device=q.device)
    none = sum(x[:0].sum() for x in (q, k, v))  # 0 whatever they hold, and yet a function of them
    return torch.zeros_like(q) + none, lse
