"""The two rules that make speculative sampling exact: which drafted tokens stay, and what follows them."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nimblelm.inference.decoding.sampling import at_least_float32


def count_accepted(
    target_probs: Float[Tensor, "*batch G1 V"],
    draft_probs: Float[Tensor, "*batch G V"],
    draft_tokens: Int[Tensor, "*batch G"],
    uniforms: Float[Tensor, "*batch G"],
) -> Int[Tensor, "*batch"]:
    """How many drafted tokens of each row are kept, without a look at them from the host.

    Token x_i stays if u_i < p_i(x_i) / q_i(x_i), that is with probability min(1, p/q); the first that does not
    ends the block (Leviathan et al., 2023, arXiv:2211.17192, algorithm 1; Chen et al., 2023, arXiv:2302.01318,
    algorithm 2).

    Args:
        target_probs: p, the target's distribution at each drafted position; a further one, for the bonus token, is not
            read.
        draft_probs: q, the distributions that the tokens were drawn from.
        draft_tokens: x.
        uniforms: u, one number in [0, 1) for each token.

    Returns:
        The numbers of kept tokens, 0 to G. A probability that is nan keeps nothing.

    Chapter: book/ch02_speculative_decoding
    """
    drafted = draft_tokens[..., None]
    p = at_least_float32(target_probs.gather(-1, drafted)[..., 0])
    q = at_least_float32(draft_probs.gather(-1, drafted)[..., 0])
    kept = at_least_float32(uniforms) * q < p  # u < p / q, without a division by a vanishing q
    return kept.cumprod(-1).sum(-1)


def residual_probs(p: Float[Tensor, "*batch V"], q: Float[Tensor, "*batch V"]) -> Float[Tensor, "*batch V"]:
    """norm(max(0, p - q)): the mass that the draft gave too little of. A q of zeros leaves p.

    In float32 or wider. Where nothing is left p equals q, a rejection was a rounding error, and p is returned.

    Chapter: book/ch02_speculative_decoding
    """
    p, q = at_least_float32(p), at_least_float32(q)
    residual = (p - q).clamp(min=0)
    mass = residual.sum(-1, keepdim=True)
    return torch.where(mass > 0, residual / mass, p)


def accept(
    target_probs: Float[Tensor, "G1 V"],
    draft_probs: Float[Tensor, "G V"],
    draft_tokens: Int[Tensor, "G"],
    uniforms: Float[Tensor, "G"],
) -> int:
    """How many drafted tokens of one sequence are kept: `count_accepted` as a number.

    Chapter: book/ch02_speculative_decoding
    """
    return int(count_accepted(target_probs, draft_probs, draft_tokens, uniforms))


def next_token_probs(
    target_probs: Float[Tensor, "G1 V"], draft_probs: Float[Tensor, "G V"], num_accepted: int | Int[Tensor, ""]
) -> Float[Tensor, "V"]:
    """The distribution of the token that follows the kept ones.

    After a rejection: the residual at the rejected position. After a full acceptance: p of the position after the
    block, a bonus token (Leviathan et al., 2023, arXiv:2211.17192, algorithm 1).

    Args:
        target_probs: p at the G drafted positions and at the one after them.
        draft_probs: q at the drafted positions.
        num_accepted: what `accept` returned.

    Chapter: book/ch02_speculative_decoding
    """
    p = at_least_float32(target_probs[num_accepted])
    return p if num_accepted == len(draft_probs) else residual_probs(p, draft_probs[num_accepted])
