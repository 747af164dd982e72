"""Binding a third modality: the checks that a student sees and runs."""

import torch

from autograder.checks import check, expect_close, expect_tensor

# W of `small` after one step and after three, and after one step with what is often done instead
ONE_STEP = torch.tensor([[0.4122298, 0.9326170, -0.2426526], [1.2188313, 0.0837186, 1.0211105]], dtype=torch.float64)
THREE_STEPS = torch.tensor([[0.3010818, 0.7283799, 0.1916078], [1.4246613, 0.2121797, 1.0266375]], dtype=torch.float64)
NOT_NORMALISED = torch.tensor(
    [[-0.0782497, 0.6698780, 0.6443404], [0.7388136, 0.3187134, 0.1839840]], dtype=torch.float64
)
ONE_SIDED = torch.tensor([[0.4467943, 0.9894911, -0.2225993], [1.1751488, 0.0446866, 1.0006633]], dtype=torch.float64)
LENGTH_FIXED = torch.tensor(
    [[0.3784805, 0.9263451, -0.1724053], [1.0180775, 0.0999783, 0.7798804]], dtype=torch.float64
)
UNSCALED = torch.tensor([[0.4684257, 0.9711304, -0.4432007], [1.0641858, 0.0293166, 1.0088706]], dtype=torch.float64)


def bound(call, sounds, pictures, start, scale, rate, steps):
    got = call("bind", sounds, pictures, start, scale, rate, steps)
    return expect_tensor(got, "W", shape=tuple(start.shape), dtype="float", dims="d e")


def small():
    sounds = torch.tensor([[1.0, 0.0, 2.0], [0.0, 1.0, 1.0], [2.0, 1.0, 0.0]])
    pictures = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
    return sounds, pictures, torch.tensor([[0.5, 1.0, -0.5], [1.0, 0.0, 1.0]]), 3.0, 0.5


@check("binding")
def no_step_and_one_step(call, rng):
    """Three pairs: after 0 steps W is `start`, after 1 it went down the gradient once."""
    args = small()
    expect_close(bound(call, *args, steps=0), args[2], "W after no step")
    got = bound(call, *args, steps=1)
    start = args[2].double()
    guesses = {
        "the embedding of a sound is brought to length 1": NOT_NORMALISED,
        "the loss is symmetric: pictures among sounds count too": ONE_SIDED,
        "the loss is symmetric: sounds among pictures count too": 2 * ONE_STEP - ONE_SIDED,
        "the mean of both cross-entropies, not their sum": 2 * ONE_STEP - start,
        "the length depends on W too: it belongs inside of what is differentiated": LENGTH_FIXED,
        "this is W after one step less: make `steps` of them": start,
        "go down the gradient: subtract it": 2 * start - ONE_STEP,
        "multiply the cosines by the scale": UNSCALED,
    }
    hint = next((text for text, value in guesses.items() if torch.allclose(got.double(), value, atol=1e-4)), "")
    expect_close(got, ONE_STEP, "W after one step", 1e-5, 1e-4, hint)


@check("binding")
def three_steps(call, rng):
    """The second step begins where the first ended, and nothing is remembered between them."""
    args = small()
    got = bound(call, *args, steps=3)
    one_slope = args[2].double() + 3 * (ONE_STEP - args[2].double())
    hint = "every step takes the gradient anew" if torch.allclose(got.double(), one_slope, atol=1e-4) else ""
    expect_close(got, THREE_STEPS, "W after three steps", 1e-5, 1e-4, hint)
