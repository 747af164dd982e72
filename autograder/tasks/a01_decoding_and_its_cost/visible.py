"""The checks that a student sees and runs: one small case each, and a guess at what went wrong."""

import torch

from autograder.engine import (
    Callback,
    CheckFailed,
    check,
    expect_close,
    expect_equal,
    expect_parts,
    expect_tensor,
    fail,
)

LOG_3 = 1.0986123


def attend(call, q, k, v, keys, values, position, window=None):
    """The three results of `cached_attention`, with their kinds checked; without a window all of the cache is one."""
    window = len(keys) if window is None else window
    try:
        got = call("cached_attention", q, k, v, keys, values, position, window)
    except CheckFailed as failure:
        if "positional argument" in str(failure):
            fail("`cached_attention` takes seven arguments, `window` the last: the chapter's own knows no window")
        raise
    if isinstance(got, torch.Tensor):
        fail("return (out, keys, values): the chapter's own function returns the outputs alone")
    got = expect_parts(got, "cached_attention", "out", "keys", "values")
    return (
        expect_tensor(got[0], "out", shape=tuple(q.shape), dtype="float"),
        expect_tensor(got[1], "keys", shape=tuple(keys.shape), dtype="float"),
        expect_tensor(got[2], "values", shape=tuple(keys.shape), dtype="float"),
    )


@check("attend")
def one_token_averages_what_it_sees(call, rng):
    """With a query of zeros all rows up to the new one weigh the same; rows after it weigh nothing."""
    keys, values = torch.zeros(5, 1, 2), torch.tensor([2.0, 4.0, 0.0, 100.0, 100.0])[:, None, None].expand(5, 1, 2)
    zeros = torch.zeros(1, 1, 2)
    out, _, kept = attend(call, zeros, zeros, torch.full((1, 1, 2), 9.0), keys, values.clone(), 2)
    if kept[3, 0, 0] == 9 or kept[1, 0, 0] == 9:
        fail("the new token's row is row `position`: count from 0", got=kept[:, 0, 0].tolist())
    expect_equal(kept[:, 0, 0].tolist(), [2.0, 4.0, 9.0, 100.0, 100.0], "the cached values after the call")
    if abs(float(out[0, 0, 0]) - 3.0) < 1e-3:
        fail("the token does not see itself: write its row first, then attend to rows 0 to position", got=3.0, want=5.0)
    hint = "the mean of rows 0, 1, 2; rows after the block are leftovers"
    expect_close(out[0, 0], torch.full((2,), 5.0), "the output of a token at position 2", atol=1e-4, hint=hint)


def two_behind(call, cached, new, window=None):
    """The outputs of two new tokens behind cached ones where all rows that a token sees weigh the same."""
    rows, zeros = len(cached) + 2, torch.zeros(2, 1, 2)
    keys, values = torch.zeros(rows, 1, 2), torch.tensor([*cached, 50.0, 50.0])[:, None, None].repeat(1, 1, 2)
    v = torch.tensor(new)[:, None, None].repeat(1, 1, 2)
    return attend(call, zeros, zeros, v, keys, values, len(cached), window)[0][:, 0, 0]


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
def scores_are_scaled_and_heads_grouped(call, rng):
    """A score of 2 log 3 over sqrt(4) weighs three times as much; four query heads share two key-value heads."""
    keys, values = torch.zeros(2, 2, 4), torch.zeros(2, 2, 4)
    keys[0, :, 0] = 1.0
    values[0, 0], values[0, 1] = 4.0, 8.0
    q = torch.zeros(1, 4, 4)
    q[0, :, 0] = 2 * LOG_3
    out = attend(call, q, torch.zeros(1, 2, 4), torch.zeros(1, 2, 4), keys, values, 1)[0][0, :, 0]
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
    out, new_keys, _ = attend(call, torch.zeros(1, 1, 2), one, one, keys, values, 1)
    if bool(out.isnan().any()):
        fail("a weight of 0 times NaN is NaN: cut the rows after the block off before you multiply", got=out)
    expect_close(out[0, 0], torch.full((2,), 0.5), "the output of a token at position 1")
    if not bool(new_keys[2:].isnan().all()):
        fail("the rows after the block changed: write the rows of the new tokens only")


class CountingModel:
    """The token after x is x + 1, modulo 8. It knows which rows of its cache were written, and every call."""

    def __init__(self):
        self.rows, self.calls = [], []

    def __call__(self, tokens, position=None):
        if position is None:
            fail("the model was called without a position; call it as model(tokens, position)")
        if position > len(self.rows):
            fail(
                f"the model was called at position {position}, but row {len(self.rows)} of its cache was never written"
            )
        self.calls.append((tokens.tolist(), position))
        self.rows[position:] = tokens.tolist()
        return torch.nn.functional.one_hot((tokens.long() + 1) % 8, 8).float() * 30


