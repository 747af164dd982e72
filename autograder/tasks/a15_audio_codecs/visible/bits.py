"""The shortest bits of an interval: the checks that a student sees and runs."""

from autograder.checks import check, expect_equal, fail


@check("bits")
def some_intervals(call, rng):
    """All of [0, 1) needs no bit, [1/2, 1) needs one, [1/3, 2/3) needs 01 or more."""
    expect_equal(call("shortest_bits", 0, 1, 1), [], "the bits of all numbers")
    expect_equal(call("shortest_bits", 1, 2, 2), [1], "the bits of the upper half")
    got = call("shortest_bits", 1, 2, 3)
    if got == [1]:
        fail("0.1 lies in it, but so do numbers that begin with 1 and lie above 2/3: the whole cell must fit", got=got)
    expect_equal(got, [0, 1, 1], "the bits of [1/3, 2/3)", hint="[3/8, 4/8) is the first cell that fits")


@check("bits")
def codes_come_back(call, rng):
    """Three codes of frequencies 1, 2, 1."""
    frequencies = [[1, 2, 1]] * 3
    bits = call("encode_codes", [1, 1, 0], frequencies)
    expect_equal(bits, [0, 1, 1, 0], "the bits of 1, 1, 0", hint="the interval is [3/8, 7/16): four bits")
    expect_equal(call("decode_codes", bits, frequencies), [1, 1, 0], "the codes of those bits")
    expect_equal(call("decode_codes", [*bits, 1, 1, 1], frequencies), [1, 1, 0], "the codes when more bits follow")
