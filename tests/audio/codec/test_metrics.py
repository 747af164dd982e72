"""What the metrics measure, and what they do not."""

import math

import pytest
import torch

from nimblelm.audio.codec.metrics import mel_distance, si_snr_db


def tone(hz: float, phase: float = 0.0, level: float = 0.3) -> torch.Tensor:
    return level * torch.sin(2 * math.pi * hz * torch.arange(8_000, dtype=torch.float64) / 16_000 + phase)


def test_si_snr_by_its_formula_and_free_of_scale():
    x, noise = tone(440), 0.05 * torch.randn(8_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    noise -= noise.mean() + (noise - noise.mean()) @ x / (x @ x) * x  # nothing of x in it
    want = 10 * math.log10(float(x @ x / (noise @ noise)))
    for scale in (1.0, 0.1, -3.0):
        assert si_snr_db(x, scale * (x + noise)).item() == pytest.approx(want, abs=0.05)


def test_si_snr_falls_with_a_phase_that_nobody_hears_and_the_mel_distance_does_not():
    assert si_snr_db(tone(440), tone(440, math.pi / 2)).item() < -20
    assert mel_distance(tone(440), tone(440, math.pi / 2)).item() < 0.3
    assert mel_distance(tone(440), tone(600)).item() > 0.6


def test_mel_distance_of_a_level_is_the_level_where_it_is_above_the_floor():
    x = torch.randn(16_000, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert mel_distance(x, x / 2).item() == pytest.approx(2 * math.log(2), abs=1e-6)


def test_batches_are_measured_one_by_one():
    x, y = torch.stack([tone(300), tone(500)]), torch.stack([tone(310), tone(500)])
    assert si_snr_db(x, y).tolist() == pytest.approx([si_snr_db(x[0], y[0]).item(), si_snr_db(x[1], y[1]).item()])
    assert mel_distance(x, y).shape == (2,)


def test_what_cannot_be_compared_is_refused():
    for metric in (si_snr_db, mel_distance):
        with pytest.raises(ValueError, match=r"decoded \(7999,\)"):
            metric(tone(440), tone(440)[1:])
        with pytest.raises(ValueError, match=r"float32 or float64"):
            metric(tone(440).half(), tone(440).half())
    with pytest.raises(ValueError, match=r"silent"):
        si_snr_db(torch.zeros(8_000), torch.ones(8_000))
