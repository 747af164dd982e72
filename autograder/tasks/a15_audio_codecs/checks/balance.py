"""The balancer: the hidden checks."""

import torch

from autograder.checks import check, expect_close, expect_equal, expect_parts, integer
from autograder.tasks.a15_audio_codecs.oracles import balanced, normal


def step(rng, names, shape, scales=(1.0, 1e4, 1e-4)):
    return {name: scale * normal(rng, *shape) for name, scale in zip(names, scales, strict=False)}


@check("balance", points=1)
def several_steps_follow_the_running_means(call, rng):
    """Three steps of three losses, in several shapes and with several limits, against the formula written out."""
    for shape in ((4, 7), (2, 1, 9), (integer(rng, 1, 5), 3)):
        weights = {"time": 0.1, "mel": 1.0, "features": 3.0}
        state, want_state = {}, {}
        for limit in (1e9, 1.0, 50.0):
            gradients = step(rng, weights, shape)
            got, state = expect_parts(
                call("balance", gradients, weights, state, 0.8, limit), "balance", "gradient", "state"
            )
            want, want_state = balanced(gradients, weights, want_state, 0.8, limit)
            expect_close(got, want, f"the gradient with a limit of {limit:g}", 1e-5, 1e-3)
        for name in weights:
            expect_close(torch.tensor(state[name]), torch.tensor(want_state[name]), f"the state of {name}", 1e-6, 1e-3)


@check("balance", points=1)
def losses_come_and_go(call, rng):
    """The adversarial loss begins later; what is missing keeps its state and takes no share."""
    weights = {"mel": 1.0, "adversarial": 3.0, "never": 5.0}
    state, want_state = {}, {}
    for present in (("mel",), ("mel", "adversarial"), ("adversarial",), ("mel",)):
        gradients = step(rng, present, (3, 6))
        got, state = expect_parts(call("balance", gradients, weights, state, 0.9, 0.2), "balance", "gradient", "state")
        want, want_state = balanced(gradients, weights, want_state, 0.9, 0.2)
        expect_close(got, want, f"the gradient of {', '.join(present)} with a limit of 0.2", 1e-5, 1e-3)
        expect_equal(sorted(state), sorted(want_state), "the names in the state")


@check("balance", points=1)
def the_limit_holds(call, rng):
    """Gradients that have nearly or wholly vanished."""
    weights = {"small": 1.0, "large": 1.0}
    for scale in (1e-6, 0.0):
        gradients = {"small": scale * normal(rng, 2, 5), "large": normal(rng, 2, 5)}
        got, _ = expect_parts(call("balance", gradients, weights, {}, 0.9, 50.0), "balance", "gradient", "state")
        want, _ = balanced(gradients, weights, {}, 0.9, 50.0)
        expect_close(got, want, f"the gradient, one of them of scale {scale}", 1e-6, 1e-3)
