"""A ragged pass gives each sequence the logits of a pass of its own."""

import pytest
import torch

from nimblelm.inference.paged_cache import PagedKVCache
from nimblelm.inference.ragged_batch import TokenBlock, ragged_forward
from tests.inference.models import varied_pair

MODEL = varied_pair()[0]


def test_blocks_of_any_length_at_any_position_agree_with_whole_passes():
    generator = torch.Generator().manual_seed(0)
    texts = {name: torch.randint(0, 50, (30,), generator=generator) for name in "abc"}
    cache, done = PagedKVCache(MODEL, num_blocks=24, block_size=5), dict.fromkeys("abc", 0)
    for counts in ({"a": 7}, {"a": 1, "b": 12}, {"a": 1, "b": 3, "c": 1}, {"c": 9, "a": 1}, {"b": 1, "c": 1, "a": 1}):
        blocks = [TokenBlock(name, texts[name][done[name] : done[name] + count]) for name, count in counts.items()]
        for block, logits in zip(blocks, ragged_forward(MODEL, blocks, cache), strict=True):
            done[block.sequence] += len(block.tokens)
            with torch.inference_mode():
                whole = MODEL(texts[block.sequence][None, : done[block.sequence]])[0, -1]
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
