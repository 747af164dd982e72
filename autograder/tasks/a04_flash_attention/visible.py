"""The checks that a student sees and runs: one small case each, and a guess at what went wrong."""

import math

import torch

from autograder.engine import (
    Callback,
    CheckFailed,
    Remote,
    check,
    expect_close,
    expect_equal,
    expect_parts,
    expect_tensor,
    fail,
)

LN2 = math.log(2)
NEVER = float("-inf")


def scores_of(q, k, causal=False):
    """Scaled scores in float64, (..., Sq, Sk); -inf where a query may not see a key."""
    scores = q.double() @ k.double().mT / q.shape[-1] ** 0.5
    if causal:
        rows, columns = scores.shape[-2:]
        scores = scores.masked_fill(torch.ones(rows, columns, dtype=torch.bool).triu(columns - rows + 1), NEVER)
    return scores


def attend(scores, v):
    """(out, lse) in float64 of scores with every number in memory; 0 and -inf for a row that sees no key."""
    lse = scores.logsumexp(-1)
    weights = (scores - lse.masked_fill(lse == NEVER, 0.0)[..., None]).exp()
    return weights @ v.double(), lse


def attention(q, k, v, causal=False):
    return attend(scores_of(q, k, causal), v)


def sloped_attention(q, k, v, slopes, causal=False):
    """The same for heads (H, S, D), each with its slope times the distance taken off its scores."""
    rows, columns = q.shape[-2], k.shape[-2]
    distance = (torch.arange(rows)[:, None] + columns - rows - torch.arange(columns)).abs()
    return attend(scores_of(q, k, causal) - slopes.double()[:, None, None] * distance, v)


def random(rng, *shape):
    return torch.randn(*shape, generator=rng)


def empty_state(rows, dim):
    return torch.full((rows,), NEVER), torch.zeros(rows), torch.zeros(rows, dim)


class Memory:
    """The slow memory: hands out rows of q, k and v, never more than a block of them, and counts."""

    def __init__(self, q, k, v, block_m, block_n):
        self.tensors, self.limits = {"q": q, "k": k, "v": v}, {"q": block_m, "k": block_n, "v": block_n}
        self.rows = {"q": 0, "k": 0, "v": 0}
        self.fetched = []

    def fetch(self, name, start, stop):
        if name not in self.tensors:
            fail("fetch knows 'q', 'k' and 'v'", got=name)
        if not (isinstance(start, int) and isinstance(stop, int)):
            fail("fetch(name, start, stop) takes whole numbers", got=[type(start).__name__, type(stop).__name__])
        length = len(self.tensors[name])
        if not 0 <= start < stop <= length:
            fail(f"fetch({name!r}, {start}, {stop}): there are {length} rows; is the last block shorter?")
        if stop - start > self.limits[name]:
            fail(
                f"fetch({name!r}, {start}, {stop}) asks for {stop - start} rows: fast memory holds a block of "
                f"{self.limits[name]} of them, so the work has to be cut into tiles"
            )
        self.rows[name] += stop - start
        self.fetched.append((name, start, stop))
        return self.tensors[name][start:stop].clone()


class Parts:
    """Attention over parts of the keys: what each processor of a split would hand back. It remembers the parts."""

    def __init__(self, q, k, v):
        self.q, self.k, self.v, self.parts = q, k, v, []

    def attend(self, start, stop):
        if not (isinstance(start, int) and isinstance(stop, int)) or not 0 <= start <= stop <= len(self.k):
            fail(f"attend({start}, {stop}): there are {len(self.k)} keys, and start is not above stop")
        self.parts.append((start, stop))
        out, lse = attention(self.q, self.k[start:stop], self.v[start:stop])
        return out.float(), lse.float()


def tensors(got, function, *parts):
    """The tensors that a function returns together, with their kinds checked."""
    got = expect_parts(got, function, *parts)
    return [expect_tensor(x, f"{part} of `{function}`", dtype="float") for x, part in zip(got, parts, strict=True)]


