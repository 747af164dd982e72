"""Feed-forward layers: with and without a gate."""

from collections.abc import Callable

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class SwiGLU(nn.Module):
    """Feed-forward layer whose hidden units are gated by a SiLU.

    down(silu(gate(x)) * up(x))          (Shazeer, 2020, arXiv:2002.05202, eq. 6)

    Args:
        d_model: width of the residual stream.
        d_ff: hidden width.
    """

    def __init__(self, d_model: int, d_ff: int):
        super().__init__()
        self.gate_up_proj = nn.Linear(d_model, 2 * d_ff, bias=False)
        self.down_proj = nn.Linear(d_ff, d_model, bias=False)

    def forward(self, x: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
        gate, up = self.gate_up_proj(x).chunk(2, dim=-1)
        return self.down_proj(F.silu(gate) * up)


class MLP(nn.Module):
    """Feed-forward layer: down(activation(up(x)))          (Vaswani et al., 2017, arXiv:1706.03762, eq. 2)

    Args:
        d_model: width of the residual stream.
        d_ff: hidden width.
        activation: of the hidden units, such as `F.relu` or `F.gelu`.
        bias: whether both layers add one.
    """

    def __init__(self, d_model: int, d_ff: int, activation: Callable[[Tensor], Tensor], bias: bool = True):
        super().__init__()
        self.activation = activation
        self.up_proj = nn.Linear(d_model, d_ff, bias=bias)
        self.down_proj = nn.Linear(d_ff, d_model, bias=bias)

    def forward(self, x: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
        return self.down_proj(self.activation(self.up_proj(x)))
