"""On a GPU: the hidden checks."""

import torch

from autograder.checks import Trial, check, expect_tensor, fail, speed_check
from autograder.tasks.a04_flash_attention.visible.shared import NEVER, attention, random

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
    rows = torch.randint(length, (some,), generator=rng())

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
    thresholds=[(1.5, 0), (6.0, 2)],
    baselines={"attention with all scores in memory": ":naive_chain"},
)
def faster_than_scores_in_memory(rng):
    """Time at 16,384 positions, causal, in bfloat16, against attention with all scores in memory."""
    return chain_trial(rng)


@speed_check(
    "launch",
    function="fast_chain",
    points=2,
    thresholds=[(0.4, 0), (0.9, 2)],
    baselines={"torch's FlashAttention-2": ":sdpa_chain"},
)
def close_to_torchs_own_attention(rng):
    """The same against torch's own fused attention."""
    return chain_trial(rng)
