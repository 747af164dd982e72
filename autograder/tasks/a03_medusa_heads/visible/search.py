"""Which tree: the checks that a student sees and runs."""

from autograder.checks import check, expect_close, expect_equal, fail

ACCURACIES = [[[0.6, 0.2]], [[0.5, 0.3], [0.4, 0.25]]]


@check("search")
def expected_tokens_add_up_the_nodes(call, rng):
    """The root counts 1, and a node the product of the accuracies on its way."""
    got = call("expected_tokens", ACCURACIES, [(0,), (1,), (0, 0), (1, 1)])
    guesses = {
        "the root's own token counts 1": 1.15,
        "a node at depth 2 is right only if its parent is: multiply": 2.55,
        "multiply on the way to a node, do not add": 3.35,
        "head 2 follows rank 1 of head 1 under node (1,): its row is accuracies[1][1]": 2.16,
        "every node counts, not the leaves alone": 1.35,
    }
    hint = next((words for words, value in guesses.items() if abs(got - value) < 1e-6), "")
    expect_close(got, 2.15, "expected tokens", hint=hint)


@check("search")
def the_best_tree_takes_the_likeliest_nodes(call, rng):
    """Nodes by probability: (0,) 0.6, (0, 0) 0.3, (1,) 0.2, (0, 1) 0.18, (1, 0) 0.08, (1, 1) 0.05."""
    for size, want in ((1, []), (3, [(0,), (0, 0)]), (5, [(0,), (1,), (0, 0), (0, 1)])):
        got = call("best_tree", ACCURACIES, size)
        _expect_tree(got, want, size)


@check("search")
def a_second_guess_can_be_better_than_a_first(call, rng):
    """The same with the ranks exchanged: (1,) 0.6, (1, 1) 0.3, (0,) 0.2, (1, 0) 0.18, (0, 1) 0.08, (0, 0) 0.05."""
    accuracies = [[row[::-1] for row in rows[::-1]] for rows in ACCURACIES]
    for size, want in ((2, [(1,)]), (3, [(1,), (1, 1)]), (4, [(0,), (1,), (1, 1)])):
        _expect_tree(call("best_tree", accuracies, size), want, size)


def _expect_tree(got, want, size):
    if not isinstance(got, list) or not all(isinstance(name, tuple | list) for name in got):
        fail("return a list of tuples", got=got)
    got = [tuple(name) for name in got]
    if len(got) != len(want):
        hint = f"the root counts and has no name in the list, so {size - 1} of the nodes have one"
    elif sorted(got) == sorted(want):
        hint = "sort by depth, then by ranks"
    else:
        hint = "take the likeliest node whose parent is in the tree: a product of accuracies after the rank before"
    expect_equal(got, want, f"the best tree of {size} nodes", hint=hint)