def decode(call, model, prompt, count, eos_token=None):
    """The new tokens as a list."""
    got = call("cached_generate", Callback(model), torch.tensor(prompt), count, eos_token)
    tokens = expect_tensor(got, "the new tokens", shape=(None,), dtype="int").tolist()
    if tokens[: len(prompt)] == prompt and len(tokens) > count:
        fail("return the new tokens only, without the prompt", got=tokens)
    return tokens


@check("decode")
def a_counting_model_counts_on(call, rng):
    """A model that counts upwards goes on counting."""
    for prompt in ([5, 6, 7], [7]):
        got = decode(call, CountingModel(), prompt, 5)
        expect_equal(got, [0, 1, 2, 3, 4], f"five new tokens after {prompt}")


@check("decode")
def the_prompt_is_read_once_and_then_token_by_token(call, rng):
    """One call with the prompt at position 0, then one call for each token but the last."""
    model = CountingModel()
    decode(call, model, [5, 6, 7], 4)
    want = [([5, 6, 7], 0), ([0], 3), ([1], 4), ([2], 5)]
    if len(model.calls) > 1 and model.calls[1][1] == 0:
        fail("the text is read again from position 0: the cache keeps what was read", calls=model.calls[:2])
    hint = "each call brings what no call has brought; the prompt's last row of logits gives the first token"
    expect_equal(model.calls, want, "the calls (tokens, position)", hint=hint)


@check("decode")
def the_text_ends_just_after_the_end_token(call, rng):
    """A new end token is kept and ends the text; one in the prompt does not."""
    for prompt in ([0], [2, 3, 0]):
        model = CountingModel()
        got = decode(call, model, prompt, 6, eos_token=3)
        expect_equal(got, [1, 2, 3], f"the new tokens after {prompt} up to end token 3", hint="keep it, then stop")
        hint = "stop at the end token: what is read after it is thrown away"
        expect_equal(len(model.calls), 3, f"the number of calls after {prompt} up to end token 3", hint=hint)


def lists(got, function, *parts):
    """Several lists that a function returns together, with their kinds checked."""
    got = expect_parts(got, function, *parts)
    for value, part in zip(got, parts, strict=True):
        if not isinstance(value, list):
            fail(f"`{function}`: {part} should be a list of int, it is a {type(value).__name__}")
    return got


def extend(call, room, blocks, *request):
    """The three lists of `extend` where there is room."""
    got = call("extend", blocks, *request)
    if got is None:
        fail(f"`extend` returned None, but there is room: {room}; is a `return` missing?")
    return lists(got, "extend", "blocks", "free", "slots")


@check("paged")
def a_sequence_grows_block_by_block(call, rng):
    """Rows fill up the last block before the first free one is taken."""
    expect_equal(
        extend(call, "two slots in block 4 and two free blocks", [4], 2, 3, [7, 1], 4),
        ([4, 7], [1], [18, 19, 28]),
        "(blocks, free, slots) after three more rows",
        hint="rows 2, 3, 4: block 4 has slots 16 to 19, block 7 slots 28 to 31",
    )
    expect_equal(
        extend(call, "two slots in block 4", [4], 2, 2, [7, 1], 4),
        ([4], [7, 1], [18, 19]),
        "(blocks, free, slots) after two more rows",
        hint="both fit in block 4: a new block is taken only for rows beyond it",
    )
    expect_equal(
        extend(call, "two free blocks", [], 0, 4, [2, 5], 4),
        ([2], [5], [8, 9, 10, 11]),
        "four rows of a new one",
        hint="four rows fill one block of four exactly: take no second one",
    )


@check("paged")
def a_pool_can_be_used_up_and_not_more(call, rng):
    """The last free block may be taken, a block that is not there may not: None."""
    expect_equal(
        extend(call, "one free block for four rows", [4], 4, 4, [7], 4),
        ([4, 7], [], [28, 29, 30, 31]),
        "(blocks, free, slots) after four more rows with one free block of four",
    )
    got = extend(call, "a slot in block 4, and no new block is needed", [4], 3, 1, [], 4)
    expect_equal(got, ([4], [], [19]), "(blocks, free, slots) after one more row with no free block")
    expect_equal(call("extend", [4], 4, 5, [7], 4), None, "five rows with one free block of four")


@check("paged")
def rows_are_gathered_in_the_sequences_order(call, rng):
    """The list of blocks gives the order, not the numbers of the blocks."""
    pool = torch.arange(12.0)[:, None, None].expand(12, 1, 2)
    got = expect_tensor(call("gather", pool, [3, 1], 5, 3), "the rows", shape=(5, 1, 2))
    hint = "block 3 first, then block 1, and only `length` rows"
    expect_equal(got[:, 0, 0].tolist(), [9.0, 10.0, 11.0, 3.0, 4.0], "the rows of blocks [3, 1]", hint=hint)


