"""Projectors: what stands between an encoder's patches and the embeddings of a language model."""

import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Shaped
from torch import Tensor, nn


def merge_windows(
    features: Shaped[Tensor, "B N d"], grid: tuple[int, int], window: int
) -> Shaped[Tensor, "B M window d"]:
    """The patches of each window of window x window side by side: what a connector makes one token of.

    Args:
        features: of patches, row by row.
        grid: rows and columns of patches.
        window: patches on a side.

    Returns:
        M = N / window^2 windows, row by row, each with its window^2 patches, row by row.

    Raises:
        ValueError: the grid does not hold N patches, or the window does not divide it.

    Chapter: book/ch11_language_models_that_see
    """
    rows, columns = grid
    if rows < 1 or columns < 1 or rows * columns != features.shape[1]:
        raise ValueError(f"a grid of {rows} x {columns} does not hold {features.shape[1]} patches")
    if window < 1 or rows % window or columns % window:
        raise ValueError(f"a grid of {rows} x {columns} is not divisible into windows of {window}")
    return rearrange(
        features, "b (y p x q) d -> b (y x) (p q) d", y=rows // window, p=window, x=columns // window, q=window
    )


class LinearProjector(nn.Module):
    """One matrix: H = Z W          (Liu et al., 2023, arXiv:2304.08485, eq. 1)

    Args:
        d_vision: width of a patch's features.
        d_model: width of the language model.

    Chapter: book/ch11_language_models_that_see
    """

    def __init__(self, d_vision: int, d_model: int):
        super().__init__()
        self.projection = nn.Linear(d_vision, d_model)

    def forward(self, features: Float[Tensor, "B N v"]) -> Float[Tensor, "B N d"]:
        return self.projection(features)


class MLPProjector(nn.Module):
    """Two layers with a GELU between them, `mlp2x_gelu` of LLaVA-1.5 (Liu et al., 2023, arXiv:2310.03744, section 3.2).

    H = gelu(Z W_1 + b_1) W_2 + b_2

    Args:
        d_vision: width of a patch's features.
        d_model: width of the language model, and of the hidden layer.

    Chapter: book/ch11_language_models_that_see
    """

    def __init__(self, d_vision: int, d_model: int):
        super().__init__()
        self.up_proj = nn.Linear(d_vision, d_model)
        self.down_proj = nn.Linear(d_model, d_model)

    def forward(self, features: Float[Tensor, "B N v"]) -> Float[Tensor, "B N d"]:
        return self.down_proj(F.gelu(self.up_proj(features)))


class NormedProjector(nn.Module):
    """Yi-VL's: each of two layers is followed by a LayerNorm (Young et al., 2024, arXiv:2403.04652, section 7.2).

    H = LN(gelu(LN(Z W_1 + b_1)) W_2 + b_2)

    Args:
        d_vision: width of a patch's features.
        d_model: width of the language model, and of the hidden layer.

    Chapter: book/ch11_language_models_that_see
    """

    def __init__(self, d_vision: int, d_model: int):
        super().__init__()
        self.up_proj = nn.Linear(d_vision, d_model)
        self.up_norm = nn.LayerNorm(d_model)
        self.down_proj = nn.Linear(d_model, d_model)
        self.down_norm = nn.LayerNorm(d_model)

    def forward(self, features: Float[Tensor, "B N v"]) -> Float[Tensor, "B N d"]:
        return self.down_norm(self.down_proj(F.gelu(self.up_norm(self.up_proj(features)))))
