"""Exact attention in memory linear in the length: Triton kernels on a GPU, torch on the CPU.

Read `simple.py` first (one loop, forward only), then `forward.py` and `backward.py` (the fast ones), `configs.py`
(their tiles), `launch.py` (the differentiable function) and `block_sparse.py`. `reference.py` is the oracle of all.
"""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from nimblelm.kernels.shapes import check_attention, check_mask


def flash_attention(
    q: Float[Tensor, "B Sq H D"],
    k: Float[Tensor, "B Sk Hkv D"],
    v: Float[Tensor, "B Sk Hkv D"],
    causal: bool = False,
    scale: float | None = None,
) -> Float[Tensor, "B Sq H D"]:
    """Softmax attention, differentiable, on whatever device the tensors are.

    O = softmax(scale Q K^T) V      (Vaswani et al., 2017, arXiv:1706.03762, eq. 1; Dao, 2023, arXiv:2307.08691)

    On a GPU by our Triton kernels. On the CPU by torch's `scaled_dot_product_attention`, which is tiled there too:
    Triton does not compile for CPUs.

    Args:
        q: queries; H / Hkv of them share one key-value head.
        k, v: keys and values.
        causal: query i sees only the keys j <= i + Sk - Sq, so that the last query sees all.
        scale: factor of the scores, positive, 1 / sqrt(D) by default.

    Returns:
        The output, in q's dtype. A query that sees no key gives 0.

    Raises:
        ValueError: q, k and v do not fit each other; on a GPU also a head_dim, dtype or scale that the kernels do not
            take.

    Chapter: book/ch04_flash_attention
    """
    check_attention(q, k, v)
    if q.is_cuda:
        from nimblelm.kernels.flash_attention.launch import triton_flash_attention

        return triton_flash_attention(q, k, v, causal, scale)[0]
    num_queries, num_keys = q.shape[1], k.shape[1]
    blind = num_queries - num_keys if causal else num_queries * (num_keys == 0)  # first queries, that see no key
    if blind > 0:
        seeing = flash_attention(q[:, blind:], k, v, causal, scale)
        return torch.cat([torch.zeros_like(q[:, :blind]), seeing], dim=1)
    mask = None
    if causal and num_queries < num_keys:  # torch's own causal mask is aligned at the first key, not at the last
        mask = torch.ones(num_queries, num_keys, dtype=torch.bool, device=q.device).tril(num_keys - num_queries)
    options = {"attn_mask": mask, "is_causal": causal and mask is None, "scale": scale}
    return _by_torch(*(x.transpose(1, 2) for x in (q, k, v)), **options, enable_gqa=q.shape[2] != k.shape[2])


def _by_torch(q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Tensor:
    """(B, Sq, H, D) from torch's attention of (B, H, S, D), with nan where all scores of a query are nan.

    Its fused kernel takes such a query for one that sees no key, and gives 0. The plain one does not.
    """
    out = F.scaled_dot_product_attention(q, k, v, **options)
    if q.device.type == "cpu" and out.count_nonzero() < out.numel():  # counting is cheap, and a step of decoding short
        seen = out.detach().any(-1, keepdim=True)
        if not seen.all() and not (q.isfinite().all() and k.isfinite().all()):
            with sdpa_kernel(SDPBackend.MATH):
                out = torch.where(seen, out, F.scaled_dot_product_attention(q, k, v, **options))
    return out.transpose(1, 2)


def flash_attention_with_lse(
    q: Float[Tensor, "B Sq H D"],
    k: Float[Tensor, "B Sk Hkv D"],
    v: Float[Tensor, "B Sk Hkv D"],
    causal: bool = False,
    scale: float | None = None,
) -> tuple[Float[Tensor, "B Sq H D"], Float[Tensor, "B H Sq"]]:
    """`flash_attention`, and the logarithm of each softmax's denominator, by which partial results can be merged.

    L = log sum_j exp(scale Q K_j^T)      (Dao, 2023, arXiv:2307.08691, section 3.1)

    On a GPU by our Triton kernels, which have it anyway. On the CPU by the float64 reference, all scores in
    memory: torch does not hand it out.

    Args:
        q, k, v, causal, scale: as in `flash_attention`.

    Returns:
        (out, lse): the output in q's dtype and the float32 log-sum-exp; 0 and -inf for a query that sees no key.

    Raises:
        ValueError: as in `flash_attention`.

    Chapter: book/ch04_flash_attention
    """
    check_attention(q, k, v)
    if q.is_cuda:
        from nimblelm.kernels.flash_attention.launch import triton_flash_attention

        return triton_flash_attention(q, k, v, causal, scale)
    from nimblelm.kernels.flash_attention import reference  # an exercise sees parts of this package without it

    out, lse = reference.attention(q, k, v, causal, scale)
    return out.to(q.dtype), lse.float()


def block_sparse_attention(
    q: Float[Tensor, "B Sq H D"],
    k: Float[Tensor, "B Sk Hkv D"],
    v: Float[Tensor, "B Sk Hkv D"],
    blocks: Bool[Tensor, "#B #H Mq Mk"],
    block: int = 64,
    causal: bool = False,
    scale: float | None = None,
) -> tuple[Float[Tensor, "B Sq H D"], Float[Tensor, "B H Sq"]]:
    """Attention in which a block of queries sees only some blocks of keys: the rest is neither read nor computed.

    O = softmax(scale Q K^T + M) V, M = 0 in visible blocks and -inf elsewhere
    (Dao et al., 2022, arXiv:2205.14135, section 3.3). On a GPU by our Triton kernels, on the CPU by the reference.

    Args:
        q, k, v, causal, scale: as in `flash_attention`; causal hides keys within the visible blocks too.
        blocks: true where queries i * block .. see keys j * block ..; Mq = ceil(Sq / block), Mk = ceil(Sk / block).
        block: a power of two, 16 at least; 64 at least to be fast.

    Returns:
        (out, lse) as in `flash_attention_with_lse`.

    Raises:
        ValueError: q, k, v or the mask do not fit each other, or block is not such a power of two.

    Chapter: book/ch04_flash_attention
    """
    check_attention(q, k, v)
    if block < 16 or block & (block - 1):
        raise ValueError(f"block {block} is not a power of two of at least 16")
    check_mask(blocks, "blocks", q, -(-q.shape[1] // block), -(-k.shape[1] // block))
    if q.is_cuda:
        from nimblelm.kernels.flash_attention.block_sparse import triton_block_sparse_attention

        return triton_block_sparse_attention(q, k, v, blocks, block, causal, scale)
    visible = blocks.repeat_interleave(block, 2).repeat_interleave(block, 3)[:, :, : q.shape[1], : k.shape[1]]
    from nimblelm.kernels.flash_attention import reference  # an exercise sees parts of this package without it

    out, lse = reference.attention(q, k, v, causal, scale, visible)
    return out.to(q.dtype), lse.float()
