"""The hidden checks. Inputs come from the run's key, expected values are computed in the judge, after the answer."""

import itertools
import math

import torch

from autograder.engine import check, expect_close, expect_equal, expect_tensor, fail


def integer(rng, low, high):
    """A random whole number from low to high, both included."""
    return int(torch.randint(low, high + 1, (), generator=rng))


def normal(rng, *shape):
    return torch.randn(*shape, generator=rng)


# ---------------------------------------------------------------- the heads


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
        got = call("medusa_logits", hidden, *weights)
        got = expect_tensor(got, "the logits", shape=(heads, states, vocab_size), dtype="float")
        hint = "W2 (h + SiLU(W1 h + b)), with the weights of the same head and the same h for every head"
        expect_close(got, head_logits(hidden, *weights), "the logits", 1e-4, 1e-4, hint)


@check("heads", points=1)
def a_head_depends_on_its_own_weights_alone(call, rng):
    """Another head's weights change nothing, and neither does another state."""
    weights, hidden = head_weights(rng, 3, 5, 8), normal(rng, 4, 5)
    got = expect_tensor(call("medusa_logits", hidden, *weights), "the logits", shape=(3, 4, 8), dtype="float")
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


# ---------------------------------------------------------------- the tree


def random_parents(rng, size):
    """Parents of any shape: a node's number does not rise with its depth."""
    return [-1, *(integer(rng, 0, node - 1) for node in range(1, size))]


def walk(parents, node):
    """Nodes from the root to this one."""
    return [] if node < 0 else [*walk(parents, parents[node]), node]


def leaves(parents):
    return [node for node in range(len(parents)) if node not in parents]


def paths_of(parents):
    """(P, D + 1) rows of nodes, short ones filled up with -1."""
    rows = [walk(parents, node) for node in leaves(parents)]
    longest = max(map(len, rows))
    return torch.tensor([row + [-1] * (longest - len(row)) for row in rows])


def trees(rng):
    """A root alone, a line, a star, and trees of every shape."""
    yield from ([-1], [-1, *range(11)], [-1, 0, 0, 0], [-1, 0, 1, 0, 3, 3, 2], [-1, 0, 1, 2, 0])
    for size in (6, 11, 17):
        yield random_parents(rng, size)


@check("tree", points=2)
def a_node_sees_its_ancestors_and_nothing_else(call, rng):
    """Masks of trees of every shape, against a walk from each node to the root."""
    for parents in trees(rng):
        size = len(parents)
        got = expect_tensor(call("ancestor_mask", parents), "the mask", shape=(size, size), dtype=torch.bool)
        for node in range(size):
            seen, found = walk(parents, node), got[node].nonzero()[:, 0].tolist()
            wrong = sorted(set(found) - set(seen))
            if wrong and parents[wrong[0]] == parents[node]:
                fail(f"in the tree {parents} node {node} sees its sibling {wrong[0]}: two guesses for one place")
            expect_equal(found, sorted(seen), f"the nodes that node {node} sees in the tree {parents}")


@check("tree", points=1)
def the_root_has_depth_zero_and_a_child_one_more_than_its_parent(call, rng):
    """Depths, which are places in the text relative to the root's."""
    for parents in trees(rng):
        got = expect_tensor(call("node_depths", parents), "the depths", shape=(len(parents),), dtype="int").tolist()
        want = [len(walk(parents, node)) - 1 for node in range(len(parents))]
        if got == list(range(len(parents))) != want:
            fail("siblings stand at the same place of the text: a node's depth is not its number", got=got, want=want)
        if got == [depth + 1 for depth in want]:
            fail("the root's depth is 0: it stands at its own place", got=got, want=want)
        expect_equal(got, want, f"depths of the tree {parents}")


@check("tree", points=2)
def each_leaf_has_a_path(call, rng):
    """Paths from the root to every leaf, filled up with -1."""
    for parents in trees(rng):
        want = paths_of(parents)
        got = expect_tensor(call("root_paths", parents), "the paths", dtype="int")
        if got.shape == want.shape and torch.equal(got, want.clamp(min=0)) and (want < 0).any():
            fail("short paths are filled up with -1, not with 0: node 0 is the root")
        if len(got) == len(parents) > len(want):
            fail("only leaves have a path of their own: a node with a child lies on the child's path")
        expect_equal(got.to(torch.int64), want, f"paths of the tree {parents}")


# ---------------------------------------------------------------- the tokens


