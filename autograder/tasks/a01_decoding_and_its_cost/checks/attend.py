"""Attention through a cache: the hidden checks."""

import math

import torch

from autograder.checks import check, expect_close, fail, integer
from autograder.tasks.a01_decoding_and_its_cost.oracles import attention_by_loops
from autograder.tasks.a01_decoding_and_its_cost.visible.attend import attend


def attention_case(rng, length, position, num_heads=4, num_kv_heads=2, head_dim=8, rows=40, leftovers=5.0):
    """q, k, v, keys, values, sinks; rows after the block hold leftovers, a sink weighs about as much as all rows."""
    q = torch.randn(length, num_heads, head_dim, generator=rng())
    k, v = torch.randn(2, length, num_kv_heads, head_dim, generator=rng())
    keys, values = torch.randn(2, rows, num_kv_heads, head_dim, generator=rng())
    keys[position:], values[position:] = leftovers, leftovers
    return q, k, v, keys, values, torch.randn(num_heads, generator=rng()) + math.log(position + length)


@check("attend", points=1)
def one_token_sees_all_before_it_and_itself(call, rng):
    """A single token at any position, against attention written as loops in float64."""
    for position, head_dim in ((0, 8), (1, 5), (integer(rng, 2, 30), 8), (39, 16)):
        case = attention_case(rng, 1, position, head_dim=head_dim)
        out, *_ = attend(call, *case, position)
        without = attention_by_loops(*case[:-1], sinks=case[-1] - math.inf, position=position)
        if torch.allclose(out.double(), without, atol=1e-4):
            fail("the sink takes no weight: e to the power of it belongs to the denominator")
        expect_close(
            out,
            attention_by_loops(*case, position),
            f"a token at position {position}, heads of {head_dim}",
            atol=1e-4,
            rtol=1e-4,
            hint="it sees rows 0 to position, its own among them; scores are divided by the root of D",
        )


@check("attend", points=1)
def a_block_behind_a_cache_is_causal(call, rng):
    """Several tokens behind a cache: token i sees the rows up to position + i."""
    for length, position, low in ((2, 7, 0), (5, 1, 20), (integer(rng, 3, 9), integer(rng, 5, 25), 0)):
        case = attention_case(rng, length, position)
        if low:  # all scores lie far below zero, where a row that is hidden by a finite score would win
            q, k, _, keys, _, sinks = case
            q[..., 0], k[..., 0], keys[..., 0] = low, -low, -low
            sinks -= low * low / 8**0.5  # with their scale
        out, *_ = attend(call, *case, position)
        for i in range(length):
            want = attention_by_loops(*case, position)[i]
            expect_close(
                out[i],
                want,
                f"token {i} of a block of {length} at position {position}",
                atol=1e-4,
                rtol=1e-4,
                hint="the mask starts at the block's position, not at row 0 of the cache",
            )


@check("attend", points=1)
def a_window_ends_at_the_tokens_own_row(call, rng):
    """With a window each token sees that many rows at most, the last of them its own."""
    for length, position, window in (
        (1, 9, 4),
        (6, 0, 1),
        (integer(rng, 3, 9), integer(rng, 9, 25), integer(rng, 2, 8)),
    ):
        case = attention_case(rng, length, position)
        out, *_ = attend(call, *case, position, window)
        if position and torch.allclose(out.double(), attention_by_loops(*case, position), atol=1e-4):
            fail("the window was ignored: this is the chapter's attention, which sees all rows before", window=window)
        expect_close(
            out,
            attention_by_loops(*case, position, window),
            f"a block of {length} at position {position} with window {window}",
            atol=1e-4,
            rtol=1e-4,
            hint="a token at row p sees the rows p - window + 1 to p, as far as there are any",
        )


@check("attend", points=1)
def a_prefill_is_a_block_at_position_zero(call, rng):
    """The whole prompt at once, in an empty cache."""
    for length, head_dim in ((1, 4), (integer(rng, 4, 20), 12)):
        case = attention_case(rng, length, 0, head_dim=head_dim)
        out, *_ = attend(call, *case, 0)
        expect_close(out, attention_by_loops(*case, 0), f"a prompt of {length}", atol=1e-4, rtol=1e-4)


@check("attend", points=1)
def neighbouring_heads_share_a_key_value_head(call, rng):
    """Groups of several sizes, and one key-value head for all."""
    for num_heads, num_kv_heads in ((6, 2), (4, 1), (6, 3), (3, 3)):
        position = integer(rng, 1, 20)
        case = attention_case(rng, 2, position, num_heads, num_kv_heads)
        out, *_ = attend(call, *case, position)
        expect_close(
            out,
            attention_by_loops(*case, position),
            f"{num_heads} heads on {num_kv_heads}",
            atol=1e-4,
            rtol=1e-4,
            hint="head h uses key-value head h // (H / Hkv)",
        )


@check("attend", points=1)
def only_the_blocks_rows_change_and_leftovers_play_no_part(call, rng):
    """The cache holds the new rows at their positions and nothing else changed; NaN behind the block does no harm."""
    length, position = integer(rng, 2, 6), integer(rng, 3, 20)
    q, k, v, keys, values, sinks = attention_case(rng, length, position, leftovers=float("nan"))
    out, new_keys, new_values = attend(call, q, k, v, keys, values, sinks, position)
    for name, new, old, block in (("keys", new_keys, keys, k), ("values", new_values, values, v)):
        want = old.clone()
        want[position : position + length] = block
        expect_close(
            new[: position + length],
            want[: position + length],
            f"the cached {name}",
            hint="the new rows belong at position .. position + T - 1",
        )
        if not bool(new[position + length :].isnan().all()):
            fail(f"rows after the block changed in the cached {name}")
    expect_close(
        out,
        attention_by_loops(q, k, v, keys, values, sinks, position),
        "the output beside NaN leftovers",
        atol=1e-4,
        rtol=1e-4,
        hint="leave rows after the block out; a weight of 0 times NaN is NaN",
    )
