"""Rollout that drops weak links: the checks that a student sees and runs."""

import torch

from autograder.checks import check, expect_close, expect_tensor, known_mistake


@check("rollout")
def one_layer_by_hand(call, rng):
    """One layer, two heads, three tokens; the class token's rows are (.2, .5, .3) and (.6, .1, .3)."""
    first = torch.tensor([[0.2, 0.5, 0.3], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]])
    second = torch.tensor([[0.6, 0.1, 0.3], [0.2, 0.2, 0.6], [0.1, 0.2, 0.7]])
    got = call("class_map", [torch.stack([first, second])], 0.0)
    got = expect_tensor(got, "the map", shape=(2,), dtype="float")
    guesses = {
        "fuse the heads by their maximum, not by their mean": torch.tensor([0.5, 0.5]),
        "read row 0 of the product; this is its column 0": torch.tensor([0.371, 0.629]),
        "divide the row without its first entry by its sum": torch.tensor([0.5, 0.3]) / 2.4,
    }
    expect_close(got, torch.tensor([0.625, 0.375]), "the map", hint=known_mistake(got, guesses))


@check("rollout")
def the_first_layer_comes_first(call, rng):
    """Patch 1 reads patch 2 in the first layer, the class token patch 1 in the second: it gets some of patch 2."""
    first, second = torch.eye(3)[None].clone(), torch.eye(3)[None].clone()
    first[0, 1] = torch.tensor([0.0, 0.1, 0.9])
    second[0, 0] = torch.tensor([0.1, 0.9, 0.0])
    got = expect_tensor(call("class_map", [first, second], 0.0), "the map", shape=(2,), dtype="float")
    guesses = {
        "the last layer is the leftmost factor": torch.tensor([1.0, 0.0]),
        "the identity is missing: it is added before the rows are divided by their sums": torch.tensor([0.1, 0.9]),
        "divide each row by its sum; here the columns were": torch.tensor([0.7632, 0.2368]),
        "divide the row without its first entry by its sum": torch.tensor([0.2475, 0.2025]),
    }
    expect_close(got, torch.tensor([0.55, 0.45]), "the map", hint=known_mistake(got, guesses))


@check("rollout")
def weak_links_are_dropped(call, rng):
    """Four tokens, discard 0.5: two of the three patches of each row go, the class token's column stays."""
    row = torch.tensor([0.05, 0.15, 0.6, 0.2])
    got = call("class_map", [row.expand(1, 4, 4).clone()], 0.5)
    got = expect_tensor(got, "the map", shape=(3,), dtype="float")
    guesses = {
        "the class token's column is never dropped": torch.tensor([0.0, 0.75, 0.25]),
        "drop the smallest, not the largest": torch.tensor([1.0, 0.0, 0.0]),
        "argsort counts from the part that it is given: add 1 for what was left out": torch.tensor([3.0, 0, 4]) / 7,
        "divide the row without its first entry by its sum": torch.tensor([0.0, 0.3636, 0.0]),
        "read row 0 of the product; this is its column 0": torch.ones(3) / 3,
    }
    expect_close(got, torch.tensor([0.0, 1.0, 0.0]), "the map", hint=known_mistake(got, guesses))
