"""Griffin-Lim with gaps: the hidden checks."""

import torch

from autograder.checks import check, expect_close, fail, integer
from autograder.tasks.a13_sound_to_log_mel.oracles import rounds_of
from autograder.tasks.a13_sound_to_log_mel.visible.phase import found, hann, spectrum_of


def problem(rng, share, size=32, hop=8, length=160):
    """Magnitudes of a sound, of which a share is known, and a phase to start with."""
    x = torch.randn(length, generator=rng()).double().cumsum(0)
    x = x - x.mean()
    magnitude = spectrum_of(x, size, hop).abs()
    known = torch.rand(magnitude.shape, generator=rng()) < share
    angle = 6.28 * torch.rand(magnitude.shape, generator=rng()).double()
    angle[0], angle[-1] = 0, 0
    return x, (magnitude, known, angle, hann(size), hop, length)


def expect_rounds(call, args, rounds, what):
    waveform, errors = found(call, *args, rounds)
    want, wanted = rounds_of(*args, rounds=rounds)
    expect_close(torch.tensor(errors), torch.tensor(wanted), f"the errors {what}", 1e-5, 1e-4)
    expect_close(waveform, want, f"the waveform {what}", 1e-4 * float(want.abs().max()), 1e-4)


@check("phase", points=1)
def rounds_with_every_magnitude_known(call, rng):
    """Round by round the waveform and the errors of the text."""
    for rounds in (0, 1, 3):
        _, args = problem(rng, 2.0)
        expect_rounds(call, args, rounds, f"after {rounds} rounds")


@check("phase", points=1)
def unknown_magnitudes_are_the_sounds_own(call, rng):
    """A third of the magnitudes is missing."""
    for rounds in (1, integer(rng, 2, 4)):
        _, args = problem(rng, 0.67)
        expect_rounds(call, args, rounds, f"after {rounds} rounds, a third unknown")


@check("phase", points=1)
def other_windows_and_strides(call, rng):
    """Other sizes, and a lost packet: whole frames of which nothing is known."""
    for size, hop, length in ((64, 16, 256), (16, 2, 60), (32, 4, 120)):
        _, args = problem(rng, 2.0, size, hop, length)
        args[1][:, 4:6] = False
        expect_rounds(call, args, 2, f"of windows of {size}, every {hop}")


@check("phase", points=1)
def many_rounds_find_the_sound_up_to_its_sign(call, rng):
    """From the true phase with a little noise, most magnitudes known, the known ones are met ever better."""
    x, (magnitude, known, _, window, hop, length) = problem(rng, 0.9)
    angle = spectrum_of(x).angle() + 0.3 * torch.randn(magnitude.shape, generator=rng()).double()
    angle[0], angle[-1] = spectrum_of(x).angle()[0], spectrum_of(x).angle()[-1]
    args = magnitude, known, angle, window, hop, length
    waveform, errors = found(call, *args, 30)
    expect_close(errors[-1], rounds_of(*args, rounds=30)[1][-1], "the last of 30 errors", 1e-4, 1e-2)
    if errors[-1] > 0.5 * errors[0]:
        fail("thirty rounds should halve the error at least", got=errors[-1], want=f"below {0.5 * errors[0]:.3f}")
    expect_close(
        waveform, rounds_of(*args, rounds=30)[0], "the waveform after 30 rounds", 0.02 * float(x.abs().max()), 1e-2
    )
