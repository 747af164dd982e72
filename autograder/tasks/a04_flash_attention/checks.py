"""The hidden checks. Inputs come from the run's key, expected values are computed in the judge, after the answer."""

import itertools

import torch

from autograder.engine import (
    Callback,
    Remote,
    Trial,
    check,
    expect_close,
    expect_equal,
    expect_parts,
    expect_tensor,
    fail,
    speed_check,
)
from autograder.tasks.a04_flash_attention.visible import (
    NEVER,
    Memory,
    Parts,
    absorbed,
    attend,
    attention,
    autograd,
    empty_state,
    finished,
    gradients,
    launch,
    merged,
    random,
    sloped_attention,
    tensors,
)


def integer(rng, low, high):
    """A random whole number from low to high, both included."""
    return int(torch.randint(low, high + 1, (), generator=rng))


def expect_pair(got, want, what, atol=2e-5):
    """Output and log-sum-exp against float64, nan and infinities included."""
    out, lse = got
    for ours, right, name in ((out, want[0], "output"), (lse, want[1], "log-sum-exp")):
        expect_tensor(ours, f"the {name} of {what}", shape=tuple(right.shape))
        if bool(ours.isnan().any()):
            fail(f"nan in the {name} of {what}: -inf minus -inf, or 0 / 0, in a row that has seen no key?")
        hidden = right == NEVER
        if bool((ours[hidden] != NEVER).any()):
            fail(f"the {name} of a row that sees no key should be -inf", where=what)
        expect_close(ours[~hidden], right[~hidden].float(), f"the {name} of {what}", atol=atol, rtol=1e-4)


# ---------------------------------------------------------------- online softmax


STATE_HINTS = {
    "m": "the maximum over all tiles so far",
    "l": "relative to the running maximum: multiply what was there by exp(old m - new m)",
    "a": "it shrinks by the same factor as l",
}


def right_state(scores, values):
    """(m, l, a) after these keys, computed in float64."""
    highest = scores.double().amax(1)
    p = (scores.double() - highest.masked_fill(highest == NEVER, 0.0)[:, None]).exp()
    return tuple(x.float() for x in (highest, p.sum(1), p @ values.double()))


def absorb_tiles(call, scores, values, bounds):
    """The state after the tiles between the bounds, one call each, the first of several tiles excepted.

    That one is ours, and so is the state that comes in each time: who remembers tiles elsewhere does not know it.
    """
    state = empty_state(len(scores), values.shape[1])
    if len(bounds) > 2:
        bounds = bounds[1:]
        state = right_state(scores[:, : bounds[0]], values[: bounds[0]])
    for start, stop in itertools.pairwise(bounds):
        got = absorbed(call, state, scores[:, start:stop], values[start:stop])
        state = right_state(scores[:, :stop], values[:stop])
        for ours, right, name in zip(got, state, "mla", strict=True):
            expect_tensor(ours, f"{name} of the state", shape=tuple(right.shape))
            if bool(ours.isnan().any()):
                fail(f"nan in {name} of the state: -inf minus -inf in a row that has seen no key?")
            what = f"{name} of the state after {stop} keys"
            expect_close(ours, right, what, atol=2e-5, rtol=1e-4, hint=STATE_HINTS[name])
    return state


def cuts(rng, length, tiles):
    inner = torch.randperm(length - 1, generator=rng)[: tiles - 1] + 1
    return [0, *sorted(inner.tolist()), length]


@check("online", points=1)
def one_tile_is_plain_softmax(call, rng):
    """A single tile after the empty state, then finish."""
    scores, values = 3 * random(rng, 6, 9), random(rng, 9, 4)
    expect_pair(finished(call, absorb_tiles(call, scores, values, [0, 9])), attend(scores.double(), values), "one tile")


@check("online", points=1)
def every_cut_gives_the_same(call, rng):
    """Tiles of any size in any number add up to the softmax over all keys."""
    for _ in range(5):
        length = integer(rng, 6, 40)
        scores, values = 3 * random(rng, 5, length), random(rng, length, 3)
        state = absorb_tiles(call, scores, values, cuts(rng, length, integer(rng, 2, 5)))
        expect_pair(finished(call, state), attend(scores.double(), values), f"{length} keys in tiles")


