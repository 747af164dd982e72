"""Draws from p after a rejection.

kills: the_residual_is_what_the_draft_gave_too_little_of, the_residual_belongs_to_the_rejected_position, a_full_acceptance_gives_the_bonus_token, both_ways_together_give_the_target
"""


# %% residual
def next_token_probs(target_probs, draft_probs, num_accepted):
    p = target_probs[num_accepted]
    if num_accepted == len(draft_probs):
        return p
    residual = (p - draft_probs[num_accepted]).clamp(min=0)
    return p
