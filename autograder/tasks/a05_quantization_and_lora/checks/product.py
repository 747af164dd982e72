"""An int8 product in Triton: the hidden checks."""

import torch

from autograder.checks import Remote, check, expect_close, fail
from autograder.tasks.a05_quantization_and_lora.visible.product import launch, product


def whole(rng, *shape):
    return torch.randint(-127, 128, shape, generator=rng()).to(torch.int8)


def positive(rng, *shape):
    return torch.rand(*shape, generator=rng()) + 0.1


def some(rng, tokens, num_rows, num_columns, group_size):
    groups = -(-num_columns // group_size)
    scales = positive(rng, num_rows, groups) * 10 ** torch.randn(num_rows, groups, generator=rng())
    return whole(rng, tokens, num_columns), positive(rng, tokens), whole(rng, num_rows, num_columns), scales, group_size


def expect_product(call, args, block_n):
    x, _, values, _, size = args
    got = launch(call, *args, block_n)
    what = f"{len(x)} tokens of {x.shape[1]} numbers in groups of {size}, {len(values)} rows in blocks of {block_n}"
    want = product(*args)
    expect_close(got, want, f"the output: {what}", 1e-5 * float(want.abs().max()), 1e-4)


@check("product", points=2)
def groups_have_their_scales(call, rng):
    """Sizes that groups and blocks divide."""
    for shape, block_n in (((1, 8, 32, 16), 4), ((1, 16, 64, 8), 16), ((2, 4, 16, 16), 2)):
        expect_product(call, some(rng, *shape), block_n)


@check("product", points=1)
def groups_and_blocks_may_be_cut_off(call, rng):
    """Rows and columns that groups and blocks do not divide; a group wider than the row."""
    for shape, block_n in (((2, 5, 19, 8), 4), ((1, 3, 33, 16), 8), ((3, 7, 5, 16), 2)):
        expect_product(call, some(rng, *shape), block_n)


@check("product", points=1)
def sums_of_large_numbers_are_exact(call, rng):
    """All numbers are 127 or -127, and most of a group's products cancel."""
    x, x_scales, values, scales, size = some(rng, 2, 4, 512, 256)
    x, values = 127 * x.sign() | 1, 127 * values.sign() | 1
    x, values = x.clamp(-127, 127), values.clamp(-127, 127)
    expect_product(call, (x, x_scales, values, torch.ones_like(scales), size), 4)


@check("product", points=1)
def every_token_is_multiplied(call, rng):
    """Six tokens whose scales differ much."""
    x, x_scales, values, scales, size = some(rng, 6, 6, 24, 8)
    x_scales = x_scales * 10 ** torch.arange(6.0)
    got, want = launch(call, x, x_scales, values, scales, size, 2), product(x, x_scales, values, scales, size)
    expect_close(got / x_scales[:, None], want / x_scales[:, None], "the output over the tokens' scales", 1e-2, 1e-4)


@check("product", points=1)
def the_kernel_does_the_product(call, rng):
    """With a kernel that does nothing in its place, nothing comes out; with the own one, the product."""
    args = some(rng, 2, 4, 16, 8)
    if bool(launch(call, *args, 4, Remote(":NoKernel")).isfinite().any()):
        fail("numbers came out although the kernel did nothing: the output was computed elsewhere")
    expect_product(call, args, 4)
