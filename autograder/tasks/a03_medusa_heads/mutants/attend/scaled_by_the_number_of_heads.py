"""Divides the scores by the number of heads instead of the square root of their width.

kills: each_node_sees_the_text_and_its_own_branch, a_tree_without_a_text_before_it_attends_to_itself
visible: scores_are_scaled_by_the_root_of_the_width
"""


# %% attend
def tree_attention(q, k, v, mask, slopes):
    text = torch.ones(len(q), len(k) - len(q), dtype=torch.bool)
    positions = torch.cat([torch.arange(len(k) - len(q)), len(k) - len(q) + mask.sum(1) - 1])
    distances = positions[-len(q) :, None] - positions
    scores = torch.einsum("thd,shd->hts", q, k) / q.shape[1] - slopes[:, None, None] * distances
    weights = scores.masked_fill(~torch.cat([text, mask], 1), float("-inf")).softmax(-1)
    return torch.einsum("hts,shd->thd", weights, v)
