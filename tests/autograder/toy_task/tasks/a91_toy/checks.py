import torch
from toylib.mixing import mix

from autograder.engine import (
    Callback,
    Remote,
    Trial,
    check,
    expect_close,
    expect_equal,
    expect_law,
    expect_tensor,
    fail,
    seed,
    speed_check,
)

LAW = torch.tensor([0.5, 0.3, 0.2])
SIZE, ROUNDS = 256, 12


@check("double", points=1)
def doubles_any_number(call, rng):
    """Any number is doubled."""
    number = int(torch.randint(10, 99, (), generator=rng))
    expect_equal(call("double", number), 2 * number, "twice the number")


@check("double", points=2, deadline_s=3)
def doubles_a_tensor(call, rng):
    """A tensor is doubled, and the input is left alone."""
    x = torch.rand(5, generator=rng)
    got = expect_tensor(call("double", x), "the result", shape=(5,), dtype=torch.float32)
    expect_close(got, 2 * x, "twice the tensor")


@check("draw", points=2)
def draws_follow_the_law(call, rng):
    """Draws follow the law they are asked for."""
    draws = call.many("draw", 3000, LAW, seed(rng))
    expect_law(draws, LAW, "the draw", hint="is the generator used?")


@check("draw", points=1)
def asks_the_model_once(call, rng):
    """The model is asked once, and its answer returned."""
    asked = []

    def model(x):
        if not isinstance(x, torch.Tensor):
            fail("the model was given something else than a tensor")
        asked.append(x)
        return x + 1

    x = torch.rand(3, generator=rng)
    got = call("ask", Callback(model), x)
    expect_equal(len(asked), 1, "the number of times that the model was asked")
    expect_close(got, x + 1, "the model's answer")


@check("draw", points=1)
def looks_up_a_table(call, rng):
    """A table of the setup can be asked like a model."""
    expect_equal(call("ask", Remote(":Table", 9, keep=True), 7), 7, "the table's answer")


@check("mix", points=1)
def mixes(call, rng):
    """The result is right."""
    x = torch.randn(8, 8, generator=rng)
    got = expect_tensor(call("mix", x, 3), "the result", shape=(8, 8), dtype="float")
    expect_close(got, mix(x, 3), "the mixture", atol=1e-5)


@speed_check(
    "mix",
    function="mix",
    points=2,
    knots=[(0.7, 0), (0.8, 1), (1.5, 2)],
    baselines={"ours": "toylib.mixing:mix", "ours twice over": "toylib.mixing:mix_twice_over"},
)
def mixes_fast(rng):
    """It is about as fast as ours."""
    x = torch.randn(SIZE, SIZE, generator=rng)

    def verify(got):
        expect_close(expect_tensor(got, "the result", shape=(SIZE, SIZE)), mix(x, ROUNDS), "the mixture", atol=1e-4)

    return Trial(args=(x, ROUNDS), verify=verify)
