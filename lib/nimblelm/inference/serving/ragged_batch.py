"""One forward pass over blocks of several sequences that differ in position and in number of tokens."""

from collections.abc import Hashable, Sequence
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nimblelm.inference.decoding.request_checks import check_tokens
from nimblelm.inference.serving.paged_cache import PagedKVCache
from nimblelm.language.llama import Llama
from nimblelm.nn.attend import Attend, Past, causal


class TokenBlock(NamedTuple):
    """The next tokens of one sequence: a whole prompt, a piece of one, or the token written last.

    Chapter: book/ch01_decoding_and_its_cost
    """

    sequence: Hashable
    tokens: Int[Tensor, "T"]


@torch.inference_mode()
def ragged_forward(model: Llama, blocks: Sequence[TokenBlock], cache: PagedKVCache) -> list[Float[Tensor, "V"]]:
    """Append each block to its sequence and give the logits after its last token.

    Selective batching (Yu et al., 2022, OSDI, section 3): whatever treats tokens one by one (norms, projections, MLP,
    head) runs once over all tokens laid end to end, without padding, so each weight is read once for all sequences.
    Only attention, where tokens of a sequence meet, runs sequence by sequence.

    Args:
        model: the transformer.
        blocks: at least one, of different sequences, each of at least one token.
        cache: grows by the blocks' rows.

    Returns:
        The logits (V,) of each block.

    Raises:
        ValueError: no blocks, an empty block, one sequence twice, a token outside of the vocabulary, a sequence longer
            than the model's max_seq_len, or the cache of another model.
        OutOfBlocksError: the cache is too full for all blocks. As after any other of these errors, it is as it was.

    Chapter: book/ch01_decoding_and_its_cost
    """
    names, counts = [block.sequence for block in blocks], [len(block.tokens) for block in blocks]
    if not blocks or min(counts) < 1 or len(set(names)) < len(names):
        raise ValueError(f"blocks of {counts} tokens for {names}: one block of 1 token or more for each sequence")
    tokens = torch.cat([block.tokens for block in blocks])  # (N,), all tokens end to end
    _check_fit(model, cache, dict(zip(names, counts, strict=True)))
    check_tokens(tokens, model.config.vocab_size)
    states = model.states(model.embed(tokens[None]), at_blocks(cache, names, counts, model.attend))[0]
    return list(model.head(states[torch.tensor(counts).cumsum(0) - 1]))


def at_blocks(cache: PagedKVCache, names: Sequence[Hashable], counts: Sequence[int], attend: Attend = causal) -> Past:
    """For a pass over the next tokens of several sequences, laid end to end.

    Args:
        cache: grows by the tokens' rows, for which it has room.
        names: of the sequences.
        counts: new tokens of each.
        attend: what they see of their sequence's rows.

    Chapter: book/ch01_decoding_and_its_cost
    """
    new_slots = torch.cat([cache.extend(name, count) for name, count in zip(names, counts, strict=True)])
    all_slots = [cache.slots(name) for name in names]
    positions = torch.cat([torch.arange(len(s) - n, len(s)) for s, n in zip(all_slots, counts, strict=True)])

    def attend_each(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        cache.write(layer, new_slots, k[0], v[0])
        parts = zip(q.split(list(counts), dim=1), all_slots, strict=True)
        rows = ((part, *cache.gather(layer, slots)) for part, slots in parts)
        return torch.cat([attend(part, keys[None], values[None]) for part, keys, values in rows], dim=1)

    return Past([partial(attend_each, layer) for layer in range(len(cache.keys))], positions)


def _check_fit(model: Llama, cache: PagedKVCache, counts: dict[Hashable, int]) -> None:
    """The model has positions for the grown sequences, and the cache blocks for them of the model's shape."""
    config = model.config
    shape = (config.num_layers, cache.keys.shape[1], config.num_kv_heads, config.head_dim)
    if tuple(cache.keys.shape) != shape or cache.keys.dtype != model.embedding.weight.dtype:
        raise ValueError(f"the cache holds {cache.keys.dtype} of {tuple(cache.keys.shape)}, the model needs {shape}")
    for name, count in counts.items():
        length = count + (cache.tables[name].length if name in cache.tables else 0)
        if length > config.max_seq_len:
            raise ValueError(f"sequence {name!r} reaches {length} rows, the limit is {config.max_seq_len}")
    cache.check_room(counts)