def absorbed(call, *args):
    return tensors(call("absorb", *args), "absorb", "highest", "total", "weighted")


def finished(call, state):
    return tensors(call("finish", state), "finish", "out", "lse")


def merged(call, outs, lses):
    return tensors(call("merge_parts", outs, lses), "merge_parts", "out", "lse")


@check("online")
def two_tiles_worked_by_hand(call, rng):
    """Scores ln 2 and then ln 6: the second tile has the larger maximum, so what was summed before must shrink."""
    state = absorbed(call, empty_state(1, 1), torch.tensor([[LN2]]), torch.tensor([[10.0]]))
    expect_close(torch.cat([x.flatten() for x in state]), torch.tensor([LN2, 1.0, 10.0]), "m, l, a after one key")
    got = absorbed(call, state, torch.tensor([[math.log(6)]]), torch.tensor([[30.0]]))
    expect_close(got[0].flatten(), torch.tensor([math.log(6)]), "m after two keys", hint="the larger of both")
    total, weighted = float(got[1]), float(got[2])
    if abs(total - 2) < 1e-4:
        fail("the sum so far was relative to the old maximum: multiply it by exp(old m - new m)", got=total, want=4 / 3)
    if abs(total - 4) < 1e-4:
        fail("the sum so far grew: it must be multiplied by exp(old m - new m), which is 1 or less", got=total)
    expect_close(total, 4 / 3, "l after two keys")
    expect_close(weighted, 10 / 3 + 30, "a after two keys", hint="a shrinks by the same factor as l")


@check("online")
def a_tile_of_lower_scores_leaves_the_maximum(call, rng):
    """Scores ln 6 and then ln 2: the maximum stays, and the second key counts a third of the first."""
    state = torch.tensor([math.log(6)]), torch.tensor([1.0]), torch.tensor([[30.0]])
    got = absorbed(call, state, torch.tensor([[LN2]]), torch.tensor([[10.0]]))
    hint = "the maximum over all tiles so far, not that of the last one"
    expect_close(got[0].flatten(), torch.tensor([math.log(6)]), "m after a tile of lower scores", hint=hint)
    expect_close(torch.cat([got[1].flatten(), got[2].flatten()]), torch.tensor([4 / 3, 100 / 3]), "l and a after it")


@check("online")
def finishing_gives_output_and_log_sum_exp(call, rng):
    """With m = ln 6, l = 4/3 and a = 100/3: the output is 25, the log-sum-exp ln 8."""
    state = torch.tensor([math.log(6)]), torch.tensor([4 / 3]), torch.tensor([[100 / 3]])
    out, lse = finished(call, state)
    expect_close(out, torch.tensor([[25.0]]), "the output", hint="a divided by l")
    expect_close(lse, torch.tensor([math.log(8)]), "the log-sum-exp", hint="l is relative to m: add m to its logarithm")


@check("online")
def a_row_without_a_key_stays_empty(call, rng):
    """Scores of -inf alone: nothing is added, and nothing becomes nan."""
    state = absorbed(call, empty_state(1, 2), torch.full((1, 3), NEVER), torch.ones(3, 2))
    if any(bool(x.isnan().any()) for x in state):
        fail("nan in the state: m is still -inf, and -inf minus -inf is nan; take off 0 instead in such rows")
    out, lse = finished(call, empty_state(1, 2))
    expect_close(out, torch.zeros(1, 2), "the output of a row that saw no key", hint="0 / 0 is nan")
    expect_equal(float(lse[0]), NEVER, "its log-sum-exp")


def run_tiled(call, q, k, v, causal, block_m, block_n):
    memory = Memory(q, k, v, block_m, block_n)
    got = call("tiled_attention", Callback(memory.fetch), len(q), len(k), causal, block_m, block_n)
    return *tensors(got, "tiled_attention", "out", "lse"), memory


