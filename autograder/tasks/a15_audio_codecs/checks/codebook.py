"""A codebook that revives what died: the hidden checks."""

import torch

from autograder.checks import check, expect_close, expect_parts, expect_tensor, integer
from autograder.tasks.a15_audio_codecs.oracles import codebook_step, normal


def state(rng, codes=6, width=3, count=20):
    """(vectors, counts, sums, x, codes): every code but the last two is used, by chance."""
    vectors, counts = normal(rng, codes, width), 0.5 + 4 * torch.rand(codes, generator=rng())
    chosen = torch.randint(codes - 2, (count,), generator=rng())
    return vectors, counts, vectors * counts[:, None], normal(rng, count, width), chosen


def compare(call, given, decay, dead_below):
    names = ("the vectors", "the counts", "the sums")
    vectors, counts, sums, x, codes = (one.clone() for one in given)
    want = codebook_step(vectors, counts, sums, x, codes, decay, dead_below)
    got = call("update", *[one.clone() for one in given], decay, dead_below)
    got = expect_parts(got, "update", "vectors", "counts", "sums")
    for name, ours, theirs in zip(names, got, want, strict=True):
        expect_tensor(ours, name, shape=tuple(theirs.shape), dtype="float")
        expect_close(ours, theirs, name, 1e-4, 1e-4)


@check("codebook", points=1)
def moving_averages_code_by_code(call, rng):
    """Several decays, nobody dies."""
    for decay in (0.0, 0.5, 0.99):
        vectors, counts, sums, x, _ = state(rng)
        chosen = torch.arange(len(x)) % 6
        compare(call, (vectors, counts, sums, x, chosen), decay, 0.0)


@check("codebook", points=1)
def dead_codes_take_the_worst_in_order(call, rng):
    """Two and more dead codes, each of the worst frames once."""
    for dead in (2, 3):
        vectors, counts, _, x, chosen = state(rng)
        counts[:dead] = 0.01
        chosen = 3 + chosen % 3
        compare(call, (vectors, counts, vectors * counts[:, None], x, chosen), 0.9, 0.25)


@check("codebook", points=1)
def a_count_at_the_threshold_lives(call, rng):
    """Below is dead, equal is not; and it is the new count that decides."""
    vectors, _, _, x, _ = state(rng, codes=3)
    counts = torch.tensor([2.0, 4.0, 3.0])
    chosen = torch.tensor([0] * 10 + [2] * 10)
    compare(call, (vectors, counts, vectors * counts[:, None], x, chosen), 0.5, 2.0)  # code 1 falls to exactly 2
    compare(call, (vectors, counts, vectors * counts[:, None], x, chosen), 0.5, 2.5)


@check("codebook", points=1)
def what_is_missing_stays(call, rng):
    """More dead codes than frames, and counts of 0."""
    vectors, counts, sums, x, _ = state(rng, count=2)
    given = vectors, torch.zeros(6), torch.zeros(6, 3), x, torch.tensor([4, integer(rng, 0, 3)])
    compare(call, given, 0.9, 1.0)
    compare(call, (vectors, counts, sums, x, torch.tensor([0, 1])), 0.5, 1.0)
