"""Residual codes on a budget: the checks that a student sees and runs."""

import torch

from autograder.checks import check, expect_close, expect_equal, expect_parts, expect_tensor, explained, fail

BOOKS = [torch.tensor([[0.0], [10.0]]), torch.tensor([[-2.0], [0.0], [2.0], [4.0]])]


@check("residual")
def the_second_book_gets_what_is_left(call, rng):
    """12.1 is 10 and 2.1 left over, which is nearest to 2."""
    codes, bits = expect_parts(
        call("encode", torch.tensor([[[12.1]]]), BOOKS, torch.tensor([[2]])), "encode", "codes", "bits"
    )
    codes = expect_tensor(codes, "the codes", shape=(1, 1, 2), dtype="int", dims="B T K")
    if codes.tolist() == [[[1, 3]]]:
        fail("book 1 was given x itself, not what book 0 has left over", got=codes)
    expect_equal(codes.tolist(), [[[1, 2]]], "the codes of 12.1")
    expect_close(float(bits), 3.0, "the bits", hint="1 for a book of two vectors, 2 for one of four")


@check("residual")
def a_frame_on_half_the_budget(call, rng):
    """Counts 0, 1 and 2: the codes that are not sent are -1, and cost nothing."""
    x, counts = torch.full((1, 3, 1), 12.1), torch.tensor([[0, 1, 2]])
    codes, bits = expect_parts(call("encode", x, BOOKS, counts), "encode", "codes", "bits")
    codes = expect_tensor(codes, "the codes", shape=(1, 3, 2), dtype="int", dims="B T K")
    expect_equal(codes.tolist(), [[[-1, -1], [1, -1], [1, 2]]], "the codes")
    expect_close(float(bits), 4.0, "the bits", hint="0 + 1 + 3: what is not sent costs nothing")
    with explained(IndexError="-1 is no code: clamp it before you look up"):
        got = call("decode", codes, BOOKS)
    expect_close(got, torch.tensor([[[0.0], [10.0], [12.0]]]), "the decoded frames")
