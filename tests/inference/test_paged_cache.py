"""The paged cache against a plain dictionary of lists, and its allocator's books."""

import random

import pytest
import torch

from nimblelm.inference.block_allocator import BlockAllocator, OutOfBlocksError
from nimblelm.inference.paged_cache import PagedKVCache
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
    texts: dict[int, list[float]] = {}
    for step in range(200):
        action, name = rng.choice(["extend", "extend", "fork", "free"]), rng.randrange(8)
        if action == "extend":
            count = rng.randint(0, 5)
            try:
                write_rows(cache, name, count, mark=10.0 * step)
            except OutOfBlocksError:
                continue
            texts.setdefault(name, []).extend(10.0 * step + i for i in range(count))
        elif action == "fork" and texts:
            parent = rng.choice(sorted(texts))
            length = rng.randint(0, len(texts[parent]))
            if name not in texts:
                cache.fork(parent, name, length)
                texts[name] = texts[parent][:length]
        elif action == "free" and name in texts:
            cache.free(name)
            del texts[name]
        for held, text in texts.items():
            assert rows_of(cache, held, 1) == [row + 1000 for row in text]
        assert cache.num_rows == sum(map(len, texts.values()))
    for name in texts:
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