@check("paged")
def a_shared_block_outlives_its_first_user(call, rng):
    """Fork counts one user more for each shared block, release one less; a block is free when nobody is left."""
    expect_equal(
        lists(call("fork", [2, 0], 3, [1, 0, 1], 2), "fork", "child_blocks", "ref_counts"),
        ([2, 0], [2, 0, 2]),
        "(child blocks, ref_counts) for three rows in blocks of two",
        hint="the third row lies in the second block, so both are shared",
    )
    expect_equal(
        lists(call("fork", [2, 0], 2, [1, 0, 1], 2), "fork", "child_blocks", "ref_counts"),
        ([2], [1, 0, 2]),
        "(child blocks, ref_counts) for two rows in blocks of two",
        hint="they fill the first block: the second holds none of them and is not shared",
    )
    parts = "release", "ref_counts", "free"
    expect_equal(
        lists(call("release", [2, 0], [2, 0, 2], [1]), *parts),
        ([1, 0, 1], [1]),
        "after the first user left",
        hint="the second user still needs the blocks",
    )
    expect_equal(
        lists(call("release", [2, 0], [1, 0, 1], [1]), *parts), ([0, 0, 0], [1, 2, 0]), "after the last user left"
    )


def plan(call, running, waiting, max_running, budget):
    """The plan as a list of tuples."""
    got = call("plan_pass", running, waiting, max_running, budget)
    if got is None:
        fail("`plan_pass` returned None; is a `return` missing?")
    if not isinstance(got, list) or not all(isinstance(one, list | tuple) and len(one) == 2 for one in got):
        fail("`plan_pass` should return a list of (name, count)", got=got)
    return [tuple(one) for one in got]


@check("schedule")
def who_writes_comes_first(call, rng):
    """A running request with one pending token is served before a prompt that came earlier."""
    got = plan(call, [("a", 20), ("b", 1)], [], 4, 8)
    hint = "b gets its token, a the seven that are left of the budget of 8"
    expect_equal(got, [("b", 1), ("a", 7)], "the plan for a: 20 pending, b: 1", hint=hint)


@check("schedule")
def waiting_requests_need_a_place_and_budget(call, rng):
    """A waiting request is admitted where a place is free, and gets what the budget has left."""
    running, waiting = [("a", 1), ("b", 3)], [("d", 9), ("c", 2)]
    for budget, share in ((16, 9), (8, 4)):
        got = plan(call, running, waiting, 3, budget)
        if "c" in dict(got):
            fail("only three requests may run: a and b hold two places, so d, the oldest, takes the last", got=got)
        hint = f"d has 9 pending, and {budget} - 1 - 3 are left of the budget"
        want = [("a", 1), ("b", 3), ("d", share)]
        expect_equal(got, want, f"the plan with one free place and a budget of {budget}", hint=hint)
    got = plan(call, [("a", 1), ("b", 7)], [("c", 9)], 3, 8)
    expect_equal(
        got, [("a", 1), ("b", 7)], "the plan when nothing is left for c", hint="nobody is listed with 0 tokens"
    )


def quantized(call, x):
    """Codes and scales, with their kinds checked."""
    codes, scales = expect_parts(call("quantize_rows", x), "quantize_rows", "codes", "scales")
    codes = expect_tensor(codes, "codes", shape=tuple(x.shape), dtype=torch.int8)
    return codes, expect_tensor(scales, "scales", shape=tuple(x.shape[:-1]), dtype=torch.float32)


@check("quantize")
def a_row_spans_the_whole_range(call, rng):
    """The largest absolute value of each row becomes 127 or -127."""
    codes, scales = quantized(call, torch.tensor([[1.0, -2.0, 0.5], [0.0, 127.0, 63.6]]))
    expect_close(scales, torch.tensor([2 / 127, 1.0]), "the scales", hint="each row has its own: max |x| over 127")
    hint = "round to the nearest whole number, do not cut off; the sign stays"
    expect_equal(codes.tolist(), [[64, -127, 32], [0, 127, 64]], "the codes", hint=hint)


@check("quantize")
def values_are_codes_times_their_rows_scale(call, rng):
    """Codes 64, -127 and 2 of scale 0.5, codes 0, 127 and -3 of scale 10."""
    codes = torch.tensor([[64, -127, 2], [0, 127, -3]], dtype=torch.int8)
    got = expect_tensor(call("dequantize_rows", codes, torch.tensor([0.5, 10.0])), "the values", dtype=torch.float32)
    hint = "turn the codes to float first: int8 holds no fraction and nothing above 127"
    expect_close(got, torch.tensor([[32.0, -63.5, 1.0], [0.0, 1270.0, -30.0]]), "the values", hint=hint)


