"""Griffin-Lim with gaps: the checks that a student sees and runs."""

import math
from itertools import pairwise

import torch

from autograder.checks import check, expect_close, expect_parts, expect_tensor, fail

SIZE, HOP = 32, 8
STILL = "nothing moves: a round keeps the phase of the new spectrum and puts the known magnitudes back"


def hann(size):
    return 0.5 - 0.5 * torch.cos(2 * math.pi * torch.arange(size).double() / size)


def spectrum_of(x, size=SIZE, hop=HOP):
    return torch.stft(x, size, hop, window=hann(size), return_complex=True)


def found(call, *args):
    """(waveform, errors) of the right kinds."""
    waveform, errors = expect_parts(call("griffin_lim", *args), "griffin_lim", "waveform", "errors")
    waveform = expect_tensor(waveform, "the waveform", shape=(args[5],), dtype="float")
    if not isinstance(errors, list | tuple) or not all(isinstance(e, float) for e in errors):
        fail("errors is a list of floats, one for each round", got=errors)
    if len(errors) != args[6]:
        fail("errors has a number for each round", got=len(errors), want=args[6])
    return waveform, errors


@check("phase")
def the_right_phase_is_kept(call, rng):
    """All magnitudes known and the true phase to start with: the sound comes back, the error is 0."""
    x = torch.sin(torch.arange(160).double() * 0.3) + 0.1 * torch.randn(160, generator=rng()).double()
    true = spectrum_of(x)
    known = torch.ones(true.shape, dtype=torch.bool)
    for rounds in (0, 2):
        waveform, errors = found(call, true.abs(), known, true.angle(), hann(SIZE), HOP, 160, rounds)
        expect_close(waveform, x, f"the waveform after {rounds} rounds", 1e-6, 1e-6)
        expect_close(torch.tensor(errors), torch.zeros(rounds), "the errors", 1e-6)


@check("phase")
def errors_fall(call, rng):
    """From a phase of zeros, all magnitudes known, the error never rises."""
    x = torch.randn(160, generator=rng()).double()
    magnitude = spectrum_of(x).abs()
    known = torch.ones(magnitude.shape, dtype=torch.bool)
    _, errors = found(call, magnitude, known, torch.zeros_like(magnitude), hann(SIZE), HOP, 160, 8)
    if not 0.01 < errors[0] < 2:
        fail("the error is relative: divide by the norm of the magnitudes", got=errors[0])
    if any(b > a + 1e-9 for a, b in pairwise(errors)):
        fail("the error rose: keep the phase of the new spectrum and put the magnitude back", got=errors)
    if errors[-1] > 0.95 * errors[0]:
        fail(STILL, errors=errors)


@check("phase")
def gaps_are_filled_from_round_to_round(call, rng):
    """From the true phase with one frame lost, six rounds bring the error down by half."""
    x = torch.randn(160, generator=rng()).double()
    true = spectrum_of(x)
    known = torch.ones(true.shape, dtype=torch.bool)
    known[:, 10] = False
    _, errors = found(call, true.abs(), known, true.angle(), hann(SIZE), HOP, 160, 6)
    if errors[0] < 1e-9:
        fail("numbers where nothing is known were used: there the spectrum starts with 0", errors=errors)
    if abs(errors[-1] - errors[0]) < 1e-9:
        fail(STILL, errors=errors)
    if errors[-1] > 0.7 * errors[0]:
        fail("where nothing is known, the new spectrum's own magnitude stays", errors=errors)


@check("phase")
def the_waveform_comes_after_the_last_round(call, rng):
    """The error of round 2 is that of the waveform which one round gives."""
    magnitude = spectrum_of(torch.randn(160, generator=rng()).double()).abs()
    known = torch.ones(magnitude.shape, dtype=torch.bool)
    args = magnitude, known, torch.zeros_like(magnitude), hann(SIZE), HOP, 160
    waveform, errors = *found(call, *args, 1)[:1], found(call, *args, 2)[1]
    off = (spectrum_of(waveform.double()).abs() - magnitude).norm() / magnitude.norm()
    hint = "after the last round its spectrum is turned into a waveform once more"
    expect_close(float(off), errors[1], "the error of the waveform after one round", 1e-5, 1e-4, hint)


@check("phase")
def what_is_unknown_does_not_matter(call, rng):
    """Numbers where nothing is known change nothing."""
    magnitude = torch.rand(17, 21, generator=rng()).double() + 0.1
    known = torch.rand(17, 21, generator=rng()) < 0.7
    angle = 6 * torch.rand(17, 21, generator=rng()).double()
    args = known, angle, hann(SIZE), HOP, 160, 2
    waveform, errors = found(call, magnitude, *args)
    again, errors_again = found(call, magnitude.where(known, torch.tensor(99.0).double()), *args)
    expect_close(again, waveform, "the waveform when unknown magnitudes change", 1e-6, hint="use them only where known")
    expect_close(torch.tensor(errors_again), torch.tensor(errors), "the errors when unknown magnitudes change", 1e-6)