@check("online", points=1)
def the_maximum_never_falls(call, rng):
    """A tile of low scores after one of high ones leaves m where it was, and changes little."""
    high, low = 50 + random(rng, 4, 3), -150 + random(rng, 4, 3)
    scores, values = torch.cat([high, low, high + 1], 1), random(rng, 9, 2)
    state = absorb_tiles(call, scores, values, [0, 3, 6, 9])
    expect_pair(finished(call, state), attend(scores.double(), values), "high, low and high tiles")


@check("online", points=1)
def large_scores_do_not_overflow(call, rng):
    """Scores around 2000, -2000 and -1e8: exp of any alone is infinite or zero."""
    for offset in (2000.0, -2000.0, -1e8):
        scores, values = offset + 5 * random(rng, 4, 8), random(rng, 8, 3)
        state = absorb_tiles(call, scores, values, [0, 3, 8])
        expect_pair(finished(call, state), attend(scores.double(), values), f"scores near {offset:g}", atol=2e-3)


@check("online", points=1)
def rows_may_see_nothing_at_first_or_at_all(call, rng):
    """Tiles of -inf before, between and instead of keys."""
    scores, values = random(rng, 4, 12), random(rng, 12, 3)
    scores[:, 11] += 9  # the maximum rises in the last tile
    scores[0] = NEVER
    scores[1, :4] = NEVER
    scores[2, 4:] = NEVER
    state = absorb_tiles(call, scores, values, [0, 4, 8, 12])
    expect_pair(finished(call, state), attend(scores.double(), values), "rows with hidden tiles")


# ---------------------------------------------------------------- the tiled forward pass


def run_tiled(call, rng, num_queries, num_keys, causal, block_m, block_n):
    dim = integer(rng, 3, 16)
    q, k, v = random(rng, num_queries, dim), random(rng, num_keys, dim), random(rng, num_keys, dim)
    memory = Memory(q, k, v, block_m, block_n)
    got = call("tiled_attention", Callback(memory.fetch), num_queries, num_keys, causal, block_m, block_n)
    what = f"{num_queries} queries, {num_keys} keys, tiles {block_m} x {block_n}{', causal' if causal else ''}"
    return tensors(got, "tiled_attention", "out", "lse"), attention(q, k, v, causal), memory, what


@check("tiled", points=1)
def full_attention_for_any_tile(call, rng):
    """Without a mask, for lengths that the tiles do not divide."""
    for num_queries, num_keys, block_m, block_n in (
        (8, 8, 4, 4),
        (13, 9, 4, 5),
        (5, 31, 8, 7),
        (1, 20, 3, 6),
        (9, 3, 2, 4),
    ):
        got, want, _, what = run_tiled(call, rng, num_queries, num_keys, False, block_m, block_n)
        expect_pair(got, want, what)


@check("tiled", points=1)
def causal_attention_for_any_tile(call, rng):
    """With a mask, as many queries as keys."""
    for length, block_m, block_n in ((8, 4, 4), (13, 4, 5), (17, 5, 2), (6, 8, 8)):
        got, want, _, what = run_tiled(call, rng, length, length, True, block_m, block_n)
        expect_pair(got, want, what)


@check("tiled", points=1)
def the_mask_is_aligned_at_the_end(call, rng):
    """Fewer queries than keys: they are the last ones. More queries than keys: the first see nothing."""
    for num_queries, num_keys in ((3, 11), (1, 9), (10, 4)):
        got, want, _, what = run_tiled(call, rng, num_queries, num_keys, True, 4, 3)
        expect_pair(got, want, what)


