"""The paged cache against a plain dictionary of lists, and its allocator's books."""

import random

import pytest
import torch

from nimblelm.inference.serving.block_allocator import BlockAllocator, OutOfBlocksError
from nimblelm.inference.serving.paged_cache import PagedKVCache
from tests.inference.models import varied_pair

MODEL = varied_pair()[0]


def write_rows(cache: PagedKVCache, name, count: int, mark: float) -> None:
    slots = cache.extend(name, count)
    for layer in range(len(cache.keys)):
        rows = mark + torch.arange(count)[:, None, None].expand(count, *cache.keys.shape[2:]) + 1000 * layer
        cache.write(layer, slots, rows.float(), -rows.float())


def rows_of(cache: PagedKVCache, name, layer: int) -> list[float]:
    keys, values = cache.gather(layer, cache.slots(name))
    assert torch.equal(keys, -values)
    assert bool((keys == keys[:, :1, :1]).all())
    return keys[:, 0, 0].tolist()


@pytest.mark.parametrize("seed", range(4))
def test_random_traffic_leaves_every_sequence_its_own_rows(seed):
    """Extend, fork and free in random order: each sequence reads what it would read from a list of its own."""
    rng, cache = random.Random(seed), PagedKVCache(MODEL, num_blocks=24, block_size=3)
    sequences: dict[int, list[float]] = {}
    for step in range(200):
        action, name = rng.choice(["extend", "extend", "fork", "free"]), rng.randrange(8)
        if action == "extend":
            count = rng.randint(0, 5)
            try:
                write_rows(cache, name, count, mark=10.0 * step)
            except OutOfBlocksError:
                continue
            sequences.setdefault(name, []).extend(10.0 * step + i for i in range(count))
        elif action == "fork" and sequences:
            parent = rng.choice(sorted(sequences))
            length = rng.randint(0, len(sequences[parent]))
            if name not in sequences:
                cache.fork(parent, name, length)
                sequences[name] = sequences[parent][:length]
        elif action == "free" and name in sequences:
            cache.free(name)
            del sequences[name]
        for held, sequence in sequences.items():
            assert rows_of(cache, held, 1) == [row + 1000 for row in sequence]
        assert cache.num_rows == sum(map(len, sequences.values()))
    for name in sequences:
        cache.free(name)
    assert cache.allocator.num_free == 24
    assert set(cache.allocator.ref_counts) == {0}


def test_a_sequence_wastes_less_than_a_block():
    cache = PagedKVCache(MODEL, num_blocks=10, block_size=4)
    for total in range(1, 20):
        cache.extend("a", 1)
        assert cache.num_rows_reserved - total < 4


def test_shared_blocks_count_once_until_somebody_writes():
    cache = PagedKVCache(MODEL, num_blocks=10, block_size=4)
    write_rows(cache, "a", 6, mark=0)
    cache.fork("a", "b")
    assert cache.num_rows_reserved == 8
    write_rows(cache, "b", 1, mark=50)
    assert cache.num_rows_reserved == 12
    assert rows_of(cache, "a", 0) == [0, 1, 2, 3, 4, 5]
    assert rows_of(cache, "b", 0) == [0, 1, 2, 3, 4, 5, 50]


def test_what_does_not_fit_is_refused_and_changes_nothing():
    cache = PagedKVCache(MODEL, num_blocks=2, block_size=4)
    write_rows(cache, "a", 5, mark=0)
    with pytest.raises(OutOfBlocksError, match="2 blocks"):
        cache.extend("b", 1)
    with pytest.raises(OutOfBlocksError):
        cache.extend("a", 4)
    assert rows_of(cache, "a", 0) == [0, 1, 2, 3, 4]
    assert set(cache.tables) == {"a"}
    with pytest.raises(ValueError, match="7 are asked for"):
        cache.fork("a", "b", 7)
    with pytest.raises(ValueError, match="exists already"):
        cache.fork("a", "a")
    with pytest.raises(KeyError):
        cache.free("b")


