"""Which path is kept: the checks that a student sees and runs."""

import torch

from autograder.checks import check, expect_equal, expect_tensor, fail
from autograder.tasks.a03_medusa_heads.visible.shared import PATHS


@check("verify")
def the_targets_own_choices_are_kept(call, rng):
    """Of a tree of seven nodes the path 0, 1, 3 is right and 6 is not."""
    tokens = torch.tensor([9, 5, 7, 2, 4, 1, 8])
    choices = torch.tensor([5, 2, 1, 3, 0, 0, 0])  # after the root 5, after node 1 token 2, after node 3 token 3
    got = _path(call("matching_paths", tokens, choices, PATHS))
    if got == [0, 1, 3, 6]:
        fail("node 6 holds 8, and after its parent, node 3, the target chose 3", got=got, want=[0, 1, 3])
    expect_equal(got, [0, 1, 3], "kept nodes", hint="compare a guess with the choice after its parent")


@check("verify")
def a_wrong_first_guess_keeps_the_root_alone(call, rng):
    """Both first guesses are wrong; what stands on them is lost, though it would be right."""
    tokens, choices = torch.tensor([9, 5, 7, 2, 4, 1, 8]), torch.tensor([6, 2, 1, 8, 0, 0, 0])
    hint = "the first guess is verified like every other, and what follows a wrong one continues another sequence"
    expect_equal(_path(call("matching_paths", tokens, choices, PATHS)), [0], "kept nodes", hint=hint)


@check("verify")
def an_ended_path_keeps_nothing_more(call, rng):
    """A path that has ended offers no token 0, and no last node."""
    paths, tokens = torch.tensor([[0, 1, -1], [0, 2, 3]]), torch.tensor([9, 5, 7, 0])
    got = _path(call("matching_paths", tokens, torch.tensor([5, 0, 0, 0]), paths))
    hint = "after node 1 the target chose 0, but the path has ended there: -1 is neither token 0 nor the last node"
    expect_equal(got, [0, 1], "kept nodes", hint=hint)


@check("verify")
def typical_guesses_are_kept(call, rng):
    """Where the target is sure the threshold is epsilon = 0.09; where it is uncertain it is lower. Here delta = 0.3."""
    sure, surer, flat, odd = torch.zeros(4, 16)
    sure[:2], surer[:2], flat[:12] = torch.tensor([0.85, 0.15]), torch.tensor([0.95, 0.05]), 1 / 12
    odd[:8], odd[8] = 0.123, 0.016
    cases = (
        ("0.15 after a parent with p = (0.85, 0.15, 0, ...)", sure, 1, True, "H = 0.42: epsilon is the smaller"),
        ("0.05 after a parent with p = (0.95, 0.05, 0, ...)", surer, 1, False, "it lies below epsilon"),
        (
            "1/12 where twelve of 16 tokens have 1/12",
            flat,
            5,
            True,
            "H = ln 12: the threshold is 0.3 / 12; 0 ln 0 is 0",
        ),
        ("0.016 beside eight tokens of 0.123", odd, 8, False, "H = 2.13 nats: the threshold is 0.3 exp(-2.13) = 0.036"),
    )
    for what, distribution, token, kept, hint in cases:
        after = torch.nn.functional.one_hot(torch.tensor(15 if kept else token), 16).float()
        probs, tokens = torch.stack([distribution, after]), torch.tensor([9, token])
        got = _path(call("typical_paths", tokens, probs, torch.tensor([[0, 1]]), 0.09, 0.3))
        if got != [0, 1] and got != [0]:
            fail("a path of one guess: the root is kept, and the guess or not", got=got)
        if got != [0, 1][: 1 + kept]:
            fail(f"{what} is {'kept' if kept else 'not kept'}: {hint}", got=got)


@check("verify")
def of_long_paths_the_likeliest_is_kept(call, rng):
    """Guesses of 0.12 and 0.85 on one path, 0.45, 0.45 and one that fails on the next, a single one of 0.4."""
    paths = torch.tensor([[0, 1, 3, -1], [0, 2, 4, 6], [0, 5, -1, -1]])
    probs = torch.zeros(7, 7)
    probs[0, [1, 2, 5, 6]] = torch.tensor([0.12, 0.45, 0.4, 0.03])
    probs[1, 3], probs[2, 4], probs[4, 6], probs[5, 6] = 0.85, 0.45, 0.03, 0.85
    probs[:, 0] = 1 - probs.sum(1)
    got = _path(call("typical_paths", torch.arange(7), probs, paths, 0.09, 0.3))
    hints = {
        (0, 1, 3): "both paths keep two guesses, and 0.45 times 0.45 is more than 0.12 times 0.85",
        (0,): "what was kept before a guess that fails stays kept",
        (0, 5): "a longer run of kept guesses wins over a likelier one",
    }
    ended = "the path has ended after node 5: -1 is no node" if -1 in got else ""
    expect_equal(got, [0, 2, 4], "kept nodes", hint=ended or hints.get(tuple(got), ""))


def _path(got):
    """The kept nodes of a single tree."""
    return kept_nodes(got, 1)[0]


def kept_nodes(got, trees):
    """The kept nodes of each tree, as lists."""
    if isinstance(got, torch.Tensor):
        fail("return a list with a tensor of nodes for each tree, of a single tree too", got=got)
    if not isinstance(got, list | tuple) or len(got) != trees:
        fail(f"return a list with a tensor of nodes for each tree, here {trees}", got=got)
    return [expect_tensor(path, "the path", shape=(None,), dtype="int", dims="N").tolist() for path in got]


@check("verify")
def each_tree_keeps_a_path_of_its_own(call, rng):
    """Of two trees the first keeps a guess and the second, whose root is node 3, keeps two."""
    tokens, choices = torch.tensor([9, 5, 7, 4, 6, 8]), torch.tensor([7, 0, 0, 6, 8, 0])
    paths = torch.tensor([[0, 1, -1], [0, 2, -1], [3, 4, 5]])
    hint = "paths with the same root belong to one tree; each tree has a longest run of its own"
    got = kept_nodes(call("matching_paths", tokens, choices, paths), 2)
    expect_equal(got, [[0, 2], [3, 4, 5]], "the kept nodes of two trees", hint=hint)
    probs = torch.nn.functional.one_hot(choices, 10).float()
    got = kept_nodes(call("typical_paths", tokens, probs, paths, 0.09, 0.3), 2)
    expect_equal(got, [[0, 2], [3, 4, 5]], "the typical nodes of two trees", hint=hint)
