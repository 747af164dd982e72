"""One round of speculative decoding: draft a block, check it in one pass of the target, keep what its law allows."""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from nimblelm.inference.acceptance import accept, next_token_probs
from nimblelm.inference.acceptance_stats import Round
from nimblelm.inference.sampling import GREEDY, Sampling, draw, probabilities, sample


class DraftBlock(NamedTuple):
    """Tokens that a draft proposes, and the laws that it drew them from; None where it proposes them for certain.

    Chapter: book/ch02_speculative_decoding
    """

    tokens: Int[Tensor, "G"]
    probs: Float[Tensor, "G V"] | None


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
    start = max(len(tokens) - 2, 0)
    block, position, drafted, laws = tokens[start:], start, [tokens[:0]], []
    for _ in range(draft_length):
        token, law = draw(draft(block, position)[-1], sampling, generator)
        position += len(block)
        block = token[None]
        drafted.append(block)
        laws.append(law)
    proposed = DraftBlock(torch.cat(drafted), torch.stack(laws) if laws else None)
    return check_block(target, tokens, proposed, sampling, generator)


@torch.inference_mode()
def check_block(
    target: Callable[[Tensor, int], Tensor],
    tokens: Int[Tensor, "n"],
    block: DraftBlock,
    sampling: Sampling = GREEDY,
    generator: torch.Generator | None = None,
) -> Round:
    """One pass of the target over a block, wherever it comes from; what is kept, and the target's own token after it.

    Args:
        target, tokens, sampling, generator: as in `speculative_round`.
        block: the proposal; an empty one makes this an autoregressive step.

    Chapter: book/ch02_speculative_decoding
    """
    logits = target(torch.cat([tokens[-1:], block.tokens]), len(tokens) - 1)
    if not len(block.tokens):
        return Round(draw(logits, sampling, generator)[0], 0, block.tokens)
    p = probabilities(logits, sampling)
    q = F.one_hot(block.tokens, p.shape[-1]).to(p.dtype) if block.probs is None else block.probs
    num_accepted = accept(p, q, block.tokens, torch.rand(len(q), generator=generator, device=tokens.device))
    following = sample(next_token_probs(p, q, num_accepted), generator)
    return Round(torch.cat([block.tokens[:num_accepted], following[None]]), num_accepted, block.tokens)
