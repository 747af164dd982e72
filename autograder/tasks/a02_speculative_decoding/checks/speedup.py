"""What to expect: the hidden checks."""

import torch

from autograder.checks import check, expect_close, expect_equal, fail, integer


def share(rng, low=0.2, high=0.95):
    """A random number between the two, of four decimals."""
    return round(low + (high - low) * float(torch.rand((), generator=rng())), 4)


@check("speedup", points=1)
def tar_is_kept_tokens_a_round(call, rng):
    """TAR: the sum of kept tokens over the number of rounds."""
    for _ in range(5):
        kept = torch.randint(0, 6, (integer(rng, 1, 30),), generator=rng()).tolist()
        expect_close(
            call("token_acceptance_rate", kept),
            sum(kept) / len(kept),
            f"TAR of {len(kept)} rounds",
            hint="divide by the number of rounds, not by the tokens; the bonus is not a kept token",
        )


def falling_rates(rng, length, low=0.2, high=0.95):
    """Rates of acceptance that fall along the block."""
    return sorted((share(rng, low, high) for _ in range(length)), reverse=True)


def mean_tokens(rates):
    """The mean over all outcomes of a round: the number kept and the token after."""
    tokens, reached = 0.0, 1.0
    for kept, rate in enumerate([*rates, 0.0]):
        tokens += (kept + 1) * reached * (1 - rate)
        reached *= rate
    return tokens


def speedup(rates, cost, token_cost, more=0):
    return mean_tokens(rates) / (1 + (len(rates) + more) * cost + len(rates) * token_cost)


@check("speedup", points=1)
def expected_tokens_agree_with_counting(call, rng):
    """The mean number of tokens a round, against an exact sum over all outcomes."""
    for length in (1, 5, integer(rng, 2, 9), integer(rng, 2, 9), 0):
        rates = falling_rates(rng, length)
        got, want = call("expected_tokens", rates), mean_tokens(rates)
        if isinstance(got, int | float) and abs(got - (want - 1)) < 1e-9 and length:
            fail("the token after the kept ones is missing: every round yields it", got=got, want=want)
        if isinstance(got, int | float) and abs(got - 1 - sum(rates)) < 1e-9 and length > 1:
            fail("a token counts only where all before it were kept too: multiply the rates up", got=got, want=want)
        expect_close(got, want, f"expected tokens for the rates {rates}", hint="G + 1 terms")


@check("speedup", points=1)
def certain_and_impossible_tokens(call, rng):
    """With rates of 1 a round yields all and one more; a rate of 0 ends the block, whatever comes after it."""
    for length in (0, 1, integer(rng, 2, 9)):
        got, less = call("expected_tokens", [1.0] * length), call("expected_tokens", falling_rates(rng, length))
        if length and abs(less - (length + 1)) < 1e-9:
            fail("draft_length + 1 tokens came out although the rates are below 1", got=less)
        expect_close(got, length + 1, f"expected tokens for {length} rates of 1", hint="all are kept, and one follows")
    rates = [1.0, share(rng), 0.0, share(rng)]
    got = call("expected_tokens", rates)
    expect_close(got, 2 + rates[1], f"expected tokens for the rates {rates}", hint="nothing behind the 0 is reached")


@check("speedup", points=1)
def speedup_is_tokens_over_cost(call, rng):
    """Expected tokens over the cost of the draft steps and of the pass that verifies them."""
    for length, cost, token_cost in (
        (5, 0.05, 0.02),
        (integer(rng, 2, 9), share(rng), share(rng, 0.01, 0.2)),
        (3, 0.0, share(rng)),
        (0, share(rng), share(rng)),
        (4, share(rng), 0.0),
    ):
        rates = falling_rates(rng, length)
        expect_close(
            call("predicted_speedup", rates, cost, token_cost),
            speedup(rates, cost, token_cost),
            f"speedup for the rates {rates}, cost ratio {cost}, token cost {token_cost}",
            hint="a draft step for each rate, and one pass of the target that is dearer by token_cost for each",
        )


@check("speedup", points=1)
def the_best_length_weighs_tokens_against_cost(call, rng):
    """The best draft length, zero and ties included."""

    def best(rates, cost, token_cost, more=0):
        speedups = [speedup(rates[:length], cost, token_cost, more) for length in range(len(rates) + 1)]
        return speedups.index(max(speedups))

    def telling():
        return falling_rates(rng, 9, 0.5, 0.95), share(rng, 0.02, 0.1), share(rng, 0.01, 0.05)

    steps, tokens = telling(), telling()
    while best(*steps) == best(*steps, more=1):  # where a draft step too many in the cost leads elsewhere
        steps = telling()
    while best(*tokens) == best(tokens[0], tokens[1], 0.0):  # where the block's tokens count
        tokens = telling()
    for rates, cost, token_cost in (
        steps,
        tokens,
        (falling_rates(rng, 12, 0.6, 0.95), share(rng, 0.01, 0.03), 0.0),
        (falling_rates(rng, 8, 0.1, 0.3), share(rng, 0.3, 0.5), share(rng, 0.1, 0.2)),
        ([0.0] * integer(rng, 3, 9), 0.0, 0.0),
        (falling_rates(rng, 1, 0.6, 0.9), share(rng, 0.05, 0.2), 0.01),
        ([], share(rng), share(rng)),
    ):
        expect_equal(
            call("best_draft_length", rates, cost, token_cost),
            best(rates, cost, token_cost),
            f"best length for the rates {rates}, cost ratio {cost}, token cost {token_cost}",
            hint="length 0 is plain decoding and can be best; of ties take the smallest",
        )
