"""Attention over a tree: the checks that a student sees and runs."""

import torch

from autograder.checks import check, expect_close, expect_tensor, explained
from autograder.tasks.a03_medusa_heads.visible.shared import likely_mistake


@check("attend")
def a_node_attends_to_the_text_and_to_its_ancestors(call, rng):
    """Two rows of the prefix and three nodes, queries and slope 0: the output is the mean of the visible values."""
    values = torch.tensor([1.0, 3.0, 10.0, 20.0, 40.0])[:, None, None]
    mask = torch.tensor([[1, 0, 0], [1, 1, 0], [1, 0, 1]], dtype=torch.bool)
    with explained(RuntimeError="the mask is (T, T), the scores are (H, T, S): every node sees the S - T rows before"):
        got = call("tree_attention", torch.zeros(3, 1, 1), torch.zeros(5, 1, 1), values, mask, torch.zeros(1))
    got = expect_tensor(got, "the output", shape=(3, 1, 1), dtype="float", dims="T H D").flatten()
    want = torch.tensor([14 / 3, 34 / 4, 54 / 4])
    guesses = {
        "a causal mask lets a node see its sibling": torch.tensor([14 / 3, 34 / 4, 74 / 5]),
        "every node sees everything; a hidden row has the score minus infinity, not 0": torch.full((3,), 74 / 5),
        "the prefix is visible to every node": torch.tensor([10.0, 15.0, 25.0]),
        "the rows of the prefix are the first, those of the nodes the last": torch.tensor([61 / 3, 16.0, 71 / 4]),
        "row i of the mask says what node i sees; here it is read by columns": torch.tensor([74 / 5, 8.0, 44 / 3]),
        "the mask is true where a node sees, not where it is blind": torch.tensor([16.0, 44 / 3, 8.0]),
        "hide rows before the softmax: the weights of the visible rows add up to 1": torch.tensor([2.8, 6.8, 10.8]),
    }
    expect_close(got, want, "the means", hint=likely_mistake(got, guesses))


@check("attend")
def scores_are_scaled_by_the_root_of_the_width(call, rng):
    """Width nine, two heads: the product of the node's query and key is 9 in the first head, -4.5 in the second."""
    q = torch.ones(1, 2, 9)
    k = torch.zeros(2, 2, 9)  # a row of the prefix, then the node
    k[1] = torch.tensor([1.0, -0.5])[:, None]
    v = torch.stack([torch.zeros(2, 9), torch.ones(2, 9)])
    got = call("tree_attention", q, k, v, torch.ones(1, 1, dtype=torch.bool), torch.zeros(2))
    got = expect_tensor(got, "the output", shape=(1, 2, 9), dtype="float", dims="T H D")[0]
    scores = torch.tensor([9.0, -4.5])[:, None].expand(2, 9)  # of query and key; that of the prefix is 0
    guesses = {
        "divide the scores by the square root of D": scores.sigmoid(),
        "divide by the square root of D, not by D": (scores / 9).sigmoid(),
        "divide by the square root of D, the width of a head, not by the number of heads": (scores / 2).sigmoid(),
    }
    expect_close(got, (scores / 3).sigmoid(), "the outputs of the two heads", hint=likely_mistake(got, guesses))


@check("attend")
def a_key_weighs_less_the_more_tokens_it_lies_back(call, rng):
    """Two rows of the prefix, a root and two guesses; queries are 0, the slope is ln 2: each token back halves."""
    values = torch.tensor([1.0, 3.0, 10.0, 20.0, 40.0])[:, None, None]
    mask = torch.tensor([[1, 0, 0], [1, 1, 0], [1, 0, 1]], dtype=torch.bool)
    slopes = torch.tensor([2.0]).log()
    got = call("tree_attention", torch.zeros(3, 1, 1), torch.zeros(5, 1, 1), values, mask, slopes)
    got = expect_tensor(got, "the output", shape=(3, 1, 1), dtype="float", dims="T H D").flatten()
    root = (1 / 4 + 3 / 2 + 10) / (7 / 4)
    guess, first_guess = ((1 / 8 + 3 / 4 + 5 + value) / (15 / 8) for value in (40, 20))
    rows = (1 / 16 + 3 / 8 + 10 / 4 + 40) / (1 / 16 + 1 / 8 + 1 / 4 + 1)
    guesses = {
        "the scores are lower by the slope for each token that the key lies back": torch.tensor([14 / 3, 8.5, 13.5]),
        "siblings have one position: count tokens of the sequence, not rows": torch.tensor([root, first_guess, rows]),
        "what lies further back weighs less": torch.tensor([(4 + 6 + 10) / 7, 60 / 15, 80 / 15]),
    }
    want = torch.tensor([root, first_guess, guess])
    expect_close(got, want, "the weighted means", hint=likely_mistake(got, guesses))
