"""Takes the first rows for the tree's, and the last for the text.

kills: each_node_sees_the_text_and_its_own_branch, hidden_rows_play_no_part
"""


# %% attend
def tree_attention(q, k, v, mask):
    nodes, rows = len(q), len(k)
    visible = torch.cat([mask, torch.ones(nodes, rows - nodes, dtype=torch.bool)], dim=1)
    scores = torch.einsum("ihd,jhd->hij", q, k) / q.shape[-1] ** 0.5
    weights = scores.masked_fill(~visible, float("-inf")).softmax(-1)
    return torch.einsum("hij,jhd->ihd", weights, v)
