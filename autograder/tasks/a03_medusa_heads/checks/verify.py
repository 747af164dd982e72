"""Which path is kept: the hidden checks."""

import itertools
import math

import torch

from autograder.checks import check, expect_equal, integer
from autograder.tasks.a03_medusa_heads.oracles import forest, leaves, normal, paths_of, random_parents, walk
from autograder.tasks.a03_medusa_heads.visible.verify import kept_nodes


def guessed_forest(rng, *sizes, vocab_size=11):
    """Parents, their paths, and tokens that differ among siblings."""
    parents = forest(*(random_parents(rng, size) for size in sizes))
    pools = {node: torch.randperm(vocab_size, generator=rng()).tolist() for node in range(-1, len(parents))}
    return parents, paths_of(parents), torch.tensor([pools[parent].pop() for parent in parents])


def target_choices(rng, parents, tokens, share, vocab_size=11):
    """Choices that agree with a guess at about this share of the nodes; after a leaf comes what no guess says."""
    choices = torch.randint(vocab_size, (len(parents),), generator=rng())
    choices[leaves(parents)] = vocab_size
    for node in torch.randperm(len(parents), generator=rng()).tolist():
        if parents[node] >= 0 and torch.rand((), generator=rng()) < share:
            choices[parents[node]] = tokens[node]
    return choices


def kept_paths(parents, accepted, likelihood=lambda path: 0.0):
    """Of each tree the longest way from the root on which every guess is accepted; of equals the likeliest."""
    ways = [walk(parents, node) for node in range(len(parents))]
    good = [way for way in ways if all(accepted[node] for node in way[1:])]
    roots = [node for node, parent in enumerate(parents) if parent < 0]
    return [max((way for way in good if way[0] == root), key=lambda way: (len(way), likelihood(way))) for root in roots]


def matching_nodes(parents, tokens, choices):
    return [parent >= 0 and bool(tokens[node] == choices[parent]) for node, parent in enumerate(parents)]


def expect_kept(got, want, what, hint=""):
    """The kept nodes of each tree."""
    expect_equal(kept_nodes(got, len(want)), want, what, hint=hint)


def in_two_trees(tokens, given, paths, want):
    """The same tree a second time behind the first: tokens, what the target gave after each node, paths, kept nodes."""
    moved = torch.where(paths < 0, paths, paths + len(tokens))
    given = torch.cat([given, given])
    return torch.cat([tokens, tokens]), given, torch.cat([paths, moved]), [want, [n + len(tokens) for n in want]]


def expect_matching(call, tokens, choices, paths, want, what, hint=""):
    """What is kept of one tree, beside another one that is equal."""
    *args, want = in_two_trees(tokens, choices, paths, want)
    expect_kept(call("matching_paths", *args), want, what, hint)


def expect_typical(call, tokens, probs, paths, want, what, hint="", epsilon=0.09, delta=0.3):
    *args, want = in_two_trees(tokens, probs, paths, want)
    expect_kept(call("typical_paths", *args, epsilon, delta), want, what, hint)


@check("verify", points=2)
def the_longest_run_of_right_guesses_is_kept(call, rng):
    """Random forests and choices, against a search over all nodes."""
    for number in range(60):
        sizes = [integer(rng, 4, 9) for _ in range(1 + number % 3)]
        parents, paths, tokens = guessed_forest(rng, *sizes)
        choices = target_choices(rng, parents, tokens, 0.7)
        want = kept_paths(parents, matching_nodes(parents, tokens, choices))
        hint = "a guess is right if it is what the target chose after its parent; stop at the first that is not"
        expect_kept(call("matching_paths", tokens, choices, paths), want, "kept nodes of each tree", hint)


@check("verify", points=1)
def the_first_guess_is_verified_too(call, rng):
    """Where no first guess is right, the root is kept alone, whatever stands below."""
    for _ in range(30):
        parents, paths, tokens = guessed_forest(rng, 7, 5)
        choices = target_choices(rng, parents, tokens, 1.0)
        right = kept_paths(parents, matching_nodes(parents, tokens, choices))
        got = call("matching_paths", tokens, choices, paths)
        expect_kept(got, right, "kept nodes where the target chose a first guess", hint="the root and more")
        first = {int(tokens[node]) for node, parent in enumerate(parents) if parent == 0}
        choices[0] = next(token for token in range(11) if token not in first)
        want = [[0], right[1]]
        what = "kept nodes where the target chose another first token in the first tree"
        expect_kept(call("matching_paths", tokens, choices, paths), want, what, hint="its root alone")
        probs = torch.nn.functional.one_hot(choices, 12).float()
        what = "kept nodes where every first guess of the first tree has probability 0"
        expect_kept(call("typical_paths", tokens, probs, paths, 0.09, 0.3), want, what, hint="its root alone")


