"""The shortest bits of an interval: the hidden checks."""

from fractions import Fraction

import torch

from autograder.checks import check, expect_equal, fail, integer
from autograder.checks.expect import CheckFailed
from autograder.tasks.a15_audio_codecs.oracles import bits_by_search, interval_of


def random_codes(rng, count, size, zeros=False):
    """(codes, frequencies) of a message whose codes may occur."""
    frequencies, codes = [], []
    for _ in range(count):
        counts = torch.randint(0 if zeros else 1, 9, (size,), generator=rng()).tolist()
        counts[integer(rng, 0, size - 1)] += 1
        codes.append(next(k for k in torch.randperm(size, generator=rng()).tolist() if counts[k]))
        frequencies.append(counts)
    return codes, frequencies


@check("bits", points=1)
def shortest_and_smallest(call, rng):
    """Random intervals against a search through all strings of bits."""
    for _ in range(12):
        a, b = integer(rng, 0, 500), integer(rng, 0, 500)
        low, high = min(a, b), max(a, b) + 1
        want = bits_by_search(Fraction(low, 501), Fraction(high, 501))
        expect_equal(call("shortest_bits", low, high, 501), want, f"the bits of [{low}/501, {high}/501)")


@check("bits", points=1)
def the_interval_is_that_of_the_codes(call, rng):
    """Messages with other frequencies in every place, codes of frequency 0 among them."""
    for count, size in ((1, 5), (6, 3), (12, 7)):
        codes, frequencies = random_codes(rng, count, size, zeros=True)
        low, high = interval_of(codes, frequencies)
        got = call("encode_codes", codes, frequencies)
        expect_equal(got, bits_by_search(low, high), f"the bits of {count} codes")


@check("bits", points=1)
def decoding_needs_no_end(call, rng):
    """Whatever follows the bits, the codes are the same."""
    for count, size in ((1, 4), (8, 3), (15, 6)):
        codes, frequencies = random_codes(rng, count, size, zeros=True)
        bits = bits_by_search(*interval_of(codes, frequencies))
        for after in ([], [1] * 9, [0, 1] * 6):
            expect_equal(call("decode_codes", [*bits, *after], frequencies), codes, f"{count} codes, {after} behind")
    got = call("decode_codes", [0, 1], [[1, 1, 2], [1, 1]])  # [1/4, 1/2): its first number is an edge
    expect_equal(got, [1, 0], "the codes of a number that is an edge")


@check("bits", points=1)
def what_cannot_come_is_refused(call, rng):
    """A code of frequency 0 raises ValueError; a certain code costs no bit, alone and beside others."""
    size, count = integer(rng, 3, 7), integer(rng, 3, 6)
    codes = [integer(rng, 0, size - 1) for _ in range(count)]
    certain = [[3 * (k == code) for k in range(size)] for code in codes]
    expect_equal(call("encode_codes", codes, certain), [], "the bits of what is certain")
    expect_equal(call("decode_codes", [], certain), codes, "the codes of no bits")
    one = random_codes(rng, 1, size)
    mixed, frequencies = [*codes, *one[0], *codes], [*certain, *one[1], *certain]
    bits = bits_by_search(*interval_of(*one))
    expect_equal(call("encode_codes", mixed, frequencies), bits, "the bits of one code amid what is certain")
    expect_equal(call("decode_codes", bits, frequencies), mixed, "the codes of one amid what is certain")
    impossible = [[integer(rng, 1, 4) for _ in range(size)] for _ in codes]
    impossible[-1][codes[-1]] = 0
    try:
        got = call("encode_codes", codes, impossible)
    except CheckFailed as failure:
        if failure.raised == "ValueError":
            return
        raise
    fail("a code of frequency 0 was encoded: nobody could decode it", got=got)
