"""Grouped-query attention over a position-indexed key-value cache."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from nimblelm.kernels.flash_attention import flash_attention
from nimblelm.kernels.flash_decoding import flash_decoding
from nimblelm.nn.positions import RowPositions, TreePositions, rotate


class Attention(nn.Module):
    """Causal self-attention in which several query heads share one key-value head.

    softmax(Q K^T / sqrt(head_dim)) V     (Vaswani et al., 2017, arXiv:1706.03762, eq. 1),
    with num_heads / num_kv_heads queries to each key-value head (Ainslie et al., 2023, arXiv:2305.13245, section 2.2).

    Args:
        d_model: width of the residual stream.
        num_heads: query heads.
        num_kv_heads: key and value heads; divides num_heads.

    Raises:
        ValueError: the heads do not divide.

    Chapter: book/ch02_speculative_decoding
    """

    def __init__(self, d_model: int, num_heads: int, num_kv_heads: int):
        super().__init__()
        if d_model % num_heads:
            raise ValueError(f"d_model {d_model} is not a multiple of num_heads {num_heads}")
        if num_heads % num_kv_heads:
            raise ValueError(f"num_heads {num_heads} is not a multiple of num_kv_heads {num_kv_heads}")
        self.num_heads, self.num_kv_heads, self.head_dim = num_heads, num_kv_heads, d_model // num_heads
        self.qkv_proj = nn.Linear(d_model, (num_heads + 2 * num_kv_heads) * self.head_dim, bias=False)
        self.out_proj = nn.Linear(num_heads * self.head_dim, d_model, bias=False)

    def forward(
        self,
        x: Float[Tensor, "B T d"],
        rotary: Float[Tensor, "2 *rows T D"],
        cache: tuple[Float[Tensor, "B S Hkv D"], Float[Tensor, "B S Hkv D"]] | None = None,
        position: int | RowPositions | TreePositions = 0,
    ) -> Float[Tensor, "B T d"]:
        """Attend from T new tokens to themselves and, through the cache, to all before them.

        Args:
            x: the new tokens' hidden states.
            rotary: their rows of the rotary table.
            cache: this layer's keys and values; the rows of the T tokens are overwritten, later ones ignored.
            position: index of the first new token, the positions of each batch row on the device, or a tree's.
        """
        batch, length, _ = x.shape
        qkv = self.qkv_proj(x).view(batch, length, -1, self.head_dim)  # (B, T, H + 2 Hkv, D)
        qk, v = qkv.split([self.num_heads + self.num_kv_heads, self.num_kv_heads], dim=2)
        q, k = rotate(qk, rotary).split([self.num_heads, self.num_kv_heads], dim=2)
        if isinstance(position, RowPositions):
            assert cache is not None
            keys, values = cache
            keys[position.rows, position.positions] = k
            values[position.rows, position.positions] = v
            out = flash_decoding(q, keys, values, position.lengths)
        else:
            first = position.first if isinstance(position, TreePositions) else position
            if cache is not None:
                keys, values = cache
                end = first + length
                keys[:, first:end], values[:, first:end] = k, v
                k, v = keys[:, :end], values[:, :end]
            if isinstance(position, TreePositions):
                out = tree_attention(q.to(v.dtype), k.to(v.dtype), v, position.mask)
            else:
                # One query is the last and sees every row: nothing is to be masked.
                out = flash_attention(q.to(v.dtype), k.to(v.dtype), v, causal=length > 1)
        return self.out_proj(out.reshape(batch, length, -1))


def tree_attention(
    q: Float[Tensor, "B T H D"],
    k: Float[Tensor, "B S Hkv D"],
    v: Float[Tensor, "B S Hkv D"],
    mask: Bool[Tensor, "T T"],
) -> Float[Tensor, "B T H D"]:
    """Attention of T tree nodes to all that came before the tree and, within it, to what the mask allows.

    softmax(Q K^T / sqrt(D) + M) V, M = 0 before the tree and where the mask is true, -inf elsewhere
    (Cai et al., 2024, arXiv:2401.10774, section 2.1.2).

    Args:
        q: queries of the nodes; H / Hkv of them share one key-value head.
        k, v: keys and values, those of the nodes last.
        mask: row i is true at the nodes that node i sees, itself among them.

    Chapter: book/ch03_medusa_heads
    """
    before = mask.new_ones(len(mask), k.shape[1] - len(mask))
    visible = torch.cat([before, mask], dim=1)  # (T, S)
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v, visible, enable_gqa=q.shape[1] != k.shape[1]).transpose(1, 2)
