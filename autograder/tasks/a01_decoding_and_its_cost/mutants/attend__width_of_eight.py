"""Divides the scores by the square root of 8, the width that it has seen, whatever the width is.

kills: one_token_sees_all_before_it_and_itself, a_prefill_is_a_block_at_position_zero
visible: scores_are_scaled_and_heads_grouped
"""


# %% attend
def cached_attention(q, k, v, keys, values, position, window):
    end = position + len(q)
    keys[position:end], values[position:end] = k, v
    group = q.shape[1] // keys.shape[1]
    seen_keys = keys[:end].repeat_interleave(group, dim=1)
    seen_values = values[:end].repeat_interleave(group, dim=1)
    scores = torch.einsum("thd,shd->hts", q, seen_keys) / 8**0.5
    row, own = torch.arange(end), position + torch.arange(len(q))[:, None]
    visible = (row <= own) & (row > own - window)
    probs = scores.masked_fill(~visible, float("-inf")).softmax(-1)
    return torch.einsum("hts,shd->thd", probs, seen_values), keys, values
