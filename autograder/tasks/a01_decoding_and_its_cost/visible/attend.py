"""Attention through a cache: the checks that a student sees and runs."""

import torch

from autograder.checks import CheckFailed, check, expect_close, expect_equal, expect_parts, expect_tensor, fail

LOG_3 = 1.0986123
NO_SINK = torch.tensor([-torch.inf])


def attend(call, q, k, v, keys, values, sinks, position, window=None):
    """The three results of `cached_attention`, with their kinds checked; without a window all of the cache is one."""
    window = len(keys) if window is None else window
    try:
        got = call("cached_attention", q, k, v, keys, values, sinks, position, window)
    except CheckFailed as failure:
        if "positional argument" in str(failure):
            fail("`cached_attention` takes eight arguments: sinks and a window beside those of the chapter")
        raise
    if isinstance(got, torch.Tensor):
        fail("return (out, keys, values): the chapter's own function returns the outputs alone")
    got = expect_parts(got, "cached_attention", "out", "keys", "values")
    return (
        expect_tensor(got[0], "out", shape=tuple(q.shape), dtype="float", dims="T H D"),
        expect_tensor(got[1], "keys", shape=tuple(keys.shape), dtype="float", dims="S Hkv D"),
        expect_tensor(got[2], "values", shape=tuple(keys.shape), dtype="float", dims="S Hkv D"),
    )


@check("attend")
def one_token_averages_what_it_sees(call, rng):
    """With a query of zeros all rows up to the new one weigh the same; rows after it weigh nothing."""
    keys, values = torch.zeros(5, 1, 2), torch.tensor([2.0, 4.0, 0.0, 100.0, 100.0])[:, None, None].expand(5, 1, 2)
    zeros = torch.zeros(1, 1, 2)
    out, _, kept = attend(call, zeros, zeros, torch.full((1, 1, 2), 9.0), keys, values.clone(), NO_SINK, 2)
    if kept[3, 0, 0] == 9 or kept[1, 0, 0] == 9:
        fail("the new token's row is row `position`: count from 0", got=kept[:, 0, 0].tolist())
    expect_equal(kept[:, 0, 0].tolist(), [2.0, 4.0, 9.0, 100.0, 100.0], "the cached values after the call")
    if abs(float(out[0, 0, 0]) - 3.0) < 1e-3:
        fail("the token does not see itself: write its row first, then attend to rows 0 to position", got=3.0, want=5.0)
    hint = "the mean of rows 0, 1, 2; rows after the block are leftovers"
    expect_close(out[0, 0], torch.full((2,), 5.0), "the output of a token at position 2", atol=1e-4, hint=hint)


def two_behind(call, cached, new, window=None, sinks=NO_SINK):
    """The outputs of two new tokens behind cached ones where all rows that a token sees weigh the same."""
    rows, zeros = len(cached) + 2, torch.zeros(2, 1, 2)
    keys, values = torch.zeros(rows, 1, 2), torch.tensor([*cached, 50.0, 50.0])[:, None, None].repeat(1, 1, 2)
    v = torch.tensor(new)[:, None, None].repeat(1, 1, 2)
    return attend(call, zeros, zeros, v, keys, values, sinks, len(cached), window)[0][:, 0, 0]


def expect_outputs(out, want, guesses, what):
    """Outputs by hand; the guesses are what mistakes would give."""
    for hint, wrong in guesses.items():
        if torch.allclose(out, torch.tensor(wrong), atol=1e-3):
            fail(hint, got=out.tolist(), want=want)
    expect_close(out, torch.tensor(want), what, atol=1e-4)


@check("attend")
def a_block_is_causal_from_its_own_position(call, rng):
    """Two new tokens behind two cached: the first sees three rows, the second four."""
    guesses = {
        "the mask is aligned at row 0 of the cache: token i of the block stands at position + i": [0.0, 0.0],
        "a token does not see itself: token i sees the rows up to position + i": [0.0, 2.0],
        "the first token sees the second: a token sees nothing after itself": [4.5, 4.5],
    }
    expect_outputs(two_behind(call, [0.0, 0.0], [6.0, 12.0]), [2.0, 4.5], guesses, "the outputs of a block of two")


@check("attend")
def a_token_looks_back_no_further_than_its_window(call, rng):
    """Two new tokens behind three cached, window 2: each sees its own row and the one before it."""
    guesses = {
        "there is no window: the token at row p sees the rows p - window + 1 to p, as far as there are any": [5.5, 8.4],
        "`window` counts the token's own row: with window 2 it sees itself and one row before": [20 / 3, 12.0],
        "each token has a window of its own, which ends at its own row": [10.0, 15.0],
    }
    got = two_behind(call, [2.0, 4.0, 6.0], [10.0, 20.0], window=2)
    expect_outputs(got, [8.0, 15.0], guesses, "the outputs of a block of two, window 2")


@check("attend")
def the_sink_takes_its_share(call, rng):
    """Two new tokens behind two cached, window 3, scores 0 and a sink of ln 3: of six shares the sink has three."""
    guesses = {
        "the sink takes no weight: e to the power of it belongs to the denominator": [6.0, 10.0],
        "the sink is added to the denominator as it is: it is a score, like the others": [18 / 4.0986, 30 / 4.0986],
    }
    got = two_behind(call, [2.0, 4.0], [12.0, 14.0], window=3, sinks=torch.tensor([LOG_3]))
    expect_outputs(got, [3.0, 5.0], guesses, "the outputs beside a sink of ln 3")


@check("attend")
def scores_are_scaled_and_heads_grouped(call, rng):
    """A score of 2 log 3 over sqrt(4) weighs three times as much; four query heads share two key-value heads."""
    keys, values = torch.zeros(2, 2, 4), torch.zeros(2, 2, 4)
    keys[0, :, 0] = 1.0
    values[0, 0], values[0, 1] = 4.0, 8.0
    q = torch.zeros(1, 4, 4)
    q[0, :, 0] = 2 * LOG_3
    out = attend(call, q, torch.zeros(1, 2, 4), torch.zeros(1, 2, 4), keys, values, NO_SINK.expand(4), 1)[0][0, :, 0]
    if torch.allclose(out, torch.tensor([3.0, 6.0, 3.0, 6.0]), atol=1e-3):
        fail("heads 0 and 1 share the first key-value head, 2 and 3 the second: repeat each head, not the whole list")
    if torch.allclose(out, torch.tensor([3.6, 3.6, 7.2, 7.2]), atol=1e-3):
        fail("divide the scores by the square root of D")
    expect_close(out, torch.tensor([3.0, 3.0, 6.0, 6.0]), "the outputs of four heads", atol=1e-3)


@check("attend")
def rows_after_the_block_play_no_part(call, rng):
    """NaN in the rows after the block does no harm, and stays there."""
    keys, values = torch.zeros(2, 4, 1, 2)
    keys[2:], values[2:] = torch.nan, torch.nan
    one = torch.ones(1, 1, 2)
    out, new_keys, _ = attend(call, torch.zeros(1, 1, 2), one, one, keys, values, NO_SINK, 1)
    if bool(out.isnan().any()):
        fail("a weight of 0 times NaN is NaN: cut the rows after the block off before you multiply", got=out)
    expect_close(out[0, 0], torch.full((2,), 0.5), "the output of a token at position 1")
    if not bool(new_keys[2:].isnan().all()):
        fail("the rows after the block changed: write the rows of the new tokens only")
