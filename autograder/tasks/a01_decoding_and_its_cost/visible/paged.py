"""A cache in blocks: the checks that a student sees and runs."""

import torch

from autograder.checks import check, expect_equal, expect_parts, expect_tensor, fail


def lists(got, function, *parts):
    """Several lists that a function returns together, with their kinds checked."""
    got = expect_parts(got, function, *parts)
    for value, part in zip(got, parts, strict=True):
        if not isinstance(value, list):
            fail(f"`{function}`: {part} should be a list of int, it is a {type(value).__name__}")
    return got


def expect_lists(got, parts, want, what, hint=""):
    """Several lists that belong together, each told by its name."""
    for part, one, wanted in zip(parts, got, want, strict=True):
        expect_equal(one, wanted, f"`{part}` {what}", hint=hint)


def expect_released(got, want, what, hint=""):
    """What `release` gives back: the users of each block and the free blocks."""
    counts, free = lists(got, "release", "ref_counts", "free")
    if free != want[1] and sorted(free) == sorted(want[1]):
        hint = "the freed blocks are appended: behind those that are free, in the order of the sequence"
    expect_lists((counts, free), ("ref_counts", "free"), want, what, hint)


def extend(call, room, blocks, *request):
    """The three lists of `extend` where there is room."""
    got = call("extend", blocks, *request)
    if got is None:
        fail(f"`extend` returned None, but there is room: {room}; is a `return` missing?")
    return lists(got, "extend", "blocks", "free", "slots")


@check("paged")
def a_sequence_grows_block_by_block(call, rng):
    """Rows fill up the last block before the first free one is taken."""
    expect_equal(
        extend(call, "two slots in block 4 and two free blocks", [4], 2, 3, [7, 1], 4),
        ([4, 7], [1], [18, 19, 28]),
        "(blocks, free, slots) after three more rows",
        hint="rows 2, 3, 4: block 4 has slots 16 to 19, block 7 slots 28 to 31",
    )
    expect_equal(
        extend(call, "two slots in block 4", [4], 2, 2, [7, 1], 4),
        ([4], [7, 1], [18, 19]),
        "(blocks, free, slots) after two more rows",
        hint="both fit in block 4: a new block is taken only for rows beyond it",
    )
    expect_equal(
        extend(call, "two free blocks", [], 0, 4, [2, 5], 4),
        ([2], [5], [8, 9, 10, 11]),
        "four rows of a new one",
        hint="four rows fill one block of four exactly: take no second one",
    )


@check("paged")
def a_pool_can_be_used_up_and_not_more(call, rng):
    """The last free block may be taken, a block that is not there may not: None."""
    expect_equal(
        extend(call, "one free block for four rows", [4], 4, 4, [7], 4),
        ([4, 7], [], [28, 29, 30, 31]),
        "(blocks, free, slots) after four more rows with one free block of four",
    )
    got = extend(call, "a slot in block 4, and no new block is needed", [4], 3, 1, [], 4)
    expect_equal(got, ([4], [], [19]), "(blocks, free, slots) after one more row with no free block")
    expect_equal(call("extend", [4], 4, 5, [7], 4), None, "five rows with one free block of four")


@check("paged")
def rows_are_gathered_in_the_sequences_order(call, rng):
    """The list of blocks gives the order, not the numbers of the blocks."""
    pool = torch.arange(12.0)[:, None, None].expand(12, 1, 2)
    got = expect_tensor(call("gather", pool, [3, 1], 5, 3), "the rows", shape=(5, 1, 2))
    hint = "block 3 first, then block 1, and only `length` rows"
    expect_equal(got[:, 0, 0].tolist(), [9.0, 10.0, 11.0, 3.0, 4.0], "the rows of blocks [3, 1]", hint=hint)


@check("paged")
def a_shared_block_outlives_its_first_user(call, rng):
    """Fork counts one user more for each shared block, release one less; a block is free when nobody is left."""
    expect_equal(
        lists(call("fork", [2, 0], 3, [1, 0, 1], 2), "fork", "child_blocks", "ref_counts"),
        ([2, 0], [2, 0, 2]),
        "(child blocks, ref_counts) for three rows in blocks of two",
        hint="the third row lies in the second block, so both are shared",
    )
    expect_equal(
        lists(call("fork", [2, 0], 2, [1, 0, 1], 2), "fork", "child_blocks", "ref_counts"),
        ([2], [1, 0, 2]),
        "(child blocks, ref_counts) for two rows in blocks of two",
        hint="they fill the first block: the second holds none of them and is not shared",
    )
    hint = "the second user still needs the blocks"
    expect_released(call("release", [2, 0], [2, 0, 2], [1]), ([1, 0, 1], [1]), "after the first user left", hint)
    expect_released(call("release", [2, 0], [1, 0, 1], [1]), ([0, 0, 0], [1, 2, 0]), "after the last user left")
