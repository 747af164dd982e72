"""The checks that a student sees and runs: one small case each, and a guess at what went wrong."""

import torch

from autograder.engine import check, expect_close, expect_equal, expect_tensor, explained, fail

PARENTS = [-1, 0, 0, 1, 1, 2, 3]  # leaves 4, 5, 6
PATHS = torch.tensor([[0, 1, 4, -1], [0, 2, 5, -1], [0, 1, 3, 6]])
ACCURACIES = [[0.6, 0.2], [0.5, 0.3]]
ROWS = "states are rows here: W h for every row at once is `hidden @ w.T`"


def _guess(got, guesses):
    """What most likely went wrong: the text whose value the answer has, or nothing."""
    return next((text for text, value in guesses.items() if torch.allclose(got, value.to(got.dtype), atol=1e-5)), "")


@check("heads")
def a_head_adds_a_silu_layer_to_its_input(call, rng):
    """One head of width two: h = (1, -1), W1 h = (-1, -1), b = (0, 2), W2 reads the sum and both entries."""
    hidden, w1 = torch.tensor([[1.0, -1.0]]), torch.tensor([[[0.0, 1.0], [-1.0, 0.0]]])
    b, w2 = torch.tensor([[0.0, 2.0]]), torch.tensor([[[1.0, 1.0], [1.0, 0.0], [0.0, 1.0]]])
    with explained(RuntimeError=ROWS):
        got = expect_tensor(call("medusa_logits", hidden, w1, b, w2), "the logits", shape=(1, 1, 3), dtype="float")
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
    expect_close(got, read(h + z * z.sigmoid()), "the logits", hint=_guess(got, guesses))


@check("heads")
def every_head_reads_the_state_itself(call, rng):
    """Two heads, three states: W1 and b of the second are 0, so its logits are W2 h, whatever the first head does."""
    hidden = torch.tensor([[1.0, -1.0], [0.5, 3.0], [2.0, 0.0]])
    w1, b = torch.zeros(2, 2, 2), torch.tensor([[1.0, 0.5], [0.0, 0.0]])
    w1[0] = torch.tensor([[0.0, 1.0], [-1.0, 0.0]])
    w2 = torch.tensor([[[1.0, 1.0], [1.0, 0.0]], [[0.0, 2.0], [1.0, -1.0]]])
    with explained(RuntimeError=ROWS):
        got = expect_tensor(call("medusa_logits", hidden, w1, b, w2), "the logits", shape=(2, 3, 2), dtype="float")
    first = _residual(hidden, w1[0], b[0])
    guesses = {
        "head 2 reads h, not what head 1 made of it": first @ w2[1].T,
        "head 2 has a W2 of its own": hidden @ w2[0].T,
        "head 2 has a W1 and a b of its own": first @ w2[0].T,
    }
    expect_close(got[1], hidden @ w2[1].T, "the logits of head 2", hint=_guess(got[1], guesses))
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
    logits = torch.stack([_residual(hidden, w1, b) @ w2.T for w1, b, w2 in zip(*got, strict=True)])
    hint = "with W1 = 0 and b = 0 the layer adds SiLU(0) = 0, and W2 is the model's head"
    expect_close(logits, torch.stack([hidden @ lm_head.T] * 2), "the logits that these weights give", hint=hint)


def _residual(hidden, w1, b):
    z = hidden @ w1.T + b
    return hidden + z * z.sigmoid()


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
    got = expect_tensor(call("root_paths", PARENTS), "the paths", shape=(None, None))
    if len(got) != 3:
        fail("one row for each node that is nobody's parent: here 4, 5 and 6", got=got)
    if got.shape[1] != 4:
        fail("rows are as long as the longest path, the root included: here 4 nodes", got=got)
    expect_tensor(got, "the paths", dtype="int")
    if torch.equal(got, PATHS.clamp(min=0)):
        fail("fill up with -1: 0 is the root, and in verification it would be read as a guess")
    expect_equal(got, PATHS, "the paths", hint="rows in the order of the leaves, in each the root first")


