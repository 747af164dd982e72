"""Framing and its inverse: the hidden checks."""

import torch

from autograder.checks import check, expect_close, expect_equal, expect_tensor, fail, integer
from autograder.tasks.a13_sound_to_log_mel.oracles import batch_of, frames_of, normal
from autograder.tasks.a13_sound_to_log_mel.visible.frames import framed

SIZES = ((8, 3), (6, 6), (4, 1), (10, 4))  # frame, hop


@check("frames", points=1)
def every_recording_has_its_own_frames(call, rng):
    """Batches of unequal recordings, against frames cut sample by sample."""
    for size, hop in SIZES:
        waveforms, lengths = batch_of(rng, *(integer(rng, size, 40) for _ in range(3)))
        frames, mask = framed(call, waveforms, lengths, size, hop)
        counts = [1 + length // hop for length in lengths]
        expect_equal(mask.tolist(), [[t < n for t in range(max(counts))] for n in counts], "the mask")
        for b, (length, count) in enumerate(zip(lengths, counts, strict=True)):
            want = frames_of(waveforms[b, :length], size, hop)
            expect_close(frames[b, :count], want, f"frames of recording {b} of {length} samples", dims="T N")


@check("frames", points=1)
def behind_the_last_frame_there_is_nothing(call, rng):
    """Rows without a frame are 0, and nothing of the padding is in any frame."""
    waveforms, lengths = batch_of(rng, 30, 9, 17)
    frames, mask = framed(call, waveforms, lengths, 8, 4)
    if bool((frames[~mask] != 0).any()):
        fail("a recording that has no more frames has zeros there", got=frames[~mask])
    moved = waveforms.clone()
    for row, length in zip(moved, lengths, strict=True):
        row[length:] += 7
    expect_close(framed(call, moved, lengths, 8, 4)[0], frames, "the frames when what is behind the ends changes")
    last = frames_of(waveforms[1, :9], 8, 4)[-1]
    expect_close(frames[1, 2], last, "the last frame of the shortest recording")


@check("frames", points=1)
def the_inverse_gives_the_recordings_back(call, rng):
    """From frames of ours, whatever the window is."""
    for size, hop in ((8, 3), (4, 1), (10, 4)):
        waveforms, lengths = batch_of(rng, *(integer(rng, size, 40) for _ in range(3)))
        window = normal(rng, size).abs() + 0.1
        frames, mask, want = of_ours(waveforms, lengths, size, hop, window)
        got = expect_tensor(call("unframe_batch", frames, mask, window, hop, lengths), "the waveforms", dtype="float")
        expect_equal(tuple(got.shape), (3, max(lengths)), "the shape of the waveforms")
        for b, n in enumerate(lengths):
            expect_close(got[b, :n], want[b, :n], f"recording {b}", 1e-4, 1e-4, "y times w, over the sum of w squared")
            expect_close(got[b, lengths[b] :], torch.zeros(max(lengths) - lengths[b]), "what is behind a recording")


@check("frames", points=1)
def frames_that_no_sound_has_are_averaged(call, rng):
    """Random frames: each sample is the weighted mean of what the real frames say; others do not count."""
    expect_mean(call, rng, 6, 2, [14, 7], torch.tensor([0.0, 0.5, 1.0, 1.5, 0.7, 0.0]))


@check("frames", points=1)
def samples_in_no_frame_are_zero(call, rng):
    """Frames that do not overlap, under a window that begins with 0: some samples are in no frame, or weigh nothing."""
    expect_mean(call, rng, 6, 6, [23, 11], torch.tensor([0.0, 0.5, 1.0, 1.5, 0.7, 0.4]))
    expect_mean(call, rng, 4, 6, [20, 9], torch.tensor([1e-5, 0.5, 1.0, 1.5]))


def expect_mean(call, rng, size, hop, lengths, window):
    """Samples one by one from random frames."""
    count = 1 + max(lengths) // hop
    mask = torch.tensor([[t < 1 + n // hop for t in range(count)] for n in lengths])
    frames = normal(rng, len(lengths), count, size)
    got = call("unframe_batch", frames, mask, window, hop, lengths)
    want = torch.zeros(len(lengths), max(lengths))
    for b, length in enumerate(lengths):
        for m in range(length):
            offsets = [(t, m + size // 2 - t * hop) for t in range(count) if mask[b, t]]
            inside = [(t, n) for t, n in offsets if 0 <= n < size]
            weight = sum(float(window[n]) ** 2 for _, n in inside)
            if weight >= 1e-8:
                want[b, m] = sum(float(window[n] * frames[b, t, n]) for t, n in inside) / weight
    hint = "rows behind the mask are no frames, and where the weight is below 1e-8 the sample is 0"
    expect_close(got, want, "the waveforms", 1e-4, 1e-4, hint)


def of_ours(waveforms, lengths, size, hop, window):
    """(windowed frames with rubbish behind the mask, mask, recordings)."""
    counts = [1 + length // hop for length in lengths]
    frames = torch.full((len(lengths), max(counts), size), 1e3)
    for b, (length, count) in enumerate(zip(lengths, counts, strict=True)):
        frames[b, :count] = frames_of(waveforms[b, :length], size, hop) * window
    mask = torch.tensor([[t < count for t in range(max(counts))] for count in counts])
    return frames, mask, waveforms
