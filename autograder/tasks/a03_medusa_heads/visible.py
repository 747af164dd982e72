"""The checks that a student sees and runs: one small case each, and a guess at what went wrong."""

import torch

from autograder.engine import check, expect_close, expect_equal, expect_tensor, explained, fail

PARENTS = [-1, 0, 0, 1, 1, 2, 3]  # leaves 4, 5, 6
PATHS = torch.tensor([[0, 1, 4, -1], [0, 2, 5, -1], [0, 1, 3, 6]])
ACCURACIES = [[0.6, 0.2], [0.5, 0.3]]


@check("heads")
def a_head_adds_a_silu_layer_to_its_input(call, rng):
    """One head of width two: h = (1, -1), W1 swaps the two, b = (0, 2), W2 reads the sum and the first entry."""
    hidden, w1 = torch.tensor([[1.0, -1.0]]), torch.tensor([[[0.0, 1.0], [1.0, 0.0]]])
    b, w2 = torch.tensor([[0.0, 2.0]]), torch.tensor([[[1.0, 1.0], [1.0, 0.0]]])
    with explained(RuntimeError="states are rows here: W h for every row at once is `hidden @ w.T`"):
        got = expect_tensor(call("medusa_logits", hidden, w1, b, w2), "the logits", shape=(1, 1, 2), dtype="float")
    z = torch.tensor([-1.0, 3.0])  # W1 h + b
    layer = z * z.sigmoid()

    def read(state):
        return torch.stack([state.sum(), state[0]])[None, None]

    guesses = {
        "the residual is missing: it is h + SiLU(...)": read(layer),
        "SiLU(z) is z times sigmoid(z), not sigmoid(z)": read(hidden[0] + z.sigmoid()),
        "SiLU is not ReLU: it lets a little of negative values through": read(hidden[0] + z.relu()),
        "the bias belongs inside the SiLU": read(hidden[0] + (z - b[0]) * (z - b[0]).sigmoid()),
        "h is added outside the SiLU, not inside it": read((hidden[0] + z) * (hidden[0] + z).sigmoid()),
    }
    hint = next((text for text, value in guesses.items() if torch.allclose(got, value, atol=1e-5)), "")
    expect_close(got, read(hidden[0] + layer), "the logits", hint=hint)


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
    logits = call("medusa_logits", hidden, *got)
    hint = "with W1 = 0 and b = 0 the layer adds SiLU(0) = 0, and W2 is the model's head"
    expect_close(logits, torch.stack([hidden @ lm_head.T] * 2), "the logits of fresh heads", hint=hint)


@check("tree")
def a_node_sees_itself_and_its_ancestors(call, rng):
    """The mask of a tree of seven nodes."""
    got = expect_tensor(call("ancestor_mask", PARENTS), "the mask", shape=(7, 7), dtype=torch.bool)
    for i, seen in enumerate(([0], [0, 1], [0, 2], [0, 1, 3], [0, 1, 4], [0, 2, 5], [0, 1, 3, 6])):
        found = got[i].nonzero()[:, 0].tolist()
        if extra := set(found) - set(seen):
            fail(f"node {i} sees node {min(extra)}, which is not on its way to the root", got=found, want=seen)
        if gap := set(seen) - set(found):
            fail(f"node {i} does not see node {min(gap)}: itself, its parent and so on", got=found, want=seen)


@check("tree")
def depths_count_steps_from_the_root(call, rng):
    """The depths of the same tree."""
    got = expect_tensor(call("node_depths", PARENTS), "the depths", shape=(7,), dtype="int").tolist()
    hint = "the number of a node says nothing of its depth; the root has depth 0 and a child one more than its parent"
    expect_equal(got, [0, 1, 1, 2, 2, 2, 3], "depths", hint=hint)


