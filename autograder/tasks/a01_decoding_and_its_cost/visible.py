"""The checks that a student sees and runs: one small case each, and a guess at what went wrong."""

import torch

from autograder.engine import Callback, check, expect_close, expect_equal, expect_tensor, fail

LOG_3 = 1.0986123


def attend(call, q, k, v, keys, values, position):
    """The three results of `cached_attention`, with their kinds checked."""
    got = call("cached_attention", q, k, v, keys, values, position)
    if not isinstance(got, tuple) or len(got) != 3:
        fail("return (out, keys, values)", got=type(got).__name__)
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


@check("attend")
def a_block_is_causal_from_its_own_position(call, rng):
    """Two new tokens behind two cached: the first sees three rows, the second four."""
    keys, values, q = torch.zeros(5, 1, 2), torch.full((5, 1, 2), 50.0), torch.zeros(2, 1, 2)
    values[:2] = 0.0
    v = torch.tensor([6.0, 12.0])[:, None, None].expand(2, 1, 2)
    out = attend(call, q, torch.zeros(2, 1, 2), v, keys, values, 2)[0][:, 0, 0]
    guesses = {
        "the mask is aligned at row 0 of the cache: token i of the block stands at position + i": [0.0, 0.0],
        "a token does not see itself: token i sees the rows 0 to position + i": [0.0, 2.0],
        "the first token sees the second: a token sees nothing after itself": [4.5, 4.5],
    }
    for hint, wrong in guesses.items():
        if torch.allclose(out, torch.tensor(wrong), atol=1e-3):
            fail(hint, got=out.tolist(), want=[2.0, 4.5])
    expect_close(out, torch.tensor([2.0, 4.5]), "the outputs of a block of two", atol=1e-4)


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
        got = decode(call, CountingModel(), prompt, 6, eos_token=3)
        expect_equal(got, [1, 2, 3], f"the new tokens after {prompt} up to end token 3", hint="keep it, then stop")


def several(got):
    """Values returned together, as a tuple; a list of them will do."""
    return tuple(got) if isinstance(got, list) else got


@check("paged")
def a_sequence_grows_block_by_block(call, rng):
    """Rows fill up the last block before the first free one is taken."""
    got = call("extend", [4], 2, 3, [7, 1], 4)
    if got is None:
        fail("there is room: two slots in block 4 and two free blocks")
    expect_equal(
        several(got),
        ([4, 7], [1], [18, 19, 28]),
        "(blocks, free, slots) after three more rows",
        hint="rows 2, 3, 4: block 4 has slots 16 to 19, block 7 slots 28 to 31",
    )
    expect_equal(
        several(call("extend", [], 0, 4, [2, 5], 4)),
        ([2], [5], [8, 9, 10, 11]),
        "four rows of a new one",
        hint="four rows fill one block of four exactly: take no second one",
    )
    expect_equal(call("extend", [4], 4, 5, [7], 4), None, "five rows with one free block of four")


@check("paged")
def rows_are_gathered_in_the_sequences_order(call, rng):
    """The list of blocks gives the order, not the numbers of the blocks."""
    pool = torch.arange(12.0)[:, None, None].expand(12, 1, 2)
    got = expect_tensor(call("gather", pool, [3, 0], 5, 3), "the rows", shape=(5, 1, 2))
    hint = "block 3 first, then block 0, and only `length` rows"
    expect_equal(got[:, 0, 0].tolist(), [9.0, 10.0, 11.0, 0.0, 1.0], "the rows of blocks [3, 0]", hint=hint)


@check("paged")
def a_shared_block_outlives_its_first_user(call, rng):
    """Fork counts one user more for each shared block, release one less; a block is free when nobody is left."""
    child, counts = call("fork", [2, 0], 3, [1, 0, 1], 2)
    expect_equal(
        (child, counts),
        ([2, 0], [2, 0, 2]),
        "(child blocks, ref_counts) for three rows in blocks of two",
        hint="the third row lies in the second block, so both are shared",
    )
    expect_equal(
        several(call("release", [2, 0], [2, 0, 2], [1])),
        ([1, 0, 1], [1]),
        "after the first user left",
        hint="the second user still needs the blocks",
    )
    expect_equal(several(call("release", [2, 0], [1, 0, 1], [1])), ([0, 0, 0], [1, 2, 0]), "after the last user left")


