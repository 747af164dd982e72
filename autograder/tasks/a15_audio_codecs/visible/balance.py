"""The balancer: the checks that a student sees and runs."""

import torch

from autograder.checks import check, expect_close, expect_parts, fail


@check("balance")
def two_losses_of_equal_weight_get_equal_norms(call, rng):
    """Gradients of norm 5 and 500 both arrive with norm 1/2."""
    gradients = {"a": torch.tensor([[3.0, 4.0]]), "b": torch.tensor([[0.0, 500.0]])}
    got, _ = expect_parts(
        call("balance", gradients, {"a": 1.0, "b": 1.0}, {}, 0.9, 1e9), "balance", "gradient", "state"
    )
    if float(got.norm()) > 100:
        fail("each gradient is divided by its own norm: a loss that is 100 times as large gets no more", got=got)
    expect_close(got, torch.tensor([[0.3, 0.9]]), "the gradient", 1e-5, hint="(3, 4) / 5 / 2 + (0, 500) / 500 / 2")


@check("balance")
def the_norm_is_that_of_a_sound(call, rng):
    """Two sounds with norms 3 and 5: the mean is 4, whatever the batch is."""
    got, state = expect_parts(
        call("balance", {"a": torch.tensor([[3.0], [5.0]])}, {"a": 2.0}, {}, 0.9, 1e9), "balance", "gradient", "state"
    )
    total, _ = state["a"]
    expect_close(float(total), 4.0, "the total", 1e-5, hint="the mean over sounds, not the norm of the whole batch")
    expect_close(got, torch.tensor([[0.75], [1.25]]), "the gradient", 1e-5)


@check("balance")
def a_loss_that_is_missing_takes_no_share(call, rng):
    """Of a and b only a is there: it gets all, and b's state stays."""
    got, state = expect_parts(
        call("balance", {"a": torch.tensor([[2.0]])}, {"a": 1.0, "b": 3.0}, {"b": (8.0, 2.0)}, 0.5, 1e9),
        "balance",
        "gradient",
        "state",
    )
    expect_close(got, torch.tensor([[1.0]]), "the gradient", 1e-5, hint="shares of the weights that are present")
    expect_close(torch.tensor(state["b"]), torch.tensor([8.0, 2.0]), "the state of b")


@check("balance")
def no_factor_is_above_the_limit(call, rng):
    """A gradient of norm 1/10 and a limit of 2: the factor is 2, not 10."""
    got, _ = expect_parts(
        call("balance", {"a": torch.tensor([[0.06, 0.08]])}, {"a": 1.0}, {}, 0.9, 2.0), "balance", "gradient", "state"
    )
    expect_close(got, torch.tensor([[0.12, 0.16]]), "the gradient", 1e-6, hint="the factor is the smaller of the two")
