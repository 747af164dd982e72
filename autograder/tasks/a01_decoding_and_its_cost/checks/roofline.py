"""Memory-bound or compute-bound: the hidden checks."""

from autograder.checks import check, expect_close, expect_equal, expect_parts, explained, fail, integer
from autograder.tasks.a01_decoding_and_its_cost.visible.roofline import NO_EMPTY_BATCH


def random_shape(rng, bytes_per_element=None):
    group, num_kv_heads = integer(rng, 2, 4), (1, 3, 4)[integer(rng, 0, 2)]
    return {
        "num_weights": integer(rng, 10_000, 90_000),
        "num_layers": integer(rng, 2, 9),
        "num_heads": num_kv_heads * group,
        "num_kv_heads": num_kv_heads,
        "head_dim": 8 * integer(rng, 1, 8),
        "bytes_per_element": bytes_per_element or (1, 2, 4)[integer(rng, 0, 2)],
    }


def cache_bytes(shape, num_tokens, batch_size):
    row = shape["num_kv_heads"] * shape["head_dim"] * shape["bytes_per_element"]
    return sum(row * num_tokens * batch_size for _ in range(shape["num_layers"]) for part in ("keys", "values"))


def work(shape, batch_size, context):
    per_row = sum(2 * shape["head_dim"] for _ in range(shape["num_heads"]) for part in ("score", "weighted sum"))
    flops = batch_size * (2 * shape["num_weights"] + shape["num_layers"] * context * per_row)
    return flops, shape["num_weights"] * shape["bytes_per_element"] + cache_bytes(shape, context, batch_size)


@check("roofline", points=1)
def cache_bytes_count_keys_and_values_of_every_layer(call, rng):
    """Random shapes, with fewer key-value heads than query heads."""
    for _ in range(8):
        shape, tokens, batch = random_shape(rng), integer(rng, 1, 500), integer(rng, 1, 20)
        expect_close(
            call("kv_cache_bytes", shape, tokens, batch),
            cache_bytes(shape, tokens, batch),
            f"bytes of {tokens} tokens of {batch} sequences of {shape}",
            hint="2 x layers x key-value heads x head_dim x bytes, for each token of each sequence",
        )


@check("roofline", points=2)
def work_counts_weights_once_and_caches_for_each(call, rng):
    """FLOPs and bytes of a pass for random shapes, batches and contexts."""
    for _ in range(8):
        shape, batch, context = random_shape(rng), integer(rng, 1, 64), integer(rng, 1, 3000)
        got = call("decode_work", shape, batch, context)
        flops, num_bytes = expect_parts(got, "decode_work", "flops", "num_bytes")
        want_flops, want_bytes = work(shape, batch, context)
        expect_close(
            flops,
            want_flops,
            f"FLOPs of a batch of {batch} at context {context}",
            rtol=1e-9,
            hint="query heads attend: H D for the scores and as much for the sum, an addition each as well",
        )
        if abs(num_bytes - (batch - 1) * shape["num_weights"] * shape["bytes_per_element"] - want_bytes) < 1 < batch:
            fail("the weights were counted for each sequence: a batch reads them once")
        expect_close(num_bytes, want_bytes, f"bytes of a batch of {batch} at context {context}", rtol=1e-9)


@check("roofline", points=1)
def the_roof_is_linear_up_to_the_ridge(call, rng):
    """Attainable rates left of the ridge, on it and right of it."""
    for _ in range(6):
        peak, bandwidth = float(integer(rng, 100, 900)), float(integer(rng, 2, 50))
        for intensity in (0.1 * peak / bandwidth, peak / bandwidth, 7 * peak / bandwidth):
            num_bytes = float(integer(rng, 100, 5000))
            got = call("attainable_flops", num_bytes * intensity, num_bytes, peak, bandwidth)
            expect_close(
                got,
                min(peak, bandwidth * intensity),
                f"the rate at {intensity:.3g} FLOP/byte",
                rtol=1e-6,
                hint="intensity is FLOP per byte, and the lower line counts",
            )


@check("roofline", points=2)
def the_smallest_batch_is_found_where_there_is_one(call, rng):
    """The least batch that reaches the peak, over ridges and contexts."""
    for _ in range(12):
        shape, context = random_shape(rng), integer(rng, 1, 60)
        bandwidth = 1e6
        peak = bandwidth * 2 ** integer(rng, -1, 5) * 1.01
        works = [work(shape, batch, context) for batch in range(1, 81)]
        enough = [batch for batch, (flops, moved) in enumerate(works, start=1) if flops * bandwidth >= peak * moved]
        least = enough[0] if enough else 80
        for most in {80, least, max(least - 1, 1)}:
            with explained(ZeroDivisionError=NO_EMPTY_BATCH):
                got = call("smallest_compute_bound_batch", shape, context, peak, bandwidth, most)
            expect_equal(
                got,
                least if enough and least <= most else None,
                f"the least batch up to {most} at ridge {peak / bandwidth:.3g}",
                hint="max_batch_size itself counts, a batch of 1 too",
            )
        # with one byte an element and the weights of `least` caches the intensity is a whole number: no rounding
        least, group, head_dim = integer(rng, 2, 12), integer(rng, 2, 4), 8 * integer(rng, 1, 4)
        shape = {
            "num_layers": 2,
            "num_heads": 2 * group,
            "num_kv_heads": 2,
            "head_dim": head_dim,
            "bytes_per_element": 1,
        }
        shape["num_weights"] = least * cache_bytes(shape, context, 1)
        with explained(ZeroDivisionError=NO_EMPTY_BATCH):
            got = call("smallest_compute_bound_batch", shape, context, (least + group) * bandwidth, bandwidth, 80)
        hint = "where bytes take exactly as long as arithmetic the peak is reached: >=, not >"
        expect_equal(got, least, "the least batch where one lies exactly at the ridge", hint=hint)


@check("roofline", points=1)
def long_contexts_can_stay_memory_bound(call, rng):
    """Where the caches' own intensity lies below the ridge, no batch is large enough: None."""
    for bytes_per_element in (1, 2, 4):
        shape = random_shape(rng, bytes_per_element)
        context = 200 * shape["num_weights"] // (shape["num_layers"] * shape["head_dim"])
        own = 2 * shape["num_heads"] / shape["num_kv_heads"] / bytes_per_element  # FLOP per byte of a cache
        for ridge, want in ((0.9 * own, 1), (1.1 * own, None), (10 * own, None)):
            with explained(ZeroDivisionError=NO_EMPTY_BATCH):
                got = call("smallest_compute_bound_batch", shape, context, ridge * 1e9, 1e9, 300)
            expect_equal(
                got,
                want,
                f"the least batch at context {context} and ridge {ridge:.3g}",
                hint="larger batches bring more cache to read: the intensity has a limit",
            )
