"""The filter bank: the checks that a student sees and runs."""

import math

import torch

from autograder.checks import check, expect_close, expect_tensor, fail

PITCHES = {"htk": 999.9855, "slaney": 15.0, "bark": 8.5274}  # of 1000 Hz


@check("filters")
def a_thousand_hertz(call, rng):
    """1000 Hz is 1000 mel, 15 mel, or 8.5 Bark."""
    for scale, want in PITCHES.items():
        got = expect_tensor(call("to_scale", torch.tensor([1000.0]), scale), "the pitch", shape=(1,), dtype="float")
        if scale == "htk" and (abs(float(got) - 2302.6) < 1 or abs(float(got) - 434.3) < 1):
            fail("2595 goes with the logarithm to base 10; with the natural one the factor is 1127", got=got)
        if scale != "htk" and abs(float(got) - 1000) < 1:
            fail(f"the scale is {scale!r}: the table has a formula for each of the three", got=got)
        expect_close(got, torch.tensor([want]), f"the pitch of 1000 Hz in {scale}", 1e-2, 1e-4)


@check("filters")
def there_and_back(call, rng):
    """From Hz to pitch and back, on both sides of 1000 Hz."""
    hz = torch.tensor([[0.0, 120.0], [1000.0, 7000.0]])
    for scale in PITCHES:
        back = call("from_scale", call("to_scale", hz, scale), scale)
        expect_close(back, hz, f"Hz after {scale} and back", 0.1, 1e-3, "each is the other's inverse")


@check("filters")
def two_bands_over_nine_bins(call, rng):
    """0 to 900 Hz in Slaney's scale, which is straight there: corners at 0, 300, 600, 900 Hz, bins of 100 Hz."""
    bank = call("filter_bank", 2, 20, 2000, "slaney", 0.0, 900.0, "height")
    bank = expect_tensor(bank, "the bank", shape=(2, 11), dtype="float", dims="num_bands bins")
    want = torch.tensor([[0, 1, 2, 3, 2, 1, 0, 0, 0, 0, 0], [0, 0, 0, 0, 1, 2, 3, 2, 1, 0, 0]]) / 3
    expect_close(bank, want, "the bank", 1e-5, 1e-5, "corners at 0, 300, 600, 900 Hz; band 0 peaks at 300 Hz")
    area = call("filter_bank", 2, 20, 2000, "slaney", 0.0, 900.0, "area")
    if torch.allclose(area.double(), want.double() / 600):
        fail("a triangle of height 1 and width 600 has the area 300: divide by half the width", got=area)
    expect_close(area, want / 300, "the bank of equal areas", 1e-7, 1e-4)


@check("filters")
def one_wide_band_on_a_curved_scale(call, rng):
    """0 to 8000 Hz in HTK's scale, bins of 1000 Hz: the peak is where half the pitch of 8000 Hz is, at 1768 Hz."""
    bank = call("filter_bank", 1, 16, 16_000, "htk", 0.0, 8000.0, "height")
    bank = expect_tensor(bank, "the bank", shape=(1, 9), dtype="float", dims="num_bands bins")
    peak, hz = 700 * ((1 + 8000 / 700) ** 0.5 - 1), 1000 * torch.arange(9.0)
    want = torch.minimum(hz / peak, (8000 - hz) / (8000 - peak))
    second = float(bank[0, 1])
    for value, meaning in (
        (1000 / 4000, "the corners lie equally far apart on the scale, not in Hz"),
        (1000 / 2000, "corners stay where they are, between two bins"),
        (math.log(1 + 10 / 7) / math.log((1 + 80 / 7) ** 0.5), "the sides are straight over Hz, not over the pitch"),
    ):
        if abs(second - value) < 1e-3:
            fail(meaning, got=bank[0], want=want)
    expect_close(bank[0], want, "the band", 1e-4, 1e-4)
