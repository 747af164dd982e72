"""Mimi's transformer between convolutions and codes: causal, of a limited window, and streamed."""

import math
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from nimblelm.audio.codec.causal_conv import Stream
from nimblelm.nn.attend import Attend, windowed
from nimblelm.nn.attention import Attention
from nimblelm.nn.mlp import MLP
from nimblelm.nn.positions import rotary_table, rotate


@dataclass(frozen=True)
class BottleneckConfig:
    """Shape of the transformer; the defaults are Mimi's (Defossez et al., 2024, arXiv:2410.00037, section 3.3.1).

    Raises:
        ValueError: rope_base is not above 0 and finite, or norm_eps negative or not finite.
    """

    d_model: int = 512
    num_layers: int = 8
    num_heads: int = 8
    num_kv_heads: int = 8
    head_dim: int = 64
    d_ff: int = 2048
    window: int = 250  # frames that a frame sees: 10 s at 25 Hz
    rope_base: float = 10_000.0
    norm_eps: float = 1e-5

    def __post_init__(self):
        if not 0 < self.rope_base < math.inf or not 0 <= self.norm_eps < math.inf:
            raise ValueError(f"rope_base {self.rope_base} must be above 0, norm_eps {self.norm_eps} 0 or more; finite")


class BottleneckBlock(nn.Module):
    """A pre-norm layer whose two contributions begin at a hundredth (LayerScale, Touvron et al., 2021)."""

    def __init__(self, config: BottleneckConfig):
        super().__init__()
        width = config.d_model
        self.attention_norm = nn.LayerNorm(width, config.norm_eps)
        self.attention = Attention(width, config.num_heads, config.num_kv_heads, head_dim=config.head_dim)
        self.attention_scale = nn.Parameter(torch.full((width,), 0.01))
        self.mlp_norm = nn.LayerNorm(width, config.norm_eps)
        self.mlp = MLP(width, config.d_ff, F.gelu, bias=False)
        self.mlp_scale = nn.Parameter(torch.full((width,), 0.01))

    def forward(
        self, x: Float[Tensor, "B T d"], attend: Attend, table: Float[Tensor, "2 T D"]
    ) -> Float[Tensor, "B T d"]:
        x = x + self.attention_scale * self.attention(self.attention_norm(x), attend, partial(rotate, table=table))
        return x + self.mlp_scale * self.mlp(self.mlp_norm(x))


class BottleneckTransformer(nn.Module):
    """Blocks over frames, in the layout of convolutions.

    Args:
        config: the shape.

    Chapter: book/ch19_audio_codecs
    """

    def __init__(self, config: BottleneckConfig):
        super().__init__()
        self.config = config
        self.blocks = nn.ModuleList(BottleneckBlock(config) for _ in range(config.num_layers))

    def forward(self, x: Float[Tensor, "B d T"], stream: Stream | None = None) -> Float[Tensor, "B d T"]:
        """A whole sound's frames, or with a stream the next ones: keys and values of the window are kept, no more."""
        hidden, (window, head_dim) = x.mT, (self.config.window, self.config.head_dim)
        begins = int(stream[self][0]) if stream is not None and self in stream else 0
        table = rotary_table(begins + x.shape[-1], head_dim, self.config.rope_base)[:, begins:].to(x.device)
        for block in self.blocks:
            attend = windowed(window) if stream is None else _remembering(block, stream, window)
            hidden = block(hidden, attend, table)
        if stream is not None:
            stream[self] = (torch.tensor(begins + x.shape[-1]),)
        return hidden.mT


def _remembering(block: nn.Module, stream: Stream, window: int) -> Attend:
    """Attention to what the block kept and to what is new; of both it keeps the last."""

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        if block in stream:
            k, v = (torch.cat(pair, dim=1) for pair in zip(stream[block], (k, v), strict=True))
        first = max(0, k.shape[1] - window + 1)
        stream[block] = (k[:, first:], v[:, first:])
        return windowed(window)(q, k, v)

    return attend
