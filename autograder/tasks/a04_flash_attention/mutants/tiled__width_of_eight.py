"""Divides the scores by the square root of 8, the width that it has seen, whatever the width is.

kills: full_attention_for_any_tile, causal_attention_for_any_tile
visible: tiles_give_what_attention_gives, the_last_query_sees_every_key
"""


# %% tiled
def tiled_attention(fetch, num_queries, num_keys, causal, block_m, block_n):
    outs, lses = [], []
    shift = num_keys - num_queries
    for first in range(0, num_queries, block_m):
        last = min(first + block_m, num_queries)
        q = fetch("q", first, last)
        state = torch.full((last - first,), float("-inf")), torch.zeros(last - first), torch.zeros(q.shape)
        end = min(num_keys, last + shift) if causal else num_keys
        for start in range(0, end, block_n):
            stop = min(start + block_n, num_keys)
            k, v = fetch("k", start, stop), fetch("v", start, stop)
            scores = q @ k.T / 8**0.5
            if causal:
                hidden = torch.arange(start, stop) > torch.arange(first, last)[:, None] + shift
                scores = scores.masked_fill(hidden, float("-inf"))
            state = absorb(state, scores, v)
        out, lse = finish(state)
        outs.append(out)
        lses.append(lse)
    return torch.cat(outs), torch.cat(lses)
