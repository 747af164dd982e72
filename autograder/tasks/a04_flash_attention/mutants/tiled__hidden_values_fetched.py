"""Skips the keys of tiles that the mask hides as a whole, and fetches their values.

kills: hidden_tiles_are_never_fetched
"""


# %% tiled
def tiled_attention(fetch, num_queries, num_keys, causal, block_m, block_n):
    shift, outs, lses = num_keys - num_queries, [], []
    for first in range(0, num_queries, block_m):
        last = min(first + block_m, num_queries)
        q = fetch("q", first, last)
        state = torch.full_like(q[:, 0], float("-inf")), torch.zeros_like(q[:, 0]), torch.zeros_like(q)
        end = min(num_keys, last + shift) if causal else num_keys
        for start in range(0, end, block_n):
            stop = min(start + block_n, num_keys)
            k, v = fetch("k", start, stop), fetch("v", start, stop)
            scores = q @ k.T / q.shape[1] ** 0.5
            if causal:
                hidden = torch.arange(start, stop) > torch.arange(first, last)[:, None] + shift
                scores = scores.masked_fill(hidden, float("-inf"))
            state = absorb(state, scores, v)
        for start in range(max(0, -(-end // block_n)) * block_n, num_keys, block_n):
            fetch("v", start, min(start + block_n, num_keys))
        out, lse = finish(state)
        outs.append(out)
        lses.append(lse)
    return torch.cat(outs), torch.cat(lses)