@check("tiled")
def tiles_give_what_attention_gives(call, rng):
    """Tiles of 3 queries by 2 keys: seven queries and five keys, then four queries and five keys with a causal mask."""
    for num_queries, causal in ((7, False), (4, True)):
        q, k, v = random(rng, num_queries, 4), random(rng, 5, 4), random(rng, 5, 4)
        out, lse, _ = run_tiled(call, q, k, v, causal, 3, 2)
        want, want_lse = attention(q, k, v, causal)
        hint = (
            "scale by 1/sqrt(head_dim), start each block of queries with an empty state, mind the last, shorter tiles, "
            "skip a tile only where no query of the block sees it"
        )
        expect_close(out, want.float(), f"the output{', causal' if causal else ''}", atol=1e-5, hint=hint)
        expect_close(lse, want_lse.float(), "the log-sum-exp", atol=1e-5)


@check("tiled")
def the_last_query_sees_every_key(call, rng):
    """Two new queries after three cached keys and their own two: causal means j <= i + 3."""
    q, k, v = random(rng, 2, 4), random(rng, 5, 4), random(rng, 5, 4)
    out, _, _ = run_tiled(call, q, k, v, True, 2, 2)
    hint = "query i stands at position i + num_keys - num_queries"
    expect_close(out, attention(q, k, v, True)[0].float(), "the output", atol=1e-5, hint=hint)


@check("tiled")
def queries_are_fetched_once(call, rng):
    """Fetched rows: every query once, and no tile that the causal mask hides as a whole."""
    q, k, v = random(rng, 8, 4), random(rng, 8, 4), random(rng, 8, 4)
    *_, memory = run_tiled(call, q, k, v, True, 2, 2)
    expect_equal(memory.rows["q"], 8, "rows of q fetched", hint="one fetch for each block, outside the loop over keys")
    expect_equal(memory.rows["k"], 20, "rows of k fetched", hint="block b needs keys up to its last row: 2+4+6+8")


def launch(call, q, k, v, slopes, causal, block_m=16, block_n=16, *kernel):
    """Output and log-sum-exp of `kernel_attention`."""
    try:
        got = call("kernel_attention", q, k, v, slopes, causal, block_m, block_n, *kernel)
    except CheckFailed as failure:
        if "positional argument" in str(failure):
            fail("`kernel_attention` was changed: leave it as it is given, with `slopes` after v, and write the loop")
        raise
    return tensors(got, "kernel_attention", "out", "lse")


def run_kernel(call, rng, heads, num_queries, num_keys, causal=False, factor=1.0, hint=""):
    """A small launch with random slopes against attention with every score in memory."""
    q, k, v = (random(rng, heads, n, 16) for n in (num_queries, num_keys, num_keys))
    q, slopes = q * factor, 0.2 + torch.rand(heads, generator=rng)
    out, lse = launch(call, q, k, v, slopes, causal)
    want, want_lse = sloped_attention(q, k, v, slopes, causal)
    if bool(out.isnan().any()):
        fail(f"nan in the output: was every element of it stored, and is no -inf taken from -inf? {hint}".rstrip())
    root = 4  # of the width of a head
    guesses = {
        "this is the chapter's attention: take slope times distance off the scores, a slope for each head": (1, 0),
        "the products of queries and keys are to be multiplied by `scale`": (root, 1),
        "`scale` belongs to the products of queries and keys alone, not to slope times distance": (1, 1 / root),
    }
    for guess, (of_products, of_slopes) in guesses.items():
        wrong, _ = sloped_attention(of_products * q, k, v, of_slopes * slopes, causal)
        if torch.allclose(out.double(), wrong, atol=1e-4) and not torch.allclose(want, wrong, atol=1e-3):
            fail(guess)
    expect_close(out, want.float(), "the output", atol=1e-4, rtol=1e-4, hint=hint)
    expect_close(lse, want_lse.float(), "the log-sum-exp", atol=1e-4, rtol=1e-4)


