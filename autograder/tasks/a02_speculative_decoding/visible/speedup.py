"""What to expect: the checks that a student sees and runs."""

from autograder.checks import check, expect_close, expect_equal, fail


@check("speedup")
def formulas_give_hand_computed_values(call, rng):
    """Small cases that can be worked out by hand."""
    rate = call("token_acceptance_rate", [3, 0, 2])
    expect_close(rate, 5 / 3, "TAR of 3, 0 and 2 kept tokens", hint="their sum over the number of rounds")
    got = call("expected_tokens", [0.5, 0.25])
    if got == 1.75:
        fail("the second token is kept with both the first rate and its own: 1 + 1/2 + 1/2 x 1/4", got=got, want=1.625)
    hint = "1 + 1/2 + 1/2 x 1/4: the token after, the first drafted one, and the second where both are kept"
    expect_close(got, 1.625, "expected tokens for the rates 1/2 and 1/4", hint=hint)
    expect_close(call("expected_tokens", [1.0] * 3), 4.0, "expected tokens for three rates of 1")
    expect_close(call("expected_tokens", []), 1.0, "expected tokens without a draft", hint="the target's own token")
    got = call("predicted_speedup", [0.5, 0.25], 0.25, 0.125)
    hint = "1.625 tokens for two draft steps of 0.25 and a pass of 1 + 2 x 0.125"
    expect_close(got, 1.625 / 1.75, "speedup for the rates 1/2 and 1/4", hint=hint)


@check("speedup")
def the_best_draft_length_is_from_zero_to_the_maximum(call, rng):
    """Length 0 where drafting costs more than it yields, or just as much; all rates where each token more pays."""
    hint = "compare predicted speedups, not tokens, and return the length; 0 and the number of rates are allowed"
    expect_equal(call("best_draft_length", [0.1] * 8, 0.5, 0.0), 0, "best length for rates of 0.1, cost 0.5", hint=hint)
    expect_equal(
        call("best_draft_length", [0.9] * 4, 0.01, 0.0), 4, "best length for rates of 0.9, cost 0.01", hint=hint
    )
    got = call("best_draft_length", [0.9, 0.8, 0.1, 0.9], 0.1, 0.0)
    expect_equal(got, 2, "best length for the rates 0.9, 0.8, 0.1, 0.9 and cost 0.1", hint="a draft of g has g rates")
    hint = "lengths 0 and 1 both give a speedup of 1; of equally good lengths take the smallest"
    expect_equal(call("best_draft_length", [0.5] * 3, 0.5, 0.0), 0, "best length for rates and cost of 1/2", hint=hint)
