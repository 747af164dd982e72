"""A cache refuses what does not fit it, whatever kind of pass it is for."""

import pytest
import torch

from nimblelm.inference.batched.row_cache import at_rows
from nimblelm.inference.decoding.cache import KVCache
from nimblelm.inference.medusa.tree_cache import at_tree
from nimblelm.language.llama import Llama, LlamaConfig

MODEL = Llama(LlamaConfig(32, d_model=16, num_layers=2, num_heads=4, num_kv_heads=2, d_ff=24))
TOKENS, ROWS = torch.zeros(2, 3, dtype=torch.int64), torch.zeros(2, 2, 12, 2, 4)
CACHE = KVCache(ROWS, ROWS.clone())
TREE = (torch.tensor([0, 1, 1]), torch.eye(3).bool())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: MODEL(TOKENS, KVCache(ROWS, ROWS[:, :, :5]).at(0, 3)), r"\(2, 2, 5, 2, 4\)"),
        (lambda: MODEL(TOKENS, KVCache(ROWS, ROWS.half()).at(0, 3)), "values torch.float16"),
        (lambda: MODEL(TOKENS, KVCache(ROWS[:, :1], ROWS[:, :1]).at(0, 3)), r"do not fit the cache's \(1, 3, 2, 4\)"),
        (lambda: MODEL(TOKENS[:1], CACHE.at(0, 3)), r"do not fit the cache's \(2, 3, 2, 4\)"),
        (lambda: MODEL(TOKENS[:1], at_rows(CACHE, torch.tensor([0, 1]), 3)), r"table \(2, 2, 3, 4\) does not fit"),
        (lambda: MODEL(TOKENS[:1], at_tree(CACHE, 0, *TREE)), r"do not fit the cache's \(2, 3, 2, 4\)"),
        (lambda: MODEL(TOKENS, KVCache(ROWS[:1], ROWS[:1]).at(0, 3)), "a past of 1 layers was given, the model has 2"),
        (lambda: MODEL(TOKENS, CACHE.at(0, 2)), r"do not fit|3 tokens at"),
        (lambda: at_rows(CACHE, torch.zeros(1, dtype=torch.int64), 3), "2 rows need one each"),
        (lambda: at_tree(CACHE, 10, *TREE), "reach position 13, the limit is 12"),
        (lambda: CACHE.at(-1, 3), "position -1"),
        (lambda: MODEL(torch.zeros(1, 1025, dtype=torch.int64)), "1025 tokens .* max_seq_len 1024"),
    ],
)
def test_what_does_not_fit_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@torch.no_grad()
def test_a_cache_may_be_of_another_dtype_than_the_model():
    half = KVCache(*(part.half() for part in CACHE))
    for past in (
        half.at(0, 3),
        at_rows(half, torch.tensor([0, 0]), 3),
        at_tree(half, 0, TREE[0], torch.ones(3, 3).bool()),
    ):
        assert MODEL(TOKENS, past).dtype == torch.float32
