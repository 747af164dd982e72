"""The fast Fourier transform: the hidden checks."""

import torch

from autograder.checks import Trial, check, expect_equal, expect_tensor, fail, integer, speed_check
from autograder.tasks.a13_sound_to_log_mel.oracles import PRIMES, root_of, transformed


def numbers(rng, modulus, *shape):
    return torch.randint(modulus, shape, generator=rng())


@check("transform", points=1)
def the_definition_holds_for_any_length(call, rng):
    """Lengths that are powers of two and others, against the sum in Python's whole numbers."""
    for length, modulus in ((1, 12289), (2, 65537), (3, 786433), (12, 12289), (20, 40961), (64, 786433), (256, 65537)):
        x, root = numbers(rng, modulus, length), root_of(length, modulus)
        got = expect_tensor(call("dft", x, root, modulus), "X", shape=(length,), dtype="int")
        expect_equal(got.tolist(), transformed(x.tolist(), root, modulus), f"X of {length} numbers modulo {modulus}")


@check("transform", points=1)
def the_fast_transform_equals_the_definition(call, rng):
    """Batches of every power of two up to 128."""
    for power in range(8):
        modulus, length = PRIMES[power % 4], 2**power
        x, root = numbers(rng, modulus, integer(rng, 1, 3), length), root_of(length, modulus)
        got = expect_tensor(call("fft", x, root, modulus), "X", shape=tuple(x.shape), dtype="int")
        want = [transformed(row, root, modulus) for row in x.tolist()]
        expect_equal(got.tolist(), want, f"X of {length} numbers modulo {modulus}")


@check("transform", points=1)
def long_transforms_are_exact(call, rng):
    """A thousand numbers and more with the largest entries: two transforms bring them back, in another order."""
    for power in (10, 12):
        modulus, length = 786433, 2**power
        x = modulus - 1 - numbers(rng, 3, 2, length)
        root = root_of(length, modulus)
        once = call("fft", x, root, modulus)
        few = torch.tensor([1, integer(rng, 2, length - 1)])
        for k in few.tolist():
            want = sum(v * pow(root, n * k, modulus) for n, v in enumerate(x[0].tolist())) % modulus
            expect_equal(int(expect_tensor(once, "X", shape=tuple(x.shape), dtype="int")[0, k]), want, f"X[{k}]")
        twice = call("fft", once, root, modulus)
        want = x.roll(-1, 1).flip(1) * length % modulus
        if not torch.equal(twice, want):
            fail("the transform of the transform is N times x, backwards: somewhere a product or a sum overflowed")


@speed_check(
    "transform",
    function="fft",
    points=2,
    thresholds=[(2.0, 0), (16.0, 2)],
    baselines={"the definition": ":by_definition"},
)
def the_fast_transform_is_fast(rng):
    """Time for four transforms of 2048 numbers, by the judge's clock."""
    modulus, length = 786433, 2048
    # a root of its own for each call: no table of powers is of use in the next one
    root = pow(root_of(length, modulus), 2 * integer(rng, 0, length // 2 - 1) + 1, modulus)
    x = numbers(rng, modulus, 4, length)

    def verify(got):
        got = expect_tensor(got, "X", shape=(4, length), dtype="int")
        powers, n = torch.tensor([pow(root, k, modulus) for k in range(length)]), torch.arange(length)
        want = x @ powers[torch.outer(n, n) % length] % modulus  # below 2^51
        expect_equal(got, want, "X of the timed transforms")

    return Trial(args=(x, root, modulus), verify=verify)
