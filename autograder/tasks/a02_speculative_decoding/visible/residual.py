"""The token after the kept ones: the checks that a student sees and runs."""

import torch

from autograder.checks import check, expect_close, expect_tensor, explained, fail
from autograder.tasks.a02_speculative_decoding.visible.shared import ONE_BLOCK, P, Q


def next_of_one(call, p, q, kept):
    """The distribution after so many kept tokens of a single block."""
    got = call("next_token_probs", p, q, torch.tensor(kept))
    if isinstance(got, int) or (isinstance(got, torch.Tensor) and got.ndim == 0):
        fail("return the distribution of the next token, a probability for each of the V, not the token", got=got)
    return expect_tensor(got, "the distribution of the next token", shape=(p.shape[-1],)).float()


@check("residual")
def a_rejection_draws_from_the_residual(call, rng):
    """After a rejection comes max(0, p - q) at that position, divided by its sum."""
    for kept, want in ((1, [0.0, 1.0, 0.0]), (2, [1.0, 0.0, 0.0])):
        got = next_of_one(call, P, Q, kept)
        if not got.isfinite().all():
            hint = "cut p - q off below zero before you divide; uncut it sums to 0"
        elif torch.allclose(got.sum(), torch.tensor(1.0), atol=1e-4):
            hint = _mistaken_residual(got, P[kept], Q[kept])
        else:
            hint = "a distribution sums to 1: divide by the sum"
        expect_close(got, torch.tensor(want), f"the distribution after {kept} kept tokens", hint=hint)


def _mistaken_residual(got, p, q) -> str:
    """What a distribution is that should be the residual, as far as it can be guessed."""
    guesses = {
        "this is p itself, and tokens that the draft offers often would come out too often": p,
        "this is made of q - p; it is the target's surplus that is missing, p - q": (q - p).clamp(min=0),
        "|p - q| also has what the draft offers too often; cut below zero instead": (p - q).abs(),
        "where p is the larger, q still has to be taken away from it": p.where(p >= q, 0),
        "a softmax gives mass to tokens that the residual rules out; divide by the sum": (p - q).clamp(min=0).exp(),
    }
    fitting = [
        hint
        for hint, distribution in guesses.items()
        if torch.allclose(got, distribution / distribution.sum(), atol=1e-4)
    ]
    return fitting[0] if fitting else "row num_accepted of both tables is the rejected position"


@check("residual")
def a_full_acceptance_draws_the_bonus_token(call, rng):
    """After a full acceptance comes the target's distribution at the position after the block."""
    meaning = (
        "all three drafted tokens were kept, so no position was rejected, and draft_probs has no row num_accepted; "
        "any row of it will do, since nothing is subtracted"
    )
    with explained(IndexError=meaning, RuntimeError=meaning):
        got = next_of_one(call, P, Q, 3)
    hint = "it is the last row of target_probs, taken as it is"
    expect_close(got, P[3], "the distribution of the bonus token", hint=hint)


@check("residual")
def several_blocks_each_have_their_own_case(call, rng):
    """Of three blocks the first was rejected, the second kept whole, and so was the third, which has one token."""
    p, q = P.expand(3, 4, 3).clone(), Q.expand(3, 3, 3).clone()
    q[2, 1:] = float("nan")
    with explained(**ONE_BLOCK):
        got = call("next_token_probs", p, q, torch.tensor([1, 3, 1]), torch.tensor([3, 3, 1]))
    got = expect_tensor(got, "the distributions of the next tokens", shape=(3, 3), dtype="float")
    expect_close(got[0], torch.tensor([0.0, 1.0, 0.0]), "the first block's", hint="its token 1 was rejected")
    expect_close(got[1], P[3], "the second block's", hint="it was kept whole: row 3 of target_probs as it is")
    hint = "it has one token, which was kept: row 1 of target_probs as it is; row 1 of draft_probs is padding"
    expect_close(got[2], P[1], "the third block's", hint=hint)


@check("residual")
def an_empty_residual_leaves_the_target(call, rng):
    """Where p equals q, exactly or up to rounding, nothing is left to divide: the distribution is p."""
    hint = "the residual sums to 0 there: do not divide by it, return p as it came (p -= q changes it)"
    expect_close(next_of_one(call, P, P[:3], 0), P[0], "the distribution where p equals q", hint=hint)
    got = next_of_one(call, P.nextafter(torch.zeros(())), P[:3], 0)
    what = "the distribution where each p lies one rounding step below q"
    expect_close(got, P[0], what, hint="look at the residual's sum")


@check("residual")
def only_a_sum_of_zero_is_empty(call, rng):
    """Where p lies above q by a single rounding step at one token, all of the residual lies there."""
    p = P.clone()
    p[0, 1] = p[0, 1].nextafter(torch.ones(()))
    got = next_of_one(call, p, P[:3], 0)
    hint = "this residual sums to 3e-8, which is not 0: divide by it, there is no threshold"
    expect_close(got, torch.tensor([0.0, 1.0, 0.0]), "where p lies a rounding step above q", hint=hint)
