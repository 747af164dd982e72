"""An int8 product in Triton: the checks that a student sees and runs."""

import torch

from autograder.checks import CheckFailed, Remote, check, expect_close, expect_tensor, fail, known_mistake


def product(x, x_scales, values, scales, group_size):
    """The sum of the text in float64."""
    each = scales.double().repeat_interleave(group_size, 1)[:, : values.shape[1]]
    return x_scales.double()[:, None] * (x.double() @ (values.double() * each).T)


def launch(call, x, x_scales, values, scales, group_size, block_n=4, *kernel):
    """What `int8_product` gives, of the right kind."""
    try:
        got = call("int8_product", x, x_scales, values, scales, group_size, block_n, *kernel)
    except CheckFailed as failure:
        if "positional argument" in str(failure):
            fail("`int8_product` was changed: leave it as it is given, and write the kernel")
        raise
    return expect_tensor(got, "the output", shape=(len(x), len(values)), dtype=torch.float32, dims="T N")


def small(num_columns=8):
    """One token, two rows, groups of four."""
    x, values = torch.arange(1, 9)[None], torch.tensor([[1, 2, 0, 0, 3, 0, 0, 0], [0, 0, 0, 5, 0, 0, 1, 1]])
    x, values = (part[:, :num_columns].to(torch.int8).contiguous() for part in (x, values))
    return x, torch.tensor([0.5]), values, torch.tensor([[1.0, 10.0], [2.0, 100.0]]), 4


def expect_output(got, args, hint=""):
    x, x_scales, values, scales, size = args
    if bool(got.isnan().any()):
        fail("nan in the output: every element of it is to be stored", got=got)
    last, whole = torch.zeros_like(scales), max(x.shape[1] // size, 1)
    last[:, -1] = scales[:, -1]
    at = torch.arange(len(scales))[:, None] * whole + torch.arange(scales.shape[1])
    mistakes = {
        "the accumulator adds up all groups; this is the last one alone": product(x, x_scales, values, last, size),
        "a short last group has a scale, too: G is K over GROUP, rounded up": product(
            x, x_scales, values, scales.flatten()[at], size
        ),
        "the scale of the token, at x_scales + token, is missing": product(x, torch.ones(len(x)), values, scales, size),
        "each group has its own scale, at scales + n * G + g": product(
            x, x_scales, values, scales[:, :1].expand_as(scales), size
        ),
        "the scale of the group is missing": product(x, x_scales, values, torch.ones_like(scales), size),
    }
    want = product(*args)
    wrong = {text: value for text, value in mistakes.items() if not torch.allclose(value, want)}
    expect_close(got, want, "the output", 1e-4, 1e-4, known_mistake(got, wrong, 1e-3) or hint)


@check("product")
def two_groups_of_four(call, rng):
    """(1 to 8) times two rows in two groups, by hand: half of 5 + 10 x 15, and half of 2 x 20 + 100 x 15."""
    expect_output(launch(call, *small()), small())


@check("product")
def rows_and_columns_end_where_they_end(call, rng):
    """Two rows in blocks of four, seven columns in groups of four: what lies behind is another row's, or nobody's."""
    hint = "mask columns at or beyond K, in the token and in the weights, and rows at or beyond N"
    expect_output(launch(call, *small(7)), small(7), hint)


@check("product")
def whole_numbers_do_not_overflow(call, rng):
    """Numbers of 127 and -127: their products need 15 bits, the sum of a group more."""
    x, x_scales, values, scales, size = small()
    args = torch.full_like(x, -127), x_scales, torch.full_like(values, 127), scales, size
    expect_output(launch(call, *args), args, "turn both into tl.int32 before you multiply: 8 bits hold no product")


@check("product")
def each_token_has_its_place(call, rng):
    """Three tokens with scales of their own."""
    _, _, values, scales, size = small()
    x = torch.tensor([[1] * 8, [0, 0, 0, 0, 1, 2, 3, 4], [9, 8, 7, 6, 5, 4, 3, 2]], dtype=torch.int8)
    args = x, torch.tensor([1.0, 2.0, 0.25]), values, scales, size
    expect_output(launch(call, *args), args, "token t lies at x + t * K and is stored at out + t * N")


@check("product")
def the_kernel_is_what_multiplies(call, rng):
    """The kernel runs; with one in its place that does nothing, nothing comes out."""
    launch(call, *small())
    if not bool(launch(call, *small(), 4, Remote(":NoKernel")).isnan().all()):
        fail("the output did not come from the kernel: launch the one that is given, and leave the rest as it was")
