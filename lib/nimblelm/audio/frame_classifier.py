"""A decision for every frame from the frames around it: is somebody speaking?"""

from dataclasses import dataclass

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


@dataclass(frozen=True)
class FrameClassifierConfig:
    """Shape of the classifier.

    Raises:
        ValueError: a context that is negative.
    """

    num_features: int
    num_classes: int = 1
    d_ff: int = 32
    context: int = 10  # frames that are seen on either side

    def __post_init__(self):
        if self.context < 0:
            raise ValueError(f"context {self.context} must be 0 or more")


class FrameClassifier(nn.Module):
    """Logits of every frame from its neighbourhood: an MLP that slides, which is two convolutions.

    y[t] = W2 relu(W1 [x[t - c], ..., x[t + c]] + b1) + b2; beyond the ends x is 0

    Args:
        config: the shape.

    Chapter: book/ch15_sound_to_log_mel
    """

    config_class = FrameClassifierConfig

    def __init__(self, config: FrameClassifierConfig):
        super().__init__()
        self.config = config
        self.context = nn.Conv1d(config.num_features, config.d_ff, 2 * config.context + 1, padding=config.context)
        self.head = nn.Conv1d(config.d_ff, config.num_classes, 1)

    def forward(self, features: Float[Tensor, "B n T"]) -> Float[Tensor, "B classes T"]:
        """One column of logits a frame.

        Args:
            features: normalised, such as log-mel bands minus their mean.
        """
        return self.head(F.relu(self.context(features)))
