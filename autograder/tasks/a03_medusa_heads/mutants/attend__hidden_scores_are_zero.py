"""Sets hidden scores to 0, and e^0 counts.

kills: each_node_sees_the_text_and_its_own_branch, a_tree_without_a_text_before_it_attends_to_itself, hidden_rows_play_no_part
"""


# %% attend
def tree_attention(q, k, v, mask):
    nodes, rows = len(q), len(k)
    visible = torch.cat([torch.ones(nodes, rows - nodes, dtype=torch.bool), mask], dim=1)
    scores = torch.einsum("ihd,jhd->hij", q, k) / q.shape[-1] ** 0.5
    weights = (scores * visible).softmax(-1)
    return torch.einsum("hij,jhd->ihd", weights, v)
