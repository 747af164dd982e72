"""Inputs and oracles that several exercises' hidden checks share."""

import torch

from autograder.checks import expect_close, expect_tensor, fail
from autograder.tasks.a04_flash_attention.visible.shared import NEVER


def expect_pair(got, want, what, atol=2e-5):
    """Output and log-sum-exp against float64, nan and infinities included."""
    out, lse = got
    for ours, right, name in ((out, want[0], "output"), (lse, want[1], "log-sum-exp")):
        expect_tensor(ours, f"the {name} of {what}", shape=tuple(right.shape))
        if bool(ours.isnan().any()):
            fail(f"nan in the {name} of {what}: -inf minus -inf, or 0 / 0, in a row that has seen no key?")
        hidden = right == NEVER
        if bool((ours[hidden] != NEVER).any()):
            fail(f"the {name} of a row that sees no key should be -inf", where=what)
        expect_close(ours[~hidden], right[~hidden].float(), f"the {name} of {what}", atol=atol, rtol=1e-4)


def cuts(rng, length, tiles):
    inner = torch.randperm(length - 1, generator=rng())[: tiles - 1] + 1
    return [0, *sorted(inner.tolist()), length]