@check("kernel")
def the_kernel_gives_what_attention_gives(call, rng):
    """Two heads, 16 queries, 32 keys: two tiles that fit exactly."""
    hint = (
        "the same five lines as in absorb, with tl. for torch.; the slope lies at slopes + head, and row i stands at "
        "i + num_keys - num_queries"
    )
    run_kernel(call, rng, 2, 16, 32, hint=hint)


@check("kernel")
def keys_beyond_the_end_do_not_count(call, rng):
    """20 keys in tiles of 16: the last twelve places of the second tile hold no key."""
    hint = "a masked load gives score 0, and exp(0) counts: set such scores to -inf"
    run_kernel(call, rng, 1, 5, 20, hint=hint)


@check("kernel")
def a_causal_kernel_sees_no_future(call, rng):
    """Queries at the end of the keys, causal."""
    run_kernel(call, rng, 1, 20, 24, causal=True, hint="row i sees the columns j <= i + num_keys - num_queries")


@check("kernel")
def large_scores_do_not_overflow_the_kernel(call, rng):
    """Scores of some hundreds: exp of one alone is infinite."""
    hint = "take the running maximum off before every exponential"
    run_kernel(call, rng, 1, 16, 32, factor=150.0, hint=hint)


@check("kernel")
def a_row_without_a_key_gives_zero(call, rng):
    """More queries than keys, causal: the first eight rows see no key, output 0 and log-sum-exp -inf."""
    hint = "where the new maximum is still -inf take off 0, in both exponentials"
    run_kernel(call, rng, 1, 20, 12, causal=True, hint=hint)


def small_problem(rng, num_queries=5, num_keys=7, dim=4, causal=False):
    q, k, v = random(rng, num_queries, dim), random(rng, num_keys, dim), random(rng, num_keys, dim)
    out, lse = attention(q, k, v, causal)
    return q, k, v, out.float(), lse.float(), random(rng, num_queries, dim)


def autograd(q, k, v, dout, causal):
    """Gradients in float64 by torch itself."""
    q, k, v = (x.double().requires_grad_() for x in (q, k, v))
    with torch.enable_grad():
        out = attend(scores_of(q, k, causal), v)[0]
        return torch.autograd.grad(out, (q, k, v), dout.double())


def gradients(call, *args):
    *given, causal = args
    given = [Remote(":by_hand", x) for x in given]  # autograd refuses them
    return tensors(call("attention_backward", *given, causal), "attention_backward", "dq", "dk", "dv")


@check("backward")
def gradients_agree_with_autograd(call, rng):
    """Five queries, seven keys, with and without a causal mask: dq, dk and dv against torch's own."""
    for causal in (False, True):
        q, k, v, out, lse, dout = small_problem(rng, causal=causal)
        got = gradients(call, q, k, v, out, lse, dout, causal)
        for name, ours, want in zip(("dq", "dk", "dv"), got, autograd(q, k, v, dout, causal), strict=True):
            ours = expect_tensor(ours, name, shape=tuple(want.shape), dtype="float")
            if name != "dv" and torch.allclose(ours, (want * q.shape[1] ** 0.5).float(), atol=1e-5):
                fail(f"{name} misses the scale: the scores were divided by sqrt(head_dim), so their gradient is too")
            if causal and name == "dq":
                open_dq = autograd(q, k, v, dout, False)[0].float()
                if not torch.allclose(open_dq, want.float(), atol=1e-5) and torch.allclose(ours, open_dq, atol=1e-5):
                    fail("dq with `causal` is that without a mask: hide the same keys as in the forward pass")
            hints = {
                "dq": "dq = ds @ k, with delta taken off in ds; where causal, query i sees the keys j <= i + m - n",
                "dk": "dk = ds.T @ q",
                "dv": "dv = p.T @ dout, with p = exp(scores - lse)",
            }
            expect_close(ours, want.float(), name, atol=1e-5, hint=hints[name])


