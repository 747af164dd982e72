"""Attention over chosen blocks: the fast kernels' tiles, walked along a list of indices instead of a range."""
# pyright: reportArgumentType=false, reportCallIssue=false, reportGeneralTypeIssues=false

import torch
import triton
import triton.language as tl
from jaxtyping import Bool, Float, Int32
from torch import Tensor

from nimblelm.kernels.flash_attention.backward import by_row, dkv_tile, dq_tile, prepare
from nimblelm.kernels.flash_attention.configs import Tile, config_for
from nimblelm.kernels.flash_attention.forward import LOG2_E, attend_tile, finish
from nimblelm.kernels.flash_attention.launch import checked_scale, nothing
from nimblelm.kernels.flash_attention.shared import (
    descriptor,
    heads_per_l2_group,
    load_once,
    program_to_tile,
    store,
    tma_aligned,
)
from nimblelm.kernels.shapes import check_mask


def block_lists(
    blocks: Bool[Tensor, "b h Mq Mk"],
) -> tuple[Int32[Tensor, "b h Mq"], Int32[Tensor, "b h Mq Mk"]]:
    """How many blocks each row of blocks sees, and which: their indices ascending, then those of the others."""
    blocks = blocks.contiguous()
    seen_first = blocks.logical_not().to(torch.uint8).sort(dim=-1, stable=True).indices
    return blocks.sum(-1, dtype=torch.int32), seen_first.to(torch.int32)


def by_key_block(blocks: Bool[Tensor, "b h Mq Mk"], num_kv_heads: int, group: int) -> Bool[Tensor, "b h2 Mk Mqs"]:
    """The mask seen from the keys: for each of their heads and blocks, all pairs (head, block of queries)."""
    if group == 1:
        return blocks.mT
    of_each = blocks.expand(-1, num_kv_heads * group, -1, -1).unflatten(1, (num_kv_heads, group))
    return of_each.permute(0, 1, 4, 2, 3).flatten(3)


@triton.jit
def _visible(counts, indices, batch_stride, head_stride, batch, head, block, width):
    """Length and start of the list of one row of blocks."""
    row = batch.to(tl.int64) * batch_stride + head.to(tl.int64) * head_stride + block
    return tl.load(counts + row), indices + row * width


