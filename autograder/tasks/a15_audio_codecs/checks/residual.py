"""Residual codes on a budget: the hidden checks."""

import math

import torch

from autograder.checks import check, expect_close, expect_equal, expect_parts, expect_tensor, integer
from autograder.tasks.a15_audio_codecs.oracles import normal, residual_codes


def books_of(rng, sizes, width):
    return [normal(rng, size, width) * 0.6**k for k, size in enumerate(sizes)]


@check("residual", points=1)
def codes_are_those_of_a_search_frame_by_frame(call, rng):
    """Books of different sizes, counts of all kinds."""
    for sizes, width in (((5, 3, 9), 4), ((2, 16), 1), ((7,), 6)):
        books, x = books_of(rng, sizes, width), normal(rng, 2, 5, width)
        counts = torch.randint(len(sizes) + 1, (2, 5), generator=rng())
        codes, _ = expect_parts(call("encode", x, books, counts), "encode", "codes", "bits")
        codes = expect_tensor(codes, "the codes", shape=(2, 5, len(sizes)), dtype="int", dims="B T K")
        rows = zip(x, counts, strict=True)
        want = [[residual_codes(f, books, int(c)) for f, c in zip(*row, strict=True)] for row in rows]
        expect_equal(codes.tolist(), want, "the codes")


@check("residual", points=1)
def bits_are_counted_code_by_code(call, rng):
    """Sizes that are no powers of two as well."""
    sizes = (5, 8, integer(rng, 9, 30))
    counts = torch.randint(4, (3, 6), generator=rng())
    _, bits = expect_parts(
        call("encode", normal(rng, 3, 6, 2), books_of(rng, sizes, 2), counts), "encode", "codes", "bits"
    )
    want = sum(math.log2(size) for count in counts.flatten().tolist() for size in sizes[:count])
    expect_close(float(bits), want, "the bits", 1e-3)


@check("residual", points=1)
def decoding_adds_what_is_named(call, rng):
    """Random codes with -1 among them, and fewer rows than books."""
    books = books_of(rng, (4, 6, 5), 3)
    counts = torch.randint(3, (2, 7), generator=rng())
    codes = torch.stack([torch.randint(len(book), (2, 7), generator=rng()) for book in books[:2]], dim=-1)
    codes = torch.where(torch.arange(2) < counts[..., None], codes, -1)
    got = expect_tensor(call("decode", codes, books), "the decoded frames", shape=(2, 7, 3), dtype="float")
    want = torch.stack([sum(books[k][c] for k, c in enumerate(row) if c >= 0) + torch.zeros(3)
                        for row in codes.flatten(0, 1).tolist()]).view(2, 7, 3)  # fmt: skip
    expect_close(got, want, "the decoded frames", 1e-5)


@check("residual", points=1)
def a_larger_budget_begins_with_the_same_codes(call, rng):
    """The first codes do not depend on how many follow."""
    books, x = books_of(rng, (4, 4, 4), 3), normal(rng, 1, 6, 3)
    few, _ = expect_parts(call("encode", x, books, torch.full((1, 6), 1)), "encode", "codes", "bits")
    many, _ = expect_parts(call("encode", x, books, torch.full((1, 6), 3)), "encode", "codes", "bits")
    few, many = (expect_tensor(one, "the codes", shape=(1, 6, 3), dtype="int", dims="B T K") for one in (few, many))
    expect_equal(many[..., :1].tolist(), few[..., :1].tolist(), "the first codes of a larger budget")
    expect_equal(many[0].tolist(), [residual_codes(frame, books, 3) for frame in x[0]], "the codes of a larger budget")
    expect_equal(few[..., 1:].unique().tolist(), [-1], "the codes that are not sent")
