"""An Adam that keeps masks: the checks that a student sees and runs."""

import torch

from autograder.checks import check, expect_close, expect_equal, expect_parts, expect_tensor, fail

NAMES = ("weight", "m", "v", "age")


def step(call, weight, grad, m, v, age, mask, rate):
    """The four results, with their shapes and dtypes checked."""
    got = expect_parts(call("adam_step", weight, grad, m, v, age, mask, rate), "adam_step", *NAMES)
    kinds = ("float", "float", "float", torch.int64)
    return [
        expect_tensor(part, name, shape=tuple(weight.shape), dtype=kind)
        for part, name, kind in zip(got, NAMES, kinds, strict=True)
    ]


@check("adam")
def momentum_revives_nothing(call, rng):
    """A weight that was just pruned, with momentum from before and no gradient."""
    one = torch.ones(2)
    args = one, torch.zeros(2), one, one, torch.tensor([9, 9]), torch.tensor([True, False]), 0.1
    weight, m, v, age = step(call, *args)
    if weight[1] != 0:
        fail("a pruned weight is not 0 after the step: clear it, and what Adam remembers of it", weight=weight)
    expect_equal([m[1].item(), v[1].item(), age[1].item()], [0.0, 0.0, 0], "m, v and age of the pruned weight")
    expect_equal(age[0].item(), 10, "the age of the other")


@check("adam")
def the_first_step_moves_by_the_rate(call, rng):
    """At age 1 the corrected m is g and the root of the corrected v is |g|: the step is the rate."""
    zero, grad = torch.zeros(3), torch.tensor([2.0, -0.5, float("nan")])
    mask = torch.tensor([True, True, False])
    weight, m, v, age = step(call, torch.tensor([1.0, 1.0, 0.0]), grad, zero, zero, zero.long(), mask, 0.1)
    if weight.isnan().any() or m.isnan().any() or v.isnan().any():
        fail("nan: the gradient of a pruned weight may hold anything, and 0 times nan is nan", weight=weight, m=m)
    expect_close(weight, torch.tensor([0.9, 1.1, 0.0]), "the weight", hint="correct m and v by the age after counting")
    expect_close(m, torch.tensor([0.2, -0.05, 0.0]), "m")
    expect_equal(age.tolist(), [1, 1, 0], "the ages")


@check("adam")
def a_weight_that_returns_is_new(call, rng):
    """Two steps: closed, then open again beside a weight that was open for long."""
    mask = torch.tensor([True, False])
    state = torch.ones(2), torch.ones(2), torch.ones(2), torch.tensor([99, 99])
    weight, m, v, age = step(call, state[0], torch.ones(2), *state[1:], mask, 0.01)
    weight, m, v, age = step(call, weight, torch.ones(2), m, v, age, torch.tensor([True, True]), 0.01)
    expect_equal(age.tolist(), [101, 1], "the ages", hint="an age counts from the last opening")
    expect_close(
        weight[1], torch.tensor(-0.01), "the weight that came back", hint="its bias correction is that of age 1"
    )