@triton.jit
def _start(visible, step, BLOCK: tl.constexpr, TILE: tl.constexpr):
    """First row of a step's tile: BLOCK // TILE tiles to each block of the list."""
    return tl.load(visible + step // (BLOCK // TILE)) * BLOCK + step % (BLOCK // TILE) * TILE


@triton.jit
def sparse_forward_kernel(
    queries, q_batch, q_row, q_head, keys, values, out, lse, counts, indices, list_batch, list_head, width,
    scale_log2, num_queries, num_keys, num_heads, all_heads, group, num_tiles, section,
    BLOCK: tl.constexpr, MASKED: tl.constexpr, CAUSAL: tl.constexpr, HEAD_DIM: tl.constexpr, D: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """`forward_kernel` with one loop, over the blocks of keys in the list of this tile's queries."""
    tile, row_of_heads = program_to_tile(num_tiles, all_heads, section, CAUSAL)
    batch, head = row_of_heads // num_heads, row_of_heads % num_heads
    first_row = tile * BLOCK_M
    query = load_once(
        queries, q_batch, q_row, q_head, batch, first_row, head, num_queries, BLOCK_M, HEAD_DIM, D
    )  # fmt: skip
    acc = tl.zeros([BLOCK_M, D], tl.float32)
    l_i = tl.zeros([BLOCK_M], tl.float32)
    m_i = tl.full([BLOCK_M], float("-inf"), tl.float32)
    count, visible = _visible(counts, indices, list_batch, list_head, batch, head, first_row // BLOCK, width)
    for step in tl.range(0, count * (BLOCK // BLOCK_N)):
        acc, l_i, m_i = attend_tile(
            acc, l_i, m_i, query, keys, values, batch, head // group, _start(visible, step, BLOCK, BLOCK_N),
            first_row + tl.arange(0, BLOCK_M), num_keys - num_queries, num_keys, scale_log2,
            MASKED, CAUSAL, BLOCK_N, D, PRECISION,
        )  # fmt: skip
    finish(out, lse, acc, l_i, m_i, batch, head, row_of_heads, first_row, num_queries, BLOCK_M, D)


@triton.jit
def sparse_dq_kernel(
    queries, q_batch, q_row, q_head, keys, values, douts, do_batch, do_row, do_head, lse_log2, delta, dqs,
    counts, indices, list_batch, list_head, width,
    scale, scale_log2, num_queries, num_keys, num_heads, all_heads, group, padded, num_tiles, section,
    BLOCK: tl.constexpr, MASKED: tl.constexpr, CAUSAL: tl.constexpr, HEAD_DIM: tl.constexpr, D: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """`dq_kernel` over the same list as the forward kernel."""
    tile, row_of_heads = program_to_tile(num_tiles, all_heads, section, CAUSAL)
    batch, head = row_of_heads // num_heads, row_of_heads % num_heads
    first_row = tile * BLOCK_M
    rows = first_row + tl.arange(0, BLOCK_M)
    query = load_once(
        queries, q_batch, q_row, q_head, batch, first_row, head, num_queries, BLOCK_M, HEAD_DIM, D
    )  # fmt: skip
    do = load_once(
        douts, do_batch, do_row, do_head, batch, first_row, head, num_queries, BLOCK_M, HEAD_DIM, D
    )  # fmt: skip
    at = row_of_heads.to(tl.int64) * padded + rows
    row_lse, row_delta = tl.load(lse_log2 + at), tl.load(delta + at)
    dq = tl.zeros([BLOCK_M, D], tl.float32)
    count, visible = _visible(counts, indices, list_batch, list_head, batch, head, first_row // BLOCK, width)
    for step in tl.range(0, count * (BLOCK // BLOCK_N)):
        dq = dq_tile(
            dq, query, do, row_lse, row_delta, keys, values, batch, head // group,
            _start(visible, step, BLOCK, BLOCK_N), rows, num_keys - num_queries, num_keys, scale_log2,
            MASKED, CAUSAL, BLOCK_N, D, PRECISION,
        )  # fmt: skip
    store(dqs, batch, first_row, head, dq * scale, BLOCK_M, D)


@triton.jit
def sparse_dkv_kernel(
    queries, keys, k_batch, k_row, k_head, values, v_batch, v_row, v_head, douts, lse_log2, delta, dks, dvs,
    counts, indices, list_batch, list_head, width,
    scale, scale_log2, num_queries, num_keys, num_kv_heads, all_kv_heads, group, num_tiles, section,
    BLOCK: tl.constexpr, CAUSAL: tl.constexpr, HEAD_DIM: tl.constexpr, D: tl.constexpr, BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """`dkv_kernel` over the pairs of a head and a block of queries that see this tile's keys."""
    tile, row_of_kv_heads = program_to_tile(num_tiles, all_kv_heads, section, False)
    batch, kv_head = row_of_kv_heads // num_kv_heads, row_of_kv_heads % num_kv_heads
    first_column = tile * BLOCK_N
    key = load_once(
        keys, k_batch, k_row, k_head, batch, first_column, kv_head, num_keys, BLOCK_N, HEAD_DIM, D
    )  # fmt: skip
    value = load_once(
        values, v_batch, v_row, v_head, batch, first_column, kv_head, num_keys, BLOCK_N, HEAD_DIM, D
    )  # fmt: skip
    dk, dv = tl.zeros([BLOCK_N, D], tl.float32), tl.zeros([BLOCK_N, D], tl.float32)
    count, pairs = _visible(counts, indices, list_batch, list_head, batch, kv_head, first_column // BLOCK, width)
    blocks_a_head = (
        width // group
    )  # a pair of a head of the group and a block of queries is head * blocks_a_head + block
    for step in tl.range(0, count * (BLOCK // BLOCK_M)):
        pair = tl.load(pairs + step // (BLOCK // BLOCK_M))
        start = pair % blocks_a_head * BLOCK + step % (BLOCK // BLOCK_M) * BLOCK_M
        dk, dv = dkv_tile(
            dk, dv, key, value, queries, douts, lse_log2, delta, batch, kv_head * group + pair // blocks_a_head,
            num_kv_heads * group, start, first_column - (num_keys - num_queries), scale_log2,
            CAUSAL, BLOCK_M, BLOCK_N, D, PRECISION,
        )  # fmt: skip
    store(dks, batch, first_column, kv_head, dk * scale, BLOCK_N, D)
    store(dvs, batch, first_column, kv_head, dv, BLOCK_N, D)


def fit(tile: Tile, block: int, kept: int) -> Tile:
    """The table's tile, cut to the block; where the kept operand's rows are cut, fewer warps share them.

    Chapter: book/ch04_flash_attention
    """
    warps = tile.num_warps if kept <= block else max(4, tile.num_warps * block // kept)
    return Tile(min(tile.block_m, block), min(tile.block_n, block), warps, tile.num_stages)


class _BlockSparseAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx, q, k, v, blocks, block, causal, scale):
        q, k, v = tma_aligned(q), tma_aligned(k), tma_aligned(v)
        batch, num_queries, num_heads, head_dim = q.shape
        num_keys, group = k.shape[1], num_heads // k.shape[2]
        config = config_for(head_dim, causal, q.dtype)
        tile = fit(config.forward, block, config.forward.block_m)
        out = torch.empty(q.shape, dtype=q.dtype, device=q.device)
        lse = torch.empty(batch, num_heads, num_queries, dtype=torch.float32, device=q.device)
        num_tiles = triton.cdiv(num_queries, tile.block_m)
        lists = _arguments(blocks)
        with torch.cuda.device_of(q):
            sparse_forward_kernel[(num_tiles * batch * num_heads,)](
                q, *q.stride()[:3], descriptor(k, tile.block_n), descriptor(v, tile.block_n),
                descriptor(out, tile.block_m), lse, *lists,
                scale * LOG2_E, num_queries, num_keys, num_heads, batch * num_heads, group, num_tiles,
                heads_per_l2_group(k, group), BLOCK=block, MASKED=causal or num_keys % block > 0, CAUSAL=causal,
                HEAD_DIM=head_dim, D=triton.next_power_of_2(head_dim), PRECISION=config.precision, **tile.options(),
            )  # fmt: skip
        ctx.save_for_backward(q, k, v, out, lse, blocks, *lists[:2])
        ctx.settings = block, causal, scale, config, lists[2:]
        return out, lse

    @staticmethod
    def backward(ctx, dout, dlse):
        q, k, v, out, lse, blocks, counts, indices = ctx.saved_tensors
        block, causal, scale, config, strides = ctx.settings
        dout, dlse = tma_aligned(dout), dlse.contiguous()
        batch, num_queries, num_heads, head_dim = q.shape
        num_keys, num_kv_heads = k.shape[1:3]
        group = num_heads // num_kv_heads
        dq, dk, dv = (torch.empty(x.shape, dtype=x.dtype, device=x.device) for x in (q, k, v))
        settings = {"BLOCK": block, "CAUSAL": causal, "HEAD_DIM": head_dim, "D": triton.next_power_of_2(head_dim)}
        settings["PRECISION"] = config.precision
        with torch.cuda.device_of(q):
            lse_log2, delta = prepare(out, lse, dout, dlse)
            tile = fit(config.dq, block, config.dq.block_m)
            num_tiles = triton.cdiv(num_queries, tile.block_m)
            sparse_dq_kernel[(num_tiles * batch * num_heads,)](
                q, *q.stride()[:3], descriptor(k, tile.block_n), descriptor(v, tile.block_n), dout, *dout.stride()[:3],
                lse_log2, delta, descriptor(dq, tile.block_m), counts, indices, *strides,
                scale, scale * LOG2_E, num_queries, num_keys, num_heads, batch * num_heads, group, delta.shape[1],
                num_tiles, heads_per_l2_group(k, group), MASKED=causal or num_keys % block > 0,
                **settings, **tile.options(),
            )  # fmt: skip
            tile = fit(config.dkv, block, config.dkv.block_n)
            lists = _arguments(by_key_block(blocks, num_kv_heads, group))
            num_tiles = triton.cdiv(num_keys, tile.block_n)
            sparse_dkv_kernel[(num_tiles * batch * num_kv_heads,)](
                descriptor(q, tile.block_m), k, *k.stride()[:3], v, *v.stride()[:3], descriptor(dout, tile.block_m),
                by_row(lse_log2, tile.block_m), by_row(delta, tile.block_m),
                descriptor(dk, tile.block_n), descriptor(dv, tile.block_n), *lists,
                scale, scale * LOG2_E, num_queries, num_keys, num_kv_heads, batch * num_kv_heads, group, num_tiles,
                heads_per_l2_group(q, 1), **settings, **tile.options(),
            )  # fmt: skip
        return dq, dk, dv, None, None, None, None


def _arguments(blocks: Tensor) -> tuple[Tensor, Tensor, int, int, int]:
    """The lists as kernels take them: counts, indices, rows between batches, rows between heads, columns."""
    counts, indices = block_lists(blocks)
    batches, heads, rows = counts.shape
    return counts, indices, rows * heads * (batches > 1), rows * (heads > 1), indices.shape[3]


def triton_block_sparse_attention(
    q: Float[Tensor, "B Sq H D"],
    k: Float[Tensor, "B Sk Hkv D"],
    v: Float[Tensor, "B Sk Hkv D"],
    blocks: Bool[Tensor, "#B #H Mq Mk"],
    block: int = 64,
    causal: bool = False,
    scale: float | None = None,
) -> tuple[Float[Tensor, "B Sq H D"], Float[Tensor, "B H Sq"]]:
    """`block_sparse_attention` by the Triton kernels.

    O = softmax(scale Q K^T + M) V, M = 0 in visible blocks and -inf elsewhere
    (Dao et al., 2022, arXiv:2205.14135, section 3.3).

    Work and bytes moved are those of `triton_flash_attention` times the share of visible blocks, and an int32 a visible
    block; accumulates in float32. Oracle: `reference.attention` with the mask's elements.

    Args:
        q, k, v, blocks, block, causal, scale: as in `nimblelm.kernels.flash_attention.block_sparse_attention`.

    Returns:
        (out, lse), differentiable.

    Raises:
        ValueError: q, k, v or blocks do not fit each other, or a head_dim or dtype that the kernels do not take.
    """
    factor = checked_scale(q, k, v, scale)
    check_mask(blocks, "blocks", q, triton.cdiv(q.shape[1], block), triton.cdiv(k.shape[1], block))
    if q.numel() == 0 or k.numel() == 0:
        return nothing(q, k, v)
    if causal:  # blocks that the causal mask hides altogether need not be walked through
        last_row = torch.arange(1, blocks.shape[2] + 1, device=q.device) * block - 1
        first_column = torch.arange(blocks.shape[3], device=q.device) * block
        blocks = blocks & (first_column <= last_row[:, None] + k.shape[1] - q.shape[1])
    return _BlockSparseAttention.apply(q, k, v, blocks, block, causal, factor)
