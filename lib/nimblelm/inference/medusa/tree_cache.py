"""A static cache under a tree of tokens: several guesses for one position of the sequence."""

from jaxtyping import Bool, Float, Int
from torch import Tensor

from nimblelm.inference.decoding.cache import CachedModel, KVCache, check_rows
from nimblelm.inference.decoding.request_checks import check_sees_all
from nimblelm.inference.medusa.tree_attention import tree_attention
from nimblelm.nn.attend import Attend, Past


def at_tree(cache: KVCache, position: int, depths: Int[Tensor, "T"], mask: Bool[Tensor, "T T"]) -> Past:
    """For a pass over T tokens that are not a chain but a tree.

    Node i is written to row position + i of the cache and rotated for position + depths[i]. It sees every row before
    `position`, and of the tree what its row of the mask allows.

    Args:
        cache: right for all tokens before the tree.
        position: of the root.
        depths: steps from the root to each node.
        mask: row i is true at node i and its ancestors.

    Raises:
        ValueError: the position is negative, or the nodes reach past the cache.

    Chapter: book/ch03_medusa_heads
    """
    end = cache.checked_end(position, len(depths))

    def layer(keys: Tensor, values: Tensor) -> Attend:
        def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            check_rows(k, v, keys[:, position:])
            keys[:, position:], values[:, position:] = k, v
            return tree_attention(q.to(keys.dtype), keys, values, mask)

        return attend

    return Past([layer(keys, values) for keys, values in cache.layers(end)], position + depths)


def tree_states(
    target: CachedModel, tokens: Int[Tensor, "T"], position: int, depths: Int[Tensor, "T"], mask: Bool[Tensor, "T T"]
) -> Float[Tensor, "T d"]:
    """What the model's head would read for a tree of tokens: its hidden states (T, d).

    Arguments and errors as in `at_tree`, and a ValueError for a model whose tokens see a window.

    Chapter: book/ch03_medusa_heads
    """
    check_sees_all(target.model)
    past = at_tree(target.cache, position, depths, mask)
    return target.model.states(target.model.embed(tokens[None]), past)[0]
