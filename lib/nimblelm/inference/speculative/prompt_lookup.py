"""Prompt lookup: a draft without a model, which copies what followed the last words where they stood before."""

from collections.abc import Callable

import torch
from jaxtyping import Int
from torch import Tensor

from nimblelm.inference.decoding.sampling import GREEDY, Sampling
from nimblelm.inference.speculative.acceptance_stats import Round
from nimblelm.inference.speculative.decoder import SpeculativeOutput, generate_in_rounds
from nimblelm.inference.speculative.rounds import DraftBlock, check_block


def look_up(tokens: Int[Tensor, "n"], draft_length: int, max_ngram: int = 3) -> Int[Tensor, "_"]:
    """What followed the latest earlier occurrence of the sequence's last words.

    The longest n-gram that occurs before decides, from `max_ngram` tokens down to one (Saxena, 2023,
    github.com/apoorvumang/prompt-lookup-decoding; Yang et al., 2023, arXiv:2304.04487, section 3).

    Args:
        tokens: the sequence so far.
        draft_length: the most tokens to propose.
        max_ngram: tokens of the longest match.

    Returns:
        Up to `draft_length` tokens; none where even the last token is new.

    Raises:
        ValueError: a draft length below 0, or a max_ngram below 1.

    Chapter: book/ch02_speculative_decoding
    """
    _check(draft_length, max_ngram)
    for size in range(min(max_ngram, len(tokens) - 1), 0, -1):
        earlier = tokens[:-1].unfold(0, size, 1)  # every n-gram but the last
        found = (earlier == tokens[-size:]).all(-1).nonzero()
        if len(found):
            begin = int(found[-1]) + size
            return tokens[begin : begin + draft_length]
    return tokens[:0]


@torch.inference_mode()
def prompt_lookup_generate(
    target: Callable[[Tensor, int], Tensor],
    prompt: Int[Tensor, "P"],
    max_new_tokens: int,
    draft_length: int,
    sampling: Sampling = GREEDY,
    generator: torch.Generator | None = None,
    eos_token: int | None = None,
    max_ngram: int = 3,
) -> SpeculativeOutput:
    """Continue a prompt with the distribution of the target, checking copies from the sequence itself.

    A copied token is proposed for certain: its distribution q has all its mass there, so it is kept with probability p,
    and the residual after a rejection is p without it. The same rule as for a draft model, so the same distribution
    comes out.

    Args:
        target, prompt, max_new_tokens, draft_length, sampling, generator, eos_token: as in `speculative_generate`.
        max_ngram: as in `look_up`.

    Raises:
        ValueError: as `speculative_generate` and `look_up`.

    Chapter: book/ch02_speculative_decoding
    """
    _check(draft_length, max_ngram)

    def next_round(tokens: Tensor, length: int) -> Round:
        proposed = DraftBlock(look_up(tokens, length, max_ngram), None)
        return check_block(target, tokens, proposed, sampling, generator)

    return generate_in_rounds([target], next_round, prompt, max_new_tokens, draft_length, eos_token)


def _check(draft_length: int, max_ngram: int) -> None:
    if not (draft_length >= 0 and max_ngram >= 1):
        raise ValueError(f"draft_length {draft_length} must be at least 0, max_ngram {max_ngram} at least 1")
