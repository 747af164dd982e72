"""A cache in blocks: the hidden checks."""

import torch

from autograder.checks import check, expect_close, expect_equal, expect_tensor, integer
from autograder.tasks.a01_decoding_and_its_cost.oracles import slots_of
from autograder.tasks.a01_decoding_and_its_cost.visible.paged import expect_released, extend, lists


@check("paged", points=2)
def extend_takes_blocks_only_when_the_last_is_full(call, rng):
    """Many small steps: blocks, free list and slots after each are those of the definition."""
    for block_size in (1, 3, 4, 6, integer(rng, 4, 16)):
        free = torch.randperm(30, generator=rng()).tolist()
        blocks, length, order = [], 0, list(free)
        while length < 20:
            count = integer(rng, 0, 6) if block_size > 1 else integer(rng, 0, 3)
            request = list(blocks), length, count, list(free), block_size
            new_blocks, new_free, slots = extend(call, f"{len(free)} free blocks for {count} rows", *request)
            length += count
            used = -(-length // block_size)
            blocks, free = order[:used], order[used:]
            expect_equal(
                new_blocks,
                blocks,
                f"the blocks of {length} rows in blocks of {block_size}",
                hint="fill the last block first; take from the front, no more than needed",
            )
            expect_equal(new_free, free, "the free blocks")
            expect_equal(
                slots,
                slots_of(blocks, length, block_size)[length - count :],
                "the slots of the new rows",
                hint="row t: blocks[t // block_size] * block_size + t % block_size",
            )


@check("paged", points=1)
def extend_refuses_what_does_not_fit(call, rng):
    """None where blocks are too few, the last slot where they are just enough."""
    size = integer(rng, 2, 8)
    first, *free = torch.randperm(30, generator=rng())[:3].tolist()
    expect_equal(call("extend", [first], size, 2 * size + 1, list(free), size), None, "one row more than fits")
    blocks, left, slots = extend(call, "two free blocks", [first], size, 2 * size, list(free), size)
    expect_equal((blocks, left), ([first, *free], []), "(blocks, free) when all is taken")
    expect_equal(slots, slots_of([first, *free], 3 * size, size)[size:], "the slots")
    blocks, *_ = extend(call, "the last block is not full", [first], 1, size - 1, [], size)
    expect_equal(blocks, [first], "the blocks where the last one has room and none is free")


@check("paged", points=1)
def gather_reads_rows_in_order(call, rng):
    """Scattered blocks, lengths that end in the middle of one, no row of anybody else."""
    for block_size in (1, 4, integer(rng, 5, 9)):
        pool = torch.randn(12 * block_size, 2, 4, generator=rng())
        blocks = torch.randperm(12, generator=rng())[:5].tolist()
        for length in (1, block_size, 4 * block_size + 1, 5 * block_size):
            got = expect_tensor(call("gather", pool, blocks, length, block_size), "the rows", shape=(length, 2, 4))
            expect_close(
                got,
                pool[slots_of(blocks, length, block_size)],
                f"{length} rows in blocks of {block_size}",
                hint="in the order of the list of blocks, and no more than `length` of them",
            )


@check("paged", points=2)
def forks_share_the_blocks_that_hold_their_rows(call, rng):
    """A child has the blocks of its first rows, partly needed ones included, each with one user more."""
    for block_size in (1, integer(rng, 2, 6)):
        blocks = torch.randperm(10, generator=rng())[:4].tolist()
        for num_rows in sorted({0, 1, block_size, block_size + 1, 4 * block_size - 1, 4 * block_size}):
            counts = [integer(rng, 1, 3) if b in blocks else 0 for b in range(10)]
            got = call("fork", list(blocks), num_rows, list(counts), block_size)
            child, new_counts = lists(got, "fork", "child_blocks", "ref_counts")
            shared = blocks[: -(-num_rows // block_size)]
            expect_equal(
                child,
                shared,
                f"the child's blocks for {num_rows} rows in blocks of {block_size}",
                hint="a block of which one row is needed is shared, one of which none is needed is not",
            )
            want = [counts[b] + (b in shared) for b in range(10)]
            expect_equal(new_counts, want, "the users of each block", hint="one more for each shared block")


@check("paged", points=2)
def release_frees_what_nobody_uses(call, rng):
    """Blocks with users left stay; the others are appended to the free list in order."""
    for _ in range(6):
        order = torch.randperm(10, generator=rng()).tolist()
        blocks, free = order[:5], order[5:]
        counts = [integer(rng, 1, 2) if b in blocks else 0 for b in range(10)]
        got = call("release", list(blocks), list(counts), list(free))
        users = [counts[b] - (b in blocks) for b in range(10)]
        hint = "each block of the sequence has one user less, and is free only when its last user has gone"
        expect_released(got, (users, free + [b for b in blocks if users[b] == 0]), "after a user left", hint)
