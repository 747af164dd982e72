"""A forward pass in which every row of a batch has its own position, against the rows one by one."""

import pytest
import torch

from nimblelm.inference.batched.row_cache import at_rows
from nimblelm.inference.decoding.cache import KVCache
from nimblelm.language.llama import Llama, LlamaConfig

PREFIXES = [0, 1, 7, 20]


def random_model(num_kv_heads: int = 2) -> Llama:
    torch.manual_seed(0)
    model = Llama(LlamaConfig(60, 32, 2, 4, num_kv_heads, 48, max_seq_len=32)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model.double()


@pytest.mark.parametrize("length", [1, 2, 5])
@pytest.mark.parametrize("num_kv_heads", [4, 2, 1])
@torch.no_grad()
def test_rows_at_their_own_positions_give_what_each_gives_alone(length, num_kv_heads):
    model = random_model(num_kv_heads)
    sequences = torch.randint(60, (len(PREFIXES), 32), generator=torch.Generator().manual_seed(1))
    together = KVCache.allocate(model, 32, batch_size=len(PREFIXES))
    for part in together:
        part.fill_(float("nan"))  # a row that was not written must not be read
    alone = []
    for row, prefix in enumerate(PREFIXES):
        cache = KVCache.allocate(model, 32)
        if prefix:
            model(sequences[row : row + 1, :prefix], cache.at(0, prefix))
            for ours, its in zip(together, cache, strict=True):
                ours[:, row, :prefix] = its[:, 0, :prefix]
        alone.append((model(sequences[row : row + 1, prefix : prefix + length], cache.at(prefix, length))[0], cache))

    blocks = torch.stack([sequences[row, prefix : prefix + length] for row, prefix in enumerate(PREFIXES)])
    logits = model(blocks, at_rows(together, torch.tensor(PREFIXES), length))
    for row, prefix in enumerate(PREFIXES):
        expected, cache = alone[row]
        torch.testing.assert_close(logits[row], expected, atol=1e-12, rtol=1e-10)
        for ours, its in zip(together, cache, strict=True):
            torch.testing.assert_close(ours[:, row, : prefix + length], its[:, 0, : prefix + length])
            assert ours[:, row, prefix + length :].isnan().all(), "a row after the block was written"


def test_positions_are_those_of_each_row():
    past = at_rows(KVCache.allocate(random_model(), 32, batch_size=2), torch.tensor([3, 0]), 2)
    assert past.positions.tolist() == [[3, 4], [0, 1]]