@check("backward")
def the_saved_sum_is_used(call, rng):
    """A backward pass over half of the keys, with the log-sum-exp of all of them, gives half of the sum."""
    q, k, v, out, lse, dout = small_problem(rng, num_keys=6)
    got = gradients(call, q, k[:3], v[:3], out, lse, dout, False)
    _, dk, dv = autograd(q, k, v, dout, False)
    hint = "p = exp(scores - lse) with the lse that is given: a softmax over the keys at hand knows nothing of the rest"
    expect_close(got[2], dv[:3].float(), "dv of the first keys", atol=1e-5, hint=hint)
    hint = "delta is the row sum of dout * out, with the out that is given"
    expect_close(got[1], dk[:3].float(), "dk of the first keys", atol=1e-5, hint=hint)


@check("backward")
def a_row_without_a_key_gives_no_gradient(call, rng):
    """Five queries, three keys, causal: the first two rows see no key, and their log-sum-exp is -inf."""
    q, k, v, out, lse, dout = small_problem(rng, num_keys=3, causal=True)
    got = gradients(call, q, k, v, out, lse, dout, True)
    for name, ours, want in zip(("dq", "dk", "dv"), got, autograd(q, k, v, dout, True), strict=True):
        if bool(ours.isnan().any()):
            fail(f"nan in {name}: a row that sees no key has lse = -inf, and -inf minus -inf is nan; take off 0 there")
        expect_close(ours, want.nan_to_num().float(), name, atol=1e-5, hint="a row that sees no key gives 0")


@check("split")
def parts_count_by_their_denominators(call, rng):
    """Parts with denominators 1 and 3: the second counts three times."""
    outs, lses = torch.tensor([[[8.0]], [[4.0]]]), torch.tensor([[0.0], [math.log(3)]])
    out, lse = merged(call, outs, lses)
    if abs(float(out) - 6) < 1e-4:
        fail("this is the plain average: a part with a larger denominator counts for more", got=6.0, want=5.0)
    expect_close(out, torch.tensor([[5.0]]), "the merged output", hint="weights exp(lse_p - lse): 1/4 and 3/4")
    expect_close(lse, torch.tensor([math.log(4)]), "the merged log-sum-exp", hint="denominators add up")


@check("split")
def an_empty_part_changes_nothing(call, rng):
    """A part that saw no key: output 0, log-sum-exp -inf."""
    outs, lses = torch.tensor([[[8.0]], [[0.0]]]), torch.tensor([[2.0], [NEVER]])
    out, lse = merged(call, outs, lses)
    expect_close(out, torch.tensor([[8.0]]), "the merged output")
    expect_close(lse, torch.tensor([2.0]), "the merged log-sum-exp")
    out, lse = merged(call, torch.zeros(2, 1, 1), torch.full((2, 1), NEVER))
    hint = "no part has a key: -inf minus -inf and 0 / 0 are nan; take off 0 there"
    expect_close(out, torch.zeros(1, 1), "the merged output of two empty parts", hint=hint)
    expect_equal(float(lse[0]), NEVER, "the merged log-sum-exp of two empty parts")


@check("split")
def far_sums_are_merged(call, rng):
    """Log-sum-exps of 1000 and 1000 + ln 3: their exponentials are infinite, their shares are 1/4 and 3/4."""
    out, lse = merged(call, torch.tensor([[[8.0]], [[4.0]]]), torch.tensor([[1000.0], [1000.0 + math.log(3)]]))
    hint = "take the largest log-sum-exp, or the merged one, off before the exponential"
    expect_close(out, torch.tensor([[5.0]]), "the merged output", atol=1e-3, hint=hint)
    expect_close(lse, torch.tensor([1000 + math.log(4)]), "the merged log-sum-exp", atol=1e-3, hint=hint)