def plan(call, running, waiting, max_running, budget):
    """The plan as a list of tuples."""
    got = call("plan_pass", running, waiting, max_running, budget)
    if not isinstance(got, list):
        fail("return a list of (name, count)", got=type(got).__name__)
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
    got = plan(call, [("a", 1), ("b", 3)], [("c", 9), ("d", 2)], 3, 8)
    if len(got) == 4:
        fail("only three requests may run: a and b hold two places, so c takes the last", got=got)
    expect_equal(got, [("a", 1), ("b", 3), ("c", 4)], "the plan with one free place", hint="8 - 1 - 3 tokens for c")
    got = plan(call, [("a", 1), ("b", 7)], [("c", 9)], 3, 8)
    expect_equal(
        got, [("a", 1), ("b", 7)], "the plan when nothing is left for c", hint="nobody is listed with 0 tokens"
    )


@check("quantize")
def a_row_spans_the_whole_range(call, rng):
    """The largest absolute value of each row becomes 127 or -127."""
    x = torch.tensor([[1.0, -2.0, 0.5], [0.0, 127.0, 63.6]])
    got = call("quantize_rows", x)
    if not isinstance(got, tuple) or len(got) != 2:
        fail("return (codes, scales)", got=type(got).__name__)
    codes = expect_tensor(got[0], "codes", shape=(2, 3), dtype=torch.int8)
    scales = expect_tensor(got[1], "scales", shape=(2,), dtype=torch.float32)
    expect_close(scales, torch.tensor([2 / 127, 1.0]), "the scales", hint="each row has its own: max |x| over 127")
    hint = "round to the nearest whole number, do not cut off; the sign stays"
    expect_equal(codes.tolist(), [[64, -127, 32], [0, 127, 64]], "the codes", hint=hint)
    back = expect_tensor(call("dequantize_rows", codes, scales), "the values", shape=(2, 3), dtype="float")
    expect_close(back[1], torch.tensor([0.0, 127.0, 64.0]), "the values of the second row")


@check("quantize")
def a_row_of_zeros_is_no_division_by_zero(call, rng):
    """Zeros come back as zeros."""
    codes, scales = call("quantize_rows", torch.zeros(2, 4))
    expect_equal(codes.tolist(), [[0] * 4] * 2, "codes of zeros", hint="0/0 is NaN, and NaN as int8 is anything")
    expect_close(call("dequantize_rows", codes, scales), torch.zeros(2, 4), "the values of a row of zeros")


SHAPE = {"num_weights": 1000, "num_layers": 2, "num_heads": 4, "num_kv_heads": 2, "head_dim": 8, "bytes_per_element": 2}


@check("roofline")
def cache_bytes_worked_by_hand(call, rng):
    """Keys and values, 2 layers, 2 key-value heads of width 8, 2 bytes each."""
    got = call("kv_cache_bytes", SHAPE, 10, 3)
    if got == 2 * 2 * 4 * 8 * 2 * 10 * 3:
        fail("the cache holds key-value heads, not query heads", got=got, want=3840)
    if got == 3840 / 2:
        fail("there are keys and there are values", got=got, want=3840)
    expect_close(got, 3840, "bytes of 10 tokens of 3 sequences")


@check("roofline")
def work_of_a_pass_worked_by_hand(call, rng):
    """3 sequences, 10 rows each."""
    flops, num_bytes = call("decode_work", SHAPE, 3, 10)
    expect_close(
        flops,
        3 * (2 * 1000 + 4 * 2 * 4 * 8 * 10),
        "FLOPs",
        hint="2 for each weight and token, 4 H D for each layer and row of each sequence",
    )
    if num_bytes == 3 * 2000 + 3840:
        fail("the weights are read once for the whole batch: that is why batching pays", got=num_bytes, want=5840)
    expect_close(num_bytes, 2000 + 3840, "bytes", hint="the weights once, and the caches of all sequences")


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
    got = call("smallest_compute_bound_batch", SHAPE, 1, 1e6, 1e6, 64)
    expect_equal(got, 1, "the batch where one FLOP a byte is enough")
    hint = "each sequence brings its own cache: some peaks no batch reaches; then None"
    expect_equal(call("smallest_compute_bound_batch", SHAPE, 1000, 1e9, 1e6, 64), None, "the batch", hint=hint)
