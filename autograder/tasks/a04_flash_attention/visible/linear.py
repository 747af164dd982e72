"""Linear attention: the checks that a student sees and runs."""

import math

import torch

from autograder.checks import check, expect_close, expect_parts, expect_tensor, fail
from autograder.tasks.a04_flash_attention.visible.shared import random


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
