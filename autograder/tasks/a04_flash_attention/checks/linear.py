"""Linear attention: the hidden checks."""

import itertools

import torch

from autograder.checks import Trial, check, expect_close, expect_parts, expect_tensor, fail, speed_check
from autograder.tasks.a04_flash_attention.visible.shared import random


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
    some = torch.randint(length, (16,), generator=rng())
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
    sequences = [tuple(random(rng, length, width) for width in (6, 6, 4)) for _ in range(2)]
    wants = [weighted_mean(kernel_weights(q, k, True), v) for q, k, v in sequences]
    states, hint = [None, None], "what a sequence has seen is in the state that comes in, and nowhere else"
    for i, which in itertools.product(range(length), range(2)):  # in turns
        q, k, v = sequences[which]
        if which == 0 and i in (5, 12):
            call.forget()
        call("linear_step", states[which], *(x[i] for x in sequences[1 - which]))  # a step that comes to nothing
        got = call("linear_step", states[which], q[i], k[i], v[i])
        out, state = expect_parts(got, "linear_step", "out", "state")
        what = f"the output at position {i} of one of two sequences that take turns"
        expect_close(out, wants[which][i], what, atol=2e-5, rtol=1e-4, hint=hint)
        states[which] = state
        # a tensor without numbers counts, too: its shape says something
        held = sum(max(x.numel(), 1) for x in (state if isinstance(state, list | tuple) else [state]))
        if held > 6 * 5:
            fail("the state grows: keep the sums of phi(k) v^T and of phi(k), not the keys", got=held, want=30)


@speed_check(
    "linear",
    function="linear_attention",
    points=2,
    thresholds=[(1.0, 0), (4.0, 2)],
    baselines={
        "softmax attention": "nimblelm.nn.long_range.methods:naive_attention",
        "our linear attention": "nimblelm.nn.long_range.linear_attention:linear_attention",
    },
)
def linear_attention_is_faster_than_softmax_attention(rng):
    """Time at 4,096 positions against softmax attention with all scores in memory, by the judge's clock."""
    q, k, v = (random(rng, 4096, 32) for _ in range(3))
    as_heads = tuple(x[None, :, None] for x in (q, k, v))  # (B, T, H, D)
    some = torch.randint(4096, (64,), generator=rng())  # nobody knows beforehand which rows are looked at

    def verify(got):
        got = expect_tensor(got, "the output", dtype="float").reshape(4096, 32)
        expect_close(got[some], weighted_mean(kernel_weights(q[some], k, False), v), "the output", atol=1e-4, rtol=1e-3)

    return Trial(
        args=(q, k, v),
        verify=verify,
        baseline_args={"softmax attention": as_heads, "our linear attention": as_heads},
    )
