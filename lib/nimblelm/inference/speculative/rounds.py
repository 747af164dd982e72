"""One round of speculative decoding: draft a block, verify it in one pass of the target, keep what is accepted."""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from nimblelm.inference.decoding.sampling import GREEDY, Sampling, draw, probabilities, sample
from nimblelm.inference.speculative.acceptance import accept, next_token_probs
from nimblelm.inference.speculative.acceptance_stats import Round


class DraftBlock(NamedTuple):
    """Tokens that a draft proposes, and the distributions that they were drawn from; None where it is certain of them.

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
    """Draft `draft_length` tokens, check them in one pass of the target, keep what its distribution allows.

    On entry the target's cache is right for all tokens but the last, the draft's for all but the last two. The draft's
    first step reads two tokens, which also fills the one row that a full acceptance leaves behind. Rolling back is
    free: the next round's positions overwrite the rows of rejected tokens (Leviathan et al., 2023, arXiv:2211.17192,
    algorithm 1).

    Args:
        target: `target(tokens, position)` gives logits (T, V) on top of its cache, as `CachedModel` does.
        draft: the same, faster and weaker.
        tokens: prompt and output so far.
        draft_length: tokens to propose; with 0 the round is one autoregressive step, which the draft does not read:
            after it the draft's cache may lack a row more, so it ends a sequence.
        sampling: the distribution of each token; both models' logits go through it.
        generator: randomness.

    Raises:
        ValueError: no token to continue, a negative draft length, as `check_block`, or as `draw`.

    Chapter: book/ch02_speculative_decoding
    """
    if not (len(tokens) and draft_length >= 0):
        raise ValueError(f"{len(tokens)} tokens and draft_length {draft_length}: at least 1 and 0 are needed")
    start = max(len(tokens) - 2, 0)
    block, position, drafted, draft_probs = tokens[start:], start, [tokens[:0]], []
    for _ in range(draft_length):
        token, probs = draw(draft(block, position)[-1], sampling, generator)
        position += len(block)
        block = token[None]
        drafted.append(block)
        draft_probs.append(probs)
    proposed = DraftBlock(torch.cat(drafted), torch.stack(draft_probs) if draft_probs else None)
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

    Raises:
        ValueError: no token to continue, the draft's distributions lie over another vocabulary, or as `draw`.

    Chapter: book/ch02_speculative_decoding
    """
    if not len(tokens):
        raise ValueError("0 tokens, at least 1 is needed")
    logits = target(torch.cat([tokens[-1:], block.tokens]), len(tokens) - 1)
    if block.probs is not None and block.probs.shape[-1] != logits.shape[-1]:
        raise ValueError(f"the draft knows {block.probs.shape[-1]} tokens, the target {logits.shape[-1]}")
    if not len(block.tokens):
        return Round(draw(logits, sampling, generator)[0], 0, block.tokens)
    p = probabilities(logits, sampling)
    q = F.one_hot(block.tokens.long(), p.shape[-1]).to(p.dtype) if block.probs is None else block.probs
    num_accepted = accept(p, q, block.tokens, torch.rand(len(q), generator=generator, device=tokens.device))
    following = sample(next_token_probs(p, q, num_accepted), generator)
    return Round(torch.cat([block.tokens[:num_accepted], following[None]]), num_accepted, block.tokens)