@check("split")
def splits_cover_the_keys(call, rng):
    """Ten keys in three splits: every key in exactly one part, and the result that of all at once."""
    parts = Parts(random(rng, 2, 4), random(rng, 10, 4), random(rng, 10, 4))
    got = tensors(call("split_attention", Callback(parts.attend), 10, 3), "split_attention", "out", "lse")
    covered = sorted(i for start, stop in parts.parts for i in range(start, stop))
    expect_equal(
        covered, list(range(10)), "keys in the parts", hint="round the length of a part up, cut the last short"
    )
    longest = max(stop - start for start, stop in parts.parts)
    hint = "at most 10 / 3 keys, rounded up: a part for each processor, or all but one are idle"
    expect_equal(longest, 4, "keys in the longest of three parts", hint=hint)
    want = attention(parts.q, parts.k, parts.v)[0]
    expect_close(got[0], want.float(), "the output of all parts together", atol=1e-5)


@check("linear")
def features_are_positive(call, rng):
    """elu(x) + 1: x + 1 above zero, exp(x) below."""
    got = call("features", torch.tensor([-1.0, 0.0, 2.0]))
    expect_close(got, torch.tensor([math.exp(-1), 1.0, 3.0]), "phi of -1, 0 and 2")


@check("linear")
def weights_are_products_of_features(call, rng):
    """Three queries, four keys: the sums over keys first, then one product a query."""
    q, k, v = random(rng, 3, 2), random(rng, 4, 2), random(rng, 4, 5)
    phi = [torch.where(x > 0, x + 1, x.exp()) for x in (q, k)]
    weights = phi[0] @ phi[1].T
    want = weights @ v / weights.sum(1, keepdim=True)
    got = expect_tensor(call("linear_attention", q, k, v), "the output", shape=(3, 5), dtype="float")
    if torch.allclose(got, weights @ v, atol=1e-4):
        fail("the weights of a query must sum to 1: divide by phi(q) . sum of phi(k)")
    expect_close(got, want, "the output", atol=1e-5)


@check("linear")
def steps_remember_by_their_state(call, rng):
    """Each step sees all keys so far through the state alone, which does not grow."""
    q, k, v = random(rng, 6, 3), random(rng, 6, 3), random(rng, 6, 3)
    phi = [torch.where(x > 0, x + 1, x.exp()) for x in (q, k)]
    state = None
    for i in range(6):
        call("linear_step", state, q[i], k[i - 1], v[i - 1])  # a step that comes to nothing
        out, state = expect_parts(call("linear_step", state, q[i], k[i], v[i]), "linear_step", "out", "state")
        weights = phi[0][i] @ phi[1][: i + 1].T
        hint = (
            "add the step's own key to the state before reading it; of the first key its value comes out as it is; "
            "what was seen is in the state that comes in, and nowhere else"
        )
        expect_close(out, weights @ v[: i + 1] / weights.sum(), f"the output of step {i + 1}", atol=1e-5, hint=hint)
    held = sum(x.numel() for x in expect_parts(state, "linear_step", "weighted", "total"))
    if held > 12:
        fail("the state grows: keep the sums of phi(k) v^T and of phi(k), not the keys", got=held, want=12)


@check("launch")
def the_fast_kernel_gives_what_attention_gives(call, rng):
    """Two heads in half precision, lengths off every tile, causal and not."""
    q, k, v = (random(rng, 2, n, 64).half() for n in (70, 90, 90))
    for causal in (False, True):
        out = expect_tensor(call("fast_attention", q, k, v, causal), "the output", shape=(2, 70, 64), dtype=q.dtype)
        if bool(out.isnan().any()):
            fail("nan in the output: is each element stored, and is -inf taken from -inf?")
        hint = "p.to(value.dtype) before the second product, everything else in float32"
        expect_close(out.float(), attention(q, k, v, causal)[0].float(), "the output", atol=3e-3, hint=hint)


@check("kernel")
def the_kernel_is_what_computes(call, rng):
    """The kernel runs; with one in its place that does nothing, nothing comes out."""
    q = random(rng, 1, 16, 16)
    launch(call, q, q, q, torch.ones(1), False)
    out, _ = launch(call, q, q, q, torch.ones(1), False, 16, 16, Remote(":NoKernel"))
    if not bool(out.isnan().all()):
        fail("the output did not come from the kernel: launch the one that is given, and leave the rest as it was")
