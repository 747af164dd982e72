"""Whisper's log-mel for a batch: the checks that a student sees and runs."""

import math

import torch

from autograder.checks import check, expect_close, expect_tensor, fail


def features(call, waveforms, lengths, filters):
    """What the front end gives, of the right shape."""
    shape = (len(lengths), len(filters), max(lengths) // 160)
    return expect_tensor(call("log_mel", waveforms, lengths, filters), "the features", shape, "float", "B M T")


def bins(*numbers):
    """A filter for each number: that bin alone."""
    filters = torch.zeros(len(numbers), 201)
    filters[range(len(numbers)), list(numbers)] = 1.0
    return filters


@check("logmel")
def a_tone_in_its_bin(call, rng):
    """A tone of 1000 Hz, which is bin 25, and a band far from it."""
    tone = torch.sin(2 * math.pi * 1000 * torch.arange(1600) / 16000)[None]
    got = features(call, tone, [1600], bins(25, 100))
    want = math.log10(100**2)  # half of the window's sum, 200, squared
    middle = got[0, :, 5]
    for value, meaning in (
        ((math.log10(100) + 4) / 4, "square the magnitude: power, not magnitude"),
        ((want * math.log(10) + 4) / 4, "the logarithm has base 10"),
        (want, "the last step is missing: (L + 4) / 4"),
    ):
        if abs(float(middle[0]) - value) < 1e-3:
            fail(meaning, got=middle)
    expect_close(middle[0], (want + 4) / 4, "the band of the tone", 1e-3, 1e-3)
    hint = "nothing is more than 8 below the loudest"
    expect_close(middle[1], (want - 8 + 4) / 4, "the other band", 1e-3, 1e-3, hint)


@check("logmel")
def a_quiet_recording_beside_a_loud_one(call, rng):
    """The same noise, once 100 dB quieter and shorter: its own maximum counts, not the batch's."""
    noise = torch.randn(1600, generator=rng())
    batch = torch.stack([noise, 1e-5 * noise])
    batch[1, 800:] = 5.0
    got = features(call, batch, [1600, 800], bins(10, 50, 90))
    alone = features(call, batch[1:, :800], [800], bins(10, 50, 90))
    hint = "end, maximum and number of frames are each recording's own"
    expect_close(got[1, :, :5], alone[0], "the quiet recording in a batch and alone", 1e-5, 1e-5, hint)
    loudest = 4 * float(alone.max()) - 4
    silence = torch.full((3, 5), (max(-10.0, loudest - 8) + 4) / 4)
    hint = "behind a recording stands silence: the floor 10^-10 through step 4, with the recording's own maximum"
    expect_close(got[1, :, 5:], silence, "what is behind the quiet recording", 1e-4, 1e-4, hint)
