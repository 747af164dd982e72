"""The tiled forward pass: the hidden checks."""

from autograder.checks import Callback, check, expect_equal, fail, integer
from autograder.tasks.a04_flash_attention.oracles import expect_pair
from autograder.tasks.a04_flash_attention.visible.shared import attention, random, tensors
from autograder.tasks.a04_flash_attention.visible.tiled import Memory


def run_tiled(call, rng, num_queries, num_keys, causal, block_m, block_n):
    dim = integer(rng, 3, 16)
    q, k, v = random(rng, num_queries, dim), random(rng, num_keys, dim), random(rng, num_keys, dim)
    memory = Memory(q, k, v, block_m, block_n)
    got = call("tiled_attention", Callback(memory.fetch), num_queries, num_keys, causal, block_m, block_n)
    what = f"{num_queries} queries, {num_keys} keys, tiles {block_m} x {block_n}{', causal' if causal else ''}"
    return tensors(got, "tiled_attention", "out", "lse"), attention(q, k, v, causal), memory, what


@check("tiled", points=1)
def full_attention_for_any_tile(call, rng):
    """Without a mask, for lengths that the tiles do not divide."""
    for num_queries, num_keys, block_m, block_n in (
        (8, 8, 4, 4),
        (13, 9, 4, 5),
        (5, 31, 8, 7),
        (1, 20, 3, 6),
        (9, 3, 2, 4),
    ):
        got, want, _, what = run_tiled(call, rng, num_queries, num_keys, False, block_m, block_n)
        expect_pair(got, want, what)


@check("tiled", points=1)
def causal_attention_for_any_tile(call, rng):
    """With a mask, as many queries as keys."""
    for length, block_m, block_n in ((8, 4, 4), (13, 4, 5), (17, 5, 2), (6, 8, 8)):
        got, want, _, what = run_tiled(call, rng, length, length, True, block_m, block_n)
        expect_pair(got, want, what)


@check("tiled", points=1)
def the_mask_is_aligned_at_the_end(call, rng):
    """Fewer queries than keys: they are the last ones. More queries than keys: the first see nothing."""
    for num_queries, num_keys in ((3, 11), (1, 9), (10, 4)):
        got, want, _, what = run_tiled(call, rng, num_queries, num_keys, True, 4, 3)
        expect_pair(got, want, what)


@check("tiled", points=1)
def bytes_moved_are_those_of_the_formula(call, rng):
    """Queries once; keys and values once for each block of queries."""
    for num_queries, num_keys, block_m, block_n in ((12, 10, 4, 5), (13, 9, 5, 2)):
        got, right, memory, what = run_tiled(call, rng, num_queries, num_keys, False, block_m, block_n)
        blocks = -(-num_queries // block_m)
        want = {"q": num_queries, "k": num_keys * blocks, "v": num_keys * blocks}
        for name, rows in want.items():
            expect_equal(
                memory.rows[name],
                rows,
                f"rows of {name} fetched for {what}",
                hint="a block of queries stays in fast memory while all tiles of keys pass by",
            )
        expect_pair(got, right, what)


@check("tiled", points=1)
def hidden_tiles_are_never_fetched(call, rng):
    """A causal mask hides about half of the tiles: they cost nothing."""
    for num_queries, num_keys, block in ((16, 16, 4), (8, 20, 4), (15, 15, 4)):
        got, want, memory, what = run_tiled(call, rng, num_queries, num_keys, True, block, block)
        expect_pair(got, want, what)
        needed = 0
        for first in range(0, num_queries, block):
            end = min(num_keys, min(first + block, num_queries) + num_keys - num_queries)
            needed += min(num_keys, -(-end // block) * block)
        for name, rows in (("k", needed), ("v", needed), ("q", num_queries)):
            if memory.rows[name] > rows:
                said = f"rows of {name} were fetched that no query of the block sees, or more than once"
                fail(said, got=memory.rows[name], want=rows, of=what)
