"""The heads: the checks that a student sees and runs."""

import torch

from autograder.checks import CheckFailed, check, expect_close, expect_tensor, fail
from autograder.tasks.a03_medusa_heads.visible.shared import likely_mistake

ROWS = "states are rows here: W h for every row at once is `hidden @ w.T`"
BIAS = "b has a row for each head: beside the states of all heads (K, N, d) it needs a dimension between, b[:, None]"


def logits(call, hidden, w1, b, w2):
    """The logits of the heads, with their shape checked; torch says of shapes that do not fit which product it was."""
    try:
        got = call("medusa_logits", hidden, w1, b, w2)
    except CheckFailed as failure:
        if failure.raised != "RuntimeError":
            raise
        meaning = BIAS if "must match the size of tensor" in str(failure) else ROWS
        raise CheckFailed(f"{failure} Most likely: {meaning}.", failure.raised) from None
    shape = len(w1), len(hidden), w2.shape[1]
    return expect_tensor(got, "the logits", shape=shape, dtype="float", dims="K N V")


@check("heads")
def a_head_adds_a_silu_layer_to_its_input(call, rng):
    """One head of width two: h = (1, -1), W1 h = (-1, -1), b = (0, 2), W2 reads the sum and both entries."""
    hidden, w1 = torch.tensor([[1.0, -1.0]]), torch.tensor([[[0.0, 1.0], [-1.0, 0.0]]])
    b, w2 = torch.tensor([[0.0, 2.0]]), torch.tensor([[[1.0, 1.0], [1.0, 0.0], [0.0, 1.0]]])
    got = logits(call, hidden, w1, b, w2)
    h, without_bias, transposed = hidden[0], w1[0] @ hidden[0], hidden[0] @ w1[0] + b[0]
    z = without_bias + b[0]

    def read(state):
        return torch.stack([state.sum(), *state])[None, None]

    guesses = {
        "the residual is missing: it is h + SiLU(...)": read(z * z.sigmoid()),
        "SiLU(z) is z times sigmoid(z), not sigmoid(z)": read(h + z.sigmoid()),
        "SiLU is not ReLU: it lets a little of negative values through": read(h + z.relu()),
        "SiLU is not GELU: it is z times sigmoid(z)": read(h + torch.nn.functional.gelu(z)),
        "the bias is missing": read(h + without_bias * without_bias.sigmoid()),
        "the bias belongs inside the SiLU": read(h + without_bias * without_bias.sigmoid() + b[0]),
        "h is added outside the SiLU, not inside it": read((h + z) * (h + z).sigmoid()),
        ROWS: read(h + transposed * transposed.sigmoid()),
    }
    expect_close(got, read(h + z * z.sigmoid()), "the logits", hint=likely_mistake(got, guesses))


@check("heads")
def every_head_reads_the_state_itself(call, rng):
    """Two heads, three states: W1 and b of the second are 0, so its logits are W2 h, whatever the first head does."""
    hidden = torch.tensor([[1.0, -1.0], [0.5, 3.0], [2.0, 0.0]])
    w1, b = torch.zeros(2, 2, 2), torch.tensor([[1.0, 0.5], [0.0, 0.0]])
    w1[0] = torch.tensor([[0.0, 1.0], [-1.0, 0.0]])
    w2 = torch.tensor([[[1.0, 1.0], [1.0, 0.0]], [[0.0, 2.0], [1.0, -1.0]]])
    got = logits(call, hidden, w1, b, w2)
    first = _residual(hidden, w1[0], b[0])
    guesses = {
        "head 2 reads h, not what head 1 made of it": first @ w2[1].T,
        "head 2 has a W2 of its own": hidden @ w2[0].T,
        "head 2 has a W1 and a b of its own": first @ w2[0].T,
    }
    expect_close(got[1], hidden @ w2[1].T, "the logits of head 2", hint=likely_mistake(got[1], guesses))
    expect_close(got[0], first @ w2[0].T, "the logits of head 1")


@check("heads")
def fresh_heads_repeat_the_models_own_head(call, rng):
    """Fresh heads give the logits of the language-model head."""
    lm_head = torch.tensor([[1.0, 2.0], [0.0, 1.0], [-1.0, 0.5]])
    got = call("fresh_heads", lm_head, 2)
    if not isinstance(got, tuple | list) or len(got) != 3:
        fail("return the three tensors (w1, b, w2)", got=type(got).__name__)
    shapes = {"w1": (2, 2, 2), "b": (2, 2), "w2": (2, 3, 2)}
    for (name, shape), tensor in zip(shapes.items(), got, strict=True):
        expect_tensor(tensor, name, shape=shape, dtype="float")
    hidden = torch.tensor([[1.0, -1.0], [0.5, 3.0]])
    given = torch.stack([_residual(hidden, w1, b) @ w2.T for w1, b, w2 in zip(*got, strict=True)])
    hint = "with W1 = 0 and b = 0 the layer adds SiLU(0) = 0, and W2 is the model's head"
    expect_close(given, torch.stack([hidden @ lm_head.T] * 2), "the logits that these weights give", hint=hint)


def _residual(hidden, w1, b):
    z = hidden @ w1.T + b
    return hidden + z * z.sigmoid()
