"""Whisper's log-mel for a batch: the hidden checks."""

import torch

from autograder.checks import check, expect_close, integer
from autograder.tasks.a13_sound_to_log_mel.oracles import bank_of, whisper_of
from autograder.tasks.a13_sound_to_log_mel.visible.logmel import features


def bank(bands):
    return bank_of(bands, 400, 16_000, "slaney", 0.0, 8000.0, "area").float()


def recordings(rng, *lengths, steepest=6):
    """Noise whose level rises by 20 to 20 `steepest` decibels, and rubbish behind it."""
    batch = 50 * torch.randn(len(lengths), max(lengths) + integer(rng, 0, 200), generator=rng())
    for row, length in zip(batch, lengths, strict=True):
        shape = torch.linspace(0.1, 1, length) ** integer(rng, 1, steepest)
        row[:length] = 0.3 * shape * torch.randn(length, generator=rng())
    return batch


def expect_features(call, batch, lengths, filters, what):
    got = features(call, batch, lengths, filters)
    for b, length in enumerate(lengths):
        want = whisper_of(batch[b, :length], filters, max(lengths) // 160)
        count = length // 160
        expect_close(got[b, :, :count], want[:, :count], f"{what}, recording {b} of {length} samples", 2e-4, 1e-4)
        expect_close(got[b, :, count:], want[:, count:], f"{what}, what is behind recording {b}", 2e-4, 1e-4)


@check("logmel", points=1)
def one_recording_has_whispers_numbers(call, rng):
    """One recording of any length at a time, all of it above the limit."""
    for length in (400, integer(rng, 1000, 1999), 3200):
        expect_features(call, recordings(rng, length, steepest=1), [length], bank(20), "alone")


@check("logmel", points=1)
def a_batch_gives_each_recording_what_it_has_alone(call, rng):
    """Recordings of several lengths and very different levels."""
    # ends that the last frame kept reaches over: fewer than 40 samples behind a multiple of 160
    lengths = [160 * integer(rng, low, high) + integer(rng, 0, 30) for low, high in ((3, 5), (10, 15), (6, 9))]
    batch = recordings(rng, *lengths)
    batch[0, : lengths[0]] *= 1e-2
    batch[2, : lengths[2]] *= 20
    expect_features(call, batch, lengths, bank(12), "in a batch")


@check("logmel", points=1)
def silence_behind_a_recording_has_its_value(call, rng):
    """A loud recording's floor is its own, 80 dB below; a faint one's is the absolute one."""
    lengths = [400, 2000, 490]
    batch = recordings(rng, *lengths, steepest=1)
    batch[2, :490] *= 1e-6
    expect_features(call, batch, lengths, bank(8), "with silence behind")


@check("logmel", points=1)
def quiet_values_are_cut_at_eighty_decibels(call, rng):
    """A click in near silence: most frames lie at the limit."""
    batch = 1e-6 * torch.randn(2, 1700, generator=rng())
    batch[:, 160 * integer(rng, 2, 8)] = 0.9  # in the middle of a frame, so that the limit lies above the floor
    expect_features(call, batch, [1700, 1500], bank(16), "a click")
