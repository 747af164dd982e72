"""Which tree to use: the nodes that are most likely to be right, and as many of them as a pass is worth."""

import heapq
import json
import math
from collections.abc import Mapping, Sequence

from jaxtyping import Float, Int
from torch import Tensor

from nimblelm.inference.decoding.request_checks import check_tokens
from nimblelm.inference.medusa.heads import HEADS_FOLDER, MedusaHeads
from nimblelm.inference.medusa.tree import CandidateTree


def rank_accuracies(
    heads: MedusaHeads, hidden: Float[Tensor, "N d"], tokens: Int[Tensor, "N"], top: int
) -> Float[Tensor, "K top"]:
    """How often the guess of each rank is right: a_k(r), the fraction of positions where head k's r-th guess is right.

    Args:
        heads: the heads.
        hidden: the target's state at each token of a sequence.
        tokens: the sequence; head k at position t is compared with token t + 1 + k.
        top: ranks that are told apart.

    Raises:
        ValueError: the sequence is too short for the last head, has tokens outside of the vocabulary or no state for
            some of them, or `top` is no number of ranks.

    Chapter: book/ch03_medusa_heads
    """
    num_heads = heads.config.num_heads
    positions = len(tokens) - 1 - num_heads
    if positions < 1:
        raise ValueError(f"{len(tokens)} tokens are too few for {num_heads} heads, {num_heads + 2} are needed")
    vocab_size = heads.config.vocab_size
    if len(hidden) != len(tokens) or not 1 <= top <= vocab_size:
        raise ValueError(
            f"{len(hidden)} states of {len(tokens)} tokens, top {top}: a state for each token and 1 to "
            f"{vocab_size} ranks are needed"
        )
    check_tokens(tokens, vocab_size)
    came = tokens[2:].unfold(0, num_heads, 1)  # (positions, K)
    guesses = heads(hidden[:positions]).topk(top).indices  # (K, positions, top)
    return (guesses == came.T[..., None]).float().mean(1)


def load_accuracies(decoding: str = "greedy") -> list[list[float]]:
    """`rank_accuracies` of the committed heads, (4, 10), counted on the target's continuations of held-out prompts.

    Args:
        decoding: how they were generated, "greedy" or "temperature 1".

    Raises:
        KeyError: another name.

    Chapter: book/ch03_medusa_heads
    """
    return json.loads((HEADS_FOLDER / "accuracies.json").read_text())[decoding]


def node_probability(accuracies: Sequence[Sequence[float]], choice: Sequence[int]) -> float:
    """How likely all guesses on the way to a node are right, if the heads err independently: prod_k a_k(r_k).

    (Cai et al., 2024, arXiv:2401.10774, section 2.3.3)

    Raises:
        ValueError: the node needs a head or a rank that `accuracies` does not have, or one outside of [0, 1].

    Chapter: book/ch03_medusa_heads
    """
    for k, rank in enumerate(choice):
        if not (k < len(accuracies) and 0 <= rank < len(accuracies[k])):
            raise ValueError(f"node {tuple(choice)} needs rank {rank} of head {k + 1}, which has no accuracy")
        if not 0 <= accuracies[k][rank] <= 1:
            raise ValueError(f"the accuracy {accuracies[k][rank]} of head {k + 1}, rank {rank}, is outside [0, 1]")
    return math.prod((accuracies[k][rank] for k, rank in enumerate(choice)), start=1.0)


def expected_tokens(accuracies: Sequence[Sequence[float]], tree: CandidateTree) -> float:
    """Mean tokens that a pass over the tree yields: the sum of its nodes' probabilities, the root's 1 among them.

    Chapter: book/ch03_medusa_heads
    """
    return sum(node_probability(accuracies, choice) for choice in ((), *tree.choices))


def best_tree(accuracies: Sequence[Sequence[float]], size: int) -> CandidateTree:
    """The tree of `size` nodes that yields most tokens, built node by node from the root.

    Each step adds the likeliest node whose parent is in the tree (Cai et al., 2024, arXiv:2401.10774, section 2.3.3). A
    node is never likelier than its parent, so this finds the `size` likeliest nodes of all, and no tree yields more.

    Args:
        accuracies: (K, R), a_k(r); at most 1.
        size: nodes, the root among them.

    Raises:
        ValueError: the heads have not that many nodes, there is no room for the root, or an accuracy is outside of
            [0, 1].

    Chapter: book/ch03_medusa_heads
    """
    if not size >= 1:
        raise ValueError(f"size {size} is below 1, the root")
    choices: list[tuple[int, ...]] = []
    frontier = _children(accuracies, ())
    while len(choices) < size - 1:
        if not frontier:
            raise ValueError(f"size {size} is above {len(choices) + 1}, all nodes of {len(accuracies)} heads")
        _, choice = heapq.heappop(frontier)
        choices.append(choice)
        for child in _children(accuracies, choice):
            heapq.heappush(frontier, child)
    return CandidateTree(tuple(choices))


def _children(accuracies: Sequence[Sequence[float]], choice: tuple[int, ...]) -> list[tuple[float, tuple[int, ...]]]:
    """Pairs of negated probability and name, in the order that a heap gives them out; ties go to the smaller ranks."""
    if len(choice) == len(accuracies):
        return []
    names = [(*choice, rank) for rank in range(len(accuracies[len(choice)]))]
    return sorted((-node_probability(accuracies, name), name) for name in names)


def best_size(accuracies: Sequence[Sequence[float]], pass_costs: Mapping[int, float]) -> int:
    """The number of nodes that promises most tokens per second.

    Args:
        accuracies: as in `best_tree`.
        pass_costs: time of a round by the number of nodes, in any unit.

    Raises:
        ValueError: no costs, or one that is not positive and finite.

    Chapter: book/ch03_medusa_heads
    """
    if not pass_costs or not all(0 < cost < math.inf for cost in pass_costs.values()):
        raise ValueError(f"pass_costs {dict(pass_costs)} is empty, or holds a time that is not positive and finite")
    return max(pass_costs, key=lambda size: expected_tokens(accuracies, best_tree(accuracies, size)) / pass_costs[size])
