"""The best path with times: the hidden checks."""

import torch

from autograder.checks import check, expect_close, expect_equal, fail, integer
from autograder.tasks.a14_speech_recognition.oracles import log_softmax, spans_of


def compared(call, log_probs, lengths, blank):
    got = call("transcribe", log_probs, lengths, blank)
    if not isinstance(got, list) or len(got) != len(lengths) or not all(isinstance(one, list) for one in got):
        fail(f"a list of {len(lengths)} lists is wanted, one for each utterance", got=got)
    for row, length, spans in zip(log_probs, lengths, got, strict=True):
        want = spans_of(row, length, blank)
        if not all(isinstance(one, tuple) and len(one) == 4 for one in spans):
            fail("each label is a tuple (label, first, end, confidence)", got=spans)
        expect_equal([tuple(one[:3]) for one in spans], [one[:3] for one in want], "labels and frames")
        for one, wanted in zip(spans, want, strict=True):
            expect_close(float(one[3]), wanted[3], f"the confidence of {one[:3]}", 1e-6)


def held(rng, batch, frames, size):
    """Utterances whose frames often repeat the one before, so that spans are long."""
    rows = torch.stack([log_softmax(rng, frames, size) for _ in range(batch)])
    keep = torch.rand(batch, frames, generator=rng()) < 0.5
    for t in range(1, frames):
        rows[:, t] = torch.where(keep[:, t, None], rows[:, t - 1] * 0.9, rows[:, t])
    return rows.log_softmax(-1)


def twice_said(rows, blank):
    """With a label, the blank and the same label again in the first frames of every utterance."""
    other = (blank + 1) % rows.shape[-1]
    for t, label in enumerate((other, blank, other)):
        rows[:, t] = -9.0
        rows[:, t, label] = 0.0
    return rows.log_softmax(-1)


@check("transcribe", points=1)
def random_utterances(call, rng):
    """Any label the blank, spans of all lengths."""
    for size in (3, 6):
        blank = integer(rng, 1, size - 2)  # neither the first nor the last
        compared(call, twice_said(held(rng, 3, 25, size), blank), [25, 25, 25], blank)


@check("transcribe", points=1)
def padding_says_nothing(call, rng):
    """Frames behind an utterance hold nan, or the label that it ended with; one utterance is empty."""
    rows, lengths = twice_said(held(rng, 4, 16, 4), 0), [16, integer(rng, 3, 12), 0, 1]
    rows[1, lengths[1] :] = rows[1, lengths[1] - 1]
    rows[2:, 1:] = torch.nan
    compared(call, rows, lengths, 0)


@check("transcribe", points=1)
def the_first_of_equal_labels_and_the_least_sure_frame(call, rng):
    """Frames in which two labels are equally likely, and a label said for long with falling confidence."""
    p = torch.tensor([[0.4, 0.4, 0.2], [0.1, 0.45, 0.45], [0.05, 0.9, 0.05], [0.2, 0.6, 0.2], [0.3, 0.3, 0.4]])
    for blank in (0, 1, 2):
        order = torch.randperm(5, generator=rng())
        rows = torch.stack([p, p[order]]).double().log()
        rows = torch.cat([twice_said(torch.zeros(2, 3, 3, dtype=torch.float64), blank), rows], dim=1)
        compared(call, rows, [8, 8], blank)
