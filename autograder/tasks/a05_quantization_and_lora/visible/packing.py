"""Two values in a byte: the checks that a student sees and runs."""

import torch

from autograder.checks import check, expect_equal, expect_tensor


def packed_bytes(call, values):
    """What `pack` makes of values, with its shape and dtype checked."""
    shape = len(values), -(-values.shape[1] // 2)
    return expect_tensor(call("pack", values), "the bytes", shape=shape, dtype=torch.uint8, dims="N K/2")


def unpacked(call, packed, num_columns):
    got = call("unpack", packed, num_columns)
    return expect_tensor(got, "the values", shape=(len(packed), num_columns), dtype=torch.int8, dims="N K")


@check("packing")
def two_values_become_one_byte(call, rng):
    """3 is 0011 and -1 is 1111: the byte 11110011 is 243; -2 and 5 become 01011110, 94."""
    got = int(packed_bytes(call, torch.tensor([[3, -1]], dtype=torch.int8)))
    hints = {
        63: "the first of two neighbours lies in the low half",
        123: "no 8 is added: the halves are two's complement",
    }
    expect_equal(got, 243, "the byte of 3 and -1", hint=hints.get(got, ""))
    got = int(packed_bytes(call, torch.tensor([[-2, 5]], dtype=torch.int8)))
    hint = "mask a value with 15 first: a negative one has ones in its upper bits too" if got == 254 else ""
    expect_equal(got, 94, "the byte of -2 and 5", hint=hint)


@check("packing")
def a_byte_becomes_two_values(call, rng):
    """243 is 11110011: 3 and -1; 120 is 01111000: -8 and 7."""
    got = unpacked(call, torch.tensor([[243], [120]], dtype=torch.uint8), 2).tolist()
    hints = {
        (3, 15, 8, 7): "a half of 8 or more stands for a negative number: subtract 16",
        (3, -1, 8, 7): "8 is a negative number as well: 1000 stands for -8",
        (-5, 7, 0, -1): "halves are two's complement: subtract 16 from those of 8 or more, and nothing from the others",
        (-1, 3, 7, -8): "the first of two neighbours lies in the low half",
    }
    expect_equal(got, [[3, -1], [-8, 7]], "the values", hint=hints.get((*got[0], *got[1]), ""))


@check("packing")
def an_odd_column_stands_alone(call, rng):
    """Three columns make two bytes."""
    values = torch.tensor([[1, 2, 3]], dtype=torch.int8)
    got = packed_bytes(call, values).tolist()
    hint = "neighbours share a byte: columns 0 and 1, then 2 and nothing" if got in ([[49, 2]], [[19, 2]]) else ""
    expect_equal(got, [[33, 3]], "the bytes", hint=hint)
    expect_equal(unpacked(call, torch.tensor([[33, 3]], dtype=torch.uint8), 3).tolist(), [[1, 2, 3]], "the values")