@check("verify", points=1)
def ended_paths_accept_nothing(call, rng):
    """A target that writes 0, or the token of the last node, after a short path gets nothing more from it."""
    tokens = torch.cat([torch.randperm(7, generator=rng())[:4] + 1, torch.tensor([0])])
    hint = "-1 says that the path has ended: it is no token and no node"
    for leaf, order in itertools.product(range(1, 5), ([0, 1], [1, 0])):  # the leaf of the short path
        paths = torch.tensor([[0, leaf, -1, -1], [0, *(node for node in range(1, 5) if node != leaf)]])[order]
        what = f"kept nodes of the paths {paths.tolist()} and of a second tree like this one"
        for token in (0, int(tokens[0])):
            choices = torch.full((5,), token)
            choices[0] = tokens[leaf]
            expect_matching(call, tokens, choices, paths, [0, leaf], what, hint)
        probs = torch.full((5, 8), 0.125)
        probs[0] = torch.nn.functional.one_hot(tokens[leaf], 8)
        expect_typical(call, tokens, probs, paths, [0, leaf], what, hint)
        whole = paths[order.index(1)]  # of a target that agrees with the long path
        choices = torch.full((5,), 9)
        choices[whole[:-1]] = tokens[whole[1:]]
        what += ", the long one right"
        expect_matching(call, tokens, choices, paths, whole.tolist(), what)
        probs = torch.nn.functional.one_hot(choices, 10).float()
        expect_typical(call, tokens, probs, paths, whole.tolist(), what)


def typical_threshold(p, epsilon, delta):
    """The threshold under one distribution, in plain floats."""
    entropy = -sum(x * math.log(x) for x in p.double().tolist() if x > 0)
    return min(epsilon, delta * math.exp(-entropy))


@check("verify", points=1)
def typical_guesses_lie_above_the_entropy_dependent_threshold(call, rng):
    """One guess under distributions from sure to flat, with zeros in them, for several epsilon and delta."""
    decided, one_guess = set(), torch.tensor([[0, 1]])
    probs = torch.tensor([[0.7, 0.3, 0.0, 0.0]] * 2)
    what = "kept nodes under the distribution (0.7, 0.3, 0, 0) for p(x) = 0.3"
    expect_typical(call, torch.tensor([0, 1]), probs, one_guess, [0, 1], what, "0 ln 0 is 0, not NaN")
    for case in range(60):
        p = (normal(rng, 12) * (0.3, 1.0, 3.0, 8.0)[case % 4]).softmax(0)
        p[p < 0.004] = 0.0
        p = p / p.sum()
        epsilon, delta = ((0.09, 0.3), (0.3, 0.5), (0.04, 2.0))[case % 3]
        threshold = typical_threshold(p, epsilon, delta)
        near = (p - threshold).abs().argsort()[integer(rng, 0, 3)]
        if abs(float(p[near]) - threshold) < 1e-4:
            continue
        after = (normal(rng, 12) * (8.0, 3.0, 1.0, 0.3)[case % 4]).softmax(0)
        want = [0, 1] if float(p[near]) > threshold else [0]
        decided.add(len(want))
        hint = "min(epsilon, delta exp(-H)), H in nats, of the distribution after the parent; 0 ln 0 is 0"
        what = f"kept nodes for p(x) = {float(p[near]):.4f} where the threshold is {threshold:.4f}"
        tokens, probs = torch.tensor([0, int(near)]), torch.stack([p, after])
        expect_typical(call, tokens, probs, one_guess, want, what, hint, epsilon, delta)
    assert decided == {1, 2}


@check("verify", points=1)
def the_longest_typical_path_wins_then_the_likeliest(call, rng):
    """Two branches of equal and of different length, and random forests, against a search over all nodes."""
    hint = "the longest run; of equally long ones the one with the largest product of its guesses' probabilities"
    for first, second in ((0.3, 0.4), (0.45, 0.25)):
        tokens = torch.randperm(11, generator=rng())[:5]
        probs = torch.full((5, 11), 0.02)
        probs[0, tokens[1:3]] = torch.tensor([first, second])
        probs[[1, 2], tokens[3:]] = 0.6
        probs = probs / probs.sum(1, keepdim=True)
        equal, longer = torch.tensor([[0, 1, 3], [0, 2, 4]]), torch.tensor([[0, 1, -1], [0, 2, 4]])
        for paths, want in ((equal, [0, 2, 4] if second > first else [0, 1, 3]), (longer, [0, 2, 4])):
            what = f"kept nodes where the first guesses have {first} and {second}"
            expect_typical(call, tokens, probs, paths, want, what, hint)
    *tokens, other = torch.randperm(11, generator=rng())[:6]
    tokens, probs = torch.stack(tokens), torch.full((5, 11), 0.01)
    probs[0, tokens[1:3]], probs[1, tokens[3]] = torch.tensor([0.13, 0.45]), 0.9
    probs[2, tokens[4]], probs[[0, 2], other] = 0.45, torch.tensor([0.34, 0.45])
    paths, what = torch.tensor([[0, 1, 3], [0, 2, 4]]), "kept nodes where the larger product has the smaller sum"
    expect_typical(call, tokens, probs, paths, [0, 2, 4], what, hint)
    for number in range(60):
        parents, paths, tokens = guessed_forest(rng, *(integer(rng, 4, 8) for _ in range(1 + number % 3)))
        probs = (1.6 * normal(rng, len(parents), 12)).softmax(-1)
        probs[leaves(parents)] = torch.tensor([0.001] * 11 + [0.989])  # after a leaf comes what no guess says
        given = [float(probs[p, tokens[n]]) if p >= 0 else 1.0 for n, p in enumerate(parents)]
        thresholds = [typical_threshold(p, 1.0, 0.3) for p in probs]
        margins = [given[n] - thresholds[p] if p >= 0 else 1.0 for n, p in enumerate(parents)]
        if min(map(abs, margins)) < 1e-5:
            continue
        accepted = [margin > 0 for margin in margins]
        want = kept_paths(parents, accepted, lambda way, given=given: math.prod(given[node] for node in way))
        got = call("typical_paths", tokens, probs, paths, 1.0, 0.3)
        expect_kept(got, want, "kept nodes of each tree", hint)