def random_names(rng, heads, ranks, size):
    """A tree of names, sorted by depth and ranks."""
    names = []
    while len(names) < size:
        parent = ((), *names)[integer(rng, 0, len(names))]
        name = (*parent, integer(rng, 0, ranks - 1))
        if len(name) <= heads and name not in names:
            names.append(name)
    return sorted(names, key=lambda name: (len(name), name))


def token_of(guesses, name):
    """The token of a node, by sorting in Python."""
    logits = guesses[len(name) - 1].tolist()
    return sorted(range(len(logits)), key=lambda token: -logits[token])[name[-1]]


def expect_tokens(call, rng, heads, names, vocab_size=13):
    guesses, root = normal(rng, heads, vocab_size), torch.tensor(integer(rng, 0, vocab_size - 1))
    got = call("tree_tokens", root, guesses, names)
    got = expect_tensor(got, "the tokens", shape=(len(names) + 1,), dtype="int").tolist()
    expect_equal(got[0], int(root), "the token of node 0, the root")
    for name, token in zip(names, got[1:], strict=True):
        hint = f"it has rank {name[-1]} among the guesses of head {len(name)}, whatever it stands on"
        expect_equal(token, token_of(guesses, name), f"the token of node {name}", hint=hint)


@check("candidates", points=1)
def every_rank_of_every_head_can_be_asked_for(call, rng):
    """Lines of guesses, one rank after the other."""
    for rank in range(13):
        expect_tokens(call, rng, 3, [(rank,), (rank, rank), (rank, rank, rank)])


@check("candidates", points=1)
def trees_of_any_shape_get_their_tokens(call, rng):
    """Random trees; the same rank at one depth is the same token under every parent."""
    for size in (4, 9, 15):
        expect_tokens(call, rng, 4, random_names(rng, 4, 6, size))


@check("candidates", points=1)
def a_root_alone_and_unused_heads_are_no_exception(call, rng):
    """No guess at all, and a tree that uses two heads of four."""
    expect_tokens(call, rng, 2, [])
    for rank in range(4):
        expect_tokens(call, rng, 4, [(rank,), (rank + 1,), (rank + 1, rank)])


# ---------------------------------------------------------------- attention


def expect_attention(call, rng, parents, text):
    """Against a softmax of its own for each node and head, over the rows that it may see."""
    size, heads, width = len(parents), 3, integer(rng, 4, 8)
    q, k, v = (normal(rng, rows, heads, width) for rows in (size, text + size, text + size))
    mask = torch.zeros(size, size, dtype=torch.bool)
    for node in range(size):
        mask[node, walk(parents, node)] = True
    got = expect_tensor(call("tree_attention", q, k, v, mask), "the output", shape=tuple(q.shape), dtype="float")
    for node, head in itertools.product(range(size), range(heads)):
        rows = [*range(text), *(text + seen for seen in walk(parents, node))]
        scores = k[rows, head].double() @ q[node, head].double() / math.sqrt(width)
        want = scores.softmax(0) @ v[rows, head].double()
        hint = f"{text} rows of text are visible to every node, of the tree only what the mask allows"
        expect_close(got[node, head], want, f"the output of node {node}, head {head}", 1e-5, 1e-4, hint)


@check("attend", points=2)
def each_node_sees_the_text_and_its_own_branch(call, rng):
    """Trees of every shape behind texts of several lengths, against a softmax over the visible rows alone."""
    for parents, text in zip(trees(rng), (5, 3, 8, 1, 6, 12, 4, 7), strict=True):
        expect_attention(call, rng, parents, text)


@check("attend", points=1)
def a_tree_without_a_text_before_it_attends_to_itself(call, rng):
    """As many rows as nodes."""
    for size in (1, 5, 11):
        expect_attention(call, rng, random_parents(rng, size), text=0)


@check("attend", points=1)
def hidden_rows_play_no_part(call, rng):
    """What stands in rows that a node does not see cannot change its output, however large it is."""
    parents, text = [-1, 0, 0, 1, 2], 3
    q, k, v = (normal(rng, rows, 2, 4) for rows in (5, 8, 8))
    q[..., 0], k[..., 0] = 20, -20  # all scores lie far below zero, where a row hidden by a finite score would win
    mask = torch.zeros(5, 5, dtype=torch.bool)
    for node in range(5):
        mask[node, walk(parents, node)] = True
    before = expect_tensor(call("tree_attention", q, k, v, mask), "the output", shape=(5, 2, 4), dtype="float")
    if not bool(before.isfinite().all()):
        fail("the output holds NaN or infinity", got=before)
    v[text + 2] += 1000
    after = call("tree_attention", q, k, v, mask)
    if torch.allclose(after[4], before[4], atol=1e-2):
        fail("node 4 stands on node 2 and must see it")
    k[text + 2] *= -9
    for changed, what in ((after, "value"), (call("tree_attention", q, k, v, mask), "key")):
        for node in (0, 1, 3):
            said = f"the output of node {node} when the {what} of node 2 changes"
            expect_close(changed[node], before[node], said, 1e-5, 1e-4)
    if torch.allclose(changed[4], after[4], atol=1e-2):
        fail("the output of node 4 does not depend on the key of node 2, which it sees")


