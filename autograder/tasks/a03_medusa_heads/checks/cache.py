"""Closing the gaps in the cache: the hidden checks."""

import torch

from autograder.checks import check, expect_equal, fail, integer
from autograder.tasks.a03_medusa_heads.oracles import normal
from autograder.tasks.a03_medusa_heads.visible.cache import rows_kept

NAMES = ("keys", "values")


def kept_rows(call, rng, position, nodes, path, shape=(2, 2, 3)):
    """Keys and values of the sequence's rows before and after, where every other slot has stayed."""
    layers, heads, width = shape
    block_size, rows = integer(rng, 2, 4), position + nodes
    count, free = -(-rows // block_size), integer(rng, 2, 4)
    order = torch.randperm(count + free, generator=rng()).tolist()
    if order[:count] == sorted(order[:count]):
        order.reverse()  # rows are never slots
    blocks, others = order[:count], order[count:]
    before = [normal(rng, layers, (count + free) * block_size, heads, width) for _ in NAMES]
    *after, needed = rows_kept(
        call, *(part.clone() for part in before), list(blocks), block_size, position, torch.tensor(path)
    )
    slots = {name: _slots(some, block_size) for name, some in (("mine", blocks), ("others", others))}
    for name, old, new in zip(NAMES, before, after, strict=True):
        if not torch.equal(new[:, slots["others"]], old[:, slots["others"]]):
            fail(f"slots of other sequences changed in the {name}: only the blocks in the list are this sequence's")
    want = [block for index, block in enumerate(blocks) if index * block_size < position + len(path)]
    hint = f"{position + len(path)} rows are left, in blocks of {block_size}; a block that is partly full is needed"
    expect_equal(needed, want, f"the blocks that are still needed of {blocks}", hint=hint)
    return [[part[:, slots["mine"]] for part in parts] for parts in (before, after)]


def _slots(blocks, block_size):
    return [block * block_size + offset for block in blocks for offset in range(block_size)]


def expect_moved(before, after, position, path):
    """Every kept row is at its new index."""
    for name, old, new in zip(NAMES, before, after, strict=True):
        for j, node in enumerate(path):
            if not torch.equal(new[:, position + j], old[:, position + node]):
                fail(
                    f"row {position + j} of the {name} should hold node {node}, the {j}-th kept one, which was "
                    f"written to row {position + node}; path {path}, root in row {position}"
                )


def random_path(rng, nodes):
    return [0, *sorted((torch.randperm(nodes - 1, generator=rng())[: integer(rng, 1, nodes - 2)] + 1).tolist())]


@check("cache", points=1)
def kept_rows_of_keys_and_values_close_up(call, rng):
    """Row position + j holds what stood in row position + path[j], in every layer and head."""
    for _ in range(8):
        position, path = integer(rng, 1, 9), random_path(rng, 9)
        old, new = kept_rows(call, rng, position, 9, path, (3, 4, 5))
        expect_moved(old, new, position, path)


@check("cache", points=1)
def the_text_before_the_root_stays(call, rng):
    """Rows before the root are not touched, wherever the root stands."""
    for position in (0, 1, 6):
        path = [0, 2, *(node + 2 for node in random_path(rng, 5)[1:])]
        before, after = kept_rows(call, rng, position, 7, path)
        if all(map(torch.equal, after, before)):
            fail("nothing moved: a cache that stays as it was keeps the sequence, and the rejected nodes as well")
        for name, old, new in zip(NAMES, before, after, strict=True):
            if not torch.equal(new[:, :position], old[:, :position]):
                fail(f"rows before row {position}, the root's, changed in the {name}")
        expect_moved(before, after, position, path)


@check("cache", points=1)
def the_root_alone_and_whole_lines_stay_where_they_are(call, rng):
    """A path without gaps moves nothing, whether it is the root alone or every node of a line."""
    for path in ([0], [0, 1, 2, 3], [0, 1]):
        before, after = kept_rows(call, rng, 4, 5, path)
        for name, old, new in zip(NAMES, before, after, strict=True):
            if not torch.equal(new[:, : 4 + len(path)], old[:, : 4 + len(path)]):
                fail(f"path {path} has no gaps, so its rows stay as they are in the {name}")
    old, new = kept_rows(call, rng, 4, 5, [0, 2, 4])
    expect_moved(old, new, 4, [0, 2, 4])  # one with gaps does not
