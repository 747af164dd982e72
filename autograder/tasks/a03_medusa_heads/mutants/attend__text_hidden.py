"""Hides the text before the tree.

kills: each_node_sees_the_text_and_its_own_branch
"""


# %% attend
def tree_attention(q, k, v, mask):
    nodes, rows = len(q), len(k)
    visible = torch.cat([torch.zeros(nodes, rows - nodes, dtype=torch.bool), mask], dim=1)
    scores = torch.einsum("ihd,jhd->hij", q, k) / q.shape[-1] ** 0.5
    weights = scores.masked_fill(~visible, float("-inf")).softmax(-1)
    return torch.einsum("hij,jhd->ihd", weights, v)
