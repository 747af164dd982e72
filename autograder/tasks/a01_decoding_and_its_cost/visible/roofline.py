"""Memory-bound or compute-bound: the checks that a student sees and runs."""

from autograder.checks import check, expect_close, expect_equal, expect_parts, explained, fail

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


NO_EMPTY_BATCH = "a batch of 0 was tried, which has no work to divide by: the smallest batch is 1"


# a batch of 3 at context 1: 3 (2 x 96 + 4 x 4 x 8) FLOP over 96 + 3 x 32 bytes, exactly 5 a byte; 2 make 4 a byte
RIDGE = {"num_weights": 96, "num_layers": 1, "num_heads": 4, "num_kv_heads": 2, "head_dim": 8, "bytes_per_element": 1}


@check("roofline")
def the_least_batch_reaches_the_peak(call, rng):
    """1, 2 and 3 sequences have 2.5, 4 and 5 FLOP a byte: where the ridge lies at 5, the answer is 3."""
    with explained(ZeroDivisionError=NO_EMPTY_BATCH):
        _least_batches(call)


def _least_batches(call):
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
