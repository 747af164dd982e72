"""The shape of a tree of guesses, fixed before decoding: who stands on whom, what each sees, where it stands."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Int
from torch import Tensor

NO_NODE = -1  # fills the paths that end early; no token and no node has this number


def ancestor_mask(parents: Sequence[int]) -> Bool[Tensor, "T T"]:
    """Which nodes a node sees: itself and those between it and the root. Row i is true at i and its ancestors.

    (Cai et al., 2024, arXiv:2401.10774, section 2.1.2)

    Args:
        parents: the parent of each node, which stands before it; the root is node 0 and its parent -1.

    Raises:
        ValueError: the first node is not a root, or another node's parent does not stand before it.

    Chapter: book/ch03_medusa_heads
    """
    _check(parents)
    mask = torch.eye(len(parents), dtype=torch.bool)
    for node, parent in enumerate(parents[1:], start=1):
        mask[node] |= mask[parent]
    return mask


def node_depths(parents: Sequence[int]) -> Int[Tensor, "T"]:
    """Steps from the root to each node; a node of depth k is a guess for the k-th token after the root's.

    Args:
        parents: as in `ancestor_mask`.

    Raises:
        ValueError: as in `ancestor_mask`.

    Chapter: book/ch03_medusa_heads
    """
    _check(parents)
    depths = [0]
    for parent in parents[1:]:
        depths.append(depths[parent] + 1)
    return torch.tensor(depths)


def root_paths(parents: Sequence[int]) -> Int[Tensor, "P D1"]:
    """Every way from the root to a leaf as a row of nodes, the short ones filled up with `NO_NODE`.

    Args:
        parents: as in `ancestor_mask`.

    Returns:
        (P, D + 1): one row for each leaf, in the order of the leaves; D is the depth of the tree.

    Raises:
        ValueError: as in `ancestor_mask`.

    Chapter: book/ch03_medusa_heads
    """
    depths = node_depths(parents)
    leaves = [node for node in range(len(parents)) if node not in parents[1:]]
    paths = torch.full((len(leaves), int(depths.max()) + 1), NO_NODE)
    for row, node in zip(paths, leaves, strict=True):
        while node >= 0:
            row[depths[node]] = node
            node = parents[node]
    return paths


def _check(parents: Sequence[int]) -> None:
    if not parents or parents[0] != -1:
        raise ValueError(f"parents {list(parents)[:4]} must begin with -1, the root's")
    for node, parent in enumerate(parents[1:], start=1):
        if not 0 <= parent < node:
            raise ValueError(f"node {node} has parent {parent}, which must be one of the nodes 0 to {node - 1}")


@dataclass(frozen=True)
class CandidateTree:
    """A static tree of guesses: node () is a token that is settled, node (2, 0) a guess for two tokens after it.

    A node is named by ranks: (2, 0) is the third best guess of head 1 followed by the best of head 2. So one set of
    names serves every round, whatever the tokens are (Cai et al., 2024, arXiv:2401.10774, section 2.1.2).

    Args:
        choices: the nodes but for the root, in any order; kept sorted by depth, then by ranks.

    Raises:
        ValueError: a node is named twice, is the root, has a negative rank, or its parent is missing.

    Chapter: book/ch03_medusa_heads
    """

    choices: tuple[tuple[int, ...], ...]

    def __post_init__(self):
        names = sorted({tuple(choice) for choice in self.choices}, key=lambda name: (len(name), name))
        if len(names) != len(self.choices):
            raise ValueError(f"{len(self.choices)} choices name {len(names)} nodes, no node may be named twice")
        for name in names:
            if not name or min(name) < 0:
                raise ValueError(f"{name} names no guess: one rank of at least 0 is needed for each head")
            if name[:-1] and name[:-1] not in names:
                raise ValueError(f"the tree holds {name} but not its parent {name[:-1]}")
        object.__setattr__(self, "choices", tuple(names))

    @classmethod
    def full(cls, widths: Sequence[int]) -> "CandidateTree":
        """Every combination of the best `widths[k]` guesses of each head k: the Cartesian product.

        Raises:
            ValueError: a width below 1.
        """
        if not all(width >= 1 for width in widths):
            raise ValueError(f"widths {list(widths)} must be 1 or more")
        layers: list[list[tuple[int, ...]]] = [[()]]
        for width in widths:
            layers.append([(*name, rank) for name in layers[-1] for rank in range(width)])
        return cls(tuple(name for layer in layers[1:] for name in layer))

    def __len__(self) -> int:
        """Nodes, the root among them: tokens that one pass of the target reads."""
        return len(self.choices) + 1

    @cached_property
    def parents(self) -> tuple[int, ...]:
        """The parent of each node; the root's is -1."""
        index = {name: node for node, name in enumerate([(), *self.choices])}
        return (-1, *(index[name[:-1]] for name in self.choices))

    @cached_property
    def depths(self) -> Int[Tensor, "T"]:
        """`node_depths`."""
        return node_depths(self.parents)

    @cached_property
    def mask(self) -> Bool[Tensor, "T T"]:
        """`ancestor_mask`."""
        return ancestor_mask(self.parents)

    @cached_property
    def paths(self) -> Int[Tensor, "P D1"]:
        """`root_paths`."""
        return root_paths(self.parents)

    @cached_property
    def ranks(self) -> Int[Tensor, "N"]:
        """The rank of each node but the root among the guesses of its head."""
        return torch.tensor([name[-1] for name in self.choices], dtype=torch.int64)
