"""The block that vision transformers share, whatever their patches are cut from."""

import math
from collections.abc import Callable

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from nimblelm.nn.attend import Attend
from nimblelm.nn.attention import Attention
from nimblelm.nn.mlp import MLP


class EncoderBlock(nn.Module):
    """One pre-norm layer.

    z' = MSA(LN(z)) + z, z = MLP(LN(z')) + z'          (Dosovitskiy et al., 2021, arXiv:2010.11929, eqs. 2 and 3)

    Args:
        d_model: width of the residual stream.
        num_heads: of attention.
        d_ff: hidden width of the MLP.
        norm_eps: added to the variance in both norms.
        activation: of the MLP's hidden units, the exact GELU by default.

    Raises:
        ValueError: norm_eps is negative or not finite.
    """

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        d_ff: int,
        norm_eps: float,
        activation: Callable[[Tensor], Tensor] = F.gelu,
    ):
        super().__init__()
        if not 0 <= norm_eps < math.inf:
            raise ValueError(f"norm_eps {norm_eps} must be 0 or more and finite")
        self.attention_norm = nn.LayerNorm(d_model, norm_eps)
        self.attention = Attention(d_model, num_heads, bias="qkvo")
        self.mlp_norm = nn.LayerNorm(d_model, norm_eps)
        self.mlp = MLP(d_model, d_ff, activation)

    def forward(self, x: Float[Tensor, "B T d"], attend: Attend) -> Float[Tensor, "B T d"]:
        x = x + self.attention(self.attention_norm(x), attend)
        return x + self.mlp(self.mlp_norm(x))
