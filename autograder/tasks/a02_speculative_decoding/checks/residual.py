"""The token after the kept ones: the hidden checks."""

import torch

from autograder.checks import check, expect_close, expect_tensor, explained, fail, integer
from autograder.tasks.a02_speculative_decoding.oracles import distributions, drafted
from autograder.tasks.a02_speculative_decoding.visible.shared import ONE_BLOCK


def residual(p, q):
    """max(0, p - q) over its sum along the last dimension."""
    rest = (p.double() - q.double()).clamp(min=0)
    return (rest / rest.sum(-1, keepdim=True)).float()


def next_probs(call, p, q, kept, lengths):
    """The distributions after the kept tokens, (..., V)."""
    with explained(**ONE_BLOCK):
        got = call("next_token_probs", p, q, kept, lengths)
    return expect_tensor(got, "the distribution of the next token", shape=(*kept.shape, p.shape[-1]), dtype="float")


@check("residual", points=1)
def the_residual_is_what_the_draft_gave_too_little_of(call, rng):
    """After a rejection the distribution is max(0, p - q) over its sum, in each of 20 blocks."""
    p, q = distributions(rng, 20, 3, 9), distributions(rng, 20, 2, 9)
    lengths = torch.randint(1, 3, (20,), generator=rng())
    got = next_probs(call, p, q, torch.zeros(20, dtype=torch.int64), lengths)
    rest = (p[:, 0] - q[:, 0]).clamp(min=0)
    if torch.allclose(got, rest.softmax(-1), atol=1e-5):
        fail("the residual went through a softmax, which gives mass to tokens that it rules out: divide by the sum")
    if torch.allclose(got, p[:, 0], atol=1e-5):
        fail("this is p itself: tokens that the draft offers too often would be drawn too often")
    if torch.allclose(got, rest, atol=1e-5):
        fail("the residual is no distribution yet: divide it by its sum", got=float(got[0].sum()), want=1.0)
    if torch.allclose(got, rest / rest.sum(), atol=1e-5):
        fail("each block's residual is divided by its own sum, not by that of all blocks", sums=got.sum(-1)[:4])
    expect_close(got, residual(p[:, 0], q[:, 0]), "the distributions after a rejection", atol=1e-5, rtol=1e-4)


@check("residual", points=1)
def the_residual_belongs_to_the_rejected_position(call, rng):
    """Each block's distribution is taken at its own position num_accepted, whatever the number of dimensions."""
    for batch in ((), (7,), (2, 3), (2, 1, 3)):
        for _ in range(4):
            p, q = distributions(rng, *batch, 6, 8), distributions(rng, *batch, 5, 8)
            kept = torch.randint(4, batch, generator=rng())
            lengths = kept + torch.randint(1, 3, batch, generator=rng())  # 1 to 5, and above kept
            got = next_probs(call, p, q, kept, lengths)
            row = kept[..., None, None]
            want = residual(p.take_along_dim(row, -2)[..., 0, :], q.take_along_dim(row, -2)[..., 0, :])
            hint = "row num_accepted of a block's own two tables is its rejected position"
            expect_close(got, want, f"the distributions after {kept.tolist()} kept tokens", 1e-5, 1e-4, hint=hint)


@check("residual", points=1)
def a_full_acceptance_gives_the_bonus_token(call, rng):
    """When a block was kept whole the distribution is the target's, one position further, in short blocks too."""
    p, q = distributions(rng, 8, 6, 8), distributions(rng, 8, 5, 8)
    lengths = torch.cat([torch.randperm(6, generator=rng()), torch.tensor([5, 3])])
    kept = lengths.clone()
    kept[-2:] -= 1  # the last two blocks were rejected at their last token
    got = next_probs(call, p, q, kept, lengths)
    for block, length in enumerate(lengths[:6].tolist()):
        if torch.allclose(got[block], residual(p[block, length], q[block, min(length, 4)]), atol=1e-5):
            fail(
                f"a block of {length} was kept whole, so nothing is subtracted: no token was rejected, and what stands "
                "behind the block in draft_probs is padding"
            )
        if length < 5 and torch.equal(got[block], p[block, 5]):
            fail(f"the bonus of a block of {length} comes from row {length} of target_probs, not from the last one")
        expect_close(got[block], p[block, length], f"the distribution after a block of {length}, kept whole", atol=1e-6)
    want = torch.stack([residual(p[block, kept[block]], q[block, kept[block]]) for block in (6, 7)])
    hint = "of the blocks of one call some were kept whole and some were not: tell them apart one by one"
    expect_close(got[6:], want, "the distributions after blocks rejected at their last token", 1e-5, 1e-4, hint=hint)
    q[~drafted(lengths, 5)] = float("nan")
    p[torch.arange(6) > lengths[:, None]] = float("nan")
    hint = "padding may be NaN, and 0 times NaN is NaN: choose with `where`"
    expect_close(next_probs(call, p, q, kept, lengths), got, "the distributions where padding is NaN", hint=hint)


@check("residual", points=1)
def both_ways_together_give_the_target(call, rng):
    """Kept mass and residual mass add up to p; where the residual is empty p is left, not NaN."""
    p, q = distributions(rng, 10, 3, 6), distributions(rng, 10, 2, 6)
    none, lengths = torch.zeros(10, dtype=torch.int64), torch.full((10,), 2)
    got = next_probs(call, p, q, none, lengths)
    both = torch.minimum(p[:, 0], q[:, 0])
    what = "min(p, q) + P(rejection) x your distribution"
    expect_close(both + (1 - both.sum(-1, keepdim=True)) * got, p[:, 0], what, atol=1e-5, rtol=1e-4)
    q = distributions(rng, 4, 2, 6)
    p = torch.cat([q, q[:, :1]], 1)
    p[1] = p[1].nextafter(torch.zeros(()))
    p[2] = p[2].nextafter(torch.zeros(()))
    token = integer(rng, 0, 5)
    p[2, 0, token] = q[2, 0, token].nextafter(torch.ones(()))
    p[3] = distributions(rng, 3, 6)
    got = next_probs(call, p, q, none[:4], torch.tensor([1, 2, 2, 1]))
    for block, equal in ((0, "equals q"), (1, "lies a rounding step below q")):
        hint = "this residual sums to 0, and 0/0 is NaN: return p"
        expect_close(got[block], p[block, 0], f"the distribution where p {equal}", hint=hint)
    hint = "its residual is tiny, and not empty: only a sum of exactly 0 is"
    expect_close(got[2], torch.eye(6)[token], "the distribution where one p lies a rounding step above q", hint=hint)
    hint = "other blocks of the call have an empty residual, this one has not"
    expect_close(got[3], residual(p[3, 0], q[3, 0]), "the distribution of an ordinary block beside them", hint=hint)
