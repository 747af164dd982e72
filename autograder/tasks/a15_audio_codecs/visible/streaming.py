"""A convolution that streams: the checks that a student sees and runs."""

import torch

from autograder.checks import check, expect_close, expect_parts, expect_tensor, fail

ADD, ZERO = torch.ones(1, 1, 2), torch.zeros(1)


@check("streaming")
def chunks_give_what_the_whole_gives(call, rng):
    """Kernel (1, 1): each output is a sample and the one before it."""
    first, state = expect_parts(
        call("push", torch.tensor([[[1.0, 2.0, 3.0]]]), None, ADD, ZERO, 1, 1), "push", "y", "state"
    )
    first = expect_tensor(first, "the outputs", shape=(1, 1, 3), dtype="float", dims="B C m")
    expect_close(first, torch.tensor([[[1.0, 3.0, 5.0]]]), "the first outputs", 1e-5, hint="0 stands before the first")
    second, _ = expect_parts(call("push", torch.tensor([[[4.0]]]), state, ADD, ZERO, 1, 1), "push", "y", "state")
    if abs(float(second[0, 0, 0]) - 4.0) < 1e-5:
        fail("the second chunk was padded anew: what stood before it is the end of the first", got=second)
    expect_close(second, torch.tensor([[[7.0]]]), "the output of the second chunk", 1e-5)


@check("streaming")
def a_stride_waits_for_its_samples(call, rng):
    """Kernel 2, stride 2: no output from one sample, one from the second."""
    none, state = expect_parts(call("push", torch.tensor([[[1.0]]]), None, ADD, ZERO, 2, 1), "push", "y", "state")
    expect_tensor(none, "the outputs of one sample", shape=(1, 1, 0), dtype="float", dims="B C m")
    one, _ = expect_parts(call("push", torch.tensor([[[5.0]]]), state, ADD, ZERO, 2, 1), "push", "y", "state")
    one = expect_tensor(one, "the outputs of the second sample", shape=(1, 1, 1), dtype="float", dims="B C m")
    expect_close(one, torch.tensor([[[6.0]]]), "the output", 1e-5)
