"""The loss from strips: the hidden checks."""

import torch

from autograder.checks import check, expect_close, explained, integer
from autograder.tasks.a09_contrastive_learning.oracles import clip_loss, normal
from autograder.tasks.a09_contrastive_learning.visible.strips import absorbed, counted, gradient_from, loss_from


def cut(rng, count):
    """Rows of each strip, at random, some of them 1."""
    sizes = []
    while (left := count - sum(sizes)) > 0:
        sizes.append(min(left, integer(rng, 1, max(2, count // 3))))
    return sizes


def slope_of(logits):
    """dL/dS in float64, from both softmaxes written out."""
    s = logits.double()
    rows = (s - s.amax(1, keepdim=True)).exp()
    columns = (s - s.amax(0, keepdim=True)).exp()
    both = rows / rows.sum(1, keepdim=True) + columns / columns.sum(0, keepdim=True)
    return (both - 2 * torch.eye(len(s), dtype=torch.float64)) / (2 * len(s))


LOST = dict.fromkeys(
    ("KeyError", "IndexError"),
    "what was kept elsewhere than in the state is gone: this call came to a new process",
)


def elsewhere(call, logits, sizes):
    """The state after these strips, whose next use is in another process: what is not in it is gone."""
    state = absorbed(call, logits, sizes)
    call.forget()
    return state


@check("strips", points=2)
def the_loss_of_uneven_strips(call, rng):
    """Squares of several sizes, cut at random; one pair, one strip, a row at a time."""
    for count in (1, 2, 7, integer(rng, 14, 24)):
        logits = 4 * normal(rng, count, count)
        for sizes in ([count], [1] * count, cut(rng, count)):
            state = (elsewhere if len(sizes) == 7 else absorbed)(call, logits, sizes)
            what = f"the loss of {count} pairs in {len(sizes)} strips"
            expect_close(loss_from(call, state), clip_loss(logits), what, 1e-4, 1e-4)


@check("strips", points=2)
def the_gradient_of_every_strip(call, rng):
    """Against both softmaxes in float64; strips of other sizes than those that were absorbed."""
    for count in (1, 5, integer(rng, 12, 20)):
        logits = 3 * normal(rng, count, count)
        state = (elsewhere if count == 5 else absorbed)(call, logits, cut(rng, count))
        got = gradient_from(call, state, logits, cut(rng, count))
        expect_close(got, slope_of(logits), f"the gradient of {count} pairs", 1e-5, 1e-3)


@check("strips", points=1)
def logits_that_are_large(call, rng):
    """Logits up to 300 either way: value and gradient are finite and right."""
    logits = (100 * normal(rng, 9, 9)).clamp(-300, 300)
    logits[2], logits[:, 5] = 300.0, -300.0
    state = elsewhere(call, logits, (4, 5))
    with explained(**LOST):
        got = loss_from(call, state)
    expect_close(got, clip_loss(logits), "the loss of large logits", 1e-2, 1e-4)
    expect_close(gradient_from(call, state, logits, (2, 7)), slope_of(logits), "the gradient", 1e-5, 1e-3)


@check("strips", points=1)
def the_state_of_many_pairs_stays_small(call, rng):
    """300 pairs in strips of 50: more than three numbers a pair are refused, and no process keeps more for the next."""
    logits = normal(rng, 300, 300)
    state = elsewhere(call, logits, [50] * 6)
    with explained(**LOST):
        got = loss_from(call, state)
    expect_close(got, clip_loss(logits), "the loss of 300 pairs", 1e-4, 1e-4)


@check("strips", points=1)
def two_batches_take_turns(call, rng):
    """Two squares, their strips handed out in turn, the last to another process: each batch is all in its state."""
    squares = [3 * normal(rng, 6, 6) for _ in range(2)]
    states = [counted(call("begin", 6), 6, "begin") for _ in squares]
    for first in (0, 2, 4):
        if first == 4:
            call.forget()
        for k, logits in enumerate(squares):
            strip = logits[first : first + 2].clone()
            states[k] = counted(call("absorb", states[k], strip, first), 6, f"rows {first} and {first + 1}")
    for state, logits in zip(reversed(states), reversed(squares), strict=True):
        expect_close(loss_from(call, state), clip_loss(logits), "the loss of one of two batches", 1e-4, 1e-4)
        expect_close(gradient_from(call, state, logits, (6,)), slope_of(logits), "its gradient", 1e-5, 1e-3)
