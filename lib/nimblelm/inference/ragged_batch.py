"""One forward pass over blocks of several sequences that differ in position and in number of tokens."""

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nimblelm.inference.paged_cache import PagedKVCache
from nimblelm.kernels.flash_attention import flash_attention
from nimblelm.nn.attention import Attention
from nimblelm.nn.positions import rotate
from nimblelm.nn.transformer import Block, Transformer


class TokenBlock(NamedTuple):
    """The next tokens of one sequence: a whole prompt, a piece of one, or the token written last.

    Chapter: book/ch01_decoding_and_its_cost
    """

    sequence: Hashable
    tokens: Int[Tensor, "T"]


@torch.inference_mode()
def ragged_forward(model: Transformer, blocks: Sequence[TokenBlock], cache: PagedKVCache) -> list[Float[Tensor, "V"]]:
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
        ValueError: no blocks, an empty block, or one sequence twice.
        OutOfBlocksError: the cache is full; the sequences before the one that did not fit have grown.

    Chapter: book/ch01_decoding_and_its_cost
    """
    names, counts = [block.sequence for block in blocks], [len(block.tokens) for block in blocks]
    if not blocks or min(counts) < 1 or len(set(names)) < len(names):
        raise ValueError(f"blocks of {counts} tokens for {names}: one block of 1 token or more for each sequence")
    new_slots = torch.cat([cache.extend(name, count) for name, count in zip(names, counts, strict=True)])
    all_slots = [cache.slots(name) for name in names]
    rows = torch.cat([torch.arange(len(s) - n, len(s)) for s, n in zip(all_slots, counts, strict=True)])

    x = model.embedding(torch.cat([block.tokens for block in blocks]))  # (N, d), all tokens end to end
    rotary = model.rotary[:, rows].to(x.dtype)
    for layer, block in enumerate(model.blocks):
        assert isinstance(block, Block)
        q, k, v = _heads(block.attention, block.attention_norm(x), rotary)
        cache.write(layer, new_slots, k, v)
        attended = [
            _attend(one, *cache.gather(layer, slots)) for one, slots in zip(q.split(counts), all_slots, strict=True)
        ]
        x = x + block.attention.out_proj(torch.cat(attended).flatten(1))
        x = x + block.mlp(block.mlp_norm(x))
    last = torch.tensor(counts).cumsum(0) - 1
    return list(model.head(model.norm(x[last])))


def _heads(attention: Attention, x: Tensor, rotary: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rotated queries (N, H, D), rotated keys and values (N, Hkv, D) of N tokens."""
    qkv = attention.qkv_proj(x).view(len(x), -1, attention.head_dim)
    qk, v = qkv.split([attention.num_heads + attention.num_kv_heads, attention.num_kv_heads], dim=1)
    q, k = rotate(qk[None], rotary)[0].split([attention.num_heads, attention.num_kv_heads], dim=1)
    return q, k, v


def _attend(q: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """The newest T queries (T, H, D) of one sequence over its S rows (S, Hkv, D)."""
    return flash_attention(q[None], keys[None], values[None], causal=len(q) > 1)[0]
