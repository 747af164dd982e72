"""Flash attention in plain torch: the same tiles in the same order as the Triton kernels, forward and backward."""

import torch
from jaxtyping import Float
from torch import Tensor

from nimblelm.kernels.flash_attention.online_softmax import absorb, finish, no_keys_yet
from nimblelm.kernels.shapes import check_attention, check_fit, check_sizes


def tiled_attention(
    q: Float[Tensor, "B Sq H D"],
    k: Float[Tensor, "B Sk Hkv D"],
    v: Float[Tensor, "B Sk Hkv D"],
    causal: bool = False,
    scale: float | None = None,
    block_m: int = 256,
    block_n: int = 512,
) -> tuple[Float[Tensor, "B Sq H D"], Float[Tensor, "B H Sq"]]:
    """Exact attention that never holds more than one tile of scores.

    For each block of queries: a running softmax over the blocks of keys that it sees (Dao, 2023, arXiv:2307.08691,
    algorithm 1). Accumulates in float32, or in float64 where the inputs are. Extra memory: block_m block_n scores a
    head, whatever the length. Oracle: `nimblelm.kernels.flash_attention.reference.attention`.

    Args:
        q: queries; H / Hkv of them share one key-value head.
        k, v: keys and values.
        causal: query i sees only the keys j <= i + Sk - Sq, so that the last query sees all.
        scale: factor of the scores, 1 / sqrt(D) by default.
        block_m, block_n: queries and keys in a tile.

    Returns:
        (out, lse): the output in q's dtype, and the log-sum-exp; 0 and -inf for a query that sees no key.

    Raises:
        ValueError: q, k and v do not fit each other, or a block is below 1.

    Chapter: book/ch04_flash_attention
    """
    check_attention(q, k, v)
    tiles = _Tiles(q, k, causal, scale, block_m, block_n)
    out, lse = torch.empty_like(q), torch.empty(q.shape[0], q.shape[2], q.shape[1], dtype=tiles.dtype)
    for first_row in range(0, q.shape[1], block_m):
        query = tiles.rows(q, first_row)
        state = no_keys_yet(query)
        for first_key in range(0, tiles.end(first_row), block_n):
            key, value = tiles.columns(k, first_key), tiles.columns(v, first_key)
            state = absorb(state, tiles.scores(query, key, first_row, first_key), value)
        block_out, block_lse = finish(state)
        tiles.put_rows(out, first_row, block_out)
        lse[:, :, first_row : first_row + block_m] = block_lse.flatten(1, 2)
    return out, lse