@check("tree")
def paths_lead_from_the_root_to_each_leaf(call, rng):
    """The paths of the same tree: three leaves, filled up with -1."""
    got = expect_tensor(call("root_paths", PARENTS), "the paths", shape=(3, 4), dtype="int")
    if torch.equal(got, PATHS.clamp(min=0)):
        fail("fill up with -1: 0 is the root, and in verification it would be read as a guess")
    expect_equal(got, PATHS, "the paths", hint="one row for each node that is nobody's parent, the root first")


@check("candidates")
def a_name_says_which_head_and_which_rank(call, rng):
    """Two heads over five tokens."""
    guesses = torch.tensor([[0.1, 0.9, 0.5, 0.2, 0.0], [0.3, 0.0, 0.1, 0.8, 0.7]])
    names = [(0,), (1,), (0, 0), (1, 1)]
    with explained(IndexError="the first head is guesses[0], and ranks begin at 0"):
        got = call("tree_tokens", torch.tensor(4), guesses, names)
    got = expect_tensor(got, "the tokens", shape=(5,), dtype="int").tolist()
    if got[0] != 4:
        fail("the root's token comes first", got=got)
    hint = "the last rank of a name is the rank at head len(name)"
    expect_equal(got, [4, 1, 2, 3, 4], "tokens", hint=hint)


@check("attend")
def a_node_attends_to_the_text_and_to_its_ancestors(call, rng):
    """Two rows of text and three nodes whose queries are 0: the output is the mean of the visible values."""
    values = torch.tensor([1.0, 3.0, 10.0, 20.0, 40.0])[:, None, None]
    mask = torch.tensor([[1, 0, 0], [1, 1, 0], [1, 0, 1]], dtype=torch.bool)
    with explained(RuntimeError="the mask is (T, T), the scores are (H, T, S): every node sees the S - T rows before"):
        got = call("tree_attention", torch.zeros(3, 1, 1), torch.zeros(5, 1, 1), values, mask)
    got = expect_tensor(got, "the output", shape=(3, 1, 1), dtype="float").flatten()
    want = torch.tensor([14 / 3, 34 / 4, 54 / 4])
    guesses = {
        "a causal mask lets a node see its sibling": torch.tensor([14 / 3, 34 / 4, 74 / 5]),
        "every node sees everything": torch.full((3,), 74 / 5),
        "the text before the tree is visible to every node": torch.tensor([10.0, 15.0, 25.0]),
    }
    hint = next((text for text, value in guesses.items() if torch.allclose(got, value)), "the nodes' rows are the last")
    expect_close(got, want, "the means", hint=hint)


@check("verify")
def the_targets_own_choices_are_kept(call, rng):
    """Of a tree of seven nodes the path 0, 1, 3 is right and 6 is not."""
    tokens = torch.tensor([9, 5, 7, 2, 4, 1, 8])
    choices = torch.tensor([5, 2, 1, 3, 0, 0, 0])  # after the root 5, after node 1 token 2, after node 3 token 3
    got = _path(call("matching_path", tokens, choices, PATHS))
    if got == [0, 1, 3, 6]:
        fail("node 6 holds 8, and after its parent, node 3, the target chose 3", got=got, want=[0, 1, 3])
    expect_equal(got, [0, 1, 3], "kept nodes", hint="compare a guess with the choice after its parent")


@check("verify")
def a_wrong_first_guess_keeps_the_root_alone(call, rng):
    """Both first guesses are wrong; what stands on them is lost, though it would be right."""
    tokens, choices = torch.tensor([9, 5, 7, 2, 4, 1, 8]), torch.tensor([6, 2, 1, 8, 0, 0, 0])
    hint = "the first guess is judged like every other, and what stands on a wrong one follows another text"
    expect_equal(_path(call("matching_path", tokens, choices, PATHS)), [0], "kept nodes", hint=hint)


