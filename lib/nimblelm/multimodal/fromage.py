"""FROMAGe: a frozen language model that is shown pictures, and that finds them by the state of a token [RET]."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nimblelm.nn.contrastive import clip_loss


class RetrievalHeads(nn.Module):
    """The few weights that FROMAGe trains for retrieval beside its one matrix for input.

    A caption is closed by [RET], a token of its own. Its last state and the picture's vector are each mapped into a
    small space and compared there (Koh et al., 2023, arXiv:2301.13823, section 3.2).

    Args:
        d_model: width of the language model.
        d_vision: width of the picture's vector.
        d_shared: width of the space, 256 in the paper.

    Chapter: book/ch11_language_models_that_see
    """

    def __init__(self, d_model: int, d_vision: int, d_shared: int = 256):
        super().__init__()
        self.token = nn.Parameter(0.02 * torch.randn(d_model))  # the embedding of [RET]
        self.text_projection = nn.Linear(d_model, d_shared, bias=False)
        self.image_projection = nn.Linear(d_vision, d_shared, bias=False)
        self.logit_scale = nn.Parameter(torch.tensor(1 / 0.07).log())

    def forward(
        self, states: Float[Tensor, "B d"], images: Float[Tensor, "N v"]
    ) -> tuple[Float[Tensor, "B e"], Float[Tensor, "N e"]]:
        """Texts, by their states at [RET], and pictures, all of length 1."""
        both = self.text_projection(states), self.image_projection(images)
        return nn.functional.normalize(both[0], dim=1), nn.functional.normalize(both[1], dim=1)


def fromage_loss(
    captioning: Float[Tensor, ""],
    retrieval: Float[Tensor, ""],
    texts: Float[Tensor, "B e"],
    images: Float[Tensor, "B e"],
    scale: Float[Tensor, ""],
) -> Float[Tensor, ""]:
    """L_c + L_ret + (L_t2i + L_i2t) / 2          (Koh et al., 2023, arXiv:2301.13823, eqs. 2 to 5)

    The paper's equation 5 has the captions' cross-entropy L_c and the two contrastive terms. The authors' code adds
    L_ret, the language model's cross-entropy in the pass for retrieval: it teaches the model to say [RET] at all.

    Args:
        captioning: cross-entropy of the captions behind their pictures.
        retrieval: cross-entropy of the captions and of [RET] behind them, without pictures.
        texts: of length 1; row i belongs to row i of `images`.
        images: of length 1.
        scale: the temperature's inverse.

    Raises:
        ValueError: as `clip_loss`.

    Chapter: book/ch11_language_models_that_see
    """
    return captioning + retrieval + clip_loss(images, texts, scale)
