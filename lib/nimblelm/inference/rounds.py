"""One round of speculative decoding: draft a block, check it in one pass of the target, keep what its law allows."""

from collections.abc import Callable

import torch
from jaxtyping import Int
from torch import Tensor

from nimblelm.inference.acceptance import accept, next_token_probs
from nimblelm.inference.acceptance_stats import Round
from nimblelm.inference.sampling import GREEDY, Sampling, probabilities, sample


@torch.inference_mode()
def speculative_round(
    target: Callable[[Tensor, int], Tensor],
    draft: Callable[[Tensor, int], Tensor],
    tokens: Int[Tensor, "n"],
    draft_length: int,
    sampling: Sampling = GREEDY,
    generator: torch.Generator | None = None,
) -> Round:
    """Draft `draft_length` tokens, check them in one pass of the target, keep what its law allows.

    On entry the target's cache is right for all tokens but the last, the draft's for all but the last two. The draft's
    first step eats two tokens, which also fills the one row that a full acceptance leaves behind. Rolling back is free:
    the next round's positions overwrite the rows of rejected tokens (Leviathan et al., 2023, arXiv:2211.17192,
    algorithm 1).

    Args:
        target: `target(tokens, position)` gives logits (T, V) on top of its cache, as `CachedModel` does.
        draft: the same, faster and weaker.
        tokens: prompt and output so far.
        draft_length: tokens to propose; with 0 the round is one autoregressive step, which the draft does not read:
            after it the draft's cache may lack a row more, so it ends a text.
        sampling: the law of each token; both models' logits go through it.
        generator: randomness.

    Chapter: book/ch02_speculative_decoding
    """
    end = len(tokens)
    start = max(end - 2, 0)
    block, position, draft_tokens, draft_probs = tokens[start:], start, [], []
    for _ in range(draft_length):
        draft_probs.append(probabilities(draft(block, position)[-1], sampling))
        position += len(block)
        block = sample(draft_probs[-1], generator)[None]
        draft_tokens.append(block)

    target_probs = probabilities(target(torch.cat([tokens[-1:], *draft_tokens]), end - 1), sampling)
    if not draft_length:
        return Round(sample(target_probs, generator), 0, tokens[:0])

    proposed, q = torch.cat(draft_tokens), torch.stack(draft_probs)
    uniforms = torch.rand(draft_length, generator=generator, device=tokens.device)
    num_accepted = accept(target_probs, q, proposed, uniforms)
    following = sample(next_token_probs(target_probs, q, num_accepted), generator)
    return Round(torch.cat([proposed[:num_accepted], following[None]]), num_accepted, proposed)