@check("candidates")
def a_name_says_which_head_and_which_rank(call, rng):
    """Two heads over five tokens: the best guesses are 1, 2, 3, 0, 4 for head 1 and 3, 4, 0, 2, 1 for head 2."""
    guesses = torch.tensor([[0.1, 0.9, 0.5, 0.2, 0.0], [0.3, 0.0, 0.1, 0.8, 0.7]])
    names = [(0,), (3,), (0, 1), (3, 0), (3, 1)]
    with explained(IndexError="the first head is guesses[0], and ranks begin at 0; a rank may be as large as V - 1"):
        got = call("tree_tokens", torch.tensor(2), guesses, names)
    got = expect_tensor(got, "the tokens", shape=(6,), dtype="int").tolist()
    if got[0] != 2:
        fail("the root's token comes first", got=got)
    known = {
        "ranks are not tokens: look up which token has this rank": [2, 0, 3, 1, 0, 1],
        "rank 0 is the best guess, the one with the largest logit": [2, 4, 2, 2, 1, 2],
        "the last rank of a name says which guess it is, the ones before where it stands": [2, 1, 0, 3, 2, 2],
        "a name of length k ends with a guess of head k": [2, 1, 0, 2, 1, 2],
    }
    hint = next(
        (text for text, value in known.items() if value == got),
        "the last number of a name is the rank, its length is the head",
    )
    expect_equal(got, [2, 1, 0, 4, 3, 4], "tokens", hint=hint)


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
        "every node sees everything; a hidden row has the score minus infinity, not 0": torch.full((3,), 74 / 5),
        "the text before the tree is visible to every node": torch.tensor([10.0, 15.0, 25.0]),
        "the rows of the text are the first, those of the nodes the last": torch.tensor([61 / 3, 16.0, 71 / 4]),
        "row i of the mask says what node i sees; here it is read by columns": torch.tensor([74 / 5, 8.0, 44 / 3]),
        "the mask is true where a node sees, not where it is blind": torch.tensor([16.0, 44 / 3, 8.0]),
        "hide rows before the softmax: the weights of the visible rows add up to 1": torch.tensor([2.8, 6.8, 10.8]),
    }
    expect_close(got, want, "the means", hint=_guess(got, guesses))


@check("attend")
def scores_are_scaled_by_the_root_of_the_width(call, rng):
    """Width nine, two heads: the product of the node's query and key is 9 in the first head, -4.5 in the second."""
    q = torch.ones(1, 2, 9)
    k = torch.zeros(2, 2, 9)  # a row of text, then the node
    k[1] = torch.tensor([1.0, -0.5])[:, None]
    v = torch.stack([torch.zeros(2, 9), torch.ones(2, 9)])
    got = call("tree_attention", q, k, v, torch.ones(1, 1, dtype=torch.bool))
    got = expect_tensor(got, "the output", shape=(1, 2, 9), dtype="float")[0]
    scores = torch.tensor([9.0, -4.5])[:, None].expand(2, 9)  # of query and key; that of the text is 0
    guesses = {
        "divide the scores by the square root of D": scores.sigmoid(),
        "divide by the square root of D, not by D": (scores / 9).sigmoid(),
        "divide by the square root of D, the width of a head, not by the number of heads": (scores / 2).sigmoid(),
    }
    expect_close(got, (scores / 3).sigmoid(), "the outputs of the two heads", hint=_guess(got, guesses))


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
    """Where the target is sure the bar is epsilon = 0.09; where its law is flat the bar is lower. Here delta = 0.3."""
    sure, surer, flat, odd = torch.zeros(4, 16)
    sure[:2], surer[:2], flat[:12] = torch.tensor([0.85, 0.15]), torch.tensor([0.95, 0.05]), 1 / 12
    odd[:8], odd[8] = 0.123, 0.016
    cases = (
        ("0.15 after a parent with the law (0.85, 0.15, 0, ...)", sure, 1, True, "H = 0.42: epsilon is the smaller"),
        ("0.05 after a parent with the law (0.95, 0.05, 0, ...)", surer, 1, False, "it lies below epsilon"),
        ("1/12 where twelve of 16 tokens have 1/12", flat, 5, True, "H = ln 12, so the bar is 0.3 / 12; 0 ln 0 is 0"),
        ("0.016 beside eight tokens of 0.123", odd, 8, False, "H = 2.13 in nats, so the bar is 0.3 exp(-2.13) = 0.036"),
    )
    for what, law, token, kept, hint in cases:
        after = torch.nn.functional.one_hot(torch.tensor(15 if kept else token), 16).float()
        probs, tokens = torch.stack([law, after]), torch.tensor([9, token])
        got = _path(call("typical_path", tokens, probs, torch.tensor([[0, 1]]), 0.09, 0.3))
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
    got = _path(call("typical_path", torch.arange(7), probs, paths, 0.09, 0.3))
    hints = {
        (0, 1, 3): "both paths keep two guesses, and 0.45 times 0.45 is more than 0.12 times 0.85",
        (0,): "what was kept before a guess that fails stays kept",
        (0, 5): "a longer run of kept guesses wins over a likelier one",
    }
    ended = "the path has ended after node 5: -1 is no node" if -1 in got else ""
    expect_equal(got, [0, 2, 4], "kept nodes", hint=ended or hints.get(tuple(got), ""))


