"""Molmo's connector, attention pooling over windows of patches, and its mask for several annotations of one image."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from nimblelm.multimodal.projectors import merge_windows
from nimblelm.nn.attend import Attend, full
from nimblelm.nn.attention import Attention
from nimblelm.nn.mlp import SwiGLU


class AttentionPooling(nn.Module):
    """One token for each window of patches: the window's mean asks, its patches answer, a gated MLP projects.

    h = MHA(q = mean(Z_w), k = Z_w, v = Z_w), then SwiGLU(h) W          (Deitke et al., 2024, arXiv:2409.17146,
    section 3; the authors' `attention_meanq`)

    Args:
        d_vision: width of a patch's features, which are several layers of the encoder side by side.
        d_model: width of the language model.
        num_heads: of the pooling.
        d_ff: hidden width of the MLP.
        window: patches on a side, 2 in the paper.

    Raises:
        ValueError: as `Attention`, or the window is below 1.

    Chapter: book/ch11_language_models_that_see
    """

    def __init__(self, d_vision: int, d_model: int, num_heads: int, d_ff: int, window: int = 2):
        super().__init__()
        if window < 1:
            raise ValueError(f"a window of {window} patches on a side is below 1")
        self.window = window
        self.attention = Attention(d_vision, num_heads, bias="qkvo")
        self.mlp = SwiGLU(d_vision, d_ff)
        self.projection = nn.Linear(d_vision, d_model, bias=False)

    def forward(
        self, features: Float[Tensor, "B N v"], grid: tuple[int, int], attend: Attend = full
    ) -> Float[Tensor, "B M d"]:
        """M = N / window^2 tokens.

        Raises:
            ValueError: as `merge_windows`.
        """
        windows = merge_windows(features, grid, self.window)  # (B, M, w^2, v)
        patches = windows.flatten(0, 1)
        pooled = self.attention(patches.mean(1, keepdim=True), attend, context=patches)  # (B M, 1, v)
        return self.projection(self.mlp(pooled[:, 0])).unflatten(0, windows.shape[:2])


def annotations_mask(annotation: Int[Tensor, "B T"]) -> Bool[Tensor, "B 1 T T"]:
    """What each token sees where several annotations of one image share its sequence.

    A token sees those before it of the image and of its own annotation, so one pass trains on them all as if each had
    the image to itself (Deitke et al., 2024, arXiv:2409.17146, section 3). Their positions all begin behind the image.

    Args:
        annotation: 0 for the image's tokens, n for those of annotation n, below 0 for padding, which sees itself.

    Chapter: book/ch11_language_models_that_see
    """
    asks, asked = annotation[:, :, None], annotation[:, None, :]
    visible = ((asks == asked) | (asked == 0)) & (asked >= 0)
    visible = visible.tril() | torch.eye(annotation.shape[1], dtype=torch.bool, device=annotation.device)
    return visible[:, None]
