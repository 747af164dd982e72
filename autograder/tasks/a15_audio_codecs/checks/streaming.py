"""A convolution that streams: the hidden checks."""

import torch

from autograder.checks import check, expect_close, expect_equal, expect_parts, expect_tensor, explained, fail, integer
from autograder.tasks.a15_audio_codecs.oracles import causal_outputs, normal, numbers_in

SHAPES = ((7, 1, 1), (3, 1, 4), (8, 4, 1), (5, 5, 1), (4, 3, 2), (1, 1, 1))


LOST = dict.fromkeys(
    ("KeyError", "IndexError"),
    "what was kept elsewhere than in the state is gone: this call came to a new process",
)


def run(call, x, lengths, weight, bias, stride, dilation, forget_at=None):
    """The outputs of chunks of these lengths, and the states; chunk `forget_at` comes to a new process."""
    outputs, states, state, at = [], [], None, 0
    for number, length in enumerate(lengths):
        if number == forget_at:
            call.forget()
        with explained(**(LOST if number == forget_at else {})):
            got = call("push", x[..., at : at + length], state, weight, bias, stride, dilation)
        y, state = expect_parts(got, "push", "y", "state")
        outputs.append(y)
        states.append(state)
        at += length
    return outputs, states


@check("streaming", points=1)
def any_chunks_give_the_whole(call, rng):
    """Random chunk lengths, several kernels, strides and dilations, against the sum written out."""
    for kernel, stride, dilation in SHAPES:
        weight, bias, x = normal(rng, 3, 2, kernel), normal(rng, 3), normal(rng, 2, 2, 40)
        lengths = [integer(rng, 1, 9) for _ in range(4)]
        lengths.append(40 - sum(lengths))
        outputs, _ = run(call, x, lengths, weight, bias, stride, dilation, forget_at=3 if kernel == 5 else None)
        want = causal_outputs(x, weight, bias, stride, dilation)
        got = expect_tensor(torch.cat(outputs, -1), "the outputs", shape=tuple(want.shape), dtype="float")
        expect_close(got, want, f"kernel {kernel}, stride {stride}, dilation {dilation}", 1e-4, 1e-4)


@check("streaming", points=1)
def sample_by_sample_and_not_one_late(call, rng):
    """Every output comes with the sample that completes it; empty chunks change nothing."""
    for kernel, stride, dilation in ((5, 1, 1), (6, 3, 1), (3, 2, 2)):
        weight, bias, x = normal(rng, 1, 1, kernel), normal(rng, 1), normal(rng, 1, 1, 12)
        last = 12 if kernel == 6 else None
        outputs, _ = run(call, x, [1, 0, *[1] * 11], weight, bias, stride, dilation, forget_at=last)
        expect_tensor(outputs.pop(1), "the outputs of an empty chunk", shape=(1, 1, 0), dtype="float", dims="B C m")
        counts = [one.shape[-1] for one in outputs]
        want = [int((i + 1) % stride == 0) for i in range(12)]
        expect_equal(counts, want, f"outputs after each sample, kernel {kernel}, stride {stride}")
        whole = causal_outputs(x, weight, bias, stride, dilation)
        expect_close(torch.cat(outputs, -1), whole, "the outputs", 1e-4, 1e-4)


@check("streaming", points=1)
def two_streams_do_not_mix(call, rng):
    """Two streams in turn, the last chunks in another process: all that a stream needs is in its state."""
    weight, bias = normal(rng, 2, 1, 4), normal(rng, 2)
    xs, states, outputs = [normal(rng, 1, 1, 15) for _ in range(2)], [None, None], [[], []]
    for at in range(0, 15, 3):
        if at == 12:
            call.forget()
        for i in range(2):
            y, states[i] = expect_parts(
                call("push", xs[i][..., at : at + 3], states[i], weight, bias, 2, 1), "push", "y", "state"
            )
            outputs[i].append(y)
    for x, ys in zip(xs, outputs, strict=True):
        expect_close(torch.cat(ys, -1), causal_outputs(x, weight, bias, 2, 1), "the outputs of a stream", 1e-4, 1e-4)


@check("streaming", points=1)
def the_state_does_not_grow(call, rng):
    """The numbers that the state holds, counted after long chunks and after many short ones, wherever they are kept."""
    for kernel, stride, dilation in ((7, 1, 1), (8, 4, 1), (3, 1, 5)):
        weight, bias, x = normal(rng, 1, 2, kernel), normal(rng, 1), normal(rng, 1, 2, 300)
        limit = 2 * ((kernel - 1) * dilation + stride) + 4
        for lengths in ([200, 100], [7] * 42):
            last = len(lengths) - 1 if kernel == 7 else None
            outputs, states = run(call, x, lengths, weight, bias, stride, dilation, forget_at=last)
            most = max(numbers_in(state) for state in states)
            if most > limit:
                fail(f"the state holds {most} numbers, at most {limit} are allowed: keep what the next output needs")
        want = causal_outputs(x[..., :294], weight, bias, stride, dilation)
        expect_close(torch.cat(outputs, -1), want, "the outputs of many short chunks", 1e-4, 1e-4)
