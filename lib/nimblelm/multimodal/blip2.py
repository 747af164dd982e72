"""BLIP-2's first stage: a Q-Former that learns from pictures and captions, before any language model is there."""

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from nimblelm.multimodal.qformer import QFormer, QFormerConfig
from nimblelm.multimodal.qformer_losses import (
    contrastive_loss,
    hard_negatives,
    matching_loss,
    query_text_similarities,
    text_generation_mask,
)
from nimblelm.nn.attend import masked


@dataclass(frozen=True)
class QueriesConfig:
    """Learned queries and the Q-Former that reads them.

    Raises:
        ValueError: a size below 1.
    """

    qformer: QFormerConfig = field(default_factory=QFormerConfig)
    num_queries: int = 32
    num_patches: int = 257  # of the image; their places are learned, for encoders whose features carry none
    embedding_dim: int = 256  # of the space of contrast

    def __post_init__(self):
        if min(self.num_queries, self.num_patches, self.embedding_dim) < 1:
            raise ValueError(f"{self} must have sizes of 1 or more")


class Queries(nn.Module):
    """What an image says to num_queries learned vectors.

    Args:
        config: the shape.

    Chapter: book/ch11_language_models_that_see
    """

    def __init__(self, config: QueriesConfig):
        super().__init__()
        self.config = config
        self.queries = nn.Parameter(0.02 * torch.randn(config.num_queries, config.qformer.d_model))
        self.places = nn.Parameter(0.02 * torch.randn(config.num_patches, config.qformer.d_context))
        self.qformer = QFormer(config.qformer)

    def forward(self, features: Float[Tensor, "B N v"]) -> Float[Tensor, "B Q d"]:
        return self.qformer(self.queries.expand(len(features), -1, -1), features + self.places)


class RepresentationLearning(nn.Module):
    """The three losses of the first stage on one set of weights (Li et al., 2023, arXiv:2301.12597, section 3.2).

    Args:
        queries: what is trained.
        vocab_size: of the captions' tokens, among them one at the front of each caption, whose state is the text's.

    Chapter: book/ch11_language_models_that_see
    """

    def __init__(self, queries: Queries, vocab_size: int, max_seq_len: int = 32):
        super().__init__()
        width, shared = queries.config.qformer.d_model, queries.config.embedding_dim
        self.queries = queries
        self.embedding = nn.Embedding(vocab_size, width)
        nn.init.normal_(self.embedding.weight, std=0.02)
        self.positions = nn.Parameter(0.02 * torch.randn(max_seq_len, width))
        self.image_projection = nn.Linear(width, shared)
        self.text_projection = nn.Linear(width, shared)
        self.match_head = nn.Linear(width, 2)

    def losses(
        self,
        features: Float[Tensor, "B N v"],
        captions: Int[Tensor, "B T"],
        there: Bool[Tensor, "B T"],
        generator: torch.Generator,
    ) -> dict[str, Float[Tensor, ""]]:
        """ "contrast", "matching" and "generation" of pairs; their sum is trained on.

        Args:
            features: of the images.
            captions: tokens, padded behind.
            there: where a caption has a token.
            generator: draws the hard negatives.

        Raises:
            ValueError: there are fewer than 2 pairs, or as `QFormer`.
        """
        count, model = self.queries.config.num_queries, self.queries.qformer
        context = features + self.queries.places
        asked = self.queries.queries.expand(len(features), -1, -1)
        text = self.embedding(captions) + self.positions[: captions.shape[1]]
        image = F.normalize(self.image_projection(model(asked, context)), dim=2)
        alone = model(text, num_queries=0, attend=masked(there[:, None, None]))[:, 0]
        similar = query_text_similarities(image, F.normalize(self.text_projection(alone), dim=1))
        found = {"contrast": contrastive_loss(similar)}

        with torch.no_grad():
            other_text, other_image = (hard_negatives(one, generator) for one in (similar, similar.T))
        pair = torch.cat([torch.cat([asked, text], 1), torch.cat([asked, text[other_text]], 1)])
        pair = torch.cat([pair, torch.cat([asked, text], 1)])
        seen = F.pad(torch.cat([there, there[other_text], there]), (count, 0), value=True)
        images = torch.cat([context, context, context[other_image]])
        states = model(pair, images, count, masked(seen[:, None, None]))
        truth = torch.arange(len(pair), device=pair.device) < len(features)
        found["matching"] = matching_loss(self.match_head(states[:, :count]), truth)

        visible = text_generation_mask(count, captions.shape[1]).to(features.device)
        states = model(torch.cat([asked, text], 1), context, count, masked(visible[None, None]))
        logits = states[:, count:-1] @ self.embedding.weight.T
        words = captions[:, 1:].masked_fill(~there[:, 1:], -100)
        found["generation"] = F.cross_entropy(logits.flatten(0, 1).float(), words.flatten())
        return found
