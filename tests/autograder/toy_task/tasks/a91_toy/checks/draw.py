"""Drawing from a distribution, with a model that the judge holds: the hidden checks."""

import torch

from autograder.checks import Callback, Remote, check, expect_close, expect_distribution, expect_equal, fail, seed

PROBS = torch.tensor([0.5, 0.3, 0.2])


@check("draw", points=2)
def draws_follow_the_distribution(call, rng):
    """Draws follow the distribution they are asked for."""
    draws = call.many("draw", 3000, PROBS, seed(rng))
    expect_distribution(draws, PROBS, "the draw", hint="is the generator used?")


@check("draw", points=1)
def asks_the_model_once(call, rng):
    """The model is asked once, and its answer returned."""
    asked = []

    def model(x):
        if not isinstance(x, torch.Tensor):
            fail("the model was given something else than a tensor")
        asked.append(x)
        return x + 1

    x = torch.rand(3, generator=rng())
    got = call("ask", Callback(model), x)
    expect_equal(len(asked), 1, "the number of times that the model was asked")
    expect_close(got, x + 1, "the model's answer")


@check("draw", points=1)
def looks_up_a_table(call, rng):
    """A table of the setup can be asked like a model."""
    expect_equal(call("ask", Remote(":Table", 9, keep=True), 7), 7, "the table's answer")
