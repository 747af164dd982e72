"""LoRA, many adapters on one base: the checks that a student sees and runs."""

import torch

from autograder.checks import check, expect_close, expect_parts, expect_tensor, known_mistake


def layer(call, x, W, A, B, alpha, which):
    got = call("lora_layer", x, W, A, B, alpha, which)
    return expect_tensor(got, "the output", shape=(len(x), len(W)), dtype="float", dims="T d_out")


@check("lora")
def each_row_has_its_adapter(call, rng):
    """Two adapters of rank 1 on an identity; the third row asks for none."""
    x, W = torch.tensor([[1.0, 2.0], [1.0, 2.0], [1.0, 2.0]]), torch.eye(2)
    A, B = torch.tensor([[[1.0, 1.0]], [[0.0, 1.0]]]), torch.tensor([[[1.0], [0.0]], [[0.0], [2.0]]])
    got = layer(call, x, W, A, B, torch.tensor([1.0, 0.5]), torch.tensor([0, 1, -1]))
    want = torch.tensor([[4.0, 2.0], [1.0, 4.0]])
    mistakes = {
        "the base W x is missing": want - x[:2],
        "a row has its own adapter alone": torch.tensor([[4.0, 4.0], [4.0, 4.0]]),
        "each row has the adapter that it asks for, not the first": torch.tensor([[4.0, 2.0], [4.0, 2.0]]),
    }
    expect_close(got[:2], want, "the rows with an adapter", hint=known_mistake(got[:2], mistakes))
    expect_close(got[2], torch.tensor([1.0, 2.0]), "the row without one", hint="-1 is no adapter, not the last one")


@check("lora")
def the_scale_is_alpha_over_the_rank(call, rng):
    """Rank 2 and alpha 4: what B A adds is doubled."""
    A = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    args = torch.tensor([[1.0, 3.0]]), torch.zeros(2, 2), A, A, torch.tensor([4.0]), torch.tensor([0])
    expect_close(layer(call, *args), torch.tensor([[2.0, 6.0]]), "the output", hint="alpha / r, r the rows of A")
    got = call("merged", torch.ones(2, 2), A, A, torch.tensor([4.0]), torch.tensor([0.5]))
    want = torch.tensor([[2.0, 1.0], [1.0, 2.0]])
    got = expect_tensor(got, "the matrix", shape=(2, 2), dtype="float")
    mistakes = {
        "each adapter has its weight": torch.tensor([[3.0, 1.0], [1.0, 3.0]]),
        "alpha / r is in the merged matrix too": torch.tensor([[3.0, 1.0], [1.0, 3.0]]) + torch.eye(2),
        "W is the base of the sum": want - 1,
    }
    expect_close(got, want, "the merged matrix", hint=known_mistake(got, mistakes))


@check("lora")
def a_change_of_rank_one_is_found(call, rng):
    """A change that is a product already."""
    change = torch.outer(torch.tensor([1.0, -2.0, 2.0]), torch.tensor([3.0, 4.0]))
    A, B = expect_parts(call("as_adapter", change, 1), "as_adapter", "A", "B")
    expect_tensor(A, "A", shape=(1, 2), dtype="float")
    expect_tensor(B, "B", shape=(3, 1), dtype="float")
    hint = known_mistake(B @ A, {"give each factor the root of the singular value": 15 * change}, 1e-2)
    expect_close(B @ A, change, "B A", atol=1e-4, hint=hint)
    expect_close(A.norm(), B.norm(), "the length of A's row", atol=1e-3, hint="both factors are of one length")
