"""Two values in a byte: the hidden checks."""

import torch

from autograder.checks import check, expect_equal, integer
from autograder.tasks.a05_quantization_and_lora.visible.packing import packed_bytes, unpacked


def some_values(rng, num_rows, num_columns):
    return torch.randint(-8, 8, (num_rows, num_columns), generator=rng()).to(torch.int8)


def byte(low, high):
    return low % 16 + 16 * (high % 16)


@check("packing", points=2)
def every_pair_has_its_byte(call, rng):
    """All 256 pairs, in an order of their own."""
    pairs = [[number // 16 - 8, number % 16 - 8] for number in torch.randperm(256, generator=rng()).tolist()]
    got = packed_bytes(call, torch.tensor(pairs, dtype=torch.int8))[:, 0].tolist()
    expect_equal(got, [byte(*pair) for pair in pairs], "the bytes of all pairs")


@check("packing", points=1)
def every_byte_has_its_pair(call, rng):
    """All 256 bytes, and bytes of several columns."""
    got = unpacked(call, torch.arange(256).to(torch.uint8)[:, None], 2).tolist()
    signed = lambda half: half - 16 if half > 7 else half  # noqa: E731
    expect_equal(got, [[signed(b % 16), signed(b // 16)] for b in range(256)], "the values of all bytes")
    values = some_values(rng, 3, 10)
    packed = torch.tensor([[byte(int(row[j]), int(row[j + 1])) for j in range(0, 10, 2)] for row in values])
    expect_equal(unpacked(call, packed.to(torch.uint8), 10), values, "the values of five bytes")


@check("packing", points=1)
def neighbours_share_a_byte_in_any_width(call, rng):
    """One to nine columns, odd ones too."""
    for num_columns in (1, 2, 5, 8, 9):
        values = some_values(rng, integer(rng, 1, 4), num_columns)
        rows = [[*row, *[0] * (num_columns % 2)] for row in values.tolist()]
        want = [[byte(row[j], row[j + 1]) for j in range(0, len(row), 2)] for row in rows]
        expect_equal(packed_bytes(call, values).tolist(), want, f"the bytes of {num_columns} columns")
        back = unpacked(call, torch.tensor(want, dtype=torch.uint8), num_columns)
        expect_equal(back, values, f"the values of {num_columns} columns")
