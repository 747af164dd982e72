"""Gives every visible row the same weight.

kills: each_node_sees_the_text_and_its_own_branch, a_tree_without_a_text_before_it_attends_to_itself, hidden_rows_play_no_part
visible: scores_are_scaled_by_the_root_of_the_width
"""


# %% attend
def tree_attention(q, k, v, mask, slopes):
    seen = torch.cat([torch.ones(len(q), len(k) - len(q)), mask.float()], 1)
    return torch.einsum("ts,shd->thd", seen / seen.sum(1, keepdim=True), v)
