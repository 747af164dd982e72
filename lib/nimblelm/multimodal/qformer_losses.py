"""The three losses that teach a Q-Former to ask for what a text is about: contrast, matching, generation."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

SMOOTHING = 0.1  # of the labels of contrast, in the authors' code


def text_generation_mask(num_queries: int, num_words: int) -> Bool[Tensor, "T T"]:
    """The multimodal causal mask: queries see queries, a word sees all queries and the words up to itself.

    (Li et al., 2023, arXiv:2301.12597, section 3.2, figure 2.) Contrast hides queries and words from each other,
    matching hides nothing.

    Returns:
        T = num_queries + num_words; whether the row's token sees the column's.

    Raises:
        ValueError: a number is below 0, or both are 0.

    Chapter: book/ch11_language_models_that_see
    """
    if min(num_queries, num_words) < 0 or num_queries + num_words == 0:
        raise ValueError(f"{num_queries} queries and {num_words} words are no sequence")
    visible = torch.ones(num_queries + num_words, num_queries + num_words, dtype=torch.bool).tril()
    visible[:num_queries, :num_queries] = True
    return visible


def query_text_similarities(queries: Float[Tensor, "B Q d"], texts: Float[Tensor, "N d"]) -> Float[Tensor, "B N"]:
    """How alike each image and each text are: the query that is most alike counts.

    s_ij = max_q z_iq . t_j          (Li et al., 2023, arXiv:2301.12597, section 3.2)

    Args:
        queries: of length 1, those of each image.
        texts: of length 1.

    Returns:
        In float32 at least.

    Raises:
        ValueError: the widths differ, or there is no query.

    Chapter: book/ch11_language_models_that_see
    """
    if queries.shape[2] != texts.shape[1] or not queries.shape[1]:
        raise ValueError(f"queries {tuple(queries.shape)} and texts {tuple(texts.shape)} do not fit each other")
    wide = torch.promote_types(queries.dtype, torch.float32)
    return torch.einsum("bqd,nd->bnq", queries.to(wide), texts.to(wide)).amax(2)


def contrastive_loss(similarities: Float[Tensor, "B B"], temperature: float = 0.07) -> Float[Tensor, ""]:
    """ITC: pairs of a batch are told from all other combinations, both ways, with smoothed labels.

    Args:
        similarities: `query_text_similarities`; pairs stand on the diagonal.
        temperature: divides them.

    Raises:
        ValueError: they are not of equally many images and texts, one or more, or the temperature is not above 0 and
            finite.

    Chapter: book/ch11_language_models_that_see
    """
    if similarities.shape[0] != similarities.shape[1] or not len(similarities):
        raise ValueError(f"similarities {tuple(similarities.shape)} are not those of 1 pair or more")
    if not 0 < temperature < math.inf:
        raise ValueError(f"temperature {temperature} must be above 0 and finite")
    logits = similarities.to(torch.promote_types(similarities.dtype, torch.float32)) / temperature
    labels = torch.arange(len(logits), device=logits.device)
    both = [F.cross_entropy(one, labels, label_smoothing=SMOOTHING) for one in (logits, logits.T)]
    return (both[0] + both[1]) / 2


def hard_negatives(
    similarities: Float[Tensor, "B B"], generator: torch.Generator, temperature: float = 0.07
) -> Int[Tensor, "B"]:
    """For each image another image's text, the likelier the more alike it is: what matching must tell apart.

    Drawn from softmax(s_i / temperature) without the image's own text (Li et al., 2021, arXiv:2107.07651, section 3.2).
    Transposed similarities give images for texts.

    Raises:
        ValueError: there are fewer than 2 pairs, or as `contrastive_loss`.

    Chapter: book/ch11_language_models_that_see
    """
    if similarities.shape[0] != similarities.shape[1] or len(similarities) < 2:
        raise ValueError(f"similarities {tuple(similarities.shape)} are not those of 2 pairs or more")
    if not 0 < temperature < math.inf:
        raise ValueError(f"temperature {temperature} must be above 0 and finite")
    own = torch.eye(len(similarities), dtype=torch.bool, device=similarities.device)
    wide = similarities.to(torch.promote_types(similarities.dtype, torch.float32))
    weights = (wide / temperature).masked_fill(own, -torch.inf).softmax(1)
    return torch.multinomial(weights, 1, generator=generator)[:, 0]


def matching_loss(logits: Float[Tensor, "N Q 2"], matches: Bool[Tensor, "N"]) -> Float[Tensor, ""]:
    """ITM: does the text belong to the image? The mean of the queries' logits says.

    (Li et al., 2023, arXiv:2301.12597, section 3.2.)

    Args:
        logits: no, then yes, of each query.
        matches: the truth.

    Raises:
        ValueError: there are not as many truths as rows, or none, or no query.

    Chapter: book/ch11_language_models_that_see
    """
    if len(logits) != len(matches) or not logits.shape[0] or not logits.shape[1]:
        raise ValueError(f"logits {tuple(logits.shape)} do not fit {len(matches)} truths")
    mean = logits.to(torch.promote_types(logits.dtype, torch.float32)).mean(1)
    return F.cross_entropy(mean, matches.long())
