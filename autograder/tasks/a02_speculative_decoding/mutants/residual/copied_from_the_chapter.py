"""Is the chapter's function for one block, which knows no batch.

kills: the_residual_is_what_the_draft_gave_too_little_of, the_residual_belongs_to_the_rejected_position, a_full_acceptance_gives_the_bonus_token, both_ways_together_give_the_target
visible: several_blocks_each_have_their_own_case
"""


# %% residual
def next_token_probs(target_probs, draft_probs, num_accepted, lengths=None):
    p = target_probs[num_accepted]
    if num_accepted == len(draft_probs):
        return p
    residual = (p - draft_probs[num_accepted]).clamp(min=0)
    return residual / residual.sum() if residual.sum() > 0 else p
