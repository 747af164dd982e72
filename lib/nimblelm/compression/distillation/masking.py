"""BERT's task: some tokens are hidden, and the model says what stood there."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Int
from torch import Tensor

IGNORED = -100  # a label that no loss counts


class MaskedTokens(NamedTuple):
    """What the model reads, and what it is asked.

    Chapter: book/ch07_distillation
    """

    tokens: Int[Tensor, "B T"]
    labels: Int[Tensor, "B T"]  # the token that stood there, or -100 where nothing is asked


def mask_tokens(
    tokens: Int[Tensor, "B T"],
    may_mask: Bool[Tensor, "B T"],
    mask_token: int,
    vocab_size: int,
    generator: torch.Generator,
    rate: float = 0.15,
) -> MaskedTokens:
    """Choose tokens to ask for; of these 80 % become [MASK], 10 % another token and 10 % stay as they are.

    (Devlin et al., 2019, arXiv:1810.04805, section 3.1, task 1)

    Args:
        tokens: token ids.
        may_mask: where text stands: neither padding nor [CLS] nor [SEP].
        mask_token: id of [MASK].
        vocab_size: random tokens are drawn below it.
        generator: makes the draws.
        rate: share of the tokens that are asked for.

    Raises:
        ValueError: shapes differ, the rate is outside [0, 1] or mask_token is not below vocab_size.

    Chapter: book/ch07_distillation
    """
    if may_mask.shape != tokens.shape:
        raise ValueError(f"may_mask {tuple(may_mask.shape)} does not fit tokens {tuple(tokens.shape)}")
    if not 0 <= rate <= 1:
        raise ValueError(f"rate {rate} is outside [0, 1]")
    if not 0 <= mask_token < vocab_size:
        raise ValueError(f"mask_token {mask_token} is not one of {vocab_size} tokens")
    if vocab_size - 1 > torch.iinfo(tokens.dtype).max:
        raise ValueError(f"{tokens.dtype} does not hold {vocab_size} tokens")
    draw = lambda: torch.rand(tokens.shape, generator=generator)  # noqa: E731
    asked = (draw() < rate) & may_mask
    labels = torch.where(asked, tokens.long(), IGNORED)
    kind = draw()
    other = torch.randint(vocab_size, tokens.shape, generator=generator).to(tokens.dtype)
    read = torch.where(asked & (kind < 0.8), torch.full_like(tokens, mask_token), tokens)
    return MaskedTokens(torch.where(asked & (kind >= 0.9), other, read), labels)
