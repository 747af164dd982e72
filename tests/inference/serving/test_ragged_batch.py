"""A ragged pass gives each sequence the logits of a pass of its own."""

import copy

import pytest
import torch

from nimblelm.inference.serving.block_allocator import OutOfBlocksError
from nimblelm.inference.serving.paged_cache import PagedKVCache
from nimblelm.inference.serving.ragged_batch import TokenBlock, ragged_forward
from nimblelm.language.llama import Llama, LlamaConfig
from tests.inference.models import varied_pair
from tests.inference.serving.test_paged_cache import books

MODEL = varied_pair()[0]


def test_blocks_of_any_length_at_any_position_agree_with_whole_passes():
    generator = torch.Generator().manual_seed(0)
    sequences = {name: torch.randint(0, 50, (30,), generator=generator) for name in "abc"}
    cache, done = PagedKVCache(MODEL, num_blocks=24, block_size=5), dict.fromkeys("abc", 0)
    for counts in ({"a": 7}, {"a": 1, "b": 12}, {"a": 1, "b": 3, "c": 1}, {"c": 9, "a": 1}, {"b": 1, "c": 1, "a": 1}):
        blocks = [TokenBlock(name, sequences[name][done[name] : done[name] + count]) for name, count in counts.items()]
        for block, logits in zip(blocks, ragged_forward(MODEL, blocks, cache), strict=True):
            done[block.sequence] += len(block.tokens)
            with torch.inference_mode():
                whole = MODEL(sequences[block.sequence][None, : done[block.sequence]])[0, -1]
            torch.testing.assert_close(logits, whole, atol=1e-5, rtol=1e-5)


def test_a_forked_prefix_is_as_good_as_a_prefill():
    generator = torch.Generator().manual_seed(1)
    prefix, rest = torch.randint(0, 50, (11,), generator=generator), torch.randint(0, 50, (4,), generator=generator)
    cache = PagedKVCache(MODEL, num_blocks=12, block_size=4)
    ragged_forward(MODEL, [TokenBlock("a", prefix)], cache)
    cache.fork("a", "b")
    (logits,) = ragged_forward(MODEL, [TokenBlock("b", rest)], cache)
    with torch.inference_mode():
        torch.testing.assert_close(logits, MODEL(torch.cat([prefix, rest])[None])[0, -1], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("names", [[], ["a", "a"], ["empty"]])
def test_a_batch_without_sense_is_refused(names):
    blocks = [TokenBlock(name, torch.zeros(0 if name == "empty" else 1, dtype=torch.int64)) for name in names]
    with pytest.raises(ValueError, match="one block of 1 token"):
        ragged_forward(MODEL, blocks, PagedKVCache(MODEL, 4))


LONG = torch.zeros(161, dtype=torch.int64)
ONE = LONG[:1]


@pytest.mark.parametrize(
    ("blocks", "error", "message"),
    [
        ([("new", ONE), ("a", LONG[:156])], ValueError, "'a' reaches 161 rows, the limit is 160"),
        ([("a", ONE), ("new", LONG)], ValueError, "'new' reaches 161 rows, the limit is 160"),
        ([("new", ONE), ("a", ONE - 1)], ValueError, "from -1 to 0 reach outside of the vocabulary"),
        ([("new", ONE), ("a", ONE + 50)], ValueError, "from 0 to 50 reach outside of the vocabulary"),
        ([("b", ONE), ("new", LONG[:8]), ("a", LONG[:9])], OutOfBlocksError, "5 blocks are needed, 4 of 6"),
        ([("b", ONE), ("a", LONG[:30])], OutOfBlocksError, "4 of 6 blocks are free"),
        ([("new", ONE), ("a", LONG[:0])], ValueError, "one block of 1 token"),
    ],
)
def test_a_batch_that_cannot_be_run_leaves_the_cache_as_it_was(blocks, error, message):
    cache = PagedKVCache(MODEL, num_blocks=6, block_size=4)
    ragged_forward(MODEL, [TokenBlock("a", LONG[:5])], cache)
    cache.fork("a", "b")
    before, keys = books(cache), cache.keys.clone()
    with pytest.raises(error, match=message):
        ragged_forward(MODEL, [TokenBlock(*block) for block in blocks], cache)
    assert books(cache) == before
    assert torch.equal(cache.keys, keys)


def test_the_cache_of_another_model_is_refused():
    other = Llama(LlamaConfig(50, 32, 1, 4, 2, 48))
    cache = PagedKVCache(MODEL, 4)
    for model in (other, copy.deepcopy(MODEL).half()):
        with pytest.raises(ValueError, match="the model needs"):
            ragged_forward(model, [TokenBlock("a", ONE)], cache)
    assert not cache.tables
