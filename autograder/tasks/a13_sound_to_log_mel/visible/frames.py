"""Framing and its inverse: the checks that a student sees and runs."""

import torch

from autograder.checks import check, expect_close, expect_equal, expect_parts, expect_tensor, fail

COUNTING = torch.arange(1.0, 9.0)[None]


def framed(call, *args):
    """(frames, mask), of the right kinds."""
    frames, mask = expect_parts(call("frame_batch", *args), "frame_batch", "frames", "mask")
    frames = expect_tensor(frames, "the frames", shape=(None, None, None), dtype="float", dims="B T N")
    return frames, expect_tensor(mask, "the mask", shape=tuple(frames.shape[:2]), dtype=torch.bool, dims="B T")


@check("frames")
def frames_of_counting_numbers(call, rng):
    """1 to 8 in frames of four, every two samples: the first frame is 3 2 1 2."""
    frames, mask = framed(call, COUNTING, [8], 4, 2)
    first = frames[0, 0].tolist()
    if first == [1, 2, 3, 4]:
        fail("frame t is centred on sample t H: half a frame is mirrored before the first sample", got=first)
    guesses = {
        (2, 1, 1, 2): "mirror without repeating the first sample: 3 2 comes before 1 2 3",
        (1, 1, 1, 2): "mirror the samples after the first one, which is not repeated: 3 2 comes before 1 2 3",
        (0, 0, 1, 2): "half a frame is mirrored before the first sample, not filled with zeros: 3 2 comes before 1 2 3",
        (2, 3, 1, 2): "mirror: what is nearest stays nearest, 3 2 comes before 1 2 3",
    }
    if tuple(first) in guesses:
        fail(guesses[tuple(first)], got=first, want=[3, 2, 1, 2])
    want = torch.tensor([[3, 2, 1, 2], [1, 2, 3, 4], [3, 4, 5, 6], [5, 6, 7, 8], [7, 8, 7, 6]]).float()
    expect_close(frames[0], want, "the frames", dims="T N")
    expect_equal(mask[0].tolist(), [True] * 5, "the mask")


@check("frames")
def a_shorter_recording_ends_where_it_ends(call, rng):
    """The second recording has five samples; behind them stand thousands."""
    waveforms = torch.stack([COUNTING[0], COUNTING[0].where(torch.arange(8) < 5, torch.tensor(1000.0))])
    frames, mask = framed(call, waveforms, [8, 5], 4, 2)
    if bool((frames[1] > 100).any()):
        fail("a recording is mirrored at its own end, lengths[b], not at the end of the row", got=frames[1])
    expect_close(frames[1, 2], torch.tensor([3.0, 4, 5, 4]), "the last frame of the second recording")
    expect_equal(mask.sum(1).tolist(), [5, 3], "frames of each recording", hint="1 + lengths[b] // hop")


@check("frames")
def what_was_framed_comes_back(call, rng):
    """Frames times a window, laid down again."""
    frames, mask = framed(call, COUNTING, [8], 4, 2)
    window = torch.tensor([0.5, 1.0, 1.0, 0.5])
    got = call("unframe_batch", frames * window, mask, window, 2, [8])
    expect_close(got, COUNTING, "the waveform", hint="multiply by the window again, divide by the sum of its squares")


@check("frames")
def a_sample_in_no_frame_is_zero(call, rng):
    """Two frames of two samples, four samples apart: of 1 to 7 only the first, the fourth and the fifth come back."""
    frames, mask = torch.tensor([[[2.0, 1.0], [4.0, 5.0]]]), torch.ones(1, 2, dtype=torch.bool)
    got = call("unframe_batch", frames, mask, torch.ones(2), 4, [7])
    got = expect_tensor(got, "the waveform", shape=(1, 7), dtype="float", dims="B S")
    hint = "where no frame lies the weight is 0, and the sample too"
    expect_close(got[0], torch.tensor([1.0, 0, 0, 4, 5, 0, 0]), "the waveform", hint=hint)