# ---------------------------------------------------------------- verification


def guessed_tree(rng, size, vocab_size=11):
    """Parents, their paths, and tokens that differ among siblings."""
    parents = random_parents(rng, size)
    pools = {node: torch.randperm(vocab_size, generator=rng).tolist() for node in range(-1, size)}
    return parents, paths_of(parents), torch.tensor([pools[parent].pop() for parent in parents])


def target_choices(rng, parents, tokens, share, vocab_size=11):
    """Choices that agree with a guess at about this share of the nodes; after a leaf comes what no guess says."""
    choices = torch.randint(vocab_size, (len(parents),), generator=rng)
    choices[leaves(parents)] = vocab_size
    for node in torch.randperm(len(parents) - 1, generator=rng).add(1).tolist():
        if torch.rand((), generator=rng) < share:
            choices[parents[node]] = tokens[node]
    return choices


def kept_path(parents, accepted):
    """The longest way from the root on which every guess is accepted."""
    good = [walk(parents, n) for n in range(len(parents)) if all(accepted[m] for m in walk(parents, n)[1:])]
    return max(good, key=len)


def matching_nodes(parents, tokens, choices):
    return [bool(tokens[n] == choices[p]) for n, p in enumerate(parents)]


def path_of(got):
    return expect_tensor(got, "the path", shape=(None,), dtype="int").tolist()


@check("verify", points=2)
def the_longest_run_of_right_guesses_is_kept(call, rng):
    """Random trees and choices, against a search over all nodes."""
    for _ in range(80):
        parents, paths, tokens = guessed_tree(rng, integer(rng, 4, 12))
        choices = target_choices(rng, parents, tokens, 0.7)
        want = kept_path(parents, matching_nodes(parents, tokens, choices))
        hint = "a guess is right if it is what the target chose after its parent; stop at the first that is not"
        expect_equal(path_of(call("matching_path", tokens, choices, paths)), want, "kept nodes", hint=hint)


@check("verify", points=1)
def the_first_guess_is_judged_too(call, rng):
    """Where no first guess is right, the root is kept alone, whatever stands below."""
    for _ in range(30):
        parents, paths, tokens = guessed_tree(rng, 9)
        choices = target_choices(rng, parents, tokens, 1.0)
        want = kept_path(parents, matching_nodes(parents, tokens, choices))
        got = path_of(call("matching_path", tokens, choices, paths))
        expect_equal(got, want, "kept nodes where the target chose a first guess", hint="the root and more")
        first = {int(tokens[n]) for n, p in enumerate(parents) if p == 0}
        choices[0] = next(token for token in range(11) if token not in first)
        got = path_of(call("matching_path", tokens, choices, paths))
        expect_equal(got, [0], "kept nodes where the target chose another first token", hint="the root alone")
        probs = torch.nn.functional.one_hot(choices, 12).float()
        got = path_of(call("typical_path", tokens, probs, paths, 0.09, 0.3))
        expect_equal(got, [0], "kept nodes where every first guess has probability 0", hint="the root alone")


