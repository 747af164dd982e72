"""The filter bank: the hidden checks."""

import torch

from autograder.checks import check, expect_close, expect_tensor, integer
from autograder.tasks.a13_sound_to_log_mel.oracles import SCALES, bank_of, pitch


@check("filters", points=1)
def pitches_are_those_of_the_table(call, rng):
    """Frequencies from 0 to 20 kHz to pitches and back, in every scale."""
    hz = torch.cat([torch.tensor([0.0, 999.0, 1000.0, 1001.0]), 20_000 * torch.rand(6, generator=rng())]).double()
    for scale in SCALES:
        want = torch.tensor([pitch(f, scale) for f in hz.tolist()], dtype=torch.float64)
        got = expect_tensor(call("to_scale", hz, scale), "the pitches", shape=(10,), dtype="float")
        expect_close(got, want, f"pitches in {scale}", 1e-4, 1e-5)
        back = call("from_scale", want.view(2, 5), scale)
        expect_close(back, hz.view(2, 5), f"frequencies of pitches in {scale}", 0.05, 1e-4)


def expect_bank(call, rng, norm):
    """Banks of several sizes in every scale, from a frequency above 0 on."""
    for scale in SCALES:
        for bands, n_fft, rate in ((8, 400, 16_000), (23, 512, 8_000), (5, 64, 22_050)):
            low = float(integer(rng, 10, 100))
            high = float(integer(rng, rate // 3, rate // 2))
            got = call("filter_bank", bands, n_fft, rate, scale, low, high, norm)
            shape = (bands, n_fft // 2 + 1)
            got = expect_tensor(got, "the bank", shape=shape, dtype="float", dims="num_bands bins")
            want = bank_of(bands, n_fft, rate, scale, low, high, norm)
            said = f"{bands} bands in {scale} from {low:.0f} to {high:.0f} Hz, norm {norm}"
            expect_close(got, want, said, 1e-3 * float(want.max()), 1e-3)


@check("filters", points=1)
def triangles_of_one_height(call, rng):
    """Entry by entry; peaks lie between bins."""
    expect_bank(call, rng, "height")


@check("filters", points=1)
def triangles_of_one_area(call, rng):
    """Entry by entry; each row is divided by half the width of its triangle in Hz."""
    expect_bank(call, rng, "area")


@check("filters", points=1)
def rows_that_add_up_to_one(call, rng):
    """Entry by entry; rows between two bins stay 0."""
    expect_bank(call, rng, "bins")
    for scale in SCALES:
        got = call("filter_bank", 40, 32, 16_000, scale, 0.0, 8000.0, "bins")
        want = bank_of(40, 32, 16_000, scale, 0.0, 8000.0, "bins")
        expect_close(got, want, f"40 narrow bands in {scale}", 1e-3, 1e-3)
