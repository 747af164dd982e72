"""A decoder that streams: the hidden checks."""

import torch

from autograder.checks import check, expect_equal, expect_parts, fail, integer
from autograder.tasks.a14_speech_recognition.oracles import common, log_softmax, numbers_in, searched


def speech(rng, frames, size, blank):
    """Frames of which most are the blank, some a label, a few undecided."""
    log_probs = log_softmax(rng, frames, size, 3.0)
    quiet = torch.rand(frames, generator=rng()) < 0.5
    log_probs[quiet, blank] += 5.0
    return log_probs.log_softmax(-1)


def run(call, log_probs, lengths, width, blank):
    """Labels after each chunk, what is left, and the largest state beside what it may hold."""
    after = searched(log_probs, width, blank)
    shown, state, at, kept = [], None, 0, [()]
    for length in lengths:
        chunk = log_probs[at : at + length]
        labels, state = expect_parts(call("feed", state, chunk, width, blank), "feed", "labels", "state")
        shown += [int(label) for label in labels]
        at += length
        kept = list(after[at - 1]) if at else [()]
        settled = common(kept)
        if shown != settled:
            what = "a caption changed" if shown[: len(settled)] != settled[: len(shown)] else "the labels so far"
            expect_equal(shown, settled, f"{what}, after {at} frames with width {width}")
        limit = width * (max(map(len, kept)) - len(settled) + 4) + 8
        if numbers_in(state) > limit:
            fail(f"the state holds {numbers_in(state)} numbers after {at} frames, at most {limit} are allowed")
    rest = [int(label) for label in call("finish", state)]
    expect_equal(shown + rest, list(kept[0]), "the whole transcript")


def sure(rng, path):
    """Frames in which hardly anything but the path is said."""
    p = 0.9 + 0.09 * float(torch.rand((), generator=rng()))
    rows = torch.full((len(path), 3), (1 - p) / 2, dtype=torch.float64)
    rows[range(len(path)), list(path)] = p
    return rows.log()


@check("stream", points=1)
def any_chunks_give_the_whole(call, rng):
    """Random chunks, several widths, any label the blank; labels come as soon as they are settled."""
    for width, size in ((1, 4), (3, 5), (8, 3)) * 5:
        blank = integer(rng, 0, size - 1)
        lengths = [integer(rng, 1, 7) for _ in range(8)]
        run(call, speech(rng, sum(lengths), size, blank), lengths, width, blank)
    run(call, sure(rng, (1, 1, 1, 1)), [1] * 4, 1, 0)


@check("stream", points=1)
def frame_by_frame_with_empty_chunks(call, rng):
    """One frame at a time, with chunks of none between."""
    for _ in range(8):
        run(call, speech(rng, 30, 4, 0), [0, 1, 0, *[1] * 29], 5, 0)


@check("stream", points=1)
def equal_labels_across_chunks(call, rng):
    """A label goes on over the end of a chunk, or is said again after a blank, when it was already returned."""
    for path in ((1, 1, 1, 1), (1, 0, 1, 1), (1, 1, 0, 0, 1), (2, 2, 2, 0, 2)):
        run(call, sure(rng, path), [1] * len(path), 1, 0)


@check("stream", points=1, deadline_s=40)
def a_long_speech_in_small_chunks(call, rng):
    """Six hundred frames, one at a time: neither the state nor the time of a chunk may grow."""
    run(call, speech(rng, 600, 4, 0), [1] * 600, 4, 0)
