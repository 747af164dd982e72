"""Sampling, quantization and voice activity against SciPy, torchaudio and what is known in closed form."""

import math

import numpy as np
import pytest
import scipy.signal
import torch
import torchaudio

from nimblelm.audio.features.quantization import mu_law_decode, mu_law_encode, quantize, signal_to_noise_db
from nimblelm.audio.features.sampling import alias_hz, decimate, low_pass
from nimblelm.audio.features.voice_activity import held, louder_than_noise, stretches


def tone(hz: float, seconds: float = 1.0, rate_hz: int = 16_000) -> torch.Tensor:
    return torch.sin(2 * math.pi * hz * torch.arange(int(seconds * rate_hz), dtype=torch.float64) / rate_hz)


def strongest_hz(waveform: torch.Tensor, rate_hz: float) -> float:
    return float(torch.fft.rfft(waveform).abs().argmax()) * rate_hz / waveform.shape[-1]


@pytest.mark.parametrize("hz", [100, 1_900, 2_100, 3_000, 4_100, 7_300])
def test_a_tone_is_heard_where_the_formula_says(hz):
    thinned = decimate(tone(hz), 4, filtered=False)
    assert strongest_hz(thinned, 4_000) == pytest.approx(alias_hz(float(hz), 4_000.0), abs=1.0)


def test_the_filter_keeps_what_fits_and_removes_what_would_come_back():
    for hz, kept in ((300, True), (1_500, True), (2_500, False), (6_000, False)):
        level = decimate(tone(hz), 4)[200:-200].square().mean().sqrt() / math.sqrt(0.5)
        assert level == pytest.approx(1.0, abs=0.03) if kept else level < 0.01


@pytest.mark.parametrize("factor", [2, 3, 5])
def test_decimation_is_scipys_with_the_same_filter(factor):
    x = torch.randn(2, 1_003, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    theirs = scipy.signal.resample_poly(x.numpy(), 1, factor, axis=-1, window=low_pass(factor).numpy())
    np.testing.assert_allclose(decimate(x, factor).numpy(), theirs, atol=1e-12)


@pytest.mark.parametrize("bits", [6, 8, 12])
def test_a_sine_of_full_range_has_six_decibels_a_bit(bits):
    x = tone(997.3, 4) * (1 - 2.0 ** (1 - bits))
    want = 6.02 * bits + 1.76
    assert signal_to_noise_db(x, quantize(x, bits)) == pytest.approx(want, abs=0.4)


@pytest.mark.parametrize("dither", ["none", "rectangular", "triangular"])
def test_dither_makes_the_mean_and_then_the_power_of_the_error_the_same_everywhere(dither):
    step = 2.0**-3
    levels = torch.linspace(-0.5, 0.5, 41, dtype=torch.float64)[:, None] * step
    error = quantize(levels.expand(-1, 40_000), 4, dither, torch.Generator().manual_seed(0)) - levels
    mean, power = error.mean(1) / step, error.square().mean(1) / step**2
    assert (bool(mean.abs().max() < 0.01)) is (dither != "none")
    assert (bool((power.max() - power.min()) < 0.02)) is (dither == "triangular")
    if dither == "triangular":
        assert power.mean() == pytest.approx(1 / 4, abs=0.01)  # 1 / 12 three times


def test_levels_are_those_of_integers():
    x = torch.linspace(-1.2, 1.2, 999)
    got = quantize(x, 3)
    assert sorted(set(got.tolist())) == [k / 4 for k in range(-4, 4)]


@pytest.mark.parametrize("bits", [4, 8])
def test_the_telephones_codes_are_torchaudios(bits):
    x = torch.linspace(-1, 1, 4_001)
    codes = mu_law_encode(x, bits)
    theirs = torchaudio.functional.mu_law_encoding(x.double(), 2**bits)
    assert torch.equal(codes, theirs)
    torch.testing.assert_close(mu_law_decode(codes, bits), torchaudio.functional.mu_law_decoding(theirs, 2**bits))


def test_loud_frames_are_found_held_and_told_as_stretches():
    energy = torch.full((20,), -60.0)
    energy[5:8] = -20
    energy[14] = -30
    active = louder_than_noise(energy)
    assert active.nonzero()[:, 0].tolist() == [5, 6, 7, 14]
    longer = held(active, 3)
    assert longer.nonzero()[:, 0].tolist() == [5, 6, 7, 8, 9, 10, 14, 15, 16, 17]
    assert stretches(longer, 10.0) == [(0.5, 1.1), (1.4, 1.8)]
    assert torch.equal(held(active, 0), active)
    assert stretches(torch.ones(3, dtype=torch.bool), 1.0) == [(0.0, 3.0)]
    assert stretches(torch.zeros(3, dtype=torch.bool), 1.0) == []


def test_what_makes_no_sense_is_refused():
    x = torch.zeros(4)
    cases = {
        "bits 1": lambda: quantize(x, 1),
        "dither 'gaussian'": lambda: quantize(x, 4, "gaussian"),
        "beyond 1": lambda: mu_law_encode(x + 2),
        "nan": lambda: mu_law_encode(x * float("nan")),
        "within 0 and 255": lambda: mu_law_decode(torch.tensor([256])),
        "factor 0": lambda: decimate(x, 0),
        "too short": lambda: decimate(torch.zeros(0), 2),
        "energies": lambda: signal_to_noise_db(x, x),
        "differ in shape": lambda: signal_to_noise_db(x, x[:2]),
        "frames -1": lambda: held(x > 0, -1),
        "no frames": lambda: louder_than_noise(torch.zeros(0)),
    }
    for message, call in cases.items():
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize("bits", [16, 18, 24])
def test_fine_steps_do_not_overflow_half_precision(bits):
    x = torch.tensor([0.5, -0.25, 0.1]).half()
    assert torch.equal(quantize(x, bits), x)
    with pytest.raises(ValueError, match="floating numbers"):
        quantize(torch.tensor([1, 0]), bits)


def test_digital_silence_is_the_quietest_level():
    """Where a tenth or more of a recording is silent, every sound is louder than that."""
    level = torch.full((100,), -math.inf)
    level[50:60] = -20.0
    assert louder_than_noise(level).nonzero().flatten().tolist() == list(range(50, 60))
    level[:95] = -20.0
    assert not louder_than_noise(level).any()
    level[3] = math.nan
    with pytest.raises(ValueError, match="nan"):
        louder_than_noise(level)
