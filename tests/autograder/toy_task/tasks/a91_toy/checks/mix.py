"""Mixing: the hidden checks."""

import torch
from toylib.mixing import mix

from autograder.checks import Trial, check, expect_close, expect_tensor, speed_check

SIZE, ROUNDS = 256, 12


@check("mix", points=1)
def mixes(call, rng):
    """The result is right."""
    x = torch.randn(8, 8, generator=rng())
    got = expect_tensor(call("mix", x, 3), "the result", shape=(8, 8), dtype="float")
    expect_close(got, mix(x, 3), "the mixture", atol=1e-5)


@speed_check(
    "mix",
    function="mix",
    points=2,
    thresholds=[(0.7, 0), (0.8, 1), (1.5, 2)],
    baselines={"ours": "toylib.mixing:mix", "ours twice over": "toylib.mixing:mix_twice_over"},
)
def mixes_fast(rng):
    """It is about as fast as ours."""
    x = torch.randn(SIZE, SIZE, generator=rng())

    def verify(got):
        expect_close(expect_tensor(got, "the result", shape=(SIZE, SIZE)), mix(x, ROUNDS), "the mixture", atol=1e-4)

    return Trial(args=(x, ROUNDS), verify=verify)
