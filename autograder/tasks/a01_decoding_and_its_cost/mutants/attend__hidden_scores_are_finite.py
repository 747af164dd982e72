"""Sets hidden scores to -100, which wins where all others are lower still.

kills: a_block_behind_a_cache_is_causal
"""


# %% attend
def cached_attention(q, k, v, keys, values, position, window):
    end = position + len(q)
    keys[position:end], values[position:end] = k, v
    group = q.shape[1] // keys.shape[1]
    seen_keys = keys[:end].repeat_interleave(group, dim=1)
    seen_values = values[:end].repeat_interleave(group, dim=1)
    scores = torch.einsum("thd,shd->hts", q, seen_keys) / q.shape[-1] ** 0.5
    row, own = torch.arange(end), position + torch.arange(len(q))[:, None]
    visible = (row <= own) & (row > own - window)
    probs = scores.masked_fill(~visible, -100.0).softmax(-1)
    return torch.einsum("hts,shd->thd", probs, seen_values), keys, values
