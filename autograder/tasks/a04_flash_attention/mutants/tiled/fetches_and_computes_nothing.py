"""Fetches every tile as often as it should, and looks at none.

kills: full_attention_for_any_tile, causal_attention_for_any_tile, the_mask_is_aligned_at_the_end, bytes_moved_are_those_of_the_formula, hidden_tiles_are_never_fetched
"""


# %% tiled
def tiled_attention(fetch, num_queries, num_keys, causal, block_m, block_n):
    for first in range(0, num_queries, block_m):
        fetch("q", first, min(first + block_m, num_queries))
        for start in range(0, num_keys, block_n):
            for name in "kv":
                fetch(name, start, min(start + block_n, num_keys))
    return torch.zeros(1), torch.zeros(1)
