"""Masks the tree like a line, so that siblings see each other.

kills: each_node_sees_the_text_and_its_own_branch, hidden_rows_play_no_part
"""


# %% attend
def tree_attention(q, k, v, mask):
    nodes, rows = len(q), len(k)
    visible = torch.cat([torch.ones(nodes, rows - nodes, dtype=torch.bool), mask.new_ones(nodes, nodes).tril()], dim=1)
    scores = torch.einsum("ihd,jhd->hij", q, k) / q.shape[-1] ** 0.5
    weights = scores.masked_fill(~visible, float("-inf")).softmax(-1)
    return torch.einsum("hij,jhd->ihd", weights, v)
