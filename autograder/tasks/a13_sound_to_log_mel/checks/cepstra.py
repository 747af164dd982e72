"""Cepstra and their changes: the hidden checks."""

from autograder.checks import check, expect_close, expect_tensor, integer
from autograder.tasks.a13_sound_to_log_mel.oracles import cepstra_of, normal, slopes_of


@check("cepstra", points=1)
def coefficients_are_sums_of_cosines(call, rng):
    """Batches of several numbers of bands, without a lifter, against the sum."""
    for bands in (1, 7, 40, 80):
        log_mel, count = normal(rng, 2, bands, 3), integer(rng, 1, min(bands, 20))
        got = call("cepstra", log_mel, count, 0)
        got = expect_tensor(got, "the coefficients", shape=(2, count, 3), dtype="float", dims="B count T")
        expect_close(got, cepstra_of(log_mel, count, 0), f"{count} coefficients of {bands} bands", 1e-4, 1e-4)


@check("cepstra", points=1)
def the_lifter_is_that_of_the_formula(call, rng):
    """Several lifters, on more coefficients than half of Q as well."""
    for lifter in (22, 10, integer(rng, 12, 30)):
        log_mel = normal(rng, 1, 26, 4) + 2
        got = call("cepstra", log_mel, 13, lifter)
        expect_close(got, cepstra_of(log_mel, 13, lifter), f"coefficients with the lifter {lifter}", 1e-3, 1e-4)


@check("cepstra", points=1)
def deltas_are_slopes(call, rng):
    """Several widths, against a least-squares line through each frame and its neighbours."""
    for width in (1, 2, 4):
        features = normal(rng, 2, 3, integer(rng, 9, 14))
        got = expect_tensor(call("deltas", features, width), "the deltas", shape=tuple(features.shape), dtype="float")
        expect_close(got, slopes_of(features, width), f"deltas of width {width}", 1e-4, 1e-4)


@check("cepstra", points=1)
def short_recordings_have_deltas_too(call, rng):
    """Fewer frames than the width: the ends are repeated."""
    for frames, width in ((1, 2), (2, 3), (3, 5)):
        features = normal(rng, 2, 4, frames)
        got = expect_tensor(call("deltas", features, width), "the deltas", shape=(2, 4, frames), dtype="float")
        expect_close(got, slopes_of(features, width), f"deltas of {frames} frames, width {width}", 1e-4, 1e-4)