@check("verify")
def an_ended_path_keeps_nothing_more(call, rng):
    """A path that has ended offers no token 0, and no last node."""
    paths, tokens = torch.tensor([[0, 1, -1], [0, 2, 3]]), torch.tensor([9, 5, 7, 0])
    got = _path(call("matching_path", tokens, torch.tensor([5, 0, 0, 0]), paths))
    hint = "after node 1 the target chose 0, but the path has ended there: -1 is neither token 0 nor the last node"
    expect_equal(got, [0, 1], "kept nodes", hint=hint)


@check("verify")
def typical_guesses_are_kept(call, rng):
    """Where the target is sure the bar is epsilon; where its law is flat the bar is lower."""
    sure, flat = torch.tensor([0.94, 0.05, 0.01, 0.0]), torch.tensor([0.25, 0.25, 0.25, 0.25])
    paths = torch.tensor([[0, 1, 2]])
    cases = (
        ([sure, flat], [0, 3], [0, 1, 2], "the flat law has entropy ln 4, so its bar is 0.3 / 4 and 0.25 lies above"),
        ([sure, flat], [1, 3], [0], "0.05 lies below epsilon, which is the lower of the two numbers for a sure law"),
    )
    for (first, second), (a, b), want, hint in cases:
        probs = torch.stack([first, second, flat])
        got = _path(call("typical_path", torch.tensor([9, a, b]), probs, paths, 0.09, 0.3))
        expect_equal(got, want, "kept nodes", hint=hint)


def _path(got):
    return expect_tensor(got, "the path", shape=(None,), dtype="int").tolist()


@check("cache")
def kept_rows_stand_one_after_the_other(call, rng):
    """Row i of a cache of eight rows holds i; the root is in row 2, nodes 0, 2 and 5 are kept."""
    keys = torch.arange(8.0)[None, None, :, None, None].expand(2, 1, 8, 1, 3).clone()
    got = call("keep_rows", keys, keys + 100, 2, torch.tensor([0, 2, 5]))
    if not isinstance(got, tuple | list) or len(got) != 2:
        fail("return (keys, values)", got=type(got).__name__)
    for name, part, shift in zip(("keys", "values"), got, (0, 100), strict=True):
        rows = expect_tensor(part, f"the {name}", shape=(2, 1, 8, 1, 3), dtype="float")[1, 0, :5, 0, 2] - shift
        if rows[:2].tolist() != [0, 1]:
            fail(f"the rows of the text before the root must stay in the {name}", got=rows)
        hint = "node i was written to row position + i, and the j-th kept node belongs in row position + j"
        expect_equal(rows.tolist(), [0.0, 1.0, 2.0, 4.0, 7.0], f"first rows of the {name}", hint=hint)


@check("search")
def expected_tokens_add_up_the_nodes(call, rng):
    """The root counts 1, and a node the product of the accuracies on its way."""
    got = call("expected_tokens", ACCURACIES, [(0,), (1,), (0, 0)])
    guesses = {
        "the root's own token counts 1": 1.1,
        "a node at depth 2 is right only if its parent is: multiply": 2.3,
    }
    hint = next((text for text, value in guesses.items() if abs(got - value) < 1e-6), "")
    expect_close(got, 2.1, "expected tokens", hint=hint)


@check("search")
def the_best_tree_takes_the_likeliest_nodes(call, rng):
    """Nodes by probability: (0,) 0.6, (0, 0) 0.3, (1,) 0.2, (0, 1) 0.18, (1, 0) 0.1, (1, 1) 0.06."""
    for size, want in ((1, []), (3, [(0,), (0, 0)]), (5, [(0,), (1,), (0, 0), (0, 1)])):
        got = call("best_tree", ACCURACIES, size)
        if not isinstance(got, list):
            fail("return a list of tuples", got=type(got).__name__)
        hint = "the root counts as one of the nodes; a name is a tuple of ranks; sort by depth, then by ranks"
        expect_equal([tuple(name) for name in got], want, f"the best tree of {size} nodes", hint=hint)
