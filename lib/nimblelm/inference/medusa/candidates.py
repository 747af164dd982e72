"""From the heads' logits to the tokens of the tree."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nimblelm.inference.medusa.tree import CandidateTree


def tree_tokens(root: Int[Tensor, ""], guesses: Float[Tensor, "K V"], tree: CandidateTree) -> Int[Tensor, "T"]:
    """The token of each node: the root's, and for node (..., r) at depth k the token of rank r among head k's guesses.

    The heads do not see each other, so every node at depth k with rank r holds the same token, whatever it stands on
    (Cai et al., 2024, arXiv:2401.10774, section 2.1.2).

    Args:
        root: the token that is settled.
        guesses: logits of the heads, at the hidden state of the token before the root.
        tree: its shape.

    Raises:
        ValueError: the tree is deeper than there are heads, or names a rank that the vocabulary does not have.

    Chapter: book/ch03_medusa_heads
    """
    num_heads, vocab_size = guesses.shape
    check_tree(tree, num_heads, vocab_size)
    width = int(tree.ranks.max()) + 1 if len(tree) > 1 else 0
    ranked = guesses.topk(width).indices  # (K, width)
    heads, ranks = (part.to(root.device) for part in (tree.depths[1:] - 1, tree.ranks))
    return torch.cat([root[None], ranked[heads, ranks]])


def check_tree(tree: CandidateTree, num_heads: int, vocab_size: int) -> None:
    """Raise ValueError for a tree that asks for more than so many heads over so many tokens can guess.

    Chapter: book/ch03_medusa_heads
    """
    depth, width = int(tree.depths.max()), int(tree.ranks.max()) + 1 if len(tree) > 1 else 0
    if depth > num_heads or width > vocab_size:
        raise ValueError(
            f"the tree asks for {width} guesses of {depth} heads, there are {num_heads} heads over {vocab_size} tokens"
        )
