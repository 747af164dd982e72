"""Exact attention in memory linear in the length: Triton kernels on a GPU, torch on the CPU.

Read `simple.py` first (one loop, forward only), then `forward.py` and `backward.py` (the fast ones), `configs.py`
(their tiles), `triton.py` (the differentiable function) and `block_sparse.py`. `reference.py` is the oracle of all.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor


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
        ValueError: the heads do not divide; on a GPU also a head_dim, dtype or scale that the kernels do not take.

    Chapter: book/ch04_flash_attention
    """
    _check_heads(q, k)
    if q.is_cuda:
        from nimblelm.kernels.flash_attention.triton import triton_flash_attention

        return triton_flash_attention(q, k, v, causal, scale)[0]
    num_queries, num_keys = q.shape[1], k.shape[1]
    blind = num_queries - num_keys if causal else num_queries * (num_keys == 0)  # first queries, that see no key
    if blind > 0:
        seeing = flash_attention(q[:, blind:], k, v, causal, scale) if blind < num_queries else q[:, blind:]
        return torch.cat([torch.zeros_like(q[:, :blind]), seeing], dim=1)
    mask = None
    if causal and num_queries < num_keys:  # torch's own causal mask is aligned at the first key, not at the last
        mask = torch.ones(num_queries, num_keys, dtype=torch.bool, device=q.device).tril(num_keys - num_queries)
    return F.scaled_dot_product_attention(
        q.transpose(1, 2),
        k.transpose(1, 2),
        v.transpose(1, 2),
        attn_mask=mask,
        is_causal=causal and mask is None,
        scale=scale,
        enable_gqa=q.shape[2] != k.shape[2],
    ).transpose(1, 2)


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
    _check_heads(q, k)
    if q.is_cuda:
        from nimblelm.kernels.flash_attention.triton import triton_flash_attention

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
        ValueError: the mask's shape does not fit the lengths, or block is not such a power of two.

    Chapter: book/ch04_flash_attention
    """
    _check_heads(q, k)
    if block < 16 or block & (block - 1):
        raise ValueError(f"block {block} is not a power of two of at least 16")
    needed = -(-q.shape[1] // block), -(-k.shape[1] // block)
    if tuple(blocks.shape[2:]) != needed:
        raise ValueError(
            f"a mask of {tuple(blocks.shape[2:])} blocks was given, {needed} blocks of {block} cover the scores"
        )
    if q.is_cuda:
        from nimblelm.kernels.flash_attention.block_sparse import triton_block_sparse_attention

        return triton_block_sparse_attention(q, k, v, blocks, block, causal, scale)
    visible = blocks.repeat_interleave(block, 2).repeat_interleave(block, 3)[:, :, : q.shape[1], : k.shape[1]]
    from nimblelm.kernels.flash_attention import reference  # an exercise sees parts of this package without it

    out, lse = reference.attention(q, k, v, causal, scale, visible)
    return out.to(q.dtype), lse.float()


def _check_heads(q: Tensor, k: Tensor) -> None:
    if q.shape[2] % k.shape[2]:
        raise ValueError(f"{q.shape[2]} query heads are not a multiple of {k.shape[2]} key-value heads")
