"""The acceptance rule: the hidden checks."""

import torch

from autograder.checks import check, expect_equal, fail, integer
from autograder.tasks.a02_speculative_decoding.oracles import distributions, drafted
from autograder.tasks.a02_speculative_decoding.visible.accept import kept_of_one, kept_of_several


def blocks(rng, *batch, length=5, vocab_size=7):
    """p (..., G+1, V), q (..., G, V), tokens drawn from q, uniforms clearly on one side of p/q, and lengths (...).

    One block at least is shorter than G. Padding would be kept if it counted: its uniforms are 0.
    """
    p, q = distributions(rng, *batch, length + 1, vocab_size), distributions(rng, *batch, length, vocab_size)
    tokens = torch.multinomial(q.reshape(-1, vocab_size), 1, generator=rng()).reshape(*batch, length)
    ratio, u = ratios(p, q, tokens).float(), torch.rand(*batch, length, generator=rng())
    u = u.where((ratio - u).abs() > 1e-4, ratio / 2)
    lengths = block_lengths(rng, *batch, longest=length)
    return p, q, tokens, u.where(drafted(lengths, length), 0.0), lengths


def block_lengths(rng, *batch, longest):
    """(...) numbers from 0 to the longest; not all of them are the longest."""
    lengths = torch.randint(longest + 1, batch, generator=rng())
    if bool((lengths == longest).all()):
        lengths.view(-1)[0] = longest - 1
    return lengths


def ratios(p, q, tokens):
    """p / q of each drafted token, in float64."""
    chosen = tokens[..., None]
    return (p[..., :-1, :].double().gather(-1, chosen) / q.double().gather(-1, chosen))[..., 0]


def one_for_each(rng, p, q, tokens, u, lengths):
    """One uniform number for each block, (..., 1), clearly on one side of every product of min(1, p/q)."""
    products = products_of(ratios(p, q, tokens), lengths)
    single, drawn = u[..., :1], torch.rand(40, *u.shape[:-1], 1, generator=rng())
    for candidate in drawn:
        single = single.where(((products - single).abs() > 1e-4).all(-1, keepdim=True), candidate)
    return single


def products_of(ratio, lengths):
    """(..., G) probabilities that a token and all before it are kept; 0 for padding."""
    return ratio.clamp(max=1).cumprod(-1).where(drafted(lengths, ratio.shape[-1]), 0.0)


def kept_before_a_rejection(kept):
    """(...) numbers of tokens before the first that is not kept, for (..., G) truth values."""
    counts = [[*row, False].index(False) for row in kept.reshape(-1, kept.shape[-1]).tolist()]
    return torch.tensor(counts).reshape(kept.shape[:-1])


@check("accept", points=1)
def the_ratio_of_p_to_q_decides(call, rng):
    """Blocks of a single token, with padding after it: it is kept exactly when u lies below p/q."""
    p, q, tokens, u, _ = blocks(rng, 40, length=3)
    u[:, 0] = torch.rand(40, generator=rng())
    u[:, 1:], lengths = 0.0, torch.ones(40, dtype=torch.int64)
    ratio = ratios(p, q, tokens)[:, :1]
    u[:, :1] = u[:, :1].where((ratio - u[:, :1]).abs() > 1e-4, ratio.float() / 2)
    want = (u[:, :1] < ratio)[:, 0].long()
    got = kept_of_several(call, p, q, tokens, u, lengths)
    if not torch.equal(got, want) and torch.equal(got, (u[:, :1] < 1 / ratio)[:, 0].long()):
        fail("the ratio is turned round: keep the token if u < p/q, the target over the draft")
    if not torch.equal(got, want) and torch.equal(got, (u[:, :1] < p[:, 0].gather(1, tokens[:, :1]))[:, 0].long()):
        fail("u was compared with p alone: divide by q, the draft has already done its share of the choosing")
    if not torch.equal(got, want) and torch.equal(got, 3 * want):
        fail(PADDING_KEPT)
    expect_equal(got, want, "kept tokens of 40 blocks of one token", hint="kept where u < p/q")


ONE = ", one u for the block"
PADDING_KEPT = "padding was counted: only the first `lengths` tokens of a block were drafted, and no others can be kept"


@check("accept", points=1)
def the_first_rejection_ends_the_block(call, rng):
    """In longer blocks, several at once and of different lengths, the kept tokens are a prefix."""
    for number in range(24):
        batch = ((1,), (6,), (2, 3), (2, 1, 3))[number % 4]
        p, q, tokens, u, lengths = blocks(rng, *batch, length=integer(rng, 2, 8))
        kept = u < ratios(p, q, tokens)
        stay = kept & drafted(lengths, u.shape[-1])
        want = kept_before_a_rejection(stay)
        unseen = kept_before_a_rejection(torch.cat([(lengths > 0)[..., None], stay[..., 1:]], -1))
        got = kept_of_several(call, p, q, tokens, u, lengths)
        if not torch.equal(got, want) and torch.equal(got, stay.sum(-1)):
            fail(
                "tokens after the first rejection were counted: they were drafted after a token that is not in the "
                "sequence"
            )
        if not torch.equal(got, want) and torch.equal(got, kept_before_a_rejection(kept)):
            fail(PADDING_KEPT, got=got, want=want, lengths=lengths)
        if not torch.equal(got, want) and torch.equal(got, unseen):
            fail("the first drafted token must be verified like every other", got=got, want=want)
        expect_equal(got, want, "numbers of kept tokens", hint="count each block's tokens up to its first rejection")
        expect_one_number_to_serve(call, rng, p, q, tokens, u, lengths)


