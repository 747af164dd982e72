"""Twins without a silent term: every parameter and every buffer differs from what it is initialised with."""

from functools import partial

import torch
from torch import nn


def perturbed(twin: nn.Module, scale: float = 0.1) -> nn.Module:
    """The model in evaluation mode and float64, all its parameters moved at random; norms and biases too."""
    generator = torch.Generator().manual_seed(1)
    twin = twin.eval().double()
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.add_(scale * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype))
    for module in twin.modules():
        if type(module).__name__.endswith(("RMSNorm", "T5LayerNorm")):
            module.forward = partial(_rms_norm, module)  # theirs computes in float32, whatever it is given
    return twin


def _rms_norm(norm: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return norm.weight * x * (x.square().mean(-1, keepdim=True) + norm.variance_epsilon).rsqrt()


def tokens_of(vocab_size: int, *shape: int, seed: int = 2) -> torch.Tensor:
    return torch.randint(vocab_size, shape, generator=torch.Generator().manual_seed(seed))


def padding(lengths: list[int], total: int, side: str) -> torch.Tensor:
    """(B, total), true where a row holds one of its tokens, which stand at the other side's end."""
    rows = torch.arange(total) < torch.tensor(lengths)[:, None]
    return rows if side == "right" else rows.flip(1)


PRECISIONS = [(torch.float32, 1e-5), (torch.float64, 1e-10)]
