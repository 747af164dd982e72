"""Divides the scores by D, not by its square root.

kills: each_node_sees_the_text_and_its_own_branch
visible: scores_are_scaled_by_the_root_of_the_width
"""


# %% attend
def tree_attention(q, k, v, mask):
    nodes, rows = len(q), len(k)
    visible = torch.cat([torch.ones(nodes, rows - nodes, dtype=torch.bool), mask], dim=1)
    scores = torch.einsum("ihd,jhd->hij", q, k) / q.shape[-1]
    weights = scores.masked_fill(~visible, float("-inf")).softmax(-1)
    return torch.einsum("hij,jhd->ihd", weights, v)