@check("verify", points=1)
def ended_paths_accept_nothing(call, rng):
    """A target that writes 0, or the token of the last node, after a short path gets nothing more from it."""
    tokens = torch.cat([torch.randperm(7, generator=rng)[:4] + 1, torch.tensor([0])])
    hint = "-1 says that the path has ended: it is no token and no node"
    for leaf, order in itertools.product(range(1, 5), ([0, 1], [1, 0])):  # the leaf of the short path
        paths = torch.tensor([[0, leaf, -1, -1], [0, *(node for node in range(1, 5) if node != leaf)]])[order]
        for token in (0, int(tokens[0])):
            choices = torch.full((5,), token)
            choices[0] = tokens[leaf]
            got = path_of(call("matching_path", tokens, choices, paths))
            expect_equal(got, [0, leaf], f"kept nodes of the paths {paths.tolist()}", hint=hint)
        probs = torch.full((5, 8), 0.125)
        probs[0] = torch.nn.functional.one_hot(tokens[leaf], 8)
        got = path_of(call("typical_path", tokens, probs, paths, 0.09, 0.3))
        expect_equal(got, [0, leaf], f"kept nodes of the paths {paths.tolist()}", hint=hint)
        whole = paths[order.index(1)]  # of a target that agrees with the long path
        choices = torch.full((5,), 9)
        choices[whole[:-1]] = tokens[whole[1:]]
        what = f"kept nodes of the paths {paths.tolist()}, the long one right"
        got = path_of(call("matching_path", tokens, choices, paths))
        expect_equal(got, whole.tolist(), what)
        probs = torch.nn.functional.one_hot(choices, 10).float()
        expect_equal(path_of(call("typical_path", tokens, probs, paths, 0.09, 0.3)), whole.tolist(), what)


def typical_bar(p, epsilon, delta):
    """The bar of one law, in plain floats."""
    entropy = -sum(x * math.log(x) for x in p.double().tolist() if x > 0)
    return min(epsilon, delta * math.exp(-entropy))


@check("verify", points=1)
def typical_guesses_lie_above_the_entropy_dependent_bar(call, rng):
    """One guess under laws from sure to flat, with zeros in them, for several epsilon and delta."""
    decided = set()
    probs = torch.tensor([[0.7, 0.3, 0.0, 0.0]] * 2)
    got = path_of(call("typical_path", torch.tensor([0, 1]), probs, torch.tensor([[0, 1]]), 0.09, 0.3))
    expect_equal(got, [0, 1], "kept nodes for the law (0.7, 0.3, 0, 0) and p(x) = 0.3", hint="0 ln 0 is 0, not NaN")
    for case in range(60):
        p = (normal(rng, 12) * (0.3, 1.0, 3.0, 8.0)[case % 4]).softmax(0)
        p[p < 0.004] = 0.0
        p = p / p.sum()
        epsilon, delta = ((0.09, 0.3), (0.3, 0.5), (0.04, 2.0))[case % 3]
        bar = typical_bar(p, epsilon, delta)
        near = (p - bar).abs().argsort()[integer(rng, 0, 3)]
        if abs(float(p[near]) - bar) < 1e-4:
            continue
        after = (normal(rng, 12) * (8.0, 3.0, 1.0, 0.3)[case % 4]).softmax(0)
        probs = torch.stack([p, after])
        got = path_of(call("typical_path", torch.tensor([0, int(near)]), probs, torch.tensor([[0, 1]]), epsilon, delta))
        want = [0, 1] if float(p[near]) > bar else [0]
        decided.add(len(want))
        hint = "min(epsilon, delta exp(-H)), H in nats, of the law after the parent; 0 ln 0 is 0"
        what = f"kept nodes for p(x) = {float(p[near]):.4f} where the bar is {bar:.4f}"
        expect_equal(got, want, what, hint=hint)
    assert decided == {1, 2}


