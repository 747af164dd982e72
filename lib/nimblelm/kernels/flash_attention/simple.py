"""Flash attention to be read first: the forward pass as one loop over tiles of keys."""
# pyright: reportArgumentType=false, reportCallIssue=false, reportGeneralTypeIssues=false, reportInvalidTypeForm=false

import torch
import triton
import triton.language as tl
from jaxtyping import Float
from torch import Tensor

from nimblelm.kernels.shapes import check_attention


@triton.jit
def _forward(
    q, k, v, out, lse,
    q_batch, q_row, q_head, k_batch, k_row, k_head, v_batch, v_row, v_head, out_batch, out_row, out_head,
    scale, num_queries, num_keys, num_heads, group,
    HEAD_DIM: tl.constexpr, D: tl.constexpr, CAUSAL: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    row_of_heads = tl.program_id(1).to(tl.int64)  # offsets of a tensor of 4 GB do not fit 32 bits
    batch, head = row_of_heads // num_heads, row_of_heads % num_heads
    rows = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)  # this program's queries
    columns = tl.arange(0, BLOCK_N)
    depth = tl.arange(0, D)  # D is head_dim rounded up to a power of two
    real_row, real_depth = (rows < num_queries)[:, None], (depth < HEAD_DIM)[None, :]

    q += batch * q_batch + head * q_head
    k += batch * k_batch + head // group * k_head
    v += batch * v_batch + head // group * v_head
    query = tl.load(
        q + rows.to(tl.int64)[:, None] * q_row + depth[None, :], mask=real_row & real_depth, other=0.0
    )  # (BLOCK_M, D)

    m_i = tl.full([BLOCK_M], float("-inf"), tl.float32)  # m: the largest score of each row so far
    l_i = tl.zeros([BLOCK_M], tl.float32)  # l: sum of exp(score - m)
    acc = tl.zeros([BLOCK_M, D], tl.float32)  # sum of exp(score - m) * value

    shift = num_keys - num_queries
    end = num_keys
    if CAUSAL:  # no row of this tile sees a key beyond its last row's own
        end = tl.minimum(num_keys, (tl.program_id(0) + 1) * BLOCK_M + shift)
    for start in range(0, end, BLOCK_N):
        column = start + columns
        at = column.to(tl.int64)[:, None]
        real = (column < num_keys)[:, None] & real_depth
        key = tl.load(k + at * k_row + depth[None, :], mask=real, other=0.0)  # (BLOCK_N, D)
        value = tl.load(v + at * v_row + depth[None, :], mask=real, other=0.0)

        scores = tl.dot(query, key.T, input_precision="ieee") * scale  # (BLOCK_M, BLOCK_N)
        visible = (column < num_keys)[None, :]
        if CAUSAL:
            visible &= column[None, :] <= rows[:, None] + shift
        scores = tl.where(visible, scores, float("-inf"))

        m_new = tl.maximum(m_i, tl.max(scores, 1))
        base = tl.where(m_new == float("-inf"), 0.0, m_new)  # a row that has seen no key yet
        p = tl.exp(scores - base[:, None])
        alpha = tl.exp(m_i - base)  # all earlier terms were taken relative to a smaller maximum
        l_i = l_i * alpha + tl.sum(p, 1)
        acc = acc * alpha[:, None] + tl.dot(p.to(value.dtype), value, input_precision="ieee")
        m_i = m_new

    divisor = tl.where(l_i == 0.0, 1.0, l_i)
    out += batch * out_batch + head * out_head
    tl.store(
        out + rows.to(tl.int64)[:, None] * out_row + depth[None, :],
        (acc / divisor[:, None]).to(out.dtype.element_ty),
        mask=real_row & real_depth,
    )
    tl.store(lse + row_of_heads * num_queries + rows, m_i + tl.log(divisor), mask=rows < num_queries)


def simple_flash_attention(
    q: Float[Tensor, "B Sq H D"],
    k: Float[Tensor, "B Sk Hkv D"],
    v: Float[Tensor, "B Sk Hkv D"],
    causal: bool = False,
    scale: float | None = None,
    block_m: int = 64,
    block_n: int = 32,
) -> tuple[Float[Tensor, "B Sq H D"], Float[Tensor, "B H Sq"]]:
    """Exact attention whose scores never reach memory: a running softmax over tiles of keys.

    For each tile of scores S: m' = max(m, rowmax S), l' = exp(m - m') l + rowsum exp(S - m'),
    O' = exp(m - m') O + exp(S - m') V; at the end O / l      (Dao et al., 2022, arXiv:2205.14135, algorithm 1;
    Milakov and Gimelshein, 2018, arXiv:1805.02867, algorithm 3).

    Reads K and V ceil(Sq / block_m) times and Q once, writes O and L once: bytes moved
    (2 Sq H + 2 Sk H ceil(Sq / block_m)) D itemsize, against Sq Sk H more, several times, where scores reach memory.
    Accumulates in float32. Oracle: `nimblelm.kernels.flash_attention.reference.attention`.

    Args:
        q, k, v: queries, keys, values, on a GPU or under TRITON_INTERPRET=1; heads are contiguous vectors.
        causal: query i sees only the keys j <= i + Sk - Sq.
        scale: factor of the scores, 1 / sqrt(D) by default.
        block_m, block_n: queries and keys in a tile; powers of two, 16 at least.

    Returns:
        (out, lse): the output in q's dtype and the float32 log-sum-exp. A query that sees no key gives 0 and -inf.

    Raises:
        ValueError: q, k and v do not fit each other, or a head's elements are not contiguous.

    Chapter: book/ch04_flash_attention
    """
    check_attention(q, k, v)
    if any(x.stride(-1) != 1 for x in (q, k, v)):
        raise ValueError(f"a head's elements must be contiguous, strides are {[x.stride(-1) for x in (q, k, v)]}")
    batch, num_queries, num_heads, head_dim = q.shape
    out = torch.empty_like(q, memory_format=torch.contiguous_format)
    lse = torch.empty(batch, num_heads, num_queries, dtype=torch.float32, device=q.device)
    grid = (triton.cdiv(num_queries, block_m), batch * num_heads)
    _forward[grid](
        q, k, v, out, lse, *q.stride()[:3], *k.stride()[:3], *v.stride()[:3], *out.stride()[:3],
        head_dim**-0.5 if scale is None else scale, num_queries, k.shape[1], num_heads, num_heads // k.shape[2],
        HEAD_DIM=head_dim, D=max(16, triton.next_power_of_2(head_dim)), CAUSAL=causal, BLOCK_M=block_m, BLOCK_N=block_n,
    )  # fmt: skip
    return out, lse
