"""Online softmax: the checks that a student sees and runs."""

import math

import torch

from autograder.checks import check, expect_close, expect_equal, fail
from autograder.tasks.a04_flash_attention.visible.shared import NEVER, tensors

LN2 = math.log(2)


def empty_state(rows, dim):
    return torch.full((rows,), NEVER), torch.zeros(rows), torch.zeros(rows, dim)


def absorbed(call, *args):
    return tensors(call("absorb", *args), "absorb", "m_i", "l_i", "acc")


def finished(call, state):
    return tensors(call("finish", state), "finish", "out", "lse")


@check("online")
def two_tiles_worked_by_hand(call, rng):
    """Scores ln 2 and then ln 6: the second tile has the larger maximum, so what was summed before must shrink."""
    state = absorbed(call, empty_state(1, 1), torch.tensor([[LN2]]), torch.tensor([[10.0]]))
    expect_close(torch.cat([x.flatten() for x in state]), torch.tensor([LN2, 1.0, 10.0]), "m, l, a after one key")
    got = absorbed(call, state, torch.tensor([[math.log(6)]]), torch.tensor([[30.0]]))
    expect_close(got[0].flatten(), torch.tensor([math.log(6)]), "m after two keys", hint="the larger of both")
    total, weighted = float(got[1]), float(got[2])
    if abs(total - 2) < 1e-4:
        fail("the sum so far was relative to the old maximum: multiply it by exp(old m - new m)", got=total, want=4 / 3)
    if abs(total - 4) < 1e-4:
        fail("the sum so far grew: it must be multiplied by exp(old m - new m), which is 1 or less", got=total)
    expect_close(total, 4 / 3, "l after two keys")
    expect_close(weighted, 10 / 3 + 30, "a after two keys", hint="a shrinks by the same factor as l")


@check("online")
def a_tile_of_lower_scores_leaves_the_maximum(call, rng):
    """Scores ln 6 and then ln 2: the maximum stays, and the second key counts a third of the first."""
    state = torch.tensor([math.log(6)]), torch.tensor([1.0]), torch.tensor([[30.0]])
    got = absorbed(call, state, torch.tensor([[LN2]]), torch.tensor([[10.0]]))
    hint = "the maximum over all tiles so far, not that of the last one"
    expect_close(got[0].flatten(), torch.tensor([math.log(6)]), "m after a tile of lower scores", hint=hint)
    expect_close(torch.cat([got[1].flatten(), got[2].flatten()]), torch.tensor([4 / 3, 100 / 3]), "l and a after it")


@check("online")
def scores_are_capped_and_hidden_keys_stay_hidden(call, rng):
    """With a cap of 2 the scores 2 and 2000 count as 2 tanh(1) and 2; the third key stays hidden."""
    state, scores = empty_state(1, 1), torch.tensor([[2.0, 2000.0, NEVER]])
    highest, total, _ = absorbed(call, state, scores, torch.tensor([[1.0], [2.0], [4.0]]), 2.0)
    expect_close(highest, torch.tensor([2.0]), "m of scores with a cap of 2", hint="softcap * tanh(scores / softcap)")
    want = 1 + math.exp(2 * math.tanh(1) - 2)
    if abs(float(total) - want - math.exp(-4)) < 1e-4:
        fail("the hidden key was counted: its score of -inf came out as -softcap, and must stay -inf", want=want)
    expect_close(float(total), want, "l of scores with a cap of 2", hint="both scores go through the cap")


@check("online")
def finishing_gives_output_and_log_sum_exp(call, rng):
    """With m = ln 6, l = 4/3 and a = 100/3: the output is 25, the log-sum-exp ln 8."""
    state = torch.tensor([math.log(6)]), torch.tensor([4 / 3]), torch.tensor([[100 / 3]])
    out, lse = finished(call, state)
    expect_close(out, torch.tensor([[25.0]]), "the output", hint="a divided by l")
    expect_close(lse, torch.tensor([math.log(8)]), "the log-sum-exp", hint="l is relative to m: add m to its logarithm")


@check("online")
def a_row_without_a_key_stays_empty(call, rng):
    """Scores of -inf alone: nothing is added, and nothing becomes nan."""
    state = absorbed(call, empty_state(1, 2), torch.full((1, 3), NEVER), torch.ones(3, 2))
    if any(bool(x.isnan().any()) for x in state):
        fail("nan in the state: m is still -inf, and -inf minus -inf is nan; take off 0 instead in such rows")
    out, lse = finished(call, empty_state(1, 2))
    expect_close(out, torch.zeros(1, 2), "the output of a row that saw no key", hint="0 / 0 is nan")
    expect_equal(float(lse[0]), NEVER, "its log-sum-exp")
