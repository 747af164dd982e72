"""Conformer: attention for what is far, convolution for what is near, between two half feed-forward layers."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from nimblelm.nn.attend import Attend, biased
from nimblelm.nn.attention import Attention
from nimblelm.nn.mlp import MLP


class ConvolutionModule(nn.Module):
    """LN, pointwise, GLU, depthwise over time, batch norm, Swish, pointwise.

    (Gulati et al., 2020, arXiv:2005.08100, figure 2)

    Args:
        d_model: width.
        kernel_size: frames that the depthwise convolution sees; odd.

    Raises:
        ValueError: kernel_size is even or below 1.

    Chapter: book/ch16_speech_recognition
    """

    def __init__(self, d_model: int, kernel_size: int):
        super().__init__()
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ValueError(f"kernel_size {kernel_size} must be odd and 1 or more")
        self.norm = nn.LayerNorm(d_model)
        self.pointwise_in = nn.Conv1d(d_model, 2 * d_model, 1, bias=False)
        self.depthwise = nn.Conv1d(d_model, d_model, kernel_size, padding=kernel_size // 2, groups=d_model, bias=False)
        self.batch_norm = nn.BatchNorm1d(d_model)
        self.pointwise_out = nn.Conv1d(d_model, d_model, 1, bias=False)

    def forward(self, x: Float[Tensor, "B T d"]) -> Float[Tensor, "B T d"]:
        gated = F.glu(self.pointwise_in(self.norm(x).mT), dim=1)  # (B, d, T)
        return self.pointwise_out(F.silu(self.batch_norm(self.depthwise(gated)))).mT


class ConformerBlock(nn.Module):
    """x + FFN(x)/2, + attention, + convolution, + FFN/2, then a layer norm.

    (Gulati et al., 2020, arXiv:2005.08100, section 2.4)

    Args:
        d_model: width.
        num_heads: of attention.
        d_ff: hidden width of both feed-forward layers.
        kernel_size: of the depthwise convolution, odd.
        dropout: share of each branch's outputs that training drops.

    Raises:
        ValueError: dropout is outside of 0 .. 1; as `ConvolutionModule` and `Attention`.

    Chapter: book/ch16_speech_recognition
    """

    def __init__(self, d_model: int, num_heads: int, d_ff: int, kernel_size: int, dropout: float = 0.0):
        super().__init__()
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout {dropout} must be 0 or more and below 1")
        self.norm_1, self.mlp_1 = nn.LayerNorm(d_model), MLP(d_model, d_ff, F.silu)
        self.attention_norm = nn.LayerNorm(d_model)
        self.attention = Attention(d_model, num_heads, bias="qkvo")
        self.convolution = ConvolutionModule(d_model, kernel_size)
        self.norm_2, self.mlp_2 = nn.LayerNorm(d_model), MLP(d_model, d_ff, F.silu)
        self.final_norm = nn.LayerNorm(d_model)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "B T d"], attend: Attend) -> Float[Tensor, "B T d"]:
        x = x + self.dropout(self.mlp_1(self.norm_1(x))) / 2
        x = x + self.dropout(self.attention(self.attention_norm(x), attend))
        x = x + self.dropout(self.convolution(x))
        x = x + self.dropout(self.mlp_2(self.norm_2(x))) / 2
        return self.final_norm(x)


class RelativePositions(nn.Module):
    """Attention that scores content and distance apart.

    score(i, j) = ((q_i + u) k_j + (q_i + v) W r_(i-j)) / sqrt(D), r sinusoids of the distance, u and v a head's own
    (Dai et al., 2019, arXiv:1901.02860, section 3.3, which the conformer takes over)

    Args:
        d_model: width.
        num_heads: of the attention that takes what `attend` gives.

    Raises:
        ValueError: d_model is odd, or num_heads does not divide it.

    Chapter: book/ch16_speech_recognition
    """

    def __init__(self, d_model: int, num_heads: int):
        super().__init__()
        if num_heads < 1 or d_model < 2 or d_model % 2 or d_model % num_heads:
            raise ValueError(f"d_model {d_model} must be even and a multiple of num_heads {num_heads}")
        self.projection = nn.Linear(d_model, d_model, bias=False)
        self.content_bias = nn.Parameter(torch.zeros(num_heads, d_model // num_heads))  # u
        self.position_bias = nn.Parameter(torch.zeros(num_heads, d_model // num_heads))  # v

    def attend(self, visible: Bool[Tensor, "B S"] | None = None) -> Attend:
        """For `Attention`: every query sees the keys that are visible, and knows how far away they are."""

        def attended(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            num_frames, scale = q.shape[1], q.shape[-1] ** -0.5
            encoded = self.projection(sinusoids(num_frames, self.projection.in_features).to(q.dtype))
            encoded = encoded.unflatten(-1, self.position_bias.shape)  # (2 T - 1, H, D)
            by_distance = torch.einsum("bthd,rhd->bhtr", q + self.position_bias, encoded)
            steps = torch.arange(num_frames, device=q.device)
            rows = (num_frames - 1 - steps[:, None] + steps).expand_as(by_distance[..., :num_frames])
            bias = by_distance.gather(-1, rows) * scale  # (B, H, T, T)
            if visible is not None:
                bias = bias.masked_fill(~visible[:, None, None], -math.inf)
            return biased(bias)(q + self.content_bias, k, v)

        return attended


def sinusoids(num_frames: int, d_model: int) -> Float[Tensor, "distances d"]:
    """Sines and cosines, interleaved, of the distances T - 1, ..., 0, ..., -(T - 1), a key on the left first."""
    distances = torch.arange(num_frames - 1, -num_frames, -1.0)[:, None]
    angles = distances * torch.exp(torch.arange(0, d_model, 2.0) * -(math.log(10_000.0) / d_model))
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)
