"""Speculative decoding: rounds of drafting and checking until the sequence is long enough or ends."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from nimblelm.inference.decoding.request_checks import check_request
from nimblelm.inference.decoding.sampling import GREEDY, Sampling
from nimblelm.inference.speculative.acceptance_stats import Round
from nimblelm.inference.speculative.rounds import speculative_round


class SpeculativeOutput(NamedTuple):
    """Generated tokens and the rounds that made them.

    Chapter: book/ch02_speculative_decoding
    """

    tokens: Int[Tensor, "N"]
    rounds: list[Round]


@torch.inference_mode()
def speculative_generate(
    target: Callable[[Tensor, int], Tensor],
    draft: Callable[[Tensor, int], Tensor],
    prompt: Int[Tensor, "P"],
    max_new_tokens: int,
    draft_length: int,
    sampling: Sampling = GREEDY,
    generator: torch.Generator | None = None,
    eos_token: int | None = None,
) -> SpeculativeOutput:
    """Continue a prompt with the distribution of the target alone, in fewer of its passes.

    Greedy decoding gives the tokens of `autoregressive.generate`; sampling draws from the same distribution.

    Args:
        target, draft, sampling, generator: as in `speculative_round`.
        prompt: at least one token.
        max_new_tokens: the most to generate; both caches must hold all but the last of prompt and new tokens.
        draft_length: tokens that a round proposes; the last rounds propose no more than can still be used.
        eos_token: generation ends after this token, in the middle of a block as well.

    Raises:
        ValueError: as `check_request` for both models, whose vocabularies must agree, or a negative draft length; all
            before anything is read.

    Chapter: book/ch02_speculative_decoding
    """

    def next_round(tokens: Tensor, length: int) -> Round:
        return speculative_round(target, draft, tokens, length, sampling, generator)

    return generate_in_rounds([target, draft], next_round, prompt, max_new_tokens, draft_length, eos_token)


def generate_in_rounds(
    models: Sequence[Callable[[Tensor, int], Tensor]],
    next_round: Callable[[Tensor, int], Round],
    prompt: Int[Tensor, "P"],
    max_new_tokens: int,
    draft_length: int,
    eos_token: int | None,
) -> SpeculativeOutput:
    """The loop around rounds of any kind.

    Args:
        models: read the prompt but its last token before the first round.
        next_round: `next_round(tokens, length)` continues the sequence by a round of at most `length` proposed tokens.
        prompt, max_new_tokens, draft_length, eos_token: as in `speculative_generate`, which names the errors as well.

    Chapter: book/ch02_speculative_decoding
    """
    check_request(models, prompt, max_new_tokens, eos_token)
    if not draft_length >= 0:
        raise ValueError(f"draft_length {draft_length} is below 0")
    if len(prompt) > 1:
        for model in models:
            model(prompt[:-1], 0)
    tokens, rounds, limit = prompt, [], len(prompt) + max_new_tokens
    while len(tokens) < limit:
        rounds.append(next_round(tokens, min(draft_length, limit - len(tokens) - 1)))
        new = rounds[-1].tokens
        ends = [] if eos_token is None else (new == eos_token).nonzero()
        tokens = torch.cat([tokens, new[: ends[0] + 1] if len(ends) else new])
        if len(ends):
            break
    return SpeculativeOutput(tokens[len(prompt) :], rounds)