def test_a_block_is_freed_by_its_last_user():
    allocator = BlockAllocator(1)
    block = allocator.allocate()
    allocator.share(block)
    allocator.release(block)
    assert allocator.num_free == 0
    allocator.release(block)
    assert allocator.num_free == 1
    with pytest.raises(ValueError, match="free already"):
        allocator.release(block)
    with pytest.raises(ValueError, match="free already"):
        allocator.share(block)


@pytest.mark.parametrize("arguments", [{"num_blocks": 0}, {"num_blocks": 2, "block_size": 0}])
def test_an_empty_pool_is_refused(arguments):
    with pytest.raises(ValueError, match="below 1"):
        PagedKVCache(MODEL, **arguments)


def books(cache: PagedKVCache):
    """All that a cache knows of its sequences and blocks, in their order."""
    tables = {name: (list(table.blocks), table.length) for name, table in cache.tables.items()}
    return tables, list(cache.allocator.ref_counts), list(cache.allocator._free)


def forked() -> PagedKVCache:
    cache = PagedKVCache(MODEL, num_blocks=4, block_size=4)
    write_rows(cache, "a", 6, mark=0)
    cache.fork("a", "b")
    return cache


@pytest.mark.parametrize("sequence", ["a", "new"])
@pytest.mark.parametrize("count", [-1, -3, -100])
def test_rows_are_not_taken_back(sequence, count):
    cache = forked()
    before = books(cache)
    with pytest.raises(ValueError, match=f"{count}.* negative count"):
        cache.extend(sequence, count)
    assert books(cache) == before


@pytest.mark.parametrize("num_rows", [-1, -6, 7])
def test_a_fork_shares_rows_that_are_there(num_rows):
    cache = forked()
    before = books(cache)
    with pytest.raises(ValueError, match=f"has 6 rows, {num_rows} are asked for"):
        cache.fork("a", "c", num_rows)
    with pytest.raises(KeyError):
        cache.fork("nobody", "c")
    assert books(cache) == before


def test_a_fork_of_the_first_rows_is_a_rollback():
    cache = forked()
    cache.fork("b", "shorter", 5)
    cache.free("b")
    write_rows(cache, "shorter", 1, mark=70)
    assert rows_of(cache, "shorter", 0) == [0, 1, 2, 3, 4, 70]
    assert rows_of(cache, "a", 0) == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(("sequence", "count"), [("a", 11), ("b", 100), ("new", 9), ("b", 10**6)])
def test_growth_that_does_not_fit_leaves_everything_as_it_was(sequence, count):
    """Among it the blocks: none is copied, none is handed out and taken back."""
    cache = forked()
    before, keys = books(cache), cache.keys.clone()
    with pytest.raises(OutOfBlocksError, match="2 of 4 blocks are free"):
        cache.extend(sequence, count)
    assert books(cache) == before
    assert torch.equal(cache.keys, keys)


def test_two_forks_that_part_need_one_copy():
    """The second to write is alone with the shared block then."""
    cache = PagedKVCache(MODEL, num_blocks=3, block_size=4)
    write_rows(cache, "a", 6, mark=0)
    cache.fork("a", "b")
    cache.check_room({"a": 1, "b": 1})
    with pytest.raises(OutOfBlocksError):
        cache.check_room({"a": 1, "b": 3})
    write_rows(cache, "a", 1, mark=30)
    write_rows(cache, "b", 1, mark=40)
    assert rows_of(cache, "a", 0) == [0, 1, 2, 3, 4, 5, 30]
    assert rows_of(cache, "b", 0) == [0, 1, 2, 3, 4, 5, 40]


@pytest.mark.parametrize("block", [-1, 2, 5])
def test_blocks_that_there_are_not_are_neither_shared_nor_freed(block):
    allocator = BlockAllocator(2)
    assert [allocator.allocate(), allocator.allocate()] == [0, 1]
    for change in (allocator.share, allocator.release):
        with pytest.raises(ValueError, match=f"block {block}"):
            change(block)
    assert allocator.ref_counts == [1, 1]
    assert allocator.num_free == 0
