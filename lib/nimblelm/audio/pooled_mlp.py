"""The smallest classifier of a whole utterance: an MLP on the mean and the spread of its features over time."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


def statistics(features: Float[Tensor, "B n T"], num_frames: Float[Tensor, "B"] | None = None) -> Float[Tensor, "B m"]:
    """Mean and standard deviation of each feature over time, one below the other: m = 2 n. No order in time is left.

    Summed in float32 or wider; in the features' dtype.

    Args:
        features: frames; behind an utterance's own may stand anything.
        num_frames: how many of each utterance are its own; all by default.

    Raises:
        ValueError: an utterance has no frames.

    Chapter: book/ch15_sound_to_log_mel
    """
    total = features.shape[-1]
    wide = features.to(torch.promote_types(features.dtype, torch.float32))
    lengths = wide.new_full((len(wide),), total) if num_frames is None else num_frames.to(wide.dtype)
    if total == 0 or not bool(((lengths >= 1) & (lengths <= total)).all()):
        raise ValueError(f"num_frames must lie within 1 and {total}, the frames of features")
    own = (torch.arange(total, device=features.device) < lengths[:, None])[:, None]  # (B, 1, T)
    count = lengths[:, None]
    mean = wide.where(own, 0).sum(-1) / count
    centred = (wide - mean[..., None]).where(own, 0)
    return torch.cat([mean, (centred.square().sum(-1) / count).sqrt()], dim=-1).to(features.dtype)


@dataclass(frozen=True)
class PooledMLPConfig:
    """Shape of the classifier."""

    num_features: int
    num_classes: int
    d_ff: int = 64


class PooledMLP(nn.Module):
    """Logits of an utterance from the statistics of its features, normalised as the training set's were.

    The twin of "an MLP on frozen speech representations": features may be log-mel bands, MFCCs or a model's states.

    Args:
        config: the shape.

    Chapter: book/ch15_sound_to_log_mel
    """

    config_class = PooledMLPConfig
    mean: Tensor
    std: Tensor

    def __init__(self, config: PooledMLPConfig):
        super().__init__()
        self.config = config
        width = 2 * config.num_features
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("std", torch.ones(width))
        self.up_proj = nn.Linear(width, config.d_ff)
        self.head = nn.Linear(config.d_ff, config.num_classes)

    def fit_statistics(self, pooled: Float[Tensor, "N m"]) -> None:
        """Keep mean and spread of the training set's statistics."""
        self.mean.copy_(pooled.mean(0))
        self.std.copy_(pooled.std(0).clamp(min=1e-5))

    def forward(self, pooled: Float[Tensor, "B m"]) -> Float[Tensor, "B classes"]:
        """Logits from `statistics`."""
        return self.head(F.relu(self.up_proj((pooled - self.mean) / self.std)))