def _path(got):
    return expect_tensor(got, "the path", shape=(None,), dtype="int").tolist()


@check("cache")
def kept_rows_stand_one_after_the_other(call, rng):
    """Row i of a cache of eight rows holds i; the root is in row 2, nodes 0, 2 and 5 are kept."""
    keys = torch.arange(8.0)[None, None, :, None, None].expand(2, 1, 8, 1, 3).clone()
    with explained(IndexError="the rows are the third axis of five"):
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
        "multiply on the way to a node, do not add": 2.9,
        "every node counts, not the leaves alone": 1.5,
    }
    hint = next((text for text, value in guesses.items() if abs(got - value) < 1e-6), "")
    expect_close(got, 2.1, "expected tokens", hint=hint)


@check("search")
def the_best_tree_takes_the_likeliest_nodes(call, rng):
    """Nodes by probability: (0,) 0.6, (0, 0) 0.3, (1,) 0.2, (0, 1) 0.18, (1, 0) 0.1, (1, 1) 0.06."""
    for size, want in ((1, []), (3, [(0,), (0, 0)]), (5, [(0,), (1,), (0, 0), (0, 1)])):
        got = call("best_tree", ACCURACIES, size)
        _expect_tree(got, want, size)


@check("search")
def a_second_guess_can_be_better_than_a_first(call, rng):
    """The same with the ranks exchanged: (1,) 0.6, (1, 1) 0.3, (0,) 0.2, (1, 0) 0.18, (0, 1) 0.1, (0, 0) 0.06."""
    accuracies = [row[::-1] for row in ACCURACIES]
    for size, want in ((2, [(1,)]), (3, [(1,), (1, 1)]), (4, [(0,), (1,), (1, 1)])):
        _expect_tree(call("best_tree", accuracies, size), want, size)


def _expect_tree(got, want, size):
    if not isinstance(got, list) or not all(isinstance(name, tuple | list) for name in got):
        fail("return a list of tuples", got=got)
    got = [tuple(name) for name in got]
    if len(got) != len(want):
        hint = f"the root counts as one of the {size} nodes and has no name in the list, so there are {size - 1} names"
    elif sorted(got) == sorted(want):
        hint = "sort by depth, then by ranks"
    else:
        hint = "take the likeliest node whose parent is in the tree: a product of accuracies, whatever the ranks"
    expect_equal(got, want, f"the best tree of {size} nodes", hint=hint)
