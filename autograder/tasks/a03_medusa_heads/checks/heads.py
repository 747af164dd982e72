"""The heads: the hidden checks."""

import itertools

import torch

from autograder.checks import check, expect_close, expect_equal, fail, integer
from autograder.tasks.a03_medusa_heads.oracles import normal
from autograder.tasks.a03_medusa_heads.visible.heads import logits


def head_logits(hidden, w1, b, w2):
    """(K, N, V) in float64, number by number as the formula has it."""
    hidden, w1, b, w2 = (x.double() for x in (hidden, w1, b, w2))
    z = torch.einsum("koi,ni->kno", w1, hidden) + b[:, None]
    return torch.einsum("kvo,kno->knv", w2, hidden + z / (1 + (-z).exp()))


def head_weights(rng, heads, width, vocab_size):
    return normal(rng, heads, width, width), normal(rng, heads, width), normal(rng, heads, vocab_size, width)


@check("heads", points=2)
def the_logits_follow_the_formula(call, rng):
    """One to four heads on one to six states, against the formula in float64."""
    for heads, states in ((1, 1), (3, 1), (2, 6), (4, 5)):
        width, vocab_size = integer(rng, 3, 7), integer(rng, 8, 12)
        weights = head_weights(rng, heads, width, vocab_size)
        hidden = normal(rng, states, width)
        got = logits(call, hidden, *weights)
        hint = "W2 (h + SiLU(W1 h + b)), with the weights of the same head and the same h for every head"
        expect_close(got, head_logits(hidden, *weights), "the logits", 1e-4, 1e-4, hint)


@check("heads", points=1)
def a_head_depends_on_its_own_weights_alone(call, rng):
    """Another head's weights change nothing, and neither does another state."""
    weights, hidden = head_weights(rng, 3, 5, 8), normal(rng, 4, 5)
    got = logits(call, hidden, *weights)
    for row in range(4):
        moved = hidden.clone()
        moved[row] += 1
        same = (call("medusa_logits", moved, *weights) - got).abs().amax((0, 2)) < 1e-5
        expect_equal(same.tolist(), [other != row for other in range(4)], f"rows that stay when state {row} changes")
    for other, parts in itertools.product(range(3), ((0, 1), (2,))):
        changed = [x.clone() for x in weights]
        for part in parts:
            changed[part][other] += 1
        again = call("medusa_logits", hidden, *changed)
        for k in range(3):
            if k != other and not torch.allclose(got[k], again[k], atol=1e-5):
                fail(f"head {k + 1} changed with the weights of head {other + 1}: each reads the state itself")
            if k == other and torch.allclose(got[k], again[k], atol=1e-3):
                fail(f"head {k + 1} does not use its own {'W2' if parts == (2,) else 'W1 and b'}")


@check("heads", points=1)
def fresh_heads_are_copies_of_the_models_head(call, rng):
    """W1 and b are 0, and each W2 is the language-model head."""
    for heads in (1, 4):
        lm_head = normal(rng, 9, 6)
        got = call("fresh_heads", lm_head, heads)
        if not isinstance(got, tuple | list) or len(got) != 3:
            fail("return the three tensors (w1, b, w2)", got=type(got).__name__)
        zeros = torch.zeros(heads, 6, 6), torch.zeros(heads, 6)
        for name, tensor, want in zip(("w1", "b", "w2"), got, (*zeros, lm_head.expand(heads, 9, 6)), strict=True):
            expect_close(tensor, want, name, hint="a fresh head must give the logits of the model's own head")