@check("verify", points=1)
def the_longest_typical_path_wins_then_the_likeliest(call, rng):
    """Two branches of equal and of different length, and random trees and laws, against a search over all nodes."""
    hint = "the longest run; of equally long ones the one with the largest product of its guesses' probabilities"
    for first, second in ((0.3, 0.4), (0.45, 0.25)):
        tokens = torch.randperm(11, generator=rng)[:5]
        probs = torch.full((5, 11), 0.02)
        probs[0, tokens[1:3]] = torch.tensor([first, second])
        probs[[1, 2], tokens[3:]] = 0.6
        probs = probs / probs.sum(1, keepdim=True)
        equal, longer = torch.tensor([[0, 1, 3], [0, 2, 4]]), torch.tensor([[0, 1, -1], [0, 2, 4]])
        for paths, want in ((equal, [0, 2, 4] if second > first else [0, 1, 3]), (longer, [0, 2, 4])):
            got = path_of(call("typical_path", tokens, probs, paths, 0.09, 0.3))
            expect_equal(got, want, f"kept nodes where the first guesses have {first} and {second}", hint=hint)
    *tokens, other = torch.randperm(11, generator=rng)[:6]
    tokens, probs = torch.stack(tokens), torch.full((5, 11), 0.01)
    probs[0, tokens[1:3]], probs[1, tokens[3]] = torch.tensor([0.13, 0.45]), 0.9
    probs[2, tokens[4]], probs[[0, 2], other] = 0.45, torch.tensor([0.34, 0.45])
    got = path_of(call("typical_path", tokens, probs, torch.tensor([[0, 1, 3], [0, 2, 4]]), 0.09, 0.3))
    expect_equal(got, [0, 2, 4], "kept nodes where the larger product has the smaller sum", hint=hint)
    for _ in range(60):
        parents, paths, tokens = guessed_tree(rng, integer(rng, 4, 12))
        probs = (1.6 * normal(rng, len(parents), 12)).softmax(-1)
        probs[leaves(parents)] = torch.tensor([0.001] * 11 + [0.989])  # after a leaf comes what no guess says
        given = [float(probs[p, tokens[n]]) if n else 1.0 for n, p in enumerate(parents)]
        bars = [typical_bar(p, 1.0, 0.3) for p in probs]
        margins = [abs(given[n] - bars[parents[n]]) for n in range(1, len(parents))]
        if min(margins) < 1e-5:
            continue
        accepted = [n == 0 or given[n] > bars[parents[n]] for n in range(len(parents))]
        good = [walk(parents, n) for n in range(len(parents)) if all(accepted[m] for m in walk(parents, n))]
        want = max(good, key=lambda path: (len(path), math.prod(given[n] for n in path)))
        got = path_of(call("typical_path", tokens, probs, paths, 1.0, 0.3))
        expect_equal(got, want, "kept nodes", hint=hint)


# ---------------------------------------------------------------- the cache


def kept_rows(call, rng, position, nodes, path, shape=(2, 1, 2, 3)):
    """Both parts of the cache before and after; the rows of each are random."""
    layers, batch, heads, width = shape
    before = tuple(normal(rng, layers, batch, position + nodes + 2, heads, width) for _ in range(2))
    got = call("keep_rows", *before, position, torch.tensor(path))
    if not isinstance(got, tuple | list) or len(got) != 2:
        fail("return (keys, values)", got=type(got).__name__)
    return before, [expect_tensor(part, "a part of the cache", shape=tuple(before[0].shape)) for part in got]


def expect_moved(before, after, position, path):
    """Every kept row stands in its new place."""
    for name, old, new in zip(("keys", "values"), before, after, strict=True):
        for j, node in enumerate(path):
            if not torch.equal(new[:, :, position + j], old[:, :, position + node]):
                fail(
                    f"row {position + j} of the {name} should hold node {node}, the {j}-th kept one, which was "
                    f"written to row {position + node}; path {path}, root in row {position}"
                )


def random_path(rng, nodes):
    return [0, *sorted((torch.randperm(nodes - 1, generator=rng)[: integer(rng, 1, nodes - 2)] + 1).tolist())]


@check("cache", points=1)
def kept_rows_of_keys_and_values_close_up(call, rng):
    """Row position + j holds what stood in row position + path[j], in every layer, head and batch row."""
    for _ in range(8):
        position, path = integer(rng, 1, 9), random_path(rng, 9)
        expect_moved(*kept_rows(call, rng, position, 9, path, (3, 2, 4, 5)), position, path)


@check("cache", points=1)
def the_text_before_the_root_stays(call, rng):
    """Rows before the root are not touched, wherever the root stands."""
    for position in (0, 1, 6):
        path = [0, 2, *(node + 2 for node in random_path(rng, 5)[1:])]
        before, after = kept_rows(call, rng, position, 7, path)
        if all(map(torch.equal, after, before)):
            fail("nothing moved: a cache that stays as it was keeps the text, and the rejected nodes as well")
        for name, old, new in zip(("keys", "values"), before, after, strict=True):
            if not torch.equal(new[:, :, :position], old[:, :, :position]):
                fail(f"rows before row {position}, the root's, changed in the {name}")
        expect_moved(before, after, position, path)


@check("cache", points=1)
def the_root_alone_and_whole_lines_stay_where_they_are(call, rng):
    """A path without gaps moves nothing, whether it is the root alone or every node of a line."""
    for path in ([0], [0, 1, 2, 3], [0, 1]):
        before, after = kept_rows(call, rng, 4, 5, path)
        for name, old, new in zip(("keys", "values"), before, after, strict=True):
            if not torch.equal(new[:, :, : 4 + len(path)], old[:, :, : 4 + len(path)]):
                fail(f"path {path} has no gaps, so its rows stay as they are in the {name}")
    expect_moved(*kept_rows(call, rng, 4, 5, [0, 2, 4]), 4, [0, 2, 4])  # one with gaps does not


