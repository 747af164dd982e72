"""Grouped-query attention over a position-indexed key-value cache."""

from jaxtyping import Float
from torch import Tensor, nn

from nimblelm.kernels.flash_attention import flash_attention
from nimblelm.kernels.flash_decoding import flash_decoding
from nimblelm.nn.positions import RowPositions, rotate


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
        position: int | RowPositions = 0,
    ) -> Float[Tensor, "B T d"]:
        """Attend from T new tokens to themselves and, through the cache, to all before them.

        Args:
            x: the new tokens' hidden states.
            rotary: their rows of the rotary table.
            cache: this layer's keys and values; the rows of the T tokens are overwritten, later ones ignored.
            position: index of the first new token, or the positions of each batch row on the device.
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
            if cache is not None:
                keys, values = cache
                end = position + length
                keys[:, position:end], values[:, position:end] = k, v
                k, v = keys[:, :end], values[:, :end]
            # One query is the last and sees every row: nothing is to be masked.
            out = flash_attention(q.to(v.dtype), k.to(v.dtype), v, causal=length > 1)
        return self.out_proj(out.reshape(batch, length, -1))
