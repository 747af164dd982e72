"""Which path is kept, against a search over every node, and the distributions that the rules give."""

import pytest
import torch
from scipy.stats import entropy

from nimblelm.inference.decoding.sampling import GREEDY, Sampling, probabilities
from nimblelm.inference.medusa.tree import CandidateTree, root_paths
from nimblelm.inference.medusa.verification import Exact, Typical, matching_path, typical_path, typical_threshold
from tests.inference.medusa.test_tree import random_parents, walk


def tree_of_guesses(size, vocab_size, seed):
    """Parents, and tokens in which siblings differ."""
    rng, parents = torch.Generator().manual_seed(seed), random_parents(size, seed)
    seen, tokens = {}, []
    for node in range(size):
        order = seen.setdefault(parents[node], torch.randperm(vocab_size, generator=rng).tolist())
        tokens.append(order.pop())
    return parents, torch.tensor(tokens), rng


@pytest.mark.parametrize("size", [1, 2, 6, 14])
def test_the_kept_path_is_the_longest_that_the_target_chose(size):
    lengths = set()
    for seed in range(60):
        parents, tokens, rng = tree_of_guesses(size, 16, seed)
        choices = torch.randint(16, (size,), generator=rng)
        for node in range(1, size):  # make right guesses frequent
            if torch.rand((), generator=rng) < 0.6:
                choices[parents[node]] = tokens[node]
        right = [node for node in range(size) if all(
            tokens[n] == choices[parents[n]] for n in walk(parents, node) if n
        )]  # fmt: skip
        want = max((walk(parents, node)[::-1] for node in right), key=len)
        assert matching_path(tokens, choices, root_paths(parents)).tolist() == want
        lengths.add(len(want))
    assert size < 6 or len(lengths) > 2


def test_a_path_that_has_ended_accepts_nothing():
    """Were short paths filled up with token 0, or with the last node, a target that writes 0 would accept it."""
    paths = root_paths([-1, 0, 0, 2])  # node 1 is a leaf of depth 1
    path = matching_path(torch.tensor([9, 0, 5, 0]), torch.tensor([0, 0, 0, 0]), paths)
    assert path.tolist() == [0, 1]


def test_typical_threshold_is_the_papers():
    probs = torch.rand(50, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64) ** 6
    probs = probs / probs.sum(-1, keepdim=True)
    probs[0] = torch.eye(9)[3]
    want = torch.tensor([min(0.09, 0.3 * float(torch.tensor(-entropy(p)).exp())) for p in probs.numpy()])
    got = typical_threshold(probs)
    torch.testing.assert_close(got, want.double())
    assert (got == 0.09).any()
    assert (got < 0.09).any()


@pytest.mark.parametrize("size", [1, 2, 6, 14])
def test_the_typical_path_is_the_longest_then_the_likeliest(size):
    for seed in range(60):
        parents, tokens, rng = tree_of_guesses(size, 16, seed)
        probs = (4 * torch.randn(size, 16, generator=rng, dtype=torch.float64)).softmax(-1)
        bar = [min(0.09, 0.3 * float(torch.tensor(-entropy(p)).exp())) for p in probs.numpy()]

        def given(node, parents=parents, tokens=tokens, probs=probs):
            return float(probs[parents[node], tokens[node]])

        kept = [walk(parents, node)[::-1] for node in range(size) if all(
            given(n) > bar[parents[n]] for n in walk(parents, node) if n
        )]  # fmt: skip
        want = max(kept, key=lambda path: (len(path), sum(torch.tensor(given(n)).log().item() for n in path[1:])))
        assert typical_path(tokens, probs, root_paths(parents)).tolist() == want


def test_at_temperature_zero_typical_is_exact():
    for seed in range(40):
        parents, tokens, rng = tree_of_guesses(12, 14, seed)
        logits = torch.randn(12, 14, generator=rng)
        for node in range(1, 12, 2):
            logits[parents[node], tokens[node]] += 6
        exact = Exact(GREEDY)(logits, tokens, root_paths(parents), None)
        typical = Typical(temperature=0.0)(logits, tokens, root_paths(parents), None)
        assert exact.path.tolist() == typical.path.tolist()
        assert exact.next_token == typical.next_token


def test_exact_sampling_has_the_targets_distribution():
    """The pair (first guess or token instead, token after it) has distribution p(x) p(y | x), whatever the guesses."""
    vocab_size, draws, rng = 4, 8000, torch.Generator().manual_seed(3)
    logits = torch.randn(vocab_size + 1, vocab_size, generator=rng)  # the last row follows the root
    tree = CandidateTree(((0,), (1,), (0, 0), (1, 0)))
    tokens = torch.tensor([0, 2, 1, 3, 3])  # guesses 2 and 1 after the root, 3 after each
    rows = logits[[vocab_size, 2, 1, 3, 3]]
    distribution = probabilities(logits, Sampling())
    counts = torch.zeros(vocab_size, vocab_size)
    for _ in range(draws):
        path, following = Exact(Sampling())(rows, tokens, tree.paths, rng)
        first = int(tokens[path[1]]) if len(path) > 1 else int(following)
        second = (
            int(tokens[path[2]]) if len(path) > 2 else int(following) if len(path) > 1
            else int(torch.multinomial(distribution[first], 1, generator=rng))
        )  # fmt: skip
        counts[first, second] += 1
    expected = draws * distribution[vocab_size, :, None] * distribution[:vocab_size]
    statistic = ((counts - expected) ** 2 / expected).sum()
    assert torch.special.gammaincc(torch.tensor(7.5), statistic / 2) > 1e-6  # 15 degrees of freedom


def test_values_outside_their_range_are_refused():
    for wrong in ({"epsilon": 0.0}, {"epsilon": 1.0}, {"delta": 0.0}):
        with pytest.raises(ValueError, match="must lie in"):
            Typical(**wrong)
