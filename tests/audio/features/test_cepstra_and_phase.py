"""MFCCs against SciPy and torchaudio, Griffin-Lim against torchaudio and its own guarantees."""

from unittest import mock

import numpy as np
import pytest
import scipy.fft
import torch
import torchaudio

from nimblelm.audio.features.griffin_lim import griffin_lim, inconsistency, magnitude_of_mel
from nimblelm.audio.features.mel import mel_filters
from nimblelm.audio.features.mel_spectrum import MelConfig, compressed, mel_spectrum
from nimblelm.audio.features.mfcc import dct_matrix, mean_normalised, mfcc, smooth_log_mel
from nimblelm.audio.features.stft import stft
from nimblelm.audio.features.windows import window
from nimblelm.data.voices import clip, sound

WINDOW = window("hann", 512)


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("size", [1, 5, 40, 80])
def test_the_cosine_transform_is_scipys(size):
    x = noise(size)
    np.testing.assert_allclose((dct_matrix(size, size) @ x).numpy(), scipy.fft.dct(x.numpy(), norm="ortho"), atol=1e-12)


@pytest.mark.parametrize("shape", [(40, 7), (2, 23, 5), (2, 1, 80, 1)])
def test_mfcc_is_scipys_and_all_of_them_give_the_spectrum_back(shape):
    log_mel = noise(*shape)
    theirs = scipy.fft.dct(log_mel.numpy(), axis=-2, norm="ortho")[..., :13, :]
    np.testing.assert_allclose(mfcc(log_mel).numpy(), theirs, atol=1e-12)
    whole = mfcc(log_mel, shape[-2])
    torch.testing.assert_close(smooth_log_mel(whole, shape[-2]), log_mel)


def test_mfcc_of_a_sound_is_torchaudios():
    x = noise(16_000).float() * 0.1
    options = {"n_fft": 400, "hop_length": 160, "n_mels": 40, "mel_scale": "slaney", "norm": "slaney"}
    theirs = torchaudio.transforms.MFCC(16_000, 20, log_mels=True, melkwargs=options)(x)
    ours = mfcc((mel_spectrum(x, MelConfig(40)) + 1e-6).log(), 20)
    torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=1e-4)


def test_few_coefficients_are_the_closest_smooth_spectrum():
    log_mel = noise(40, 3)
    kept = smooth_log_mel(mfcc(log_mel, 13), 40)
    rest = log_mel - kept
    torch.testing.assert_close(kept.square().sum() + rest.square().sum(), log_mel.square().sum())


def test_a_filter_of_the_line_is_taken_out_by_the_mean():
    x = noise(40, 50)
    line = noise(40, 1)
    torch.testing.assert_close(mean_normalised(x + line), mean_normalised(x))


def voice() -> torch.Tensor:
    return sound(clip("june", "fr", "number 7"), trim=True)


@pytest.mark.parametrize("momentum", [0.0, 0.99])
def test_griffin_lim_is_torchaudios_from_the_same_phase(momentum):
    x = voice()[:9_000]
    magnitude = stft(x, WINDOW, 128).abs()
    theirs = torchaudio.functional.griffinlim(
        magnitude, WINDOW, 512, 128, 512, 1.0, 12, momentum, 9_000 // 128 * 128, rand_init=False
    )
    ours = _from_zero_phase(magnitude, momentum, 12, 9_000 // 128 * 128)
    torch.testing.assert_close(ours, theirs, atol=2e-4, rtol=1e-3)


def _from_zero_phase(magnitude, momentum, rounds, length):
    """theirs: c - m / (1 + m) c_before, which has the phase of c + m (c - c_before)."""
    with mock.patch("torch.rand", lambda *shape, **options: torch.zeros(*shape, dtype=options["dtype"])):
        return griffin_lim(magnitude, WINDOW, 128, length, rounds, momentum)


def test_without_momentum_the_error_never_rises():
    x = voice()
    magnitude, errors = stft(x, WINDOW, 128).abs(), []
    for rounds in (0, 1, 2, 4, 8, 16):
        again = griffin_lim(magnitude, WINDOW, 128, len(x), rounds, 0.0, torch.Generator().manual_seed(0))
        errors.append(inconsistency(stft(again, WINDOW, 128), magnitude))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.5 * errors[0]


def test_magnitudes_that_some_sound_has_are_reached():
    x = voice()
    magnitude = stft(x, WINDOW, 128).abs()
    again = griffin_lim(magnitude, WINDOW, 128, len(x), 100, generator=torch.Generator().manual_seed(0))
    assert inconsistency(stft(again, WINDOW, 128), magnitude) < 0.08
    log, wanted = (compressed(mel_spectrum(one), floor=1e-6) for one in (again, x))
    assert (log - wanted).abs().mean() < 0.06


def test_bins_explain_their_bands():
    filters = mel_filters(40, 512, 16_000, "slaney", True)
    energy = noise(257, 9).square()
    mel = filters @ energy
    found = magnitude_of_mel(mel, filters, 300).square()
    assert (filters @ found - mel).norm() / mel.norm() < 0.02
    assert bool((found >= 0).all())


def test_what_has_no_waveform_is_refused():
    good = torch.ones(257, 8)
    cases = {
        "momentum 1": lambda: griffin_lim(good, WINDOW, 128, 500, momentum=1.0),
        "num_iterations": lambda: griffin_lim(good, WINDOW, 128, 500, -1),
        "negative": lambda: griffin_lim(-good, WINDOW, 128, 500),
        "nan": lambda: griffin_lim(good * float("nan"), WINDOW, 128, 500),
        "40 bands": lambda: magnitude_of_mel(torch.ones(41, 2), torch.ones(40, 257)),
        "14 coefficients of 13": lambda: mfcc(torch.ones(13, 2), 14),
        "0 coefficients": lambda: dct_matrix(0, 3),
        "no frames": lambda: mean_normalised(torch.ones(3, 0)),
        "norm 0": lambda: inconsistency(torch.ones(2, 2, dtype=torch.complex64), torch.zeros(2, 2)),
    }
    for message, call in cases.items():
        with pytest.raises(ValueError, match=message):
            call()


def test_faint_energies_have_magnitudes_too():
    """Energies of 1e-25, whose products vanish in float32, and of 1e-6 in float16, are found like those of 1."""
    filters = mel_filters(20, 64, 16_000, "slaney", area_norm=False).float()
    mel = filters @ (1 + noise(33, 3).abs()).float()
    want = magnitude_of_mel(mel.double(), filters)
    torch.testing.assert_close(magnitude_of_mel(1e-25 * mel, filters) / 1e-25**0.5, want.float(), rtol=1e-3, atol=1e-3)
    half = (2.0**-10 * mel).half()
    torch.testing.assert_close(
        magnitude_of_mel(half, filters).double(), magnitude_of_mel(half.double(), filters), rtol=1e-2, atol=1e-4
    )


def test_infinite_magnitudes_and_frames_of_another_length_are_refused():
    magnitude = torch.ones(257, 20)
    for wrong in (magnitude * torch.inf, magnitude[:, :7]):
        with pytest.raises(ValueError, match=r"infinities|7 frames are not those of 2432 samples"):
            griffin_lim(wrong, WINDOW, 128, 19 * 128)
    with pytest.raises(ValueError, match="finite energies"):
        magnitude_of_mel(torch.full((4, 2), torch.inf), torch.ones(4, 9))
