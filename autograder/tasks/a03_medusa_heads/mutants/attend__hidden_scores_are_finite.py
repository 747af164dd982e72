"""Sets hidden scores to -100, which wins where all others are lower still.

kills: hidden_rows_play_no_part
"""


# %% attend
def tree_attention(q, k, v, mask):
    nodes, rows = len(q), len(k)
    visible = torch.cat([torch.ones(nodes, rows - nodes, dtype=torch.bool), mask], dim=1)
    scores = torch.einsum("ihd,jhd->hij", q, k) / q.shape[-1] ** 0.5
    weights = scores.masked_fill(~visible, -100.0).softmax(-1)
    return torch.einsum("hij,jhd->ihd", weights, v)