# ---------------------------------------------------------------- the choice of a tree


def random_accuracies(rng, heads, ranks):
    """Shares that sum to less than 1 for each head, in no order."""
    return [(normal(rng, ranks + 1).mul(1.2).softmax(0)[:ranks]).tolist() for _ in range(heads)]


def probability(accuracies, name):
    return math.prod(accuracies[k][rank] for k, rank in enumerate(name))


def names_above(accuracies, least, name=(), reached=1.0):
    """All nodes below one that are at least so likely; what stands on a node is less likely than it."""
    if len(name) == len(accuracies):
        return
    for rank, a in enumerate(accuracies[len(name)]):
        if reached * a >= least:
            yield (*name, rank)
            yield from names_above(accuracies, least, (*name, rank), reached * a)


@check("search", points=1)
def expected_tokens_sum_the_nodes(call, rng):
    """1 plus the probability of every node, for random trees."""
    for size in (0, 1, 4, 9):
        accuracies = random_accuracies(rng, 3, 4)
        names = random_names(rng, 3, 4, size)
        got = call("expected_tokens", accuracies, names)
        want = 1 + sum(probability(accuracies, name) for name in names)
        if abs(got - (want - 1)) < 1e-9:
            fail("the root's token is missing: every pass yields one", got=got, want=want)
        expect_close(got, want, f"expected tokens of the tree {names}", hint="a product along the way to each node")


def expect_best(call, accuracies, sizes, least=0.0):
    """The best trees; of many heads only nodes that are at least so likely are looked at, which must be enough."""
    ordered = sorted(names_above(accuracies, least), key=lambda name: -probability(accuracies, name))
    assert len(ordered) >= max(sizes) - 1
    for size in sizes:
        got = call("best_tree", accuracies, size)
        if not isinstance(got, list) or not all(isinstance(name, tuple | list) for name in got):
            fail("return a list of tuples", got=got)
        got = [tuple(name) for name in got]
        want = sorted(ordered[: size - 1], key=lambda name: (len(name), name))
        if len(got) == size:
            fail("the root is one of the `size` nodes, and it has no name in the list", got=got, want=want)
        if orphans := [name for name in got if name[:-1] and name[:-1] not in got]:
            fail(f"node {orphans[0]} is in the tree but not its parent", got=got)
        if sorted(got) == sorted(want):
            expect_equal(got, want, f"the order of the tree of {size} nodes", hint="by depth, then by ranks")
        yields = [1 + sum(probability(accuracies, name) for name in names) for names in (got, want)]
        hint = f"it yields {yields[0]:.3f} tokens a pass, the best {yields[1]:.3f}" if len(got) == len(want) else ""
        expect_equal(got, want, f"the best tree of {size} nodes", hint=hint)


@check("search", points=2)
def no_tree_yields_more(call, rng):
    """The tree's nodes are the likeliest of all, for random accuracies."""
    for heads, ranks in ((1, 6), (2, 4), (3, 3), (4, 3), (2, 5), (3, 4)):
        accuracies = random_accuracies(rng, heads, ranks)
        expect_best(call, accuracies, (2, 4, 7))


@check("search", points=1)
def a_lower_rank_can_be_better(call, rng):
    """Accuracies that do not fall with the rank, and heads that are better than those before."""
    for _ in range(3):
        first, second = (torch.tensor(row) * (1 - 0.1 * torch.rand(3, generator=rng))
                         for row in ([0.55, 0.2, 0.1], [0.9, 0.05, 0.02]))  # fmt: skip
        rolled = [row.roll(integer(rng, 1, 2)).tolist() for row in (first, second)]
        expect_best(call, rolled, (2, 3, 4, 6))


@check("search", points=1)
def the_smallest_and_the_largest_tree(call, rng):
    """A root alone, and every node that there is, also of heads with different numbers of ranks and of twenty heads."""
    for _ in range(8):
        expect_best(call, random_accuracies(rng, 2, 3), (1, 2, 13))
        accuracies = [random_accuracies(rng, 1, ranks)[0] for ranks in (2, 3, 1, 2, 1, 2)]
        expect_best(call, accuracies, (9, 1 + len([*names_above(accuracies, 0.0)])))
    best = torch.rand(20, generator=rng).mul(0.13).add(0.82).tolist()
    expect_best(call, [[a, (1 - a) / 2, (1 - a) / 4] for a in best], (6, 24), least=0.01)
