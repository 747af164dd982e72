"""Online softmax: the hidden checks."""

import itertools

import torch

from autograder.checks import check, expect_close, expect_tensor, fail, integer
from autograder.tasks.a04_flash_attention.oracles import cuts, expect_pair
from autograder.tasks.a04_flash_attention.visible.online import absorbed, empty_state, finished
from autograder.tasks.a04_flash_attention.visible.shared import NEVER, attend, random

STATE_HINTS = {
    "m": "the maximum over all tiles so far",
    "l": "relative to the running maximum: multiply what was there by exp(old m - new m)",
    "a": "it shrinks by the same factor as l",
}


def capped(scores, softcap):
    """The scores in float64 as they count; a hidden key stays hidden."""
    scores = scores.double()
    return scores if softcap is None else (softcap * (scores / softcap).tanh()).where(scores != NEVER, scores)


def right_state(scores, values):
    """(m, l, a) after these keys, computed in float64."""
    highest = scores.double().amax(1)
    p = (scores.double() - highest.masked_fill(highest == NEVER, 0.0)[:, None]).exp()
    return tuple(x.float() for x in (highest, p.sum(1), p @ values.double()))


def absorb_tiles(call, scores, values, bounds, softcap=None):
    """The state after the tiles between the bounds, one call each, the first of several tiles excepted.

    That one is ours, and so is the state that comes in each time: who remembers tiles elsewhere does not know it.
    """
    counted, cap = capped(scores, softcap), () if softcap is None else (softcap,)
    state = empty_state(len(scores), values.shape[1])
    if len(bounds) > 2:
        bounds = bounds[1:]
        state = right_state(counted[:, : bounds[0]], values[: bounds[0]])
    for start, stop in itertools.pairwise(bounds):
        got = absorbed(call, state, scores[:, start:stop], values[start:stop], *cap)
        state = right_state(counted[:, :stop], values[:stop])
        for ours, right, name in zip(got, state, "mla", strict=True):
            expect_tensor(ours, f"{name} of the state", shape=tuple(right.shape))
            if bool(ours.isnan().any()):
                fail(f"nan in {name} of the state: -inf minus -inf in a row that has seen no key?")
            what = f"{name} of the state after {stop} keys"
            expect_close(ours, right, what, atol=2e-5, rtol=1e-4, hint=STATE_HINTS[name])
    return state


@check("online", points=1)
def one_tile_is_plain_softmax(call, rng):
    """A single tile after the empty state, then finish, with a soft cap of the scores and without."""
    for softcap in (None, 2.0):
        scores, values = 3 * random(rng, 6, 9), random(rng, 9, 4)
        got = finished(call, absorb_tiles(call, scores, values, [0, 9], softcap))
        expect_pair(got, attend(capped(scores, softcap), values), f"one tile with softcap {softcap}")


@check("online", points=1)
def every_cut_gives_the_same(call, rng):
    """Tiles of any size in any number add up to the softmax over all keys, whose scores may be capped."""
    for softcap in (None, 1.5, 5.0, None, 20.0):
        length = integer(rng, 6, 40)
        scores, values = 3 * random(rng, 5, length), random(rng, length, 3)
        state = absorb_tiles(call, scores, values, cuts(rng, length, integer(rng, 2, 5)), softcap)
        what = f"{length} keys in tiles with softcap {softcap}"
        expect_pair(finished(call, state), attend(capped(scores, softcap), values), what)


@check("online", points=1)
def the_maximum_never_falls(call, rng):
    """A tile of low scores after one of high ones leaves m where it was, and changes little."""
    high, low = 50 + random(rng, 4, 3), -150 + random(rng, 4, 3)
    scores, values = torch.cat([high, low, high + 1], 1), random(rng, 9, 2)
    for softcap in (None, 80.0):
        state = absorb_tiles(call, scores, values, [0, 3, 6, 9], softcap)
        what = f"high, low and high tiles with softcap {softcap}"
        expect_pair(finished(call, state), attend(capped(scores, softcap), values), what)


@check("online", points=1)
def large_scores_do_not_overflow(call, rng):
    """Scores around 2000, -2000 and -1e8: exp of any alone is infinite or zero. Capped, they are all the same."""
    for offset, softcap in ((2000.0, None), (-2000.0, None), (-1e8, None), (2000.0, 50.0), (-1e8, 30.0)):
        scores, values = offset + 5 * random(rng, 4, 8), random(rng, 8, 3)
        state = absorb_tiles(call, scores, values, [0, 3, 8], softcap)
        what = f"scores near {offset:g} with softcap {softcap}"
        expect_pair(finished(call, state), attend(capped(scores, softcap), values), what, atol=2e-3)


@check("online", points=1)
def rows_may_see_nothing_at_first_or_at_all(call, rng):
    """Tiles of -inf before, between and instead of keys; a soft cap leaves them hidden."""
    scores, values = random(rng, 4, 12), random(rng, 12, 3)
    scores[:, 11] += 9  # the maximum rises in the last tile
    scores[0] = NEVER
    scores[1, :4] = NEVER
    scores[2, 4:] = NEVER
    for softcap in (None, 3.0):
        state = absorb_tiles(call, scores, values, [0, 4, 8, 12], softcap)
        what = f"rows with hidden tiles with softcap {softcap}"
        expect_pair(finished(call, state), attend(capped(scores, softcap), values), what)