def tiled_attention_gradients(
    q: Float[Tensor, "B Sq H D"],
    k: Float[Tensor, "B Sk Hkv D"],
    v: Float[Tensor, "B Sk Hkv D"],
    out: Float[Tensor, "B Sq H D"],
    lse: Float[Tensor, "B H Sq"],
    dout: Float[Tensor, "B Sq H D"],
    causal: bool = False,
    scale: float | None = None,
    block_m: int = 256,
    block_n: int = 512,
) -> tuple[Float[Tensor, "B Sq H D"], Float[Tensor, "B Sk Hkv D"], Float[Tensor, "B Sk Hkv D"]]:
    """Gradients of the output, with each tile of probabilities computed again from the saved log-sum-exp.

    P = exp(S - L), delta = rowsum(dO * O), dV = P^T dO, dS = P * (dO V^T - delta), dQ = scale dS K, dK = scale dS^T Q
    (Dao, 2023, arXiv:2307.08691, algorithm 2).

    Args:
        q, k, v, causal, scale, block_m, block_n: as in `tiled_attention`.
        out, lse: what it returned.
        dout: gradient of the loss by the output, dO.

    Returns:
        (dq, dk, dv) in the inputs' dtypes.

    Raises:
        ValueError: the tensors do not fit each other, or a block is below 1.

    Chapter: book/ch04_flash_attention
    """
    check_attention(q, k, v)
    check_fit(q=(q, "B Sq H D"), out=(out, "B Sq H D"), dout=(dout, "B Sq H D"))
    check_sizes(q=(q, "B Sq H D"), lse=(lse, "B H Sq"))
    tiles = _Tiles(q, k, causal, scale, block_m, block_n)
    dq, dk, dv = (torch.zeros(x.shape, dtype=tiles.dtype) for x in (q, k, v))
    delta = (dout.to(tiles.dtype) * out.to(tiles.dtype)).sum(-1, keepdim=True)  # (B, Sq, H, 1)
    sums = lse.to(tiles.dtype).mT[..., None]  # (B, Sq, H, 1), the layout of a query
    for first_row in range(0, q.shape[1], block_m):
        query, dy = tiles.rows(q, first_row), tiles.rows(dout, first_row)
        row_delta, row_sums = tiles.rows(delta, first_row), tiles.rows(sums, first_row)
        row_sums = row_sums.masked_fill(row_sums == float("-inf"), 0.0)  # rows that see no key: their scores are -inf
        for first_key in range(0, tiles.end(first_row), block_n):
            key, value = tiles.columns(k, first_key), tiles.columns(v, first_key)
            p = (tiles.scores(query, key, first_row, first_key) - row_sums).exp()
            ds = p * (dy @ value.mT - row_delta) * tiles.scale
            tiles.put_rows(dq, first_row, ds @ key, add=True)
            tiles.add_columns(dk, first_key, ds.mT @ query)
            tiles.add_columns(dv, first_key, p.mT @ dy)
    return dq.to(q.dtype), dk.to(k.dtype), dv.to(v.dtype)


class _Tiles:
    """Blocks of rows and columns, in the dtype of the accumulators.

    The queries that share a key-value head stand below one another: a block is (B, Hkv, G, rows, D), keys
    (B, Hkv, 1, columns, D).
    """

    def __init__(self, q: Tensor, k: Tensor, causal: bool, scale: float | None, block_m: int, block_n: int):
        if min(block_m, block_n) < 1:
            raise ValueError(f"blocks are {block_m} and {block_n}, 1 at least is needed")
        self.dtype = torch.promote_types(q.dtype, torch.float32)
        self.scale: float = q.shape[-1] ** -0.5 if scale is None else scale
        self.causal, self.block_m, self.block_n = causal, block_m, block_n
        self.num_keys, self.kv_heads = k.shape[1:3]
        self.shift = self.num_keys - q.shape[1]

    def end(self, first_row: int) -> int:
        """The keys that some row of the block sees end before this one."""
        return min(self.num_keys, first_row + self.block_m + self.shift) if self.causal else self.num_keys

    def rows(self, x: Tensor, first: int) -> Tensor:
        block = x[:, first : first + self.block_m].to(self.dtype)
        return block.unflatten(2, (self.kv_heads, -1)).permute(0, 2, 3, 1, 4)  # (B, Hkv, G, rows, D)

    def columns(self, x: Tensor, first: int) -> Tensor:
        return x[:, first : first + self.block_n].to(self.dtype).transpose(1, 2)[:, :, None]  # (B, Hkv, 1, columns, D)

    def scores(self, query: Tensor, key: Tensor, first_row: int, first_key: int) -> Tensor:
        scores = query @ key.mT * self.scale  # (B, Hkv, G, rows, columns)
        if self.causal and first_key + key.shape[-2] - 1 > first_row + self.shift:  # the diagonal cuts this tile
            row = first_row + torch.arange(query.shape[-2])[:, None]
            hidden = first_key + torch.arange(key.shape[-2]) > row + self.shift
            scores = scores.masked_fill(hidden, float("-inf"))
        return scores

    def put_rows(self, target: Tensor, first: int, block: Tensor, add: bool = False) -> None:
        view = target[:, first : first + self.block_m]
        block = block.permute(0, 3, 1, 2, 4).flatten(2, 3)  # (B, rows, H, D)
        view.copy_(view + block if add else block)

    def add_columns(self, target: Tensor, first: int, block: Tensor) -> None:
        target[:, first : first + self.block_n] += block.sum(2).transpose(1, 2)