@check("quantize")
def a_row_of_zeros_is_no_division_by_zero(call, rng):
    """Zeros come back as zeros, beside a row that has other numbers."""
    codes, scales = quantized(call, torch.tensor([[0.0, 0.0], [1.0, -2.0]]))
    expect_equal(codes.tolist(), [[0, 0], [64, -127]], "the codes", hint="0/0 is NaN, and NaN as int8 is anything")
    hint = "a row of zeros has scale 0, exactly; guard the division, not the scale"
    expect_close(scales, torch.tensor([0.0, 2 / 127]), "the scales", atol=0, hint=hint)
    back = call("dequantize_rows", codes, scales)
    expect_close(back[0], torch.zeros(2), "the values of a row of zeros")


SHAPE = {
    "num_weights": 1000,
    "num_layers": 3,
    "num_heads": 15,
    "num_kv_heads": 5,
    "head_dim": 8,
    "bytes_per_element": 4,
}


@check("roofline")
def cache_bytes_worked_by_hand(call, rng):
    """Keys and values, 3 layers, 5 key-value heads of width 8, 4 bytes each."""
    got, want = call("kv_cache_bytes", SHAPE, 10, 3), 2 * 3 * 5 * 8 * 4 * 10 * 3
    hint = "2 (keys and values) x 3 layers x 5 key-value heads x 8 x 4 bytes, for 10 tokens of 3 sequences"
    if isinstance(got, int | float) and got == 3 * want:
        hint = "the cache holds key-value heads, not query heads"
    expect_close(got, want, "bytes of 10 tokens of 3 sequences", hint=hint)


@check("roofline")
def work_of_a_pass_worked_by_hand(call, rng):
    """3 sequences, 10 rows each."""
    flops, num_bytes = expect_parts(call("decode_work", SHAPE, 3, 10), "decode_work", "flops", "num_bytes")
    expect_close(
        flops,
        3 * (2 * 1000 + 4 * 3 * 15 * 8 * 10),
        "FLOPs",
        hint="2 for each weight and token, 4 H D for each layer and row of each sequence",
    )
    hint = "the weights once, and the caches of all sequences"
    if num_bytes == 3 * 4000 + 28800:
        hint = "the weights are read once for the whole batch: that is why batching pays"
    expect_close(num_bytes, 4000 + 28800, "bytes", hint=hint)


@check("roofline")
def the_roof_is_the_lower_of_two_lines(call, rng):
    """Below the ridge the bandwidth decides, above it the peak."""
    for flops, num_bytes, want in ((50, 100, 5.0), (1000, 10, 100.0)):
        got = call("attainable_flops", flops, num_bytes, 100.0, 10.0)
        expect_close(
            got,
            want,
            f"attainable FLOP/s of {flops} FLOP and {num_bytes} bytes, peak 100, bandwidth 10",
            hint="min(peak, bandwidth x FLOP per byte)",
        )


# a batch of 3 at context 1: 3 (2 x 96 + 4 x 4 x 8) FLOP over 96 + 3 x 32 bytes, exactly 5 a byte; 2 make 4 a byte
RIDGE = {"num_weights": 96, "num_layers": 1, "num_heads": 4, "num_kv_heads": 2, "head_dim": 8, "bytes_per_element": 1}


@check("roofline")
def the_least_batch_reaches_the_peak(call, rng):
    """1, 2 and 3 sequences have 2.5, 4 and 5 FLOP a byte: where the ridge lies at 5, the answer is 3."""
    for most in (8, 3):
        got = call("smallest_compute_bound_batch", RIDGE, 1, 5e6, 1e6, most)
        hint = "a batch reaches the peak if it has as many FLOP a byte as the ridge, or more"
        if isinstance(got, int) and got == 4:
            hint = "at the ridge itself bytes take exactly as long as arithmetic, and the peak is reached: >=, not >"
        elif most == 3:
            hint = "max_batch_size itself may be the answer: range(1, n) ends before n"
        if got is None:
            fail(f"no batch was found, but 3 of at most {most} reach the peak; {hint}; or is a `return` missing?")
        expect_equal(got, 3, f"the least batch of at most {most}", hint=hint)
    got = call("smallest_compute_bound_batch", RIDGE, 1, 2e6, 1e6, 8)
    expect_equal(got, 1, "the least batch where 2 FLOP a byte are enough", hint="a batch of 1 counts, too")
    hint = "each sequence brings its own cache: some peaks no batch reaches; then None"
    expect_equal(call("smallest_compute_bound_batch", RIDGE, 1000, 5e6, 1e6, 64), None, "the batch", hint=hint)
