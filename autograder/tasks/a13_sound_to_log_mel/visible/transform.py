"""The fast Fourier transform: the checks that a student sees and runs."""

import torch

from autograder.checks import check, expect_equal, expect_tensor, fail

ROOT, MODULUS = 4, 17  # 4, 16, 13, 1: the fourth root of unity modulo 17


@check("transform")
def the_definition_on_four_numbers(call, rng):
    """1, 2, 3, 4 with the root 4 modulo 17."""
    got = expect_tensor(call("dft", torch.tensor([1, 2, 3, 4]), ROOT, MODULUS), "X", shape=(4,), dtype="int").tolist()
    if got == [10, 6, 15, 7]:
        fail("the exponent is plus n k here: the root takes the place of e^(-2 pi i / N) as it is", got=got)
    expect_equal(got, [10, 7, 15, 6], "X", hint="X[1] = 1 + 2 * 4 + 3 * 16 + 4 * 13 = 109, and 109 modulo 17 is 7")


@check("transform")
def the_fast_transform_gives_the_same(call, rng):
    """The same four numbers, and their mirror image, as a batch."""
    x = torch.tensor([[1, 2, 3, 4], [4, 3, 2, 1]])
    got = expect_tensor(call("fft", x, ROOT, MODULUS), "X", shape=(2, 4), dtype="int")
    if bool((got < 0).any()) or bool((got >= MODULUS).any()):
        fail(f"entries lie in 0 .. {MODULUS - 1}: reduce after the subtraction, too", got=got)
    if got[0].tolist() == [10, 15, 7, 6]:
        fail("butterflies give entries k and k + N / 2: first all sums, then all differences", got=got[0])
    hints = {
        (10, 12, 13, 3): "the two halves are the entries with even and with odd numbers, not the front and the back",
        (10, 13, 15, 0): "the odd half is turned: entry k of it is multiplied by root^k before it is added",
        (10, 6, 15, 7): "the exponent is plus n k here",
    }
    expect_equal(got.tolist(), [[10, 7, 15, 6], [10, 10, 2, 11]], "X", hints.get(tuple(got[0].tolist()), ""))


@check("transform")
def halves_have_the_root_squared(call, rng):
    """1 to 8 with the root 2, an eighth root modulo 17."""
    got = expect_tensor(call("fft", torch.arange(1, 9)[None], 2, MODULUS), "X", shape=(1, 8), dtype="int")[0].tolist()
    want = [sum((n + 1) * 2 ** (n * k) for n in range(8)) % MODULUS for k in range(8)]
    hint = "the even entries are a transform with the root squared" if got == [2, 15, 14, 2, 13, 12, 12, 6] else ""
    expect_equal(got, want, "X", hint)


@check("transform")
def one_number_is_its_own_transform(call, rng):
    """N = 1 and N = 2."""
    expect_equal(call("fft", torch.tensor([[5]]), 1, MODULUS).tolist(), [[5]], "X of one number")
    expect_equal(call("fft", torch.tensor([[3, 5]]), 16, MODULUS).tolist(), [[8, 15]], "X of 3 and 5, with root -1")