@check("tiled", points=1)
def bytes_moved_are_those_of_the_formula(call, rng):
    """Queries once; keys and values once for each block of queries."""
    for num_queries, num_keys, block_m, block_n in ((12, 10, 4, 5), (13, 9, 5, 2)):
        got, right, memory, what = run_tiled(call, rng, num_queries, num_keys, False, block_m, block_n)
        blocks = -(-num_queries // block_m)
        want = {"q": num_queries, "k": num_keys * blocks, "v": num_keys * blocks}
        for name, rows in want.items():
            expect_equal(
                memory.rows[name],
                rows,
                f"rows of {name} fetched for {what}",
                hint="a block of queries stays in fast memory while all tiles of keys pass by",
            )
        expect_pair(got, right, what)


@check("tiled", points=1)
def hidden_tiles_are_never_fetched(call, rng):
    """A causal mask hides about half of the tiles: they cost nothing."""
    for num_queries, num_keys, block in ((16, 16, 4), (8, 20, 4), (15, 15, 4)):
        got, want, memory, what = run_tiled(call, rng, num_queries, num_keys, True, block, block)
        expect_pair(got, want, what)
        needed = 0
        for first in range(0, num_queries, block):
            end = min(num_keys, min(first + block, num_queries) + num_keys - num_queries)
            needed += min(num_keys, -(-end // block) * block)
        for name, rows in (("k", needed), ("v", needed), ("q", num_queries)):
            if memory.rows[name] > rows:
                said = f"rows of {name} were fetched that no query of the block sees, or more than once"
                fail(said, got=memory.rows[name], want=rows, of=what)


# ---------------------------------------------------------------- the forward pass in Triton


def run_kernel(call, rng, heads, num_queries, num_keys, dim, causal, block_m=16, block_n=16, factor=1.0, reach=1):
    """A launch against attention with every score in memory; slopes count for so many keys as one, so these matter."""
    q, k, v = (random(rng, heads, n, dim) for n in (num_queries, num_keys, num_keys))
    q, slopes = q * factor, (0.1 + torch.rand(heads, generator=rng)) / reach
    want = sloped_attention(q, k, v, slopes, causal)
    got = launch(call, q, k, v, slopes, causal, block_m, block_n)
    what = f"{heads} heads, {num_queries} queries, {num_keys} keys{', causal' if causal else ''}"
    flat = attention(q, k, v, causal)[0]
    if torch.allclose(got[0].double(), flat, atol=1e-4) and not torch.allclose(want[0], flat, atol=1e-3):
        fail("this is attention without slopes: take slope times distance off the scores", of=what)
    expect_pair(got, want, what, atol=1e-4)


@check("kernel", points=2)
def the_kernel_computes_full_attention(call, rng):
    """Two heads, tiles of different shapes, lengths that they divide."""
    run_kernel(call, rng, 2, 32, 48, 16, False)
    run_kernel(call, rng, 1, 64, 64, 32, False, 32, 16)


@check("kernel", points=1)
def keys_and_queries_may_end_within_a_tile(call, rng):
    """Lengths off every tile."""
    run_kernel(call, rng, 2, 19, 37, 16, False)
    run_kernel(call, rng, 1, 1, 5, 16, False, 16, 32)
    # more keys than the largest tile that Triton has, and each of them matters
    run_kernel(call, rng, 1, 3, 66_001, 16, False, 16, 4096, reach=66_001)


@check("kernel", points=1)
def the_kernel_masks_the_future(call, rng):
    """Causal, with as many queries as keys and with fewer."""
    run_kernel(call, rng, 1, 40, 40, 16, True)
    run_kernel(call, rng, 2, 10, 37, 16, True, 16, 32)


@check("kernel", points=1)
def the_running_maximum_is_kept_in_the_kernel(call, rng):
    """Scores of some hundreds: without the maximum exp overflows, without the rescaling tiles do not add up."""
    run_kernel(call, rng, 4, 16, 64, 16, False, factor=150.0)


@check("kernel", points=1)
def rows_without_keys_give_zero(call, rng):
    """More queries than keys, causal: the first rows see nothing."""
    run_kernel(call, rng, 1, 24, 9, 16, True)


@check("kernel", points=1)
def the_kernel_does_the_work(call, rng):
    """With a kernel that does nothing in its place, nothing comes out; with the own one, attention."""
    q, k, v = (random(rng, 1, 16, 16) for _ in range(3))
    slopes = 0.1 + torch.rand(1, generator=rng)
    out, _ = launch(call, q, k, v, slopes, False, 16, 16, Remote(":NoKernel"))
    if bool(out.isfinite().any()):
        fail("numbers came out although the kernel did nothing: the output was computed elsewhere")
    want = sloped_attention(q, k, v, slopes)
    expect_pair(launch(call, q, k, v, slopes, False), want, "16 queries and keys", atol=1e-4)


# ---------------------------------------------------------------- the backward pass


def problem(rng, num_queries, num_keys, dim, causal):
    """q, k, v, out, lse, dout, and the right gradients by torch in float64."""
    q, k, v = random(rng, num_queries, dim), random(rng, num_keys, dim), random(rng, num_keys, dim)
    out, lse = attention(q, k, v, causal)
    dout = random(rng, num_queries, dim)
    right = autograd(q, k, v, dout, causal)
    return (q, k, v, out.float(), lse.float(), dout), [x.nan_to_num() for x in right]


SHAPES = ((6, 6, 4), (9, 14, 8), (13, 5, 16))


@check("backward", points=1)
def the_gradient_of_the_values(call, rng):
    """dV = P^T dO, with P computed again."""
    for shape in SHAPES:
        arguments, right = problem(rng, *shape, False)
        got = gradients(call, *arguments, False)[2]
        expect_close(got, right[2].float(), "dv", atol=2e-5, rtol=1e-4, hint="P = exp(scores - lse), dv = P.T @ dout")


@check("backward", points=1)
def the_gradient_of_the_queries(call, rng):
    """dQ = scale dS K."""
    for shape in SHAPES:
        arguments, right = problem(rng, *shape, False)
        got = gradients(call, *arguments, False)[0]
        hint = "ds = p * (dp - delta), and the scale once more"
        expect_close(got, right[0].float(), "dq", atol=2e-5, rtol=1e-4, hint=hint)


@check("backward", points=1)
def the_gradient_of_the_keys(call, rng):
    """dK = scale dS^T Q."""
    for shape in SHAPES:
        arguments, right = problem(rng, *shape, False)
        got = gradients(call, *arguments, False)[1]
        expect_close(got, right[1].float(), "dk", atol=2e-5, rtol=1e-4, hint="transpose ds, and the scale once more")


@check("backward", points=1)
def hidden_keys_get_no_gradient(call, rng):
    """Causal masks, with fewer queries than keys and with rows that see nothing."""
    for shape in ((7, 7, 4), (4, 9, 8), (9, 4, 8)):
        arguments, right = problem(rng, *shape, True)
        for got, want, name in zip(gradients(call, *arguments, True), right, ("dq", "dk", "dv"), strict=True):
            if bool(got.isnan().any()):
                fail(f"nan in {name}: a row that sees no key has lse = -inf, and -inf minus -inf is nan")
            expect_close(got, want.float(), f"causal {name}", atol=2e-5, rtol=1e-4, hint="the mask of the forward pass")


@check("backward", points=2)
def gradients_over_parts_of_the_keys_add_up(call, rng):
    """With lse and out of all keys, passes over parts give dk and dv of the part, and their dq sum to the whole."""
    arguments, right = problem(rng, 8, 15, 8, False)
    q, k, v, out, lse, dout = arguments
    parts = [gradients(call, q, k[i : i + 5], v[i : i + 5], out, lse, dout, False) for i in (0, 5, 10)]
    hint = "use the lse and the out that are given: what the part's own softmax says is about the part alone"
    for at, name in ((1, "dk"), (2, "dv")):
        whole = torch.cat([part[at] for part in parts])
        expect_close(whole, right[at].float(), f"{name} of three parts", atol=2e-5, rtol=1e-4, hint=hint)
    expect_close(sum(part[0] for part in parts), right[0].float(), "the sum of dq", atol=2e-5, rtol=1e-4, hint=hint)


# ---------------------------------------------------------------- merging splits


def random_parts(rng, num_parts, length=24):
    """Finished parts of one attention, and the whole."""
    rows, dim = integer(rng, 2, 6), integer(rng, 2, 6)
    scores, values = 2 * random(rng, rows, length).double(), random(rng, length, dim)
    bounds = cuts(rng, length, num_parts)
    done = [attend(scores[:, a:b], values[a:b]) for a, b in itertools.pairwise(bounds)]
    return [torch.stack([part[i] for part in done]).float() for i in (0, 1)], attend(scores, values)


@check("split", points=1)
def parts_merge_into_the_whole(call, rng):
    """Any number of parts of any sizes."""
    for num_parts in (1, 2, 3, 6):
        (outs, lses), want = random_parts(rng, num_parts)
        got = merged(call, outs, lses)
        if num_parts > 1 and torch.allclose(got[0], outs.mean(0), atol=1e-4):
            fail("this is the plain average of the parts: their denominators differ")
        expect_pair(got, want, f"{num_parts} parts")


@check("split", points=1)
def merging_is_associative(call, rng):
    """Merging two parts and then a third is merging all three: the merged log-sum-exp is right too."""
    (outs, lses), want = random_parts(rng, 3)
    out, lse = merged(call, outs[:2], lses[:2])
    got = merged(call, torch.stack([out, outs[2]]), torch.stack([lse, lses[2]]))
    expect_pair(got, want, "two parts and then a third")


@check("split", points=1)
def far_apart_sums_do_not_overflow(call, rng):
    """Log-sum-exps near 1000 and near -1000."""
    for offset in (1000.0, -1000.0):
        (outs, lses), (want, lse) = random_parts(rng, 3)
        expect_pair(merged(call, outs, lses + offset), (want, lse + offset), f"sums near {offset:g}", atol=2e-3)


@check("split", points=1)
def empty_parts_are_harmless(call, rng):
    """Parts that saw no key, and rows that no part has a key for."""
    (outs, lses), (want, lse) = random_parts(rng, 2)
    outs, lses = (torch.cat([x, torch.zeros_like(x[:1])]) for x in (outs, lses))
    lses[2] = NEVER
    outs[:, 0], lses[:, 0] = 0, NEVER
    want[0], lse[0] = 0, NEVER
    expect_pair(merged(call, outs, lses), (want, lse), "parts of which one is empty")


@check("split", points=1)
def every_key_is_in_exactly_one_split(call, rng):
    """Splits of nearly equal length that cover the keys, more splits than keys included."""
    for num_keys, num_splits in ((12, 4), (10, 3), (17, 4), (5, 1), (3, 7)):
        parts = Parts(random(rng, 2, 4), random(rng, num_keys, 4), random(rng, num_keys, 4))
        got = call("split_attention", Callback(parts.attend), num_keys, num_splits)
        got = tensors(got, "split_attention", "out", "lse")
        covered = sorted(i for start, stop in parts.parts for i in range(start, stop))
        what = f"{num_keys} keys in {num_splits} splits"
        expect_equal(covered, list(range(num_keys)), f"keys covered by {what}")
        expect_pair(got, attention(parts.q, parts.k, parts.v), what)
        longest = max(stop - start for start, stop in parts.parts)
        if len(parts.parts) > num_splits or longest > -(-num_keys // num_splits):
            fail("no part is to be longer than the keys over the splits, rounded up", got=longest, of=what)


# ---------------------------------------------------------------- linear attention


def phi(x):
    return torch.where(x > 0, x + 1, x.clamp(max=0).exp())


def kernel_weights(q, k, causal):
    weights = phi(q.double()) @ phi(k.double()).T
    return weights.tril() if causal else weights


def weighted_mean(weights, v):
    return (weights @ v.double() / weights.sum(1, keepdim=True)).float()


@check("linear", points=1)
def features_are_elu_plus_one(call, rng):
    """phi(x) = elu(x) + 1, positive everywhere."""
    x = 3 * random(rng, 5, 7)
    expect_close(call("features", x), phi(x), "phi(x)", hint="x + 1 above zero, exp(x) below")


@check("linear", points=1)
def outputs_are_weighted_means(call, rng):
    """Against the definition with every weight in memory."""
    for num_queries, num_keys, dim, width in ((6, 6, 4, 4), (3, 20, 8, 5), (17, 1, 2, 3)):
        q, k, v = random(rng, num_queries, dim), random(rng, num_keys, dim), random(rng, num_keys, width)
        got = expect_tensor(call("linear_attention", q, k, v), "the output", shape=(num_queries, width), dtype="float")
        want = weighted_mean(kernel_weights(q, k, False), v)
        hint = "divide by phi(q) . sum of phi(k), with the features on both sides"
        expect_close(got, want, "the output", atol=2e-5, rtol=1e-4, hint=hint)


@check("linear", points=1)
def long_sequences_fit(call, rng):
    """600,000 positions: a weight for each pair would take more than a terabyte."""
    length = 600_000
    q, k, noise = (random(rng, length, 2) for _ in range(3))
    v = k + noise  # so that the mean depends on the query
    got = expect_tensor(call("linear_attention", q, k, v), "the output", shape=(length, 2), dtype="float")
    some = torch.randint(length, (16,), generator=rng)
    want = weighted_mean(kernel_weights(q[some], k, False), v)
    expect_close(got[some], want, "some rows of the output", atol=1e-4, rtol=1e-3)


@check("linear", points=2)
def steps_equal_the_causal_parallel_form(call, rng):
    """A recurrence over the positions gives causal linear attention."""
    q, k, v = random(rng, 12, 6), random(rng, 12, 6), random(rng, 12, 4)
    want, state = weighted_mean(kernel_weights(q, k, True), v), None
    for i in range(12):
        out, state = expect_parts(call("linear_step", state, q[i], k[i], v[i]), "linear_step", "out", "state")
        out = expect_tensor(out, "the output of a step", shape=(4,), dtype="float")
        expect_close(out, want[i], f"the output at position {i}", atol=2e-5, rtol=1e-4, hint="keys j <= i, i included")


@check("linear", points=1)
def the_state_has_one_size(call, rng):
    """However many positions have passed, the state takes D (D_v + 1) numbers at most."""
    length = 20  # so many that 30 numbers of 64 bits cannot hold them all, not even with a few bits each
    texts = [tuple(random(rng, length, width) for width in (6, 6, 4)) for _ in range(2)]
    wants = [weighted_mean(kernel_weights(q, k, True), v) for q, k, v in texts]
    states, hint = [None, None], "what a text has seen is in the state that comes in, and nowhere else"
    for i, text in itertools.product(range(length), range(2)):  # in turns
        q, k, v = texts[text]
        if text == 0 and i in (5, 12):
            call.forget()
        call("linear_step", states[text], *(x[i] for x in texts[1 - text]))  # a step that comes to nothing
        got = call("linear_step", states[text], q[i], k[i], v[i])
        out, state = expect_parts(got, "linear_step", "out", "state")
        what = f"the output at position {i} of one of two texts that take turns"
        expect_close(out, wants[text][i], what, atol=2e-5, rtol=1e-4, hint=hint)
        states[text] = state
        # a tensor without numbers counts, too: its shape says something
        held = sum(max(x.numel(), 1) for x in (state if isinstance(state, list | tuple) else [state]))
        if held > 6 * 5:
            fail("the state grows: keep the sums of phi(k) v^T and of phi(k), not the keys", got=held, want=30)


@speed_check(
    "linear",
    function="linear_attention",
    points=2,
    knots=[(1.0, 0), (4.0, 2)],
    baselines={
        "softmax attention": "nimblelm.nn.long_range.methods:naive_attention",
        "our linear attention": "nimblelm.nn.long_range.linear_attention:linear_attention",
    },
)
def linear_attention_is_faster_than_softmax_attention(rng):
    """Time at 4,096 positions against softmax attention with all scores in memory, by the judge's clock."""
    q, k, v = (random(rng, 4096, 32) for _ in range(3))
    as_heads = tuple(x[None, :, None] for x in (q, k, v))  # (B, T, H, D)
    some = torch.randint(4096, (64,), generator=rng)  # nobody knows beforehand which rows are looked at

    def verify(got):
        got = expect_tensor(got, "the output", dtype="float").reshape(4096, 32)
        expect_close(got[some], weighted_mean(kernel_weights(q[some], k, False), v), "the output", atol=1e-4, rtol=1e-3)

    return Trial(
        args=(q, k, v),
        verify=verify,
        baseline_args={"softmax attention": as_heads, "our linear attention": as_heads},
    )


# ---------------------------------------------------------------- on a GPU


RMSE_LIMIT = {torch.float16: 0.005, torch.bfloat16: 0.01}
LENGTH, STEPS = 16_384, 32  # of a timed call: 32 launches in a row, so that copying its tensors weighs little


def eager_attention(q, k, v, causal):
    """Attention by torch in the tensors' own dtype, all scores in memory: what sets the limit of an error."""
    scores = q @ k.mT * q.shape[-1] ** -0.5
    if causal:
        rows, columns = scores.shape[-2:]
        scores = scores.masked_fill(torch.ones(rows, columns, dtype=torch.bool).triu(columns - rows + 1), NEVER)
    return torch.softmax(scores, -1) @ v


def run_launch(call, rng, dtype, heads, num_queries, num_keys, dim, causal, mean=0.0):
    """Both rules of accuracy: the largest error at most twice eager's, and a small one on the whole."""
    q, k, v = (random(rng, heads, n, dim) for n in (num_queries, num_keys, num_keys))
    q, k, v = q.to(dtype), k.to(dtype), (v + mean).to(dtype)
    want, what = attention(q, k, v, causal)[0], f"{num_queries} queries, {num_keys} keys{', causal' if causal else ''}"
    got = expect_tensor(call("fast_attention", q, k, v, causal), "the output", shape=tuple(q.shape), dtype=dtype)
    if bool(got.isnan().any()):
        fail("nan in the output: is each element stored, and is -inf taken from -inf?", of=what)
    error, limit = (float((x.double() - want).abs().max()) for x in (got, eager_attention(q, k, v, causal)))
    if error > 2 * limit:
        said = "the largest error is more than twice that of torch in the same dtype: is each sum kept in float32?"
        fail(said, got=error, limit=2 * limit, of=what)
    share = float(((got.double() - want).square().mean() / want.square().mean()).sqrt())
    if share > RMSE_LIMIT[dtype]:
        fail("the error as a whole is too large", got=share, limit=RMSE_LIMIT[dtype], of=what)


@check("launch", points=1, deadline_s=120)
def float16_is_as_accurate_as_eager(call, rng):
    """Half precision, full and causal, both head sizes: errors at most twice torch's own, and small on the whole."""
    for dim, causal in ((64, False), (64, True), (128, True)):
        run_launch(call, rng, torch.float16, 2, 256, 256, dim, causal)
    run_launch(call, rng, torch.float16, 2, 16, 2048, 64, False, mean=2.0)  # a sum that is rounded in each tile shows


@check("launch", points=1, deadline_s=120)
def bfloat16_is_as_accurate_as_eager(call, rng):
    """The same in bfloat16."""
    for dim, causal in ((64, True), (128, False), (128, True)):
        run_launch(call, rng, torch.bfloat16, 2, 256, 256, dim, causal)


@check("launch", points=1, deadline_s=120)
def lengths_off_every_tile_on_a_gpu(call, rng):
    """Lengths that no tile divides, and fewer queries than keys."""
    for num_queries, num_keys, causal in ((201, 201, True), (37, 230, False), (75, 203, True)):
        run_launch(call, rng, torch.float16, 1, num_queries, num_keys, 64, causal)


def chain_of_rows(q, k, v, rows, times):
    """What `chain` gives for some rows, in float64; q (H, R, D) are these rows of the queries."""
    hidden, x = torch.arange(k.shape[1]) > rows[:, None], q.double()
    k, v = k.double(), v.double()
    for turn in range(times):
        scores = (x / root_mean_square(x)).roll(turn, -1) @ k.mT * q.shape[-1] ** -0.5
        out = scores.masked_fill(hidden, NEVER).softmax(-1) @ v
        x += out / root_mean_square(out)
    return x


def root_mean_square(x):
    return x.square().mean(-1, keepdim=True).sqrt()


def chain_trial(rng, dtype=torch.bfloat16, length=LENGTH, dim=128, times=STEPS, some=2):
    """A timed call: every number of its output depends on every launch. Some rows, secret till then, are checked."""
    q, k, v = (random(rng, 2, length, dim).to(dtype) for _ in range(3))
    rows = torch.randint(length, (some,), generator=rng)

    def verify(got):
        got = expect_tensor(got, "the output", shape=(2, length, dim), dtype=dtype)[:, rows].double()
        want = chain_of_rows(q[:, rows], k, v, rows, times)
        share = float(((got - want).square().mean() / want.square().mean()).sqrt())
        limit = RMSE_LIMIT[dtype] / 2  # five times what 16 bits cost here; with scores of eight bits it is passed
        if not share <= limit:
            fail(f"the output of {times} launches in a row is wrong", error=share, limit=limit)

    return Trial(args=(q, k, v, times), verify=verify)


@speed_check(
    "launch",
    function="fast_chain",
    points=2,
    knots=[(1.5, 0), (6.0, 2)],
    baselines={"attention with all scores in memory": ":naive_chain"},
)
def faster_than_scores_in_memory(rng):
    """Time at 16,384 positions, causal, in bfloat16, against attention with all scores in memory."""
    return chain_trial(rng)


@speed_check(
    "launch",
    function="fast_chain",
    points=2,
    knots=[(0.4, 0), (0.9, 2)],
    baselines={"torch's FlashAttention-2": ":sdpa_chain"},
)
def close_to_torchs_own_attention(rng):
    """The same against torch's own fused attention."""
    return chain_trial(rng)
