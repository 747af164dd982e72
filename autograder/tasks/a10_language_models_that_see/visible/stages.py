"""Two stages: the checks that a student sees and runs."""

import torch

from autograder.checks import check, expect_close, expect_tensor, fail

NAMES = ("up", "down", "language")


def tuned(call, weights, features, targets, stage, rate, steps):
    """The weights after tuning; those that came in must be as they were."""
    given = {name: weight.clone() for name, weight in weights.items()}
    got = call("tune", given, features, targets, stage, rate, steps)
    if not isinstance(got, dict) or set(got) != set(NAMES):
        fail("`tune` should return a dict of up, down and language", got=got)
    for name in NAMES:
        expect_tensor(got[name], f"weight {name!r}", shape=tuple(weights[name].shape), dtype="float")
    return got


def numbers(*values):
    return dict(zip(NAMES, (torch.tensor([[v]]) for v in values), strict=True))


@check("stages")
def stage_1_leaves_the_language_model(call, rng):
    """One step with single numbers: up 1, down 2, language 0.5."""
    start = numbers(1.0, 2.0, 0.5)
    got = tuned(call, start, torch.tensor([[1.0]]), torch.tensor([[0.0]]), 1, 0.1, 1)
    expect_close(got["language"], start["language"], "weight 'language' after stage 1", hint="it is frozen")
    if torch.equal(got["up"], start["up"]) or torch.equal(got["down"], start["down"]):
        fail("the projector did not move in stage 1: its gradient runs through the frozen language matrix")


@check("stages")
def no_gradient_is_decay_alone(call, rng):
    """A loss that is 0 already: each trained weight shrinks by its rate times 0.1."""
    start = numbers(0.0, 2.0, 0.5)
    got = tuned(call, start, torch.tensor([[1.0]]), torch.tensor([[0.0]]), 2, 0.5, 1)
    expect_close(got["down"], 2 * torch.tensor([[0.95]]), "weight 'down' after one step of stage 2")
    hint = "the language matrix has a tenth of the rate, in its decay too"
    expect_close(got["language"], 0.5 * torch.tensor([[0.995]]), "weight 'language' after one step", hint=hint)