def expect_one_number_to_serve(call, rng, p, q, tokens, u, lengths):
    """The same blocks with a single number each."""
    u, ratio = one_for_each(rng, p, q, tokens, u, lengths), ratios(p, q, tokens)
    want = (u < products_of(ratio, lengths)).sum(-1)
    got = kept_of_several(call, p, q, tokens, u, lengths)
    whole, wrong = drafted(lengths, tokens.shape[-1]), not torch.equal(got, want)
    if wrong and torch.equal(got, kept_before_a_rejection((u < ratio) & whole)):
        fail("one number for a block is compared with the product of min(1, p/q) so far, not with each token's own")
    if wrong and torch.equal(got, kept_before_a_rejection((u < ratio.cumprod(-1)) & whole)):
        fail("limit each ratio to 1 before it is multiplied: a likely token must not make up for an unlikely one")
    if wrong and torch.equal(got, (u < ratio.clamp(max=1).cumprod(-1)).sum(-1)):
        fail(PADDING_KEPT, got=got, want=want, lengths=lengths)
    expect_equal(got, want, "numbers of kept tokens with one uniform number for each block")


@check("accept", points=1)
def impossible_tokens_are_never_kept(call, rng):
    """A token with p = 0 is rejected even for u = 0, u = p/q is a rejection, and padding is never kept.

    With one number for the block u equal to the product is a rejection: of two tokens with p/q = 0.5 for u = 0.25.
    """
    for position in [position for _ in range(5) for position in torch.randperm(4, generator=rng()).tolist()]:
        q = distributions(rng, 4, 6)
        tokens = torch.multinomial(q, 1, generator=rng())[:, 0]
        for factor, u, length, hint in (
            (0.0, 0.0, 4, "u < p/q is strict: with <= an impossible token gets in"),
            (0.5, 0.5, 4, "strictly below"),
            (1.0, 0.5, position, PADDING_KEPT),
        ):
            p = torch.cat([q, q[:1]])
            p[position, tokens[position]] *= factor
            for numbers in (4, 1):
                got = kept_of_one(call, p, q, tokens, torch.full((numbers,), u), torch.tensor(length))
                what = f"kept tokens of a block of {length} where p/q = {factor} and u = {u} at position {position}"
                expect_equal(got, position, what + ONE * (numbers == 1), hint=hint)
        p = torch.cat([q, q[:1]])
        p[0, tokens[0]] *= 0.5
        p[position, tokens[position]] *= 0.5
        got = kept_of_one(call, p, q, tokens, torch.tensor([0.25 if position else 0.5]))
        what = f"kept tokens where p/q = 0.5 at positions 0 and {position} and one u for the block equals the product"
        expect_equal(got, position, what, hint="strictly below the product of min(1, p/q) so far")


@check("accept", points=1)
def the_extremes_hold(call, rng):
    """Equal distributions keep every token, greedy ones what agrees; what stands behind a block plays no part.

    Two tokens of p/q = 0.9 are kept by two numbers of 0.85, and by a single one the first alone: 0.81 lies below it.
    """
    for length in (1, 4, 9):
        q = distributions(rng, length, 6)
        tokens = torch.multinomial(q, 1, generator=rng())[:, 0]
        p = torch.cat([q, torch.full((1, 6), float("nan"))])
        got = kept_of_one(call, p, q, tokens, torch.full((length,), 0.99999))
        expect_equal(got, length, "kept tokens when draft and target agree", hint="p/q = 1 lies above every u")
        p[-2, tokens[-1]] *= 0.9
        got = kept_of_one(call, p, q, tokens, torch.full((length,), 0.99999))
        expect_equal(got, length - 1, "kept tokens when the last one's p is 0.9 q", hint="p/q = 0.9 lies below this u")
        p[0, tokens[0]] *= 0.9 if length > 1 else 1.0
        for numbers, want in ((length, length), (1, max(length - 1, 1))):
            got = kept_of_one(call, p, q, tokens, torch.full((numbers,), 0.85))
            what = f"kept tokens when the first and the last have p/q = 0.9 and u = 0.85 comes for {numbers} tokens"
            expect_equal(got, want, what, hint="a single number meets the product of all so far")
    q, lengths = distributions(rng, 7, 6, 6), torch.randperm(7, generator=rng())
    p, tokens = torch.cat([q, q[:, :1]], 1), torch.multinomial(q.flatten(0, 1), 1, generator=rng()).reshape(7, 6)
    got = kept_of_several(call, p, q, tokens, torch.full((7, 6), 0.99999), lengths)
    expect_equal(got, lengths, "kept tokens of blocks of every length that agree throughout", hint=PADDING_KEPT)
    padding = ~drafted(lengths, 6)
    p[:, :-1][padding], q[padding] = float("nan"), float("nan")
    for numbers in (6, 1):
        got = kept_of_several(call, p, q, tokens, torch.full((7, numbers), 0.99999), lengths)
        expect_equal(got, lengths, "kept tokens where the padding's probabilities are NaN", hint=PADDING_KEPT)
    for agreeing in torch.randperm(5, generator=rng()).tolist():
        chosen, tokens = torch.randint(5, (2, 5), generator=rng())
        tokens[:agreeing] = chosen[:agreeing]
        tokens[agreeing:] = (chosen[agreeing:] + 1) % 5
        p, q = torch.eye(5)[chosen], torch.eye(5)[tokens[:4]]
        got = kept_of_one(call, p, q, tokens[:4], torch.rand(4, generator=rng()))
        expect_equal(got, agreeing, f"kept tokens of greedy distributions that agree {agreeing} times")
